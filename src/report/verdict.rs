//! How a case stands, in the words of an outcome. Pure.

use super::{Alert, Cumulative, Status, deferring::waiting};
use crate::{
    decide::{Decision, RefusalReason},
    terminate::{ClusterReport, ClusterStatus, NodeStatus, Termination, tally},
};

/// The decision of every case that cuts.
pub(super) const TERMINATE: &str = "terminate";

/// The decision of every case that waits for a person, until it is let go.
pub(super) const AWAIT_APPROVAL: &str = "await_approval";

/// The words of an outcome that say how a case stands.
pub(super) struct Verdict {
    pub word: &'static str,
    pub status: Status,
    pub reason: Option<String>,
    pub detail: Option<String>,
    pub alert: Alert,
}

/// Of what was decided, and what came of it.
pub(super) fn verdict(decision: &Decision, termination: Option<&Termination>) -> Verdict {
    let clusters = termination.map_or(&[][..], |termination| &termination.clusters);
    let say = |word, status, alert| Verdict { word, status, reason: None, detail: None, alert };
    match decision {
        Decision::Terminate(_) => {
            let cut = cut(clusters);
            Verdict { reason: cut.reason.filter(|_| termination.is_some()), ..cut }
        }
        Decision::Simulate(_) => match rolled_up(clusters) {
            Status::Simulated => say("simulate", Status::Simulated, Alert::Info),
            // A look that could not be finished must not read like "nothing would be cut".
            status => Verdict {
                reason: why_unfinished(clusters, status).filter(|_| termination.is_some()),
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
        Decision::AwaitApproval { expires, on_expiry, reason, detail, plan: _ } => Verdict {
            reason: Some(reason.word().to_owned()),
            detail: Some(waiting(detail, *expires, *on_expiry)),
            ..say(AWAIT_APPROVAL, Status::AwaitingApproval, Alert::Warning)
        },
        Decision::Release { .. } => say("release", Status::Released, Alert::Info),
        Decision::Acknowledge => say("acknowledge", Status::Acknowledged, Alert::Info),
    }
}

/// A closed set's word, as it is serialized.
pub(super) fn word_of(reason: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(reason).ok()?.as_str().map(str::to_owned)
}

fn refusal_alert(reason: RefusalReason) -> Alert {
    match reason {
        RefusalReason::Guard => Alert::Warning,
        RefusalReason::GuardError
        | RefusalReason::RuleError
        | RefusalReason::UnknownCluster
        | RefusalReason::Unresolvable
        | RefusalReason::EveryoneNotAllowed
        | RefusalReason::CapExceeded
        | RefusalReason::Approval
        | RefusalReason::NotSupported
        | RefusalReason::TypeNotAccepted
        | RefusalReason::SourceNotAccepted => Alert::Error,
    }
}

/// Of a cut that nobody goes on with.
pub(super) fn cut(clusters: &[ClusterReport]) -> Verdict {
    let status = rolled_up(clusters);
    let alert = match status {
        Status::Terminated => Alert::Info,
        Status::NothingFound => Alert::Warning,
        _ => Alert::Error,
    };
    let reason = why_unfinished(clusters, status);
    Verdict { word: TERMINATE, status, reason, detail: None, alert }
}

fn rolled_up(clusters: &[ClusterReport]) -> Status {
    let clusters: Vec<_> = clusters.iter().map(|cluster| cluster.status).collect();
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
fn why_unfinished(clusters: &[ClusterReport], status: Status) -> Option<String> {
    if matches!(status, Status::Terminated | Status::NothingFound) {
        return None;
    }
    let nodes = || clusters.iter().flat_map(|cluster| &cluster.nodes);
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
pub(super) fn cumulative(clusters: &[ClusterReport]) -> Cumulative {
    if clusters.is_empty() || clusters.iter().any(|cluster| cluster.nodes.is_empty()) {
        return Cumulative::default();
    }
    let nodes = || clusters.iter().flat_map(|cluster| &cluster.nodes);
    Cumulative { found: nodes().map(|node| node.found).sum(), killed: nodes().map(|node| node.killed).sum() }
}
