//! The outcome of a job's step: how a case that was deferred goes on, or ends. Pure.
//!
//! It says what the trigger's own outcome said: the rule, the times, and where the trigger came from,
//! so that whoever asks for a trigger by its position finds every outcome of it. What is the step's
//! own is `seq`, `previous`, the envelope's time, and `version` and `config_hash`, which are those of
//! whoever did it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{
    Alert, Outcome, OutcomeData, Speaker, Status,
    deferring::{going_on, times, waiting},
    verdict::{AWAIT_APPROVAL, TERMINATE, Verdict, cut},
};
use crate::jobs::{Cancel, Ended, Given, Job, Ruling, Said, Saying};

/// Why a case was cancelled, as words.
const BY_COMMAND: &str = "by_command";
const REINSTATED: &str = "reinstated";
/// Why a case that waited for a person was refused, as words.
const DENIED: &str = "denied";
const APPROVAL_EXPIRED: &str = "approval_expired";

/// The outcome of a job's step.
pub fn said(speaker: &Speaker, said: &Said, now: Timestamp) -> Outcome {
    let Said { seq, job, clusters, principals, cumulative, maybe_rerun, saying: _ } = said;
    let facts = &job.facts;
    let Verdict { word, status, reason, detail, alert } = verdict(said, now);
    Outcome {
        id: said.id(),
        source: speaker.source.clone(),
        time: now,
        tracestate: facts.tracestate.clone(),
        data: OutcomeData {
            case_id: job.case_id,
            seq: *seq,
            r#final: said.is_final(),
            previous: said.previous(),
            redriven: job.n > 0,
            decision: word.into(),
            status,
            reason,
            detail,
            alert,
            rule: facts.rule.clone(),
            class: Some(facts.class),
            origin: facts.origin.clone(),
            trigger: facts.trigger.clone(),
            maybe_rerun: *maybe_rerun,
            dry_run: false,
            cut_by: None,
            cancels: Vec::new(),
            approver: given(job).and_then(|given| given.by.clone()),
            cumulative: *cumulative,
            hold: None,
            locks: Vec::new(),
            principals_total: u64::try_from(principals.len()).unwrap_or(u64::MAX),
            principals: principals.clone(),
            clusters: clusters.clone(),
            truncated: false,
            event_time: Some(facts.event_time),
            received_at: facts.received_at,
            decided_at: facts.decided_at,
            clock_suspect: facts.clock_suspect,
            incident: facts.incident.clone(),
            ticket: facts.ticket.clone(),
            initiator: facts.initiator.clone(),
            severity: facts.severity.clone(),
            traceparent: facts.traceparent.clone(),
            version: speaker.version.clone(),
            config_hash: speaker.config_hash.clone(),
        },
    }
}

fn verdict(said: &Said, now: Timestamp) -> Verdict {
    let Said { job, saying, clusters, .. } = said;
    let so_far = cut(clusters);
    let word = if job.parked().is_some() { AWAIT_APPROVAL } else { TERMINATE };
    let refused = |reason: &str, alert, detail| Verdict {
        word,
        status: Status::Refused,
        reason: Some(reason.to_owned()),
        detail: Some(detail),
        alert,
    };
    let cancelled = |reason: &str, alert, detail| Verdict {
        word,
        status: Status::Cancelled,
        reason: Some(reason.to_owned()),
        detail: Some(detail),
        alert,
    };
    match saying {
        Saying::Deferred { due } => goes_on(job, *due, so_far),
        Saying::Final(Ended::Done) => {
            let after = format!("after {}", spent(job, now));
            let detail = given(job).map_or(after.clone(), |given| format!("{after}; {}", let_go(given)));
            Verdict { detail: Some(detail), ..so_far }
        }
        Saying::Final(Ended::GaveUp) => Verdict {
            detail: Some(format!("given up after {}", spent(job, now))),
            alert: Alert::Error,
            ..so_far
        },
        Saying::Final(Ended::TooLarge) => Verdict {
            detail: Some(format!(
                "given up after {}: what is left is too large to be written down",
                spent(job, now)
            )),
            alert: Alert::Error,
            ..so_far
        },
        // Somebody has decided that what still runs may go on.
        Saying::Final(Ended::Cancelled(cancel)) => cancelled(BY_COMMAND, Alert::Warning, by_whom(cancel)),
        Saying::Final(Ended::Denied(ruling)) => {
            let Ruling { by, at, reason, .. } = &**ruling;
            refused(DENIED, Alert::Info, words("denied", by.as_deref(), *at, reason.as_deref()))
        }
        // Somebody was named, and nobody has looked.
        Saying::Final(Ended::Expired) => {
            let detail = job.parked().map(|approval| format!("; {}", approval.detail)).unwrap_or_default();
            refused(APPROVAL_EXPIRED, Alert::Error, format!("nobody decided until {:.0}{detail}", job.due))
        }
        Saying::Final(Ended::Reinstated(back)) => {
            let cases: BTreeSet<String> = back.iter().map(|(_, case)| case.to_string()).collect();
            let cases = Vec::from_iter(cases).join(", ");
            cancelled(
                REINSTATED,
                Alert::Info,
                format!("everybody who was to be cut is reinstated: case {cases}"),
            )
        }
    }
}

/// It is tried again, waits for a person, or was let go and is about to be tried.
fn goes_on(job: &Job, due: Timestamp, so_far: Verdict) -> Verdict {
    match (job.parked(), given(job)) {
        (Some(approval), _) => Verdict {
            word: AWAIT_APPROVAL,
            status: Status::AwaitingApproval,
            reason: Some(approval.because.word().to_owned()),
            detail: Some(waiting(&approval.detail, due, approval.on_expiry)),
            alert: Alert::Warning,
        },
        (None, Some(given)) if job.is_untried() => Verdict {
            word: TERMINATE,
            status: Status::Deferred,
            reason: None,
            detail: Some(format!("{}; the kill begins", let_go(given))),
            alert: Alert::Warning,
        },
        (None, _) => Verdict {
            status: Status::Deferred,
            detail: Some(going_on(job.attempts, due, job.give_up_at)),
            alert: Alert::Warning,
            ..so_far
        },
    }
}

fn given(job: &Job) -> Option<&Given> {
    job.approval.as_ref()?.given.as_ref()
}

fn let_go(given: &Given) -> String {
    let Given { by, reason, at, expired } = given;
    match expired {
        true => format!("nobody decided until {at:.0}, so it is carried out"),
        false => words("approved", by.as_deref(), *at, reason.as_deref()),
    }
}

/// `3 attempts in 2m 5s`, since it was decided.
fn spent(job: &Job, now: Timestamp) -> String {
    let took = now.duration_since(job.facts.decided_at).max(SignedDuration::ZERO);
    format!("{} in {:#}", times(job.attempts), SignedDuration::from_secs(took.as_secs()))
}

fn by_whom(cancel: &Cancel) -> String {
    words("cancelled", cancel.by.as_deref(), cancel.at, cancel.reason.as_deref())
}

/// `cancelled by sre at 2026-11-25T02:00:00Z: a drill`.
fn words(done: &str, by: Option<&str>, at: Timestamp, reason: Option<&str>) -> String {
    let by = by.unwrap_or("somebody who gave no name");
    let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{done} by {by} at {at:.0}{why}")
}
