//! Which commands concern a job: the fold order across topics and processes.

use std::sync::Arc;

use jiff::SignedDuration;

use super::{Cancel, Job, Reinstated, Ruling};
use crate::{case::CaseId, decode::Release, ingest::Origin, principal::Principal};

/// What the commands that were heard want of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Somebody wants it ended.
    Cancel(Arc<Cancel>),
    /// Some of its principals may work again, by these cases; perhaps all of them.
    Reinstate {
        /// Who, and by which case.
        back: Vec<(Principal, CaseId)>,
    },
    /// It waits for a person, who says yes.
    Approve(Arc<Ruling>),
    /// It waits for a person, who says no.
    Deny(Arc<Ruling>),
}

/// Whether `reinstated` takes `principal` out of `job`: it has to name them, to release the job's
/// class or case, and to be later. On one partition "later" is the offset. Elsewhere it is the
/// event's time, and within the clock skew the kill wins: a cut that was not needed costs a
/// login, a missed one costs the data.
pub fn takes_back(reinstated: &Reinstated, principal: &Principal, job: &Job, skew: SignedDuration) -> bool {
    let releases = reinstated.releases.iter().any(|release| match release {
        Release::Class(class) => *class == job.facts.class,
        Release::Case(case) => *case == job.case_id,
    });
    releases && reinstated.principals.contains(principal) && is_later(reinstated, job, skew)
}

/// Whether `ruling` is about `job` as it waits. One that was said before the run was decided, clock
/// skew allowed for, was about something else: nobody approves what nobody has seen.
pub fn rules_on(ruling: &Ruling, job: &Job, skew: SignedDuration) -> bool {
    job.parked().is_some()
        && ruling.case_id == job.case_id
        && ruling.n.is_none_or(|n| n == job.n)
        && job.facts.decided_at.duration_since(ruling.at) <= skew
}

fn is_later(reinstated: &Reinstated, job: &Job, skew: SignedDuration) -> bool {
    match (&reinstated.origin, &job.facts.origin) {
        (
            Origin::Kafka { topic, partition, offset, .. },
            Origin::Kafka { topic: job_topic, partition: job_partition, offset: job_offset, .. },
        ) if topic == job_topic && partition == job_partition => offset > job_offset,
        _ => reinstated.at.duration_since(job.asked_for_at()) > skew,
    }
}
