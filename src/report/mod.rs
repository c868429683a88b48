//! report: everything ends in a [`Commit`]: outcomes, dead letters and offsets, as one value.
//! Pure: what it says is made of what the earlier stages hand over.

mod commit;
mod dead_letter;
mod letter;
mod outcome;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    canary,
    decide::{Case, Decided, Decision, RefusalReason},
    ingest::{Claim, Partition},
    telemetry::Trace,
    terminate::{ClusterStatus, NodeStatus, Terminated, Termination, spared, tally},
};

pub use commit::{Commit, Encoded, Form, Message};
pub use dead_letter::DeadLetter;
pub use letter::Letter;
pub use outcome::{Alert, Cumulative, Hold, OUTCOME_TYPE, Outcome, OutcomeData, Status, TriggerRef};

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

/// Makes what a batch leaves behind. `offsets` are the records' own, undecodable ones included.
pub fn report(
    speaker: &Speaker,
    batch: Uuid,
    terminated: Vec<Terminated>,
    offsets: BTreeMap<Partition, i64>,
    claim: Claim,
    now: Timestamp,
) -> Commit {
    let mut messages = Vec::with_capacity(terminated.len());
    for one in terminated {
        messages.push(Message::Outcome(Box::new(outcome(speaker, &one, now))));
        if let Decision::Undecodable(poison) = one.decided.decision {
            messages.push(Message::DeadLetter(Box::new(DeadLetter { poison })));
        }
    }
    Commit { batch, messages, offsets, claim, trace: Trace::default() }
}

/// The one outcome of a case that leaves nothing to do.
pub fn outcome(speaker: &Speaker, terminated: &Terminated, now: Timestamp) -> Outcome {
    let Terminated { decided: Decided { case, decision }, termination } = terminated;
    let Verdict { word, status, reason, detail, mut alert } = verdict(decision, termination.as_ref());
    if case.rule.as_deref() == Some(canary::RULE) && status == Status::NothingFound {
        // There is nobody to be found, and that is as it should be.
        alert = Alert::Info;
    }
    let is_final = !matches!(decision, Decision::Duplicate { .. });
    let id = match is_final {
        true => case.id.outcome(1),
        false => case.id.duplicate_outcome(&case.origin),
    };
    let trigger = case.trigger.as_deref();
    let tags = trigger.map(|trigger| trigger.tags.clone()).unwrap_or_default();
    let principals = match termination {
        Some(termination) => termination.principals.clone(),
        None => spared(case).collect(),
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
            redriven: case.redriven,
            decision: word.into(),
            status,
            reason,
            detail,
            alert,
            rule: case.rule.clone(),
            class: case.class,
            origin: case.origin.clone(),
            trigger: trigger.map(|trigger| TriggerRef {
                source: trigger.source.clone(),
                id: trigger.id.clone(),
                r#type: trigger.kind.clone(),
            }),
            maybe_rerun: case.maybe_rerun,
            dry_run: is_pretended(case, decision),
            cut_by: termination.as_ref().and_then(|termination| termination.cut_by),
            cancels,
            approver: None,
            cumulative: cumulative(termination.as_ref()),
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

struct Verdict {
    word: &'static str,
    status: Status,
    reason: Option<String>,
    detail: Option<String>,
    alert: Alert,
}

fn verdict(decision: &Decision, termination: Option<&Termination>) -> Verdict {
    let say = |word, status, alert| Verdict { word, status, reason: None, detail: None, alert };
    match decision {
        Decision::Terminate(_) => {
            let status = rolled_up(termination);
            let alert = match status {
                Status::Terminated => Alert::Info,
                Status::NothingFound => Alert::Warning,
                _ => Alert::Error,
            };
            Verdict {
                reason: termination.and_then(|t| why_unfinished(t, status)),
                ..say("terminate", status, alert)
            }
        }
        Decision::Simulate(_) => match rolled_up(termination) {
            Status::Simulated => say("simulate", Status::Simulated, Alert::Info),
            // A look that could not be finished must not read like "nothing would be cut".
            status => Verdict {
                reason: termination.and_then(|t| why_unfinished(t, status)),
                ..say("simulate", Status::Simulated, Alert::Warning)
            },
        },
        Decision::Refuse { reason, detail } => Verdict {
            reason: word_of(reason),
            detail: Some(detail.clone()),
            ..say("refuse", Status::Refused, refusal_alert(*reason))
        },
        Decision::Expired { detail } => {
            Verdict { detail: Some(detail.clone()), ..say("expired", Status::Expired, Alert::Error) }
        }
        Decision::Duplicate { first } => Verdict {
            detail: Some(format!("first seen at {first}")),
            ..say("duplicate", Status::Duplicate, Alert::Info)
        },
        Decision::Superseded { by } => Verdict {
            detail: Some(format!("taken back by case {by}")),
            ..say("superseded", Status::Superseded, Alert::Info)
        },
        Decision::NoRule => say("no_rule", Status::NoRule, Alert::Warning),
        Decision::Undecodable(poison) => Verdict {
            reason: word_of(&poison.reason),
            detail: Some(poison.detail.clone()),
            ..say("undecodable", Status::Undecodable, Alert::Error)
        },
        Decision::Defer { due } => {
            Verdict { detail: Some(format!("due at {due}")), ..say("defer", Status::Deferred, Alert::Info) }
        }
        Decision::AwaitApproval { expires } => Verdict {
            detail: Some(format!("expires at {expires}")),
            ..say("await_approval", Status::AwaitingApproval, Alert::Warning)
        },
        Decision::Release { .. } => say("release", Status::Released, Alert::Info),
        Decision::Acknowledge => say("acknowledge", Status::Acknowledged, Alert::Info),
    }
}

/// A closed set's word, as it is serialized.
fn word_of(reason: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(reason).ok()?.as_str().map(str::to_owned)
}

fn refusal_alert(reason: RefusalReason) -> Alert {
    match reason {
        RefusalReason::Guard => Alert::Warning,
        RefusalReason::GuardError
        | RefusalReason::RuleError
        | RefusalReason::UnknownCluster
        | RefusalReason::CapExceeded
        | RefusalReason::NotSupported
        | RefusalReason::TypeNotAccepted
        | RefusalReason::SourceNotAccepted => Alert::Error,
    }
}

fn rolled_up(termination: Option<&Termination>) -> Status {
    let clusters: Vec<_> =
        termination.iter().flat_map(|t| &t.clusters).map(|cluster| cluster.status).collect();
    match tally::case_status(&clusters) {
        ClusterStatus::Terminated => Status::Terminated,
        ClusterStatus::NothingFound => Status::NothingFound,
        ClusterStatus::Partial => Status::Partial,
        ClusterStatus::Failed => Status::Failed,
        ClusterStatus::Unsupported => Status::Unsupported,
        ClusterStatus::Simulated => Status::Simulated,
    }
}

/// The first thing that stands in the way, as a word.
fn why_unfinished(termination: &Termination, status: Status) -> Option<String> {
    if matches!(status, Status::Terminated | Status::NothingFound) {
        return None;
    }
    let nodes = || termination.clusters.iter().flat_map(|cluster| &cluster.nodes);
    let has = |wanted: NodeStatus| nodes().any(|node| node.status == Some(wanted));
    let word = if has(NodeStatus::Unsupported) {
        "unsupported_nodes"
    } else if nodes().any(|node| node.left > 0) {
        "leftover"
    } else if has(NodeStatus::Leftover) {
        "spared_shared"
    } else if has(NodeStatus::Unreachable) {
        "unreachable_members"
    } else if has(NodeStatus::Unverified) {
        "unverified_members"
    } else {
        "unknown_members"
    };
    Some(word.to_owned())
}

/// Over all nodes; unknown where one node's is, and where it is not even known which nodes there are.
fn cumulative(termination: Option<&Termination>) -> Cumulative {
    let Some(termination) = termination else { return Cumulative::default() };
    if termination.clusters.is_empty() || termination.clusters.iter().any(|cluster| cluster.nodes.is_empty())
    {
        return Cumulative::default();
    }
    let nodes = || termination.clusters.iter().flat_map(|cluster| &cluster.nodes);
    Cumulative { found: nodes().map(|node| node.found).sum(), killed: nodes().map(|node| node.killed).sum() }
}

#[cfg(test)]
mod tests;
