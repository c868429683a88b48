//! What a batch did not finish goes on as a job. Its creation is written with the outcome that says
//! so, or not at all: where it cannot be, the case ends with what was done, and says why. Pure but
//! for the number of partitions, which the edge learns.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;

use super::{Alert, OutcomeData, StateRecord, Status, TriggerRef};
use crate::{
    canary,
    case::OnExpiry,
    decide::{Case, Decision},
    decode::Body,
    jobs::{Approval, Delays, Facts, Job, Kind, MAX_REDRIVES, Named, TooLarge, Work},
    terminate::{PrincipalReport, Terminated, named},
};

/// How unfinished work is handed on.
#[derive(Clone, Debug)]
pub struct Deferring {
    /// How long it is tried; zero where nothing is deferred, and reinstatements are told all the same.
    pub give_up_after: Duration,
    /// How long a job waits before its next attempt.
    pub delays: Delays,
    /// Of the state topic; zero while it is not known.
    pub partitions: Arc<AtomicI32>,
}

/// Why what is left is not deferred although that was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotDeferred {
    /// Nobody has told the number of partitions yet.
    #[error("not deferred: how many partitions `kafka.state` has is not known yet")]
    PartitionsUnknown,
    /// It does not fit into a record.
    #[error("not deferred: what is left takes {}", .0)]
    TooLarge(TooLarge),
    /// More often than jobs are told apart.
    #[error("not deferred: the event was redriven {0} times, and a job counts up to {MAX_REDRIVES}")]
    Redriven(u32),
    /// By a job's one list, somebody would be hunted on a cluster where nobody meant them.
    #[error("not deferred: not the same people are cut on every cluster")]
    Spread,
    /// A job is about somebody, by the class of a rule.
    #[error("not deferred: who is to be cut, or by which class, is not known")]
    NobodyNamed,
}

impl Deferring {
    /// The job of what is left of a case, and the record that creates it; nothing where nothing is
    /// left or nothing is deferred.
    pub(super) fn creation(
        &self,
        terminated: &Terminated,
        now: Timestamp,
    ) -> Result<Option<(Job, StateRecord)>, NotDeferred> {
        let Terminated { decided, termination } = terminated;
        let case = &decided.case;
        if let Decision::AwaitApproval { expires, on_expiry, plan, reason, detail } = &decided.decision {
            let work = Work::untried(plan.clusters.iter().cloned(), now);
            // What it is let go with can be tried for as long as any other.
            let job = self.job(case, work, named(plan, case), *expires)?;
            let approval = Some(Approval::wanted(*reason, detail, *on_expiry));
            return record(case, Job { kind: Kind::Approval, approval, ..job }).map(Some);
        }
        let (Decision::Terminate(plan), Some(termination)) = (&decided.decision, termination) else {
            return Ok(None);
        };
        // The canary cuts nobody, and a new one follows: what one of them left is nobody's work.
        if self.give_up_after.is_zero() || case.rule.as_deref() == Some(canary::RULE) {
            return Ok(None);
        }
        let work = Work::begin(termination);
        if work.is_done() {
            return Ok(None);
        }
        if !plan.is_alike() {
            return Err(NotDeferred::Spread);
        }
        let job = self.job(case, work, termination.principals.clone(), now)?;
        let due = later(now, self.delays.after(1, case.id.dice())).min(job.give_up_at);
        record(case, Job { due, attempts: 1, ..job }).map(Some)
    }

    /// Of which nothing was tried, and which may be from `from` on.
    fn job(
        &self,
        case: &Case,
        work: Work,
        principals: Vec<PrincipalReport>,
        from: Timestamp,
    ) -> Result<Job, NotDeferred> {
        if case.redriven > MAX_REDRIVES {
            return Err(NotDeferred::Redriven(case.redriven));
        }
        let partition =
            case.id.home(self.partitions.load(Ordering::Relaxed)).ok_or(NotDeferred::PartitionsUnknown)?;
        Ok(Job {
            case_id: case.id,
            n: case.redriven,
            seq: 1,
            kind: Kind::Deferred,
            partition,
            due: from,
            attempts: 0,
            give_up_at: later(from, self.give_up_after),
            facts: Arc::new(facts(case).ok_or(NotDeferred::NobodyNamed)?),
            principals: Named::new(principals).map_err(|_| NotDeferred::NobodyNamed)?,
            work,
            approval: None,
        })
    }
}

fn record(case: &Case, job: Job) -> Result<(Job, StateRecord), NotDeferred> {
    let value = job.creation().map_err(NotDeferred::TooLarge)?;
    let record = StateRecord {
        partition: job.partition,
        key: job.creation_key(),
        value: Some(value),
        origin: case.origin.clone(),
    };
    Ok((job, record))
}

/// The outcome of a case that cannot wait as it should: nobody is cut.
pub(super) fn refuse(data: &mut OutcomeData, why: &str) {
    data.status = Status::Refused;
    data.r#final = true;
    data.alert = Alert::Error;
    data.detail = Some(match data.detail.take() {
        Some(detail) => format!("it cannot wait: {why}; {detail}"),
        None => why.to_owned(),
    });
}

/// What is said of a case that waits for a person.
pub fn waiting(detail: &str, expires: Timestamp, on_expiry: OnExpiry) -> String {
    format!("{detail}; waits for approval until {expires:.0}, and is {} then", on_expiry.says())
}

/// The outcome of a case that this job goes on with. Its reason stays: what stood in the way.
pub(super) fn mark(data: &mut OutcomeData, job: &Job) {
    if job.parked().is_some() {
        return;
    }
    data.status = Status::Deferred;
    data.r#final = false;
    data.alert = Alert::Warning;
    data.detail = Some(going_on(job.attempts, job.due, job.give_up_at));
}

/// What is said of a case that is tried again.
pub(super) fn going_on(attempts: u32, due: Timestamp, give_up_at: Timestamp) -> String {
    format!("{} so far; the next is due at {due:.0}, the last at {give_up_at:.0}", times(attempts))
}

/// So many attempts.
pub(super) fn times(attempts: u32) -> String {
    match attempts {
        1 => "1 attempt".to_owned(),
        attempts => format!("{attempts} attempts"),
    }
}

/// `None` for a case that no rule has opened: nothing is cut without one.
fn facts(case: &Case) -> Option<Facts> {
    let trigger = case.trigger.as_deref();
    let tags = trigger.map(|trigger| trigger.tags.clone()).unwrap_or_default();
    let effective_at = trigger.and_then(|trigger| match &trigger.body {
        Body::Offboarded { effective_at, .. } => *effective_at,
        Body::Compromised { .. }
        | Body::Reinstated { .. }
        | Body::WindowClosed { .. }
        | Body::SessionInactive { .. }
        | Body::TerminationRequested { .. }
        | Body::EveryoneRequested { .. }
        | Body::Approved { .. }
        | Body::Denied { .. }
        | Body::Other => None,
    });
    Some(Facts {
        origin: case.origin.clone(),
        trigger: trigger.map(TriggerRef::from),
        rule: case.rule.clone(),
        class: case.class?,
        event_time: case.event_time.at,
        clock_suspect: case.event_time.suspect,
        effective_at,
        redriven_at: case.redriven_at(),
        received_at: case.received_at,
        decided_at: case.decided_at,
        incident: tags.incident,
        ticket: tags.ticket,
        initiator: tags.initiator,
        severity: tags.severity,
        traceparent: trigger.and_then(|trigger| trigger.traceparent.clone()),
        tracestate: trigger.and_then(|trigger| trigger.tracestate.clone()),
    })
}

/// `at` moved by `by`; at the end of time where there is nothing later.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
