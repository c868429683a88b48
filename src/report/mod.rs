//! report: everything ends in a [`Commit`]: outcomes, dead letters, what goes on as a job, and offsets,
//! as one value. Pure: what it says is made of what the earlier stages hand over.
//!
//! A cut that is not finished is [`Deferring`]'s: the creation of its job stands right behind its
//! `deferred` outcome. How the job goes on, [`said`] says, step by step.

mod commit;
mod dead_letter;
mod deferring;
mod job_record;
mod letter;
mod outcome;
mod said;
mod verdict;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    canary,
    decide::{Case, Decided, Decision},
    ingest::{Claim, Partition},
    telemetry::Trace,
    terminate::{Terminated, named, spared},
};

pub use commit::{Commit, Encoded, Form, Message};
pub use dead_letter::DeadLetter;
pub use deferring::{Deferring, waiting};
pub use job_record::{CommandRecord, StateRecord};
pub use letter::Letter;
pub use outcome::{Alert, Cumulative, Hold, OUTCOME_TYPE, Outcome, OutcomeData, Status, TriggerRef};
pub use said::said;
use verdict::{Verdict, cumulative, verdict};

/// Who speaks: the same in every outcome of a process.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// The CloudEvents source.
    pub source: Arc<str>,
    /// The program's version.
    pub version: Arc<str>,
    /// Which configuration decides.
    pub config_hash: Arc<str>,
}

/// Makes what a batch leaves behind. `offsets` are the records' own, undecodable ones included;
/// `deferring` is there where unfinished work has topics.
pub fn report(
    speaker: &Speaker,
    batch: Uuid,
    terminated: Vec<Terminated>,
    offsets: BTreeMap<Partition, i64>,
    claim: Claim,
    deferring: Option<&Deferring>,
    now: Timestamp,
) -> Commit {
    let mut messages = Vec::with_capacity(terminated.len());
    for one in terminated {
        let mut outcome = outcome(speaker, &one, now);
        let mut beside = Vec::new();
        if deferring.is_none() && outcome.data.status == Status::AwaitingApproval {
            deferring::refuse(&mut outcome.data, "there are no topics for unfinished work");
        }
        if let Some(deferring) = deferring {
            match deferring.creation(&one, now) {
                Ok(Some((job, record))) => {
                    deferring::mark(&mut outcome.data, &job);
                    one.decided
                        .case
                        .remarks
                        .iter()
                        .for_each(|remark| add(&mut outcome.data.detail, remark.clone()));
                    beside.push(Message::State(record));
                }
                Ok(None) => {}
                Err(not) if outcome.data.status == Status::AwaitingApproval => {
                    deferring::refuse(&mut outcome.data, &not.to_string());
                }
                Err(not) => add(&mut outcome.data.detail, not.to_string()),
            }
            match job_record::commands(&one.decided) {
                Ok(records) => beside.extend(records.into_iter().map(Message::Command)),
                Err(large) => {
                    outcome.data.detail = Some(format!("work that is not finished is not told: {large}"));
                    outcome.data.alert = Alert::Error;
                }
            }
        }
        messages.push(Message::Outcome(Box::new(outcome)));
        messages.append(&mut beside);
        if let Decision::Undecodable(poison) = one.decided.decision {
            messages.push(Message::DeadLetter(Box::new(DeadLetter { poison })));
        }
    }
    Commit { batch, messages, offsets, claim, trace: Trace::default() }
}

fn add(detail: &mut Option<String>, more: String) {
    *detail = Some(match detail.take() {
        Some(said) => format!("{said}; {more}"),
        None => more,
    });
}

/// The first outcome of a case, as if nothing were left to do after it.
pub fn outcome(speaker: &Speaker, terminated: &Terminated, now: Timestamp) -> Outcome {
    let Terminated { decided: Decided { case, decision }, termination } = terminated;
    let Verdict { word, status, reason, mut detail, mut alert } = verdict(decision, termination.as_ref());
    if detail.is_none() && !case.remarks.is_empty() {
        detail = Some(case.remarks.join("; "));
    }
    if case.rule.as_deref() == Some(canary::RULE) && status == Status::NothingFound {
        // There is nobody to be found, and that is as it should be.
        alert = Alert::Info;
    }
    let is_duplicate = matches!(decision, Decision::Duplicate { .. });
    let is_final = !is_duplicate && !matches!(decision, Decision::AwaitApproval { .. });
    let id = match is_duplicate {
        true => case.id.duplicate_outcome(&case.origin),
        false => case.id.outcome(1),
    };
    let trigger = case.trigger.as_deref();
    let tags = trigger.map(|trigger| trigger.tags.clone()).unwrap_or_default();
    let principals = match (termination, decision) {
        (Some(termination), _) => termination.principals.clone(),
        (None, Decision::AwaitApproval { plan, .. }) => named(plan, case),
        (None, _) => spared(case).collect(),
    };
    let cancels = match decision {
        Decision::Release { cancels } => cancels.clone(),
        _ => Vec::new(),
    };
    Outcome {
        id,
        source: speaker.source.clone(),
        time: now,
        tracestate: trigger.and_then(|trigger| trigger.tracestate.clone()),
        data: OutcomeData {
            case_id: case.id,
            seq: 1,
            r#final: is_final,
            previous: None,
            redriven: case.redriven > 0,
            decision: word.into(),
            status,
            reason,
            detail,
            alert,
            rule: case.rule.clone(),
            class: case.class,
            origin: case.origin.clone(),
            trigger: trigger.map(TriggerRef::from),
            maybe_rerun: case.maybe_rerun,
            dry_run: is_pretended(case, decision),
            cut_by: termination.as_ref().and_then(|termination| termination.cut_by),
            cancels,
            approver: None,
            cumulative: cumulative(
                termination.as_ref().map_or(&[], |termination| termination.clusters.as_slice()),
            ),
            hold: None,
            locks: Vec::new(),
            principals_total: u64::try_from(principals.len()).unwrap_or(u64::MAX),
            principals,
            clusters: termination
                .as_ref()
                .map(|termination| termination.clusters.clone())
                .unwrap_or_default(),
            truncated: false,
            event_time: Some(case.event_time.at),
            received_at: case.received_at,
            decided_at: case.decided_at,
            clock_suspect: case.event_time.suspect,
            incident: tags.incident,
            ticket: tags.ticket,
            initiator: tags.initiator,
            severity: tags.severity,
            traceparent: trigger.and_then(|trigger| trigger.traceparent.clone()),
            version: speaker.version.clone(),
            config_hash: speaker.config_hash.clone(),
        },
    }
}

fn is_pretended(case: &Case, decision: &Decision) -> bool {
    case.dry_run && matches!(decision, Decision::Simulate(_))
}

#[cfg(test)]
mod tests;
