//! Work that is not finished yet, on a real Kafka and real servers.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod approvals;
mod deferred;
mod ended;
mod follow;
#[allow(dead_code, reason = "it is the house of another root, which uses more of it")]
#[path = "../service/house.rs"]
mod house;
mod matrix;
mod owners;
mod scene;
#[path = "../support/mod.rs"]
mod support;
