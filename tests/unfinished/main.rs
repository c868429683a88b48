//! Work that is not finished yet, on a real Kafka and real servers.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod follow;

#[path = "../support/mod.rs"]
mod support;
