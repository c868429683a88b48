//! What is to be done: by the edge, in this order, and then told back as an input.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Cancel, Generation, Job, Key, Ruling, State, Turn, Unreadable};
use crate::{
    case::CaseId,
    principal::Principal,
    report::Cumulative,
    terminate::{ClusterReport, PrincipalReport},
};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Take the high watermark of `commands` now, read all partitions up to it, and say so.
    CatchUp {
        /// For which case.
        case: CaseId,
        /// Goes back with the answer.
        turn: Turn,
    },
    /// Hunt what is left.
    Attempt(Box<Attempt>),
    /// Stop an attempt as soon as can be, and answer it with what it has done.
    Stop {
        /// Of which case.
        case: CaseId,
        /// Which attempt.
        turn: Turn,
    },
    /// Publish in one transaction, fenced by the step's generation.
    Commit(Arc<Step>),
    /// Drop the book and load the partition again: the records know better than memory.
    Reload,
    /// Say it: log, count, health.
    Notice(Notice),
}

/// An attempt to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Goes back with the answer.
    pub turn: Turn,
    /// Whom, where, and what tells leftovers from what returned.
    pub job: Arc<Job>,
    /// No kill may begin later than this from now on, and none after the partition was revoked:
    /// both are to be asked again right before each command.
    pub kill_within: Duration,
}

/// What goes into one transaction, with an offset of the state partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Goes back with the answer.
    pub turn: Turn,
    /// The case.
    pub case: CaseId,
    /// The state partition.
    pub partition: i32,
    /// Where the reading of it stands: the offset that fences the transaction.
    pub offset: i64,
    /// Whose metadata fences it.
    pub generation: Generation,
    /// Records for the state topic.
    pub writes: Vec<Write>,
    /// The outcome, where the case has gone on.
    pub outcome: Option<Box<Said>>,
}

/// A record for the state topic.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Write {
    /// Under `<case>/state`.
    State(Arc<State>),
    /// Null under this key.
    Tombstone(Key),
}

/// What an outcome is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Its number in the case.
    pub seq: u32,
    /// How the case goes on, or ends.
    pub saying: Saying,
    /// The case, as it stood when this was said.
    pub job: Arc<Job>,
    /// What came of it so far, by cluster.
    pub clusters: Vec<ClusterReport>,
    /// Who was named.
    pub principals: Vec<PrincipalReport>,
    /// Found and killed over all attempts.
    pub cumulative: Cumulative,
    /// The first since the partition was loaded: an earlier owner may have acted already.
    pub maybe_rerun: bool,
}

/// How a case goes on, or ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Saying {
    /// There will be another attempt; or, of a job that waits for a person, it still waits.
    Deferred {
        /// When.
        due: Timestamp,
    },
    /// It has ended.
    Final(Ended),
}

/// Why a case has ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// Nothing is left to try; the clusters say how it went.
    Done,
    /// Something is left, and the time is up.
    GaveUp,
    /// Something is left, and cannot be written down.
    TooLarge,
    /// By a command that names the case.
    Cancelled(Arc<Cancel>),
    /// Everybody who was to be cut was reinstated, by these cases.
    Reinstated(Vec<(Principal, CaseId)>),
    /// It waited for a person, who said no.
    Denied(Arc<Ruling>),
    /// It waited for a person, and nobody came.
    Expired,
}

impl Said {
    /// Whether it is the last of this run of the case.
    pub fn is_final(&self) -> bool {
        matches!(self.saying, Saying::Final(_))
    }

    /// The outcome's identifier.
    pub fn id(&self) -> Uuid {
        self.job.case_id.outcome(self.seq)
    }

    /// The identifier of the outcome before.
    pub fn previous(&self) -> Option<Uuid> {
        let before = self.seq.checked_sub(1).filter(|seq| *seq > 0)?;
        Some(self.job.case_id.outcome(before))
    }
}

impl Write {
    /// The record's key.
    pub fn key(&self) -> Key {
        match self {
            Self::State(state) => match &**state {
                State::Pending(job) => Key::State { case: job.case_id },
                State::Done(done) => Key::State { case: done.case_id },
            },
            Self::Tombstone(key) => key.clone(),
        }
    }

    /// The record's value; `None` is Kafka's null.
    pub fn value(&self) -> Option<Vec<u8>> {
        match self {
            Self::State(state) => Some(state.encode()),
            Self::Tombstone(_) => None,
        }
    }
}

/// Something that a person may have to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A creation came for a case that has ended: its trigger was delivered again.
    Beaten {
        /// The case.
        case: CaseId,
        /// Which.
        n: u32,
    },
    /// A case is not run, since a record of it is not for us to read.
    Blocked {
        /// The case.
        case: CaseId,
        /// Why.
        why: Unreadable,
    },
    /// A case waits for a person: a command that concerns it may be missing.
    MayLackCommands {
        /// The case.
        case: CaseId,
    },
    /// A creation was deleted by somebody else while its job was in hand; the job is gone with it.
    CreationGone {
        /// The case.
        case: CaseId,
        /// Which.
        n: u32,
    },
    /// Somebody else has written a state of this partition.
    Foreign {
        /// The case.
        case: CaseId,
    },
    /// A record under a key that is none of ours.
    UnknownKey {
        /// Where.
        offset: i64,
    },
    /// A record of a later part of the design.
    NotBuilt {
        /// Its key.
        key: Key,
    },
    /// No more cases are taken from this partition until some have ended.
    Full,
}
