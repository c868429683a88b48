//! What is left of a case on each node once its inline budget is over, so that a later attempt can
//! tell leftovers from what returned. Pure.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    NodeReport, NodeStatus,
    member::ProcessId,
    node::NodeRun,
    order::Order,
    survey::{Identity, Seen},
};

/// Most leftovers of one node that are kept by identity; those beyond are told by when they began.
const MAX_LEFTOVERS: usize = 1_000;

/// What another attempt needs to know of one node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remains {
    /// Which server process it was; if another answers, whatever ran is gone.
    pub process: Option<ProcessId>,
    /// What began later has returned: when a kill was acknowledged, at the latest, by the node's
    /// own clock. On a node that never acknowledged one, `None` until it was hunted for the first
    /// time, and then when the case was first tried there, by the same clock.
    pub killed_at: Option<Timestamp>,
    /// What is left, or may be left.
    pub leftovers: Vec<Identity>,
    /// The list was cut short.
    pub truncated: bool,
}

/// What is left of a case on one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterRemains {
    /// As configured.
    pub name: Arc<str>,
    /// Whether no member may be missing among `nodes`.
    pub complete: bool,
    /// When we first tried to kill there, by our clock.
    pub asked_at: Timestamp,
    /// By host; `None` where there is nothing left to do or another attempt would end the same.
    pub nodes: Vec<(String, Option<Remains>)>,
}

impl Remains {
    /// Of one case of an order, after a cut. `report` is what is said of that case on that node.
    pub(super) fn after_cut(run: &NodeRun, report: &NodeReport, order: &Order, index: usize) -> Option<Self> {
        is_worth_another_try(run, report, index).then(|| {
            let killed = !run.blamed.contains_key(&index);
            let theirs = run.watch.remaining().filter(|seen| order.owners(seen).contains(&index));
            Self {
                process: run.process_of_remains().cloned(),
                killed_at: run.killed_at_there().filter(|_| killed),
                ..Self::of(theirs)
            }
        })
    }

    /// Only the list of what is left.
    pub(super) fn of<'a>(left: impl Iterator<Item = &'a Seen>) -> Self {
        let mut leftovers: Vec<Identity> = left.map(|seen| seen.whole().clone()).collect();
        leftovers.sort();
        leftovers.dedup();
        let truncated = leftovers.len() > MAX_LEFTOVERS;
        leftovers.truncate(MAX_LEFTOVERS);
        Self { leftovers, truncated, ..Self::default() }
    }
}

/// Whether another attempt may end otherwise. Not where the node is done or cannot do it, where all
/// that is left is also somebody else's, and where all was done that a mongos lets one do. An error
/// does not stand in the way, a permanent one neither: rights can be given back.
pub(super) fn is_worth_another_try(run: &NodeRun, report: &NodeReport, index: usize) -> bool {
    match report.status {
        None | Some(NodeStatus::Clean | NodeStatus::EndedByRestart | NodeStatus::Unsupported) => false,
        Some(NodeStatus::Unreachable) => true,
        Some(NodeStatus::Leftover | NodeStatus::Unverified) => {
            report.left > 0 || !run.verified || run.blamed.contains_key(&index)
        }
    }
}
