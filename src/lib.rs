#![forbid(unsafe_code)]
pub mod case;
pub mod cli;
pub mod config;
pub mod decide;
pub mod decode;
pub mod edge;
pub mod ingest;
pub mod pattern;
pub mod principal;
pub mod report;
pub mod terminate;
