//! The records of one case as the topic holds them: the last of each key.

use std::{collections::BTreeMap, sync::Arc};

use super::{Done, Job, State, Unreadable};
use crate::case::CaseId;

/// A record: read, or kept unread because it is not for us to touch.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Filed<T> {
    /// Read.
    Read(Arc<T>),
    /// Not read.
    Unreadable(Unreadable),
}

/// What is filed under one case.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct Shelf {
    /// The creations that were not deleted, by `n`.
    pub creations: BTreeMap<u32, Filed<Job>>,
    /// What the owner has written last.
    pub state: Option<Filed<State>>,
}

/// What a shelf says is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Current {
    /// This job is in hand.
    Job(Arc<Job>),
    /// What would say it cannot be read.
    Blocked(Unreadable),
    /// The case has ended; creations up to this `n` are beaten.
    Ended(Done),
    /// Nothing is known of the case.
    Nothing,
}

impl Shelf {
    /// Reads a creation's value.
    pub fn creation(case: CaseId, n: u32, partition: i32, value: &[u8]) -> Filed<Job> {
        match Job::read_creation(case, n, value) {
            Ok(job) => in_its_partition(job.partition, partition)
                .map_or_else(Filed::Unreadable, |()| Filed::Read(Arc::new(job))),
            Err(unreadable) => Filed::Unreadable(unreadable),
        }
    }

    /// Reads a state's value.
    pub fn state(case: CaseId, partition: i32, value: &[u8]) -> Filed<State> {
        let lives_in = |state: &State| match state {
            State::Pending(job) => job.partition,
            State::Done(_) => partition,
        };
        match State::read(case, value) {
            Ok(state) => in_its_partition(lives_in(&state), partition)
                .map_or_else(Filed::Unreadable, |()| Filed::Read(Arc::new(state))),
            Err(unreadable) => Filed::Unreadable(unreadable),
        }
    }

    /// What is to be done, by the rule that state beats creation. `forgotten` is a done mark whose
    /// tombstone is written and not yet read back.
    pub fn current(&self, forgotten: Option<&Done>) -> Current {
        let done = match &self.state {
            Some(Filed::Unreadable(unreadable)) => return Current::Blocked(unreadable.clone()),
            Some(Filed::Read(state)) => match &**state {
                State::Pending(job) => return Current::Job(job.clone()),
                State::Done(done) => Some(done),
            },
            None => forgotten,
        };
        let open = self.creations.iter().find(|(n, _)| done.is_none_or(|done| **n > done.n));
        match (open, done) {
            (Some((_, Filed::Unreadable(unreadable))), _) => Current::Blocked(unreadable.clone()),
            (Some((_, Filed::Read(job))), done) => Current::Job(go_on(job, done)),
            (None, Some(done)) => Current::Ended(done.clone()),
            (None, None) => Current::Nothing,
        }
    }

    /// Whether nothing is filed.
    pub fn is_empty(&self) -> bool {
        self.creations.is_empty() && self.state.is_none()
    }
}

/// A redrive counts on from the run before, also where it was created without knowing it.
fn go_on(job: &Arc<Job>, done: Option<&Done>) -> Arc<Job> {
    match done.filter(|done| done.seq > job.seq) {
        Some(done) => Arc::new(Job { seq: done.seq, ..(**job).clone() }),
        None => job.clone(),
    }
}

fn in_its_partition(lives_in: i32, found_in: i32) -> Result<(), Unreadable> {
    match lives_in == found_in {
        true => Ok(()),
        false => Err(Unreadable::Elsewhere { lives_in, found_in }),
    }
}
