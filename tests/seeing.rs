//! The commands that show before anything is done, through the program: no server is asked.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod seeing {
    mod explain;
    mod generated;
    mod lint_runbook;
    mod program;
    mod test;
}
