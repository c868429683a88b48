//! The log, as text or JSON, on standard error.

use std::{
    io::IsTerminal as _,
    sync::atomic::{AtomicBool, Ordering},
};

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt};

use crate::principal::Principal;

/// Hex digits of a principal's hash in the log: 64 bits, enough to tell people apart.
const HASH_DIGITS: usize = 16;

/// Whether principals are hashed; the log is one for the whole process, and so is this.
static HASHED: AtomicBool = AtomicBool::new(false);

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log at this level, unless `RUST_LOG` says otherwise. Drivers are kept to warnings, and
/// never log commands or payloads at that level.
pub fn start(format: LogFormat, level: &str) {
    // What OpenTelemetry says of itself is said by us, once (`transport`).
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{level},opentelemetry=off")));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second start (in tests) keeps the first.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
}

/// From now on principals are written to the log as hashes (`log.hash_principals`), or not.
pub fn hash_principals(hashed: bool) {
    HASHED.store(hashed, Ordering::Relaxed);
}

/// A principal as the log names it: `user@db`, or the first digits of what MongoDB itself makes of
/// that, the `uid` in its sessions, so that the two can be told to be the same.
pub fn principal(user: &str, db: &str) -> String {
    written(user, db, HASHED.load(Ordering::Relaxed))
}

fn written(user: &str, db: &str, hashed: bool) -> String {
    if !hashed {
        return format!("{user}@{db}");
    }
    let digest = Principal::new(user, db).map(|principal| principal.digest().to_string()).unwrap_or_default();
    format!("sha256:{}", digest.get(..HASH_DIGITS).unwrap_or("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hashed_principal_is_the_beginning_of_its_uid_and_nothing_else() {
        assert_eq!(written("jsmith", "admin", false), "jsmith@admin");
        let hashed = written("jsmith", "admin", true);
        let uid = Principal::new("jsmith", "admin").unwrap().digest().to_string();
        assert_eq!(hashed, format!("sha256:{}", &uid[..16]));
        assert_ne!(hashed, written("jsmith", "orders", true));
    }
}
