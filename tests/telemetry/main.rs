//! What an operator sees of the real program on a real Kafka and a real replica set: traces and metrics as
//! they are received, the scrape, health, the log.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod collector;
mod health;
mod outage;
mod program;
mod scrape;
mod traces;
