//! The lab: real servers on loopback, for the demo and for the tests.
//!
//! Everything a lab starts ends with the process that started it, also after `kill -9`: each server
//! and each folder is held by a small watcher process that acts when its pipe from us closes.
//! Linux only, since the watchers read `/proc`.
//!
//! - [`guard`]: a child process that dies with us; [`dir`]: a folder that goes with us.
//! - [`mongod`]: finds or fetches the server; [`cache`]: where fetched things are kept.
//! - [`replica_set`]: a replica set with users; [`standalone`]: one server without accounts.
//! - [`sessionless`]: a proxy behind which a driver believes that the server knows no sessions.
//!
//! What speaks to the servers is in [`crate::edge::mongo_lab`].

pub mod cache;
pub mod dir;
pub mod guard;
mod member;
pub mod mongod;
pub mod replica_set;
mod secret;
pub mod sessionless;
pub mod standalone;
pub mod tls;
mod watcher;

pub use dir::LabDir;
pub use guard::{Guarded, Signal};
pub use mongod::Mongod;
pub use replica_set::ReplicaSet;
pub use secret::{Credentials, Proof};
pub use standalone::Standalone;

use std::time::Duration;

/// Why a lab could not be set up or used.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// No usable `mongod`: the message says what to install or to set.
    #[error(transparent)]
    Mongod(#[from] mongod::MongodError),
    /// The certificates for a lab with TLS could not be made.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The driver or the server refused.
    #[error(transparent)]
    Mongo(#[from] crate::edge::mongo_lab::MongoError),
    /// The operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A server ended before it was ready; its last words are in the message.
    #[error("mongod on port {port} ended with {exit} before it was ready; it said: {log}")]
    Died {
        /// The port that it was told to use.
        port: u16,
        /// Its exit, as a shell says it.
        exit: i32,
        /// The last lines of its log.
        log: String,
    },
    /// Something did not happen in time.
    #[error("waited {} s in vain: {what}", waited.as_secs())]
    TooSlow {
        /// What was waited for, and what was there instead.
        what: String,
        /// For how long.
        waited: Duration,
    },
}

impl LabError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
