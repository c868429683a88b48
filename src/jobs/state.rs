//! What the owner alone writes: how a case stands.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Job, Unreadable,
    job::numbers_have_a_next,
    wire::{Tag, encode, open},
};
use crate::case::CaseId;

/// How a case stands.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum State {
    /// Something is left to do.
    Pending(Arc<Job>),
    /// Nothing is.
    Done(Done),
}

/// The mark of a case that has ended: what it says beats every creation with its `n` or lower.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// The case.
    pub case_id: CaseId,
    /// The redrive that has ended.
    pub n: u32,
    /// The number of its final outcome; a redrive goes on from it.
    pub seq: u32,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Not to be forgotten before this.
    pub until: Timestamp,
}

impl State {
    /// How far the case is: by redrive, then by outcome. It only grows.
    pub fn progress(&self) -> (u32, u32) {
        match self {
            Self::Pending(job) => (job.n, job.seq),
            Self::Done(done) => (done.n, done.seq),
        }
    }

    /// As the value of its record.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Pending(job) => encode(Tag::Record("pending"), &**job),
            Self::Done(done) => encode(Tag::Record("done"), done),
        }
    }

    /// Reads a state from under its key.
    pub fn read(case: CaseId, bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut opened = open(bytes)?;
        let (found, state) = match opened.word("record")?.as_str() {
            "pending" => {
                let job = Job::read(opened)?;
                (job.case_id, Self::Pending(Arc::new(job)))
            }
            "done" => {
                let done: Done = opened.read_exactly()?;
                numbers_have_a_next(done.n, done.seq)?;
                (done.case_id, Self::Done(done))
            }
            _ => return Err(Unreadable::invalid("`record` is neither `pending` nor `done`")),
        };
        if found == case { Ok(state) } else { Err(Unreadable::invalid("another case than its key's")) }
    }
}
