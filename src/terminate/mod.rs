//! terminate: plans become kills on every data-bearing member of every cluster, checked.
//!
//! The plans of a batch are merged per cluster ([`order`]); a cluster's members are worked on at
//! once ([`cluster`]), each by the sequence in [`cut`]: look, kill, end what has no session,
//! check. What the looks mean is decided by the pure [`watch`], what the outcome says by the pure
//! [`tally`]. Who really asks the servers comes in from the edge ([`member`]).

pub mod circuit;
pub mod cluster;
pub mod cut;
pub mod member;
pub mod order;
pub mod retry;
pub mod survey;
pub mod tally;
mod termination;
pub mod watch;

use std::{collections::HashMap, sync::Arc};

use futures::future::join_all;
use uuid::Uuid;

use crate::{
    case::CaseId,
    decide::{Case, Decided, Decision, Plan},
    principal::Principal,
    telemetry::step,
};

use circuit::Circuits;
use cluster::ClusterRun;
pub use cut::Pace;
use member::Cluster;
use order::{Order, Part};
pub use termination::{
    ClusterReport, ClusterStatus, ErrorClass, Evidence, IdleClient, Kind, Known, Near, NodeError, NodeReport,
    NodeStatus, PrincipalReport, Termination,
};

/// A decided case, and what came of it where something was to be done.
#[derive(Debug)]
pub struct Terminated {
    /// The case and its decision.
    pub decided: Decided,
    /// For what was cut or looked at.
    pub termination: Option<Termination>,
}

/// Carries out plans on the configured clusters.
pub struct Terminator<C> {
    clusters: Vec<Arc<C>>,
    circuits: HashMap<Arc<str>, Circuits>,
    pace: Pace,
}

impl<C: Cluster> Terminator<C> {
    /// For these clusters.
    pub fn new(clusters: Vec<Arc<C>>, pace: Pace) -> Self {
        let circuits = clusters.iter().map(|cluster| (cluster.name().clone(), Circuits::default())).collect();
        Self { clusters, circuits, pace }
    }

    /// The clusters.
    pub fn clusters(&self) -> &[Arc<C>] {
        &self.clusters
    }

    /// Carries out a batch: what is to be cut as one merged order a cluster, and beside it each
    /// simulated plan by itself, so that nothing simulated is ever part of a kill.
    pub async fn terminate(&self, batch: Uuid, decided: Vec<Decided>) -> Vec<Terminated> {
        let cuts = decided.iter().filter_map(|one| match &one.decision {
            Decision::Terminate(plan) => Some((plan.clusters.as_slice(), part(plan))),
            _ => None,
        });
        let looks = decided.iter().filter_map(|one| match &one.decision {
            Decision::Simulate(plan) => Some((plan.clusters.as_slice(), part(plan))),
            _ => None,
        });
        let cuts =
            order::by_cluster(cuts).into_iter().map(|(name, parts)| self.order(batch, name, parts, false));
        let looks =
            order::by_cluster(looks).into_iter().map(|(name, parts)| self.order(batch, name, parts, true));
        let runs = join_all(cuts.chain(looks)).await;

        let mut found: HashMap<CaseId, Found> = HashMap::new();
        for (order, run) in runs.into_iter().flatten() {
            for (index, (part, report)) in order.parts().iter().zip(run.reports).enumerate() {
                let entry = found.entry(part.case).or_default();
                entry.clusters.push(report);
                entry.cut_by = entry.cut_by.or(order.cut_by(index));
                for principal in &part.principals {
                    if let Some((known, near)) = run.known.get(principal) {
                        entry.note(principal, *known, near);
                    }
                }
            }
        }
        decided.into_iter().map(|one| terminated(one, &mut found)).collect()
    }

    async fn order(
        &self,
        batch: Uuid,
        name: Arc<str>,
        parts: Vec<Part>,
        simulated: bool,
    ) -> Option<(Order, ClusterRun)> {
        let cluster = self.clusters.iter().find(|cluster| *cluster.name() == name)?;
        let circuits = self.circuits.get(&name)?;
        let order = Order::new(batch, parts)?;
        let run = cluster::run(&**cluster, &order, &self.pace, circuits, simulated);
        let run = step::on_cluster(&name, &order, run).await;
        Some((order, run))
    }
}

fn part(plan: &Plan) -> Part {
    Part { case: plan.case, principals: plan.target.principals().clone() }
}

/// What was found for one case, over all its clusters.
#[derive(Default)]
struct Found {
    clusters: Vec<ClusterReport>,
    known: HashMap<Principal, (Known, Vec<Near>)>,
    cut_by: Option<CaseId>,
}

impl Found {
    /// Known on one cluster is known; only where no cluster knows somebody are near names of use.
    fn note(&mut self, principal: &Principal, known: Known, near: &[Near]) {
        let entry = self.known.entry(principal.clone()).or_insert((Known::Unknown, Vec::new()));
        entry.0 = entry.0.max(known);
        entry.1.extend(near.iter().cloned());
        entry.1.sort();
        entry.1.dedup();
        if entry.0 == Known::Yes {
            entry.1.clear();
        }
    }
}

fn terminated(decided: Decided, found: &mut HashMap<CaseId, Found>) -> Terminated {
    let termination = match &decided.decision {
        Decision::Terminate(plan) | Decision::Simulate(plan) => {
            let mut of_case = found.remove(&plan.case).unwrap_or_default();
            let order = |name: &Arc<str>| plan.clusters.iter().position(|cluster| cluster == name);
            of_case.clusters.sort_by_key(|report| order(&report.name));
            let principals = plan
                .target
                .principals()
                .iter()
                .map(|principal| {
                    let (known, near) =
                        of_case.known.remove(principal).unwrap_or((Known::Unknown, Vec::new()));
                    report_on(principal, known, near)
                })
                .chain(spared(&decided.case))
                .collect();
            Some(Termination { clusters: of_case.clusters, principals, cut_by: of_case.cut_by })
        }
        Decision::Refuse { .. }
        | Decision::Expired { .. }
        | Decision::Duplicate { .. }
        | Decision::Superseded { .. }
        | Decision::NoRule
        | Decision::Undecodable(_)
        | Decision::Defer { .. }
        | Decision::AwaitApproval { .. }
        | Decision::Release { .. }
        | Decision::Acknowledge => None,
    };
    Terminated { decided, termination }
}

fn report_on(principal: &Principal, known: Known, near: Vec<Near>) -> PrincipalReport {
    PrincipalReport {
        user: principal.user().to_owned(),
        db: principal.db().to_owned(),
        known,
        near,
        spared: false,
        spared_because: None,
    }
}

/// Who was named in a case and is left alone.
pub fn spared(case: &Case) -> impl Iterator<Item = PrincipalReport> {
    case.spared.iter().map(|spared| PrincipalReport {
        spared: true,
        spared_because: Some(spared.because),
        ..report_on(&spared.principal, Known::Unknown, Vec::new())
    })
}

#[cfg(test)]
mod tests;
