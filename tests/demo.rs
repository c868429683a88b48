//! `severance demo`: what it shows, and that nothing of it is left, however it ends.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod demo {
    mod ends;
    mod stage;
    mod tells;
}
