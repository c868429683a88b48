//! The edge: the only place that names rdkafka, mongodb and axum. Foreign errors stop here.

pub mod http;
pub mod kafka_admin;
pub mod kafka_client;
pub mod kafka_commit;
pub mod kafka_consumer;
mod kafka_context;
mod kafka_group;
mod kafka_handover;
pub mod kafka_mock;
mod kafka_poller;
mod kafka_produce;
pub mod kafka_publisher;
pub mod kafka_reader;
mod kafka_record;
pub mod kafka_send;
pub mod kafka_topics;
mod kafka_transactions;
pub mod mongo_check;
pub mod mongo_cluster;
mod mongo_error;
pub mod mongo_lab;
pub mod mongo_member;
mod mongo_roster;
mod mongo_survey;
mod mongo_uri;
mod mongo_users;
mod mongo_wire;
