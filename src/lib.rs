pub mod edge;
pub mod lab;
