//! terminate: plans become kills on every data-bearing member of every cluster, checked.
//!
//! The plans of a batch are merged per cluster ([`order`]); a cluster's members are worked on at
//! once ([`cluster`]), each by the sequence in [`cut`]: look, kill, end what has no session,
//! check. What the looks mean is decided by the pure [`watch`], what the outcome says by the pure
//! [`tally`], what a later attempt has to go on by the pure [`remains`]; that attempt is a [`hunt`]. Who really asks the servers comes in from the edge ([`member`]).

pub mod circuit;
pub mod cluster;
pub mod cut;
pub mod hunt;
pub mod member;
pub mod node;
pub mod order;
mod pace;
pub mod remains;
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
    principal::{Principal, Principals},
    telemetry::step,
};

use circuit::{Circuits, Closed, Closings};
use cluster::ClusterRun;
pub use hunt::{Hunt, Hunted};
use member::Cluster;
use order::{Order, Part};
pub use pace::Pace;
pub use remains::{ClusterRemains, Remains};
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
    closings: Closings,
    pace: Pace,
}

impl<C: Cluster> Terminator<C> {
    /// For these clusters.
    pub fn new(clusters: Vec<Arc<C>>, pace: Pace) -> Self {
        let closings = Closings::default();
        let of = |name: &Arc<str>| Circuits::of(name.clone(), closings.clone());
        let circuits = clusters.iter().map(|cluster| (cluster.name().clone(), of(cluster.name()))).collect();
        Self { clusters, circuits, closings, pace }
    }

    /// The clusters.
    pub fn clusters(&self) -> &[Arc<C>] {
        &self.clusters
    }

    /// Hears from now on in which clusters a member answers again that was not waited for.
    pub fn circuits_closed(&self) -> Closed {
        self.closings.hear()
    }

    /// Carries out a batch: what is to be cut as one merged order a cluster, and beside it each
    /// simulated plan by itself, so that nothing simulated is ever part of a kill.
    pub async fn terminate(&self, batch: Uuid, decided: Vec<Decided>) -> Vec<Terminated> {
        let cuts = decided.iter().flat_map(|one| match &one.decision {
            Decision::Terminate(plan) => parts(plan),
            _ => Vec::new(),
        });
        let looks = decided.iter().flat_map(|one| match &one.decision {
            Decision::Simulate(plan) => parts(plan),
            _ => Vec::new(),
        });
        let cuts =
            order::by_cluster(cuts).into_iter().map(|(name, parts)| self.order(batch, name, parts, false));
        let looks =
            order::by_cluster(looks).into_iter().map(|(name, parts)| self.order(batch, name, parts, true));
        let runs = join_all(cuts.chain(looks)).await;

        let mut found: HashMap<CaseId, Found> = HashMap::new();
        for (order, run) in runs.into_iter().flatten() {
            let mut remains = run.remains.into_iter();
            for (index, (part, report)) in order.parts().iter().zip(run.reports).enumerate() {
                let entry = found.entry(part.case).or_default();
                entry.clusters.push(report);
                entry.remains.extend(remains.next());
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

/// A plan as the orders of its clusters take it.
fn parts(plan: &Plan) -> Vec<(&[Arc<str>], Part)> {
    let part = |principals: &Principals| Part { case: plan.case, principals: principals.clone() };
    plan.parts().into_iter().map(|(clusters, principals)| (clusters, part(principals))).collect()
}

/// What was found for one case, over all its clusters.
#[derive(Default)]
struct Found {
    clusters: Vec<ClusterReport>,
    remains: Vec<ClusterRemains>,
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

    fn reports_on(&self, principals: &Principals) -> impl Iterator<Item = PrincipalReport> {
        principals.iter().map(|principal| {
            let (known, near) = self.known.get(principal).cloned().unwrap_or((Known::Unknown, Vec::new()));
            report_on(principal, known, near)
        })
    }
}

fn terminated(decided: Decided, found: &mut HashMap<CaseId, Found>) -> Terminated {
    let termination = match &decided.decision {
        Decision::Terminate(plan) | Decision::Simulate(plan) => {
            let mut of_case = found.remove(&plan.case).unwrap_or_default();
            let order = |name: &Arc<str>| plan.clusters.iter().position(|cluster| cluster == name);
            of_case.clusters.sort_by_key(|report| order(&report.name));
            let principals = of_case.reports_on(plan.target.principals()).chain(spared(&decided.case));
            let principals = principals.collect();
            let Found { clusters, remains, known: _, cut_by } = of_case;
            Some(Termination { clusters, principals, cut_by, remains })
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

/// Who was named in a case of which nobody was asked yet: whom the plan would cut, and the others.
pub fn named(plan: &Plan, case: &Case) -> Vec<PrincipalReport> {
    let cut = plan.target.principals().iter();
    cut.map(|principal| report_on(principal, Known::Unknown, Vec::new())).chain(spared(case)).collect()
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
