//! What an owner holds of one case: its records, and what is under way.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Current, Done, Generation, Job, Shelf, Step, Turn};
use crate::case::CaseId;

/// What an owner holds of one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The case.
    pub case: CaseId,
    /// Its records.
    pub shelf: Shelf,
    /// What is under way.
    pub phase: Phase,
    /// When it is due, where that is not what its record says.
    pub due: Option<Timestamp>,
    /// A done mark whose tombstone is committed and not yet read back.
    pub forgotten: Option<Done>,
    /// Loaded, and nothing published since.
    pub fresh: bool,
}

/// What is under way for one case; one thing at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// Nothing.
    Idle,
    /// The commands are being read for an attempt.
    CatchingUp {
        /// The attempt.
        turn: Turn,
        /// In which the attempt began.
        generation: Generation,
    },
    /// Servers are being asked.
    Attempting {
        /// The attempt.
        turn: Turn,
        /// In which the attempt began.
        generation: Generation,
        /// What it hunts.
        job: Arc<Job>,
        /// It was told to stop.
        stopping: bool,
    },
    /// A transaction is under way.
    Committing {
        /// What is in it.
        step: Arc<Step>,
        /// It forgets a mark, and the tombstone was read back before the answer came.
        read_back: bool,
    },
    /// The group has rejected a step: published again once it is known that nothing came between.
    Rejected {
        /// Which.
        step: Arc<Step>,
    },
}

/// What the owner of the partition lends to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The partition.
    pub partition: i32,
    /// How far it was read.
    pub offset: i64,
    /// The generation in which it is held.
    pub generation: Generation,
    /// The name of whatever begins now.
    pub turn: Turn,
}

impl Entry {
    /// Of which nothing is known yet.
    pub fn new(case: CaseId) -> Self {
        Self { case, shelf: Shelf::default(), phase: Phase::Idle, due: None, forgotten: None, fresh: false }
    }

    /// What is to be done next, going by the records.
    pub fn current(&self) -> Current {
        self.shelf.current(self.forgotten.as_ref())
    }

    /// When there is something to do; `None` while something is under way, or nothing is to be done.
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.phase != Phase::Idle {
            return None;
        }
        match self.current() {
            Current::Job(job) => Some(self.due.unwrap_or(job.due)),
            Current::Ended(done) if self.forgotten.is_none() => Some(done.until),
            Current::Ended(_) | Current::Blocked(_) | Current::Nothing => None,
        }
    }

    /// Whether nothing is left to remember.
    pub fn is_empty(&self) -> bool {
        self.phase == Phase::Idle && self.shelf.is_empty() && self.forgotten.is_none()
    }
}
