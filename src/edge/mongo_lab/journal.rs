//! What one workload saw, with the time at which it saw it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::MongoError;

/// So many sights are kept; a client that comes back 100 times a second fills this in 100 s.
const MAX_SIGHTS: usize = 10_000;

/// What a client saw of the server.
#[derive(Debug, Clone)]
pub enum Seen {
    /// An answer as it should be.
    Answer,
    /// An error.
    Error(MongoError),
}

/// Something seen, and when.
#[derive(Debug, Clone)]
pub struct Sight {
    /// When.
    pub at: Instant,
    /// What.
    pub seen: Seen,
}

/// What a workload saw so far.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    /// In order; no more than the first 10,000.
    pub sights: Vec<Sight>,
    /// Answers, all counted.
    pub answers: u64,
    /// Errors, all counted.
    pub errors: u64,
    /// Whether the workload has come to its end: nothing more will be seen.
    pub ended: bool,
}

impl Journal {
    /// The first error's code and time, if there was an error.
    #[must_use]
    pub fn first_error(&self) -> Option<(Option<i32>, Instant)> {
        self.sights.iter().find_map(|sight| match &sight.seen {
            Seen::Error(error) => Some((error.code, sight.at)),
            Seen::Answer => None,
        })
    }

    /// How many answers came after that moment (of those kept).
    #[must_use]
    pub fn answers_since(&self, moment: Instant) -> usize {
        let since = |sight: &&Sight| sight.at > moment && matches!(sight.seen, Seen::Answer);
        self.sights.iter().filter(since).count()
    }
}

/// A journal that the workload writes and the lab reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Journal>>);

impl Shared {
    pub(super) fn read(&self) -> Journal {
        self.lock().clone()
    }

    pub(super) fn saw(&self, result: Result<(), MongoError>) {
        let mut journal = self.lock();
        let seen = match result {
            Ok(()) => {
                journal.answers += 1;
                Seen::Answer
            }
            Err(error) => {
                journal.errors += 1;
                Seen::Error(error)
            }
        };
        if journal.sights.len() < MAX_SIGHTS {
            journal.sights.push(Sight { at: Instant::now(), seen });
        }
    }

    pub(super) fn end(&self) {
        self.lock().ended = true;
    }

    /// A panic while the lock was held leaves at worst a count without its sight.
    fn lock(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
