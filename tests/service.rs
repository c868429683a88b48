//! `severance run` and the commands around it: the real program between a real Kafka and a real
//! replica set, and what happens when one of them, or the program itself, goes away.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod service {
    mod again;
    mod cases;
    mod commands;
    mod events;
    mod fault_points;
    mod group;
    mod held;
    mod house;
    mod letters;
    mod names;
    mod once;
    mod outages;
    mod parts;
    mod poison;
    mod reload;
    mod respond;
    mod restart;
    mod secrets;
    mod sessions;
    mod storm;
    mod topics_lost;
}
