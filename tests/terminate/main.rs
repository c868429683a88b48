//! The kill on a real replica set, shared by all tests: who dies, who must not, and what is said about
//! it. Servers that stop, die or fail are in tests/faults.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod batch;
mod fold;
mod idle;
mod names;
mod privileges;
mod protected;
mod random;
mod returning;
mod sessions;
mod simulate;
mod targets;
mod trap;
