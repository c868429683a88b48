//! The edge: the only place that names rdkafka and mongodb. Foreign errors stop here.

pub mod mongo_check;
pub mod mongo_cluster;
mod mongo_error;
pub mod mongo_lab;
pub mod mongo_member;
mod mongo_survey;
mod mongo_users;
