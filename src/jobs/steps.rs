//! The transactions of a case, each as one value.

use std::sync::Arc;

use super::{
    Context, Done, Ended, Entry, Generation, Given, Job, Key, Owner, Said, Saying, State, Step, Write,
    key::MAX_REDRIVES,
};
use crate::{case::CaseId, principal::Principal, report::Cumulative, terminate::PrincipalReport};

/// What every transaction of a case takes along.
#[derive(Clone, Copy)]
pub(super) struct Fence<'a> {
    pub entry: &'a Entry,
    pub context: &'a Context<'a>,
    pub owner: &'a Owner,
    /// In which the step began.
    pub generation: Generation,
}

impl Fence<'_> {
    fn step(&self, case: CaseId, writes: Vec<Write>, outcome: Option<Box<Said>>) -> Step {
        Step {
            turn: self.owner.turn,
            case,
            partition: self.owner.partition,
            offset: self.owner.offset,
            generation: self.generation,
            writes,
            outcome,
        }
    }

    /// The next outcome of `job`; its number is one more than the last, and no record is read whose
    /// number has no next.
    fn say(&self, job: &Job, saying: Saying, principals: Vec<PrincipalReport>) -> Box<Said> {
        // Clusters that were given up unasked have to be named.
        let nothing_was_asked = job.is_untried()
            && !matches!(saying, Saying::Final(Ended::GaveUp | Ended::TooLarge | Ended::Done));
        Box::new(Said {
            seq: job.seq.saturating_add(1),
            saying,
            clusters: if nothing_was_asked { Vec::new() } else { job.work.reports() },
            principals,
            cumulative: if nothing_was_asked { Cumulative::default() } else { job.work.cumulative() },
            maybe_rerun: self.entry.fresh,
            job: Arc::new(job.clone()),
        })
    }
}

/// There will be another attempt. Where what is left cannot be written down, the case ends, and
/// says so.
pub(super) fn defer(fence: &Fence<'_>, job: &Job) -> Step {
    let said = fence.say(job, Saying::Deferred { due: job.due }, job.principals.everybody().to_vec());
    match (Job { seq: said.seq, ..job.clone() }).fit() {
        Ok(next) => {
            let state = Arc::new(State::Pending(Arc::new(next)));
            fence.step(job.case_id, vec![Write::State(state)], Some(said))
        }
        Err(_) => end(fence, job, Ended::TooLarge),
    }
}

/// The wait of a job is over, and the kill begins.
pub(super) fn release(fence: &Fence<'_>, job: &Job, given: Given) -> Step {
    defer(fence, &job.released(given, fence.context.now))
}

/// Some may work again; if nobody is left to be cut, that is the end.
pub(super) fn reinstate(fence: &Fence<'_>, job: &Job, back: Vec<(Principal, CaseId)>) -> Step {
    let who: Vec<Principal> = back.iter().map(|(principal, _)| principal.clone()).collect();
    match super::Named::new(job.principals.listed_without(&who)) {
        Ok(principals) => defer(fence, &Job { principals, ..job.clone() }),
        Err(_) => end(fence, job, Ended::Reinstated(back)),
    }
}

/// The end: the final outcome, the done mark, and the tombstones of the creations that it beats.
pub(super) fn end(fence: &Fence<'_>, job: &Job, ended: Ended) -> Step {
    let principals = match &ended {
        Ended::Reinstated(back) => {
            let who: Vec<Principal> = back.iter().map(|(principal, _)| principal.clone()).collect();
            job.principals.listed_without(&who)
        }
        Ended::Done
        | Ended::GaveUp
        | Ended::TooLarge
        | Ended::Cancelled(_)
        | Ended::Denied(_)
        | Ended::Expired => job.principals.everybody().to_vec(),
    };
    let said = fence.say(job, Saying::Final(ended), principals);
    let now = fence.context.now;
    let done = Done {
        case_id: job.case_id,
        n: job.n,
        seq: said.seq,
        ended_at: now,
        until: fence.context.limits.done_until(job, now),
    };
    let mut writes = vec![Write::State(Arc::new(State::Done(done)))];
    let mut beaten: Vec<u32> = fence.entry.shelf.creations.range(..=job.n).map(|(n, _)| *n).collect();
    if beaten.last() != Some(&job.n) {
        beaten.push(job.n);
    }
    writes.extend(tombstones(job.case_id, beaten));
    fence.step(job.case_id, writes, Some(said))
}

/// Deletes creations that a done mark has beaten.
pub(super) fn delete(fence: &Fence<'_>, case: CaseId, beaten: Vec<u32>) -> Step {
    fence.step(case, tombstones(case, beaten).collect(), None)
}

/// Forgets a done mark, and with it every creation that it has beaten: one that was written and
/// not read yet must not come back to the next owner.
pub(super) fn forget(fence: &Fence<'_>, done: &Done) -> Step {
    let mut writes: Vec<Write> = tombstones(done.case_id, 0..=done.n.min(MAX_REDRIVES)).collect();
    writes.push(Write::Tombstone(Key::State { case: done.case_id }));
    fence.step(done.case_id, writes, None)
}

fn tombstones(case: CaseId, ns: impl IntoIterator<Item = u32>) -> impl Iterator<Item = Write> {
    ns.into_iter().map(move |n| Write::Tombstone(Key::Create { case, n }))
}

impl Step {
    /// Whether it forgets a done mark.
    pub(super) fn forgets(&self) -> bool {
        self.writes.iter().any(|write| matches!(write, Write::Tombstone(Key::State { .. })))
    }
}

impl State {
    /// The mark, where the case has ended.
    pub fn done(&self) -> Option<&Done> {
        match self {
            Self::Pending(_) => None,
            Self::Done(done) => Some(done),
        }
    }
}
