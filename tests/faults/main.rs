//! Servers that stop, die, hang, refuse or are not what they should be. Each has its own; the one set
//! that several tests harm is theirs one after the other.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod down;
mod elsewhere;
mod harmed;
mod hunts;
mod merged;
mod restart;
mod step_down;
