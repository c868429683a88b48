//! What a job is told, and the answers to what cannot be.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Filed, Heard, Job, Limits, State, Work};
use crate::{
    case::CaseId,
    terminate::{Hunted, PrincipalReport},
};

/// Group metadata that was taken where an assignment was heard: the edge keeps the metadata, the
/// protocol this number of it. A later assignment has a greater number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// Names one thing that was begun: an attempt or a transaction. Its answer carries it, so that an
/// answer to something long given up cannot be taken for another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Turn {
    /// Which loading of the partition.
    pub load: u64,
    /// Which beginning in it.
    pub number: u64,
}

/// What is true outside at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Now.
    pub now: Timestamp,
    /// The commands that were heard.
    pub heard: &'a Heard,
    /// What jobs are run by.
    pub limits: &'a Limits,
}

/// What one case is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A creation was read.
    Creation {
        /// Which.
        n: u32,
        /// The record.
        filed: Filed<Job>,
    },
    /// A creation's tombstone was read.
    CreationGone {
        /// Which.
        n: u32,
    },
    /// A state was read.
    State(Filed<State>),
    /// A state's tombstone was read.
    StateGone,
    /// A command was heard that may concern the case.
    Heard,
    /// What is due may begin.
    Due,
    /// Something of its work may go better now: it is due at once.
    Wake,
    /// The commands were heard up to a watermark that was taken after the attempt was announced.
    CaughtUp {
        /// The attempt.
        turn: Turn,
        /// By partition of the commands, the high watermark.
        watermark: BTreeMap<i32, i64>,
        /// How long ago the broker was last heard of, by a clock that counts suspend.
        broker_heard_ago: std::time::Duration,
    },
    /// An attempt came back.
    Attempted {
        /// The attempt.
        turn: Turn,
        /// With what.
        attempted: Attempted,
        /// Any number, for the next delay.
        dice: u32,
    },
    /// A transaction came back.
    Answered {
        /// The transaction.
        turn: Turn,
        /// How.
        answer: Answer,
    },
    /// The group has a new generation, and the partition was kept without a break.
    Kept,
}

/// With what an attempt came back.
#[derive(Clone, Debug, PartialEq)]
pub enum Attempted {
    /// Nothing was asked of any server, since nobody may kill now: the partition was taken away, the
    /// broker has not been heard of, or it was told to stop. It did not count.
    NotBegun,
    /// Nothing was asked of any server, since none where something is left is waited for now. It is
    /// no attempt either, but at the end of its time a job must not wait for more.
    NotAsked,
    /// It was tried, wholly or, where it was stopped, in part.
    Tried {
        /// What this attempt found, gone and left; see [`super::NodeWork::report`].
        work: Work,
        /// What the clusters know of those who were named.
        principals: Vec<PrincipalReport>,
    },
}

impl Attempted {
    /// What came of a hunt by somebody who may kill.
    pub fn of(hunted: Option<Hunted>) -> Self {
        match hunted {
            None => Self::NotAsked,
            Some(Hunted { termination, stopped: _ }) => {
                Self::Tried { work: Work::begin(&termination), principals: termination.principals }
            }
        }
    }
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// All of it is there.
    Committed,
    /// Nothing of it is there: the group has another generation than the step's.
    Rejected,
    /// Nothing of it is there, for another reason; the producer works again.
    Aborted,
    /// Nobody can say.
    Unknown,
}

/// A step that cannot be. Whatever is told is answered; after one of these nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// An answer to something that is not under way (any more).
    #[error("case {case}: {turn:?} is not under way")]
    NotUnderWay {
        /// The case.
        case: CaseId,
        /// What was answered.
        turn: Turn,
    },
    /// An attempt may not go on before the commands were heard.
    #[error("commands partition {partition} was read to {read_to}, the watermark is further")]
    NotHeard {
        /// The partition of the commands.
        partition: i32,
        /// How far it was read.
        read_to: i64,
    },
    /// Records come in the order of their offsets, each once.
    #[error("offset {offset} after everything before {read_to} was read")]
    OutOfOrder {
        /// The record's.
        offset: i64,
        /// The book's.
        read_to: i64,
    },
    /// A generation does not end before one that began earlier.
    #[error("{told:?} is not later than {known:?}")]
    OldGeneration {
        /// What was told.
        told: Generation,
        /// What is known.
        known: Generation,
    },
    /// The book was dropped: only loading it again helps.
    #[error("the book of this partition was dropped")]
    Dropped,
}
