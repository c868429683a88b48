//! Real parts for the tests: a replica set and a Kafka for each test binary, started when first asked for.
//!
//! They live in statics and are never dropped; their watchers end them when the test process ends.
//! Connections belong to the runtime that made them, so all tests of a binary share one: tests are plain
//! `#[test]` functions that call [`block_on`].
#![allow(dead_code, reason = "each test binary uses its own part of this")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub mod kafka;
pub mod names;
pub mod people;
pub mod responder;
pub mod schemas;
pub mod topic;

use std::future::Future;
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use severance::lab::ReplicaSet;
use tokio::runtime::Runtime;

pub use kafka::Kafka;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("a test cannot run without a runtime"));

/// Runs a future on the runtime that all tests of this binary share.
pub fn block_on<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

/// Three voting members and a hidden one, with failpoints, shared by all tests of this binary. A test
/// that stops members starts a set of its own.
pub fn replica_set() -> &'static ReplicaSet {
    static SET: OnceLock<ReplicaSet> = OnceLock::new();
    SET.get_or_init(|| {
        let start = ReplicaSet::builder().hidden(true).failpoints(true).start();
        block_on(start).unwrap_or_else(|error| panic!("no replica set: {error}"))
    })
}

/// A broker shared by all tests of this binary. A test that stops it starts one of its own.
pub fn kafka() -> &'static Kafka {
    static KAFKA: OnceLock<Kafka> = OnceLock::new();
    KAFKA.get_or_init(Kafka::start)
}

/// Looks again and again until `wanted` has something, and fails with `what` when it has nothing in time.
pub fn eventually<T>(what: &str, limit: Duration, mut wanted: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = wanted() {
            return found;
        }
        assert!(Instant::now() < end, "waited {} s in vain: {what}", limit.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}
