//! One cluster, one batch: every member at once, members that were not known before too, and
//! then, beside what is reported, whether those of whom nothing was seen exist at all.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::timeout;

use super::{
    ClusterReport, ErrorClass, Known, Near, NodeError, NodeReport,
    circuit::Circuits,
    cut,
    member::{Cluster, Discovery, Member},
    node::NodeRun,
    order::Order,
    pace::Pace,
    remains::{ClusterRemains, Remains},
    tally,
};
use crate::{principal::Principal, telemetry::events::NodeUnreachable};

/// What came of an order on one cluster.
pub struct ClusterRun {
    /// By case, in the order's order.
    pub reports: Vec<ClusterReport>,
    /// Likewise, where it was cut, what is left of them.
    pub remains: Vec<ClusterRemains>,
    /// What the cluster knows of those who were named.
    pub known: HashMap<Principal, (Known, Vec<Near>)>,
}

/// Cuts (or, `simulated`, only looks) on every member of the cluster.
pub async fn run<C: Cluster>(
    cluster: &C,
    order: &Order,
    pace: &Pace,
    circuits: &Circuits,
    simulated: bool,
) -> ClusterRun {
    let on = |member: Arc<C::Member>| async move {
        match simulated {
            true => cut::look(&member, order, pace, circuits).await,
            false => cut::cut(&member, order, pace, circuits).await,
        }
    };
    let asked_at = Timestamp::now();
    let known = cluster.known();
    let (mut runs, discovery) = tokio::join!(
        join_all(known.iter().cloned().map(on)),
        timeout(pace.inline_budget, cluster.discover())
    );
    let mut errors = Vec::new();
    match discovery {
        Ok(Ok(Discovery { members, incomplete })) => {
            errors.extend(incomplete);
            let now: HashSet<_> = members.iter().map(|member| member.host().to_owned()).collect();
            runs.retain(|run| now.contains(&run.host));
            let before: HashSet<_> = known.iter().map(|member| member.host().to_owned()).collect();
            let new = members.into_iter().filter(|member| !before.contains(member.host()));
            runs.extend(join_all(new.map(on)).await);
        }
        Ok(Err(error)) => errors.push(error),
        Err(_) => errors.push(nobody_told(cluster.name())),
    }
    runs.sort_by(|a, b| a.host.cmp(&b.host));
    for run in runs.iter().filter(|run| run.was_not_reached()) {
        NodeUnreachable { cluster: cluster.name(), node: &run.host }.emit();
    }
    let known = known_principals(cluster, order, &runs, pace).await;
    let reports = reports(cluster, order, &runs, &errors, pace);
    let remains = match simulated {
        true => Vec::new(),
        false => remains(&reports, &runs, order, asked_at),
    };
    ClusterRun { reports, remains, known }
}

/// Who is in the cluster was asked, and not answered in time.
pub(super) fn nobody_told(cluster: &str) -> NodeError {
    NodeError {
        class: ErrorClass::Transient,
        code: None,
        node: cluster.to_owned(),
        message: "no member told who is in the cluster within limits.inline_budget".to_owned(),
    }
}

fn reports<C: Cluster>(
    cluster: &C,
    order: &Order,
    runs: &[NodeRun],
    errors: &[NodeError],
    pace: &Pace,
) -> Vec<ClusterReport> {
    let mut nodes: Vec<Vec<NodeReport>> =
        order.parts().iter().map(|_| Vec::with_capacity(runs.len())).collect();
    for run in runs {
        let of_cases = tally::node_reports(run, order, pace.max_items);
        nodes.iter_mut().zip(of_cases).for_each(|(nodes, report)| nodes.push(report));
    }
    nodes
        .into_iter()
        .map(|nodes| ClusterReport {
            name: cluster.name().clone(),
            status: tally::cluster_status(&nodes, errors.is_empty()),
            nodes,
            errors: errors.to_vec(),
        })
        .collect()
}

fn remains(
    reports: &[ClusterReport],
    runs: &[NodeRun],
    order: &Order,
    asked_at: Timestamp,
) -> Vec<ClusterRemains> {
    let of_case = |(index, report): (usize, &ClusterReport)| ClusterRemains {
        name: report.name.clone(),
        complete: report.errors.is_empty(),
        asked_at,
        nodes: runs
            .iter()
            .zip(&report.nodes)
            .map(|(run, node)| (run.host.clone(), Remains::after_cut(run, node, order, index)))
            .collect(),
    };
    reports.iter().enumerate().map(of_case).collect()
}

/// Who was seen is known; the others are looked up.
pub(super) async fn known_principals<C: Cluster>(
    cluster: &C,
    order: &Order,
    runs: &[NodeRun],
    pace: &Pace,
) -> HashMap<Principal, (Known, Vec<Near>)> {
    let mut known: HashMap<Principal, (Known, Vec<Near>)> = runs
        .iter()
        .flat_map(|run| run.watch.alive())
        .map(|principal| (principal.clone(), (Known::Yes, Vec::new())))
        .collect();
    let unseen: Vec<Principal> =
        order.principals().iter().filter(|principal| !known.contains_key(*principal)).cloned().collect();
    let anybody_answered = runs.iter().any(|run| run.verified);
    if unseen.is_empty() || !anybody_answered {
        return known;
    }
    match timeout(pace.inline_budget, cluster.look_up(&unseen)).await {
        Ok(Ok(answers)) => known.extend(unseen.into_iter().zip(answers)),
        Ok(Err(error)) => {
            tracing::debug!(cluster = %cluster.name(), error = error.message, "users could not be looked up")
        }
        Err(_) => tracing::debug!(cluster = %cluster.name(), "users could not be looked up in time"),
    }
    known
}
