//! The edge: the only place that names rdkafka and mongodb. Foreign errors stop here.

pub mod kafka_client;
mod kafka_context;
