#![forbid(unsafe_code)]
pub mod case;
pub mod check;
pub mod cli;
pub mod config;
pub mod decide;
pub mod decode;
pub mod edge;
pub mod ingest;
pub mod lab;
pub mod pattern;
pub mod pipeline;
pub mod principal;
pub mod privilege;
pub mod report;
pub mod responder;
pub mod telemetry;
pub mod terminate;
