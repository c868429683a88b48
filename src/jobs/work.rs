//! What is left to do of a case, by cluster and node, and how an attempt adds to it.
//!
//! A retry hunts leftovers only, so a node keeps what tells them from what returned: the things
//! that were seen before the kill, when the kill was acknowledged by the node's own clock, and
//! which process that was.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Job, Left, Leftover};
use crate::{
    case::CaseId,
    principal::Principals,
    report::Cumulative,
    terminate::{
        ClusterRemains, ClusterReport, Hunt, NodeError, NodeReport, Remains, Termination,
        hunt::{ClusterHunt, NodeHunt},
        tally,
    },
};

/// Longest text of an error that is kept between attempts, in characters.
const MAX_MESSAGE: usize = 200;

/// A case's work on all its clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Work(pub Vec<ClusterWork>);

/// On one cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterWork {
    /// As configured.
    pub name: Arc<str>,
    /// Whether no member may be missing among `nodes`.
    pub complete: bool,
    /// When we first tried to kill there, by our clock. On a member that has never acknowledged a
    /// kill, what began later has returned.
    pub asked_at: Timestamp,
    /// By member.
    pub nodes: Vec<NodeWork>,
    /// What kept the members from being known.
    pub errors: Vec<NodeError>,
}

/// On one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeWork {
    /// What the outcome says of it. Between attempts without its lists, and `found` and `killed`
    /// are of all attempts; as an attempt's result they are what that attempt found that was not
    /// known yet, and what it found gone.
    pub report: NodeReport,
    /// What another attempt would hunt; `null` where there is nothing left to do or another
    /// attempt would end the same.
    pub left: Option<Left>,
}

impl Work {
    /// What a batch, or an attempt, has done and has left. A plan that was only looked at leaves
    /// no work.
    pub fn begin(termination: &Termination) -> Self {
        let clusters = termination.remains.iter().filter_map(|remains| {
            let report = termination.clusters.iter().find(|report| report.name == remains.name)?;
            Some(ClusterWork::begin(report, remains))
        });
        Self(clusters.collect())
    }

    /// Of a case of which nothing was tried: on these clusters everything is left, whoever their
    /// members are.
    pub fn untried(clusters: impl IntoIterator<Item = Arc<str>>, now: Timestamp) -> Self {
        let untried = |name| ClusterWork {
            name,
            complete: false,
            asked_at: now,
            nodes: Vec::new(),
            errors: Vec::new(),
        };
        Self(clusters.into_iter().map(untried).collect())
    }

    /// As if it had first been tried now.
    pub(super) fn asked_at(&self, now: Timestamp) -> Self {
        Self(self.0.iter().map(|cluster| ClusterWork { asked_at: now, ..cluster.clone() }).collect())
    }

    /// What an attempt at this case's work hunts, on the clusters where something is left.
    pub fn hunt(&self, case: CaseId, attempt: Uuid, principals: Principals) -> Hunt {
        let left = self.0.iter().filter(|cluster| !cluster.is_done());
        Hunt { case, attempt, principals, clusters: left.map(ClusterWork::hunt).collect() }
    }

    /// Whether another attempt would have nothing to hunt.
    pub fn is_done(&self) -> bool {
        self.0.iter().all(ClusterWork::is_done)
    }

    /// Whether everything that it hunts is a thing that can be: what is not would be missed.
    pub(super) fn can_be(&self) -> bool {
        let nodes = self.0.iter().flat_map(|cluster| &cluster.nodes);
        let mut leftovers = nodes.filter_map(|node| node.left.as_ref()).flat_map(|left| &left.leftovers);
        leftovers.all(|leftover| leftover.identity().is_some_and(|known| Leftover::from(&known) == *leftover))
    }

    /// Found and killed over all nodes and attempts; unknown where one node's is, and where it is not
    /// even known which nodes there are.
    pub fn cumulative(&self) -> Cumulative {
        if self.0.iter().any(|cluster| cluster.nodes.is_empty()) {
            return Cumulative::default();
        }
        let nodes = || self.0.iter().flat_map(|cluster| &cluster.nodes).map(|node| &node.report);
        Cumulative {
            found: nodes().map(|report| report.found).sum(),
            killed: nodes().map(|report| report.killed).sum(),
        }
    }

    /// What an outcome says of it.
    pub fn reports(&self) -> Vec<ClusterReport> {
        self.0.iter().map(ClusterWork::report).collect()
    }

    /// This work after an attempt. A cluster of which the attempt says nothing stays as it was;
    /// one that is none of this case's is no part of it.
    pub fn after(&self, attempt: Work) -> Self {
        let mut tried = attempt.0;
        let merged =
            self.0.iter().map(|before| match tried.iter().position(|cluster| cluster.name == before.name) {
                Some(index) => before.after(tried.swap_remove(index)),
                None => before.clone(),
            });
        Self(merged.collect())
    }

    /// As it is kept between attempts: without the lists that only an outcome shows, and with at
    /// most this many leftovers a node.
    pub(super) fn kept(&self, leftovers: usize, errors: usize) -> Self {
        Self(self.0.iter().map(|cluster| cluster.kept(leftovers, errors)).collect())
    }
}

impl Job {
    /// What an attempt hunts.
    pub fn hunt(&self, attempt: Uuid) -> Hunt {
        self.work.hunt(self.case_id, attempt, self.principals.targets().clone())
    }
}

impl ClusterWork {
    fn begin(report: &ClusterReport, remains: &ClusterRemains) -> Self {
        let left = |node: &NodeReport| {
            let (_, remains) = remains.nodes.iter().find(|(host, _)| *host == node.host)?;
            remains.as_ref().map(Left::from)
        };
        Self {
            name: report.name.clone(),
            complete: remains.complete,
            asked_at: remains.asked_at,
            nodes: report
                .nodes
                .iter()
                .map(|node| NodeWork { report: node.clone(), left: left(node) })
                .collect(),
            errors: report.errors.clone(),
        }
    }

    fn hunt(&self) -> ClusterHunt {
        let node = |node: &NodeWork| {
            let found = node.report.found.unwrap_or(0);
            NodeHunt {
                host: node.report.host.clone(),
                remains: node.left.as_ref().map(Remains::from),
                outstanding: found.saturating_sub(node.report.killed.unwrap_or(0)),
            }
        };
        let nodes = self.nodes.iter().map(node).collect();
        ClusterHunt { name: self.name.clone(), asked_at: self.asked_at, nodes }
    }

    /// Whether another attempt would have nothing to hunt here.
    pub fn is_done(&self) -> bool {
        self.complete && self.nodes.iter().all(|node| node.left.is_none())
    }

    fn report(&self) -> ClusterReport {
        let nodes: Vec<NodeReport> = self.nodes.iter().map(|node| node.report.clone()).collect();
        let status = tally::cluster_status(&nodes, self.complete);
        ClusterReport { name: self.name.clone(), status, nodes, errors: self.errors.clone() }
    }

    fn after(&self, tried: ClusterWork) -> Self {
        let ClusterWork { complete, nodes: mut seen, errors, .. } = tried;
        let mut nodes = Vec::with_capacity(self.nodes.len().max(seen.len()));
        for before in &self.nodes {
            match seen.iter().position(|node| node.report.host == before.report.host) {
                Some(index) => nodes.push(before.after(seen.swap_remove(index))),
                // Done before, so not asked again; or not known to have left the cluster.
                None if before.left.is_none() || !complete => nodes.push(before.clone()),
                // It has left the cluster.
                None => {}
            }
        }
        nodes.extend(seen);
        nodes.sort_by(|a, b| a.report.host.cmp(&b.report.host));
        Self { name: self.name.clone(), complete, asked_at: self.asked_at, nodes, errors }
    }

    fn kept(&self, leftovers: usize, errors: usize) -> Self {
        Self {
            nodes: self.nodes.iter().map(|node| node.kept(leftovers, errors)).collect(),
            errors: last(&self.errors, errors),
            ..self.clone()
        }
    }
}

impl NodeWork {
    fn after(&self, tried: NodeWork) -> Self {
        let (before, now) = (&self.report, tried.report);
        let report = NodeReport {
            found: add(before.found, now.found),
            killed: add(before.killed, now.killed),
            returned: before.returned.saturating_add(now.returned),
            attempts: before.attempts.saturating_add(now.attempts),
            before_at: before.before_at.or(now.before_at),
            killed_at: now.killed_at.or(before.killed_at),
            verified_at: now.verified_at.or(before.verified_at),
            ..now
        };
        let left = tried.left.map(|now| match &self.left {
            Some(before) => before.after(now),
            None => now,
        });
        Self { report, left }
    }

    fn kept(&self, leftovers: usize, errors: usize) -> Self {
        let report = NodeReport {
            idle_clients: Vec::new(),
            evidence: Vec::new(),
            errors: last(&self.report.errors, errors),
            ..self.report.clone()
        };
        let left = self.left.as_ref().map(|left| Left {
            leftovers: left.leftovers.iter().take(leftovers).cloned().collect(),
            truncated: left.truncated || left.leftovers.len() > leftovers,
            ..left.clone()
        });
        Self { report, left }
    }
}

/// What one attempt did not get to know, another may.
fn add(before: Option<u64>, now: Option<u64>) -> Option<u64> {
    match (before, now) {
        (Some(before), Some(now)) => Some(before.saturating_add(now)),
        (known, None) | (None, known) => known,
    }
}

fn last(errors: &[NodeError], count: usize) -> Vec<NodeError> {
    let skip = errors.len().saturating_sub(count);
    let short = |error: &NodeError| NodeError {
        message: error.message.chars().take(MAX_MESSAGE).collect(),
        ..error.clone()
    };
    errors.iter().skip(skip).map(short).collect()
}
