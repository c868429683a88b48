//! hunt: a later attempt at what a batch has left. It ends leftovers and nothing else: whoever
//! came back since may have long had a new password.
//!
//! One case at a time, on all its clusters at once (`ground`), each member by the sequence in
//! `chase`. What is left over and what returned is told by the same [`Watch`](super::watch::Watch)
//! as in a batch, by which means a thing is ended by the pure [`means`](mod@means), what an attempt
//! adds to the case by the pure `bag`.

mod bag;
mod chase;
mod ground;
pub mod means;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::future::join_all;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    ClusterRemains, ClusterReport, ClusterStatus, ErrorClass, Found, NodeError, Remains, Termination,
    Terminator,
    member::Cluster,
    order::{Order, Part},
    survey::Identity,
};
use crate::{case::CaseId, principal::Principals, telemetry::step};

/// What is to be hunted.
#[derive(Clone, Debug, PartialEq)]
pub struct Hunt {
    /// The case.
    pub case: CaseId,
    /// Names this attempt in the comment of each kill.
    pub attempt: Uuid,
    /// Whose.
    pub principals: Principals,
    /// Where; only clusters on which something is left.
    pub clusters: Vec<ClusterHunt>,
}

/// On one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterHunt {
    /// As configured.
    pub name: Arc<str>,
    /// When we first tried to kill there, by our clock.
    pub asked_at: Timestamp,
    /// The members that are known. One that is not among them is new, or was missing when the
    /// case was tried: it is hunted on as one that has never acknowledged a kill.
    pub nodes: Vec<NodeHunt>,
}

/// On one node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeHunt {
    /// As the replica set's configuration names it.
    pub host: String,
    /// What is left there; `None` where the node is done, and so is not asked again.
    pub remains: Option<Remains>,
    /// Of what the case has found there so far, how much is not known to be gone.
    pub outstanding: u64,
}

/// What came of a hunt.
#[derive(Clone, Debug, PartialEq)]
pub struct Hunted {
    /// As of a batch, of this attempt alone: `found` is what was not known before, `killed` what
    /// is gone now of what was left and of what was found. Nodes that were not asked because they
    /// are done, and clusters that were not asked at all, are not in it.
    pub termination: Termination,
    /// It was told that it may kill no longer, and has left the rest.
    pub stopped: bool,
}

impl<C: Cluster> Terminator<C> {
    /// Ends what is left of a case. `may_kill` is asked right before each command that kills;
    /// once it says no, nothing more is begun. `None` where nothing was asked of any server: it
    /// said no from the start, or no member that is to be asked is waited for now.
    pub async fn hunt(&self, hunt: Hunt, may_kill: impl Fn() -> bool + Sync) -> Option<Hunted> {
        let Hunt { case, attempt, principals, clusters } = hunt;
        let order = Order::new(attempt, vec![Part { case, principals: principals.clone() }])?;
        let stopped = AtomicBool::new(false);
        let may_kill = || {
            let may = !stopped.load(Ordering::SeqCst) && may_kill();
            stopped.fetch_or(!may, Ordering::SeqCst);
            may
        };
        let each = clusters.iter().map(|on| self.hunt_on(on, &order, &may_kill));
        let runs: Vec<ground::Run> = join_all(each).await.into_iter().flatten().collect();
        if runs.is_empty() {
            return None;
        }
        let mut found = Found::default();
        for run in runs {
            found.clusters.push(run.report);
            found.remains.push(run.remains);
            for (principal, (known, near)) in &run.known {
                found.note(principal, *known, near);
            }
        }
        let principals = found.reports_on(&principals).collect();
        let Found { clusters, remains, known: _, cut_by } = found;
        Some(Hunted {
            termination: Termination { clusters, principals, cut_by, remains },
            stopped: stopped.into_inner(),
        })
    }

    async fn hunt_on(
        &self,
        on: &ClusterHunt,
        order: &Order,
        may_kill: &(impl Fn() -> bool + Sync),
    ) -> Option<ground::Run> {
        let cluster = self.clusters.iter().find(|cluster| *cluster.name() == on.name);
        let (Some(cluster), Some(circuits)) = (cluster, self.circuits.get(&on.name)) else {
            return Some(not_configured(on));
        };
        let run = ground::run(&**cluster, on, order, &self.pace, circuits, may_kill);
        step::on_cluster(&on.name, order, run).await
    }
}

/// A job may outlive the configuration that it was created under.
fn not_configured(on: &ClusterHunt) -> ground::Run {
    let error = NodeError {
        class: ErrorClass::Permanent,
        code: None,
        node: on.name.to_string(),
        message: "no cluster of this name is configured any more".to_owned(),
    };
    ground::Run {
        report: ClusterReport {
            name: on.name.clone(),
            status: ClusterStatus::Failed,
            nodes: Vec::new(),
            errors: vec![error],
        },
        remains: ClusterRemains {
            name: on.name.clone(),
            complete: false,
            asked_at: on.asked_at,
            nodes: Vec::new(),
        },
        known: HashMap::new(),
    }
}

impl ClusterHunt {
    /// What is known of a member: `None` where it is done.
    fn of(&self, host: &str) -> Option<NodeHunt> {
        match self.nodes.iter().find(|node| node.host == host) {
            Some(node) => node.remains.is_some().then(|| node.clone()),
            None => {
                let remains = Some(Remains::default());
                Some(NodeHunt { host: host.to_owned(), remains, outstanding: 0 })
            }
        }
    }
}

impl NodeHunt {
    fn leftovers(&self) -> HashSet<Identity> {
        self.remains.iter().flat_map(|remains| &remains.leftovers).cloned().collect()
    }
}
