//! One cluster: who is in it now, and what is left on each of them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::future::join_all;
use tokio::time::timeout;

use super::{
    ClusterHunt, NodeHunt, bag,
    chase::{self, Chased},
};
use crate::{
    principal::Principal,
    telemetry::events::NodeUnreachable,
    terminate::{
        ClusterRemains, ClusterReport, Known, Near, NodeError, Pace,
        circuit::Circuits,
        cluster::{known_principals, nobody_told},
        member::{Cluster, Discovery, Member},
        order::Order,
        tally,
    },
};

/// What came of a hunt on one cluster.
pub(super) struct Run {
    pub(super) report: ClusterReport,
    pub(super) remains: ClusterRemains,
    pub(super) known: HashMap<Principal, (Known, Vec<Near>)>,
}

/// `None` where no member was asked.
pub(super) async fn run<C: Cluster>(
    cluster: &C,
    on: &ClusterHunt,
    order: &Order,
    pace: &Pace,
    circuits: &Circuits,
    may_kill: &(impl Fn() -> bool + Sync),
) -> Option<Run> {
    if !may_kill() || nobody_is_waited_for(&to_ask(on, cluster.known()), circuits) {
        return None;
    }
    let (members, errors) = members(cluster, pace).await;
    let asked = to_ask(on, members);
    if nobody_is_waited_for(&asked, circuits) {
        return None;
    }
    let chases = asked
        .iter()
        .map(|(member, node)| chase::run(member, node, on.asked_at, order, pace, circuits, may_kill));
    let mut chased: Vec<Chased> = join_all(chases).await;
    chased.sort_by(|a, b| a.run.host.cmp(&b.run.host));
    for one in chased.iter().filter(|one| one.run.was_not_reached()) {
        NodeUnreachable { cluster: cluster.name(), node: &one.run.host }.emit();
    }
    let (nodes, left): (Vec<_>, Vec<_>) =
        chased.iter().filter_map(|one| bag::of(one, order, pace.max_items)).unzip();
    let remains = ClusterRemains {
        name: on.name.clone(),
        complete: errors.is_empty(),
        asked_at: on.asked_at,
        nodes: nodes.iter().map(|node| node.host.clone()).zip(left).collect(),
    };
    let status = tally::cluster_status(&nodes, errors.is_empty());
    let report = ClusterReport { name: on.name.clone(), status, nodes, errors };
    let runs: Vec<_> = chased.into_iter().map(|one| one.run).collect();
    let known = known_principals(cluster, order, &runs, pace).await;
    Some(Run { report, remains, known })
}

/// Who is not done, with what is left there.
fn to_ask<M: Member>(on: &ClusterHunt, members: Vec<Arc<M>>) -> Vec<(Arc<M>, NodeHunt)> {
    members.into_iter().filter_map(|member| on.of(member.host()).map(|node| (member, node))).collect()
}

fn nobody_is_waited_for<M: Member>(asked: &[(Arc<M>, NodeHunt)], circuits: &Circuits) -> bool {
    !asked.is_empty() && asked.iter().all(|(member, _)| circuits.is_open(member.host()))
}

/// Who is in the cluster; where that is not known for sure, also who was in it.
async fn members<C: Cluster>(cluster: &C, pace: &Pace) -> (Vec<Arc<C::Member>>, Vec<NodeError>) {
    let before = cluster.known();
    let (mut members, error) = match timeout(pace.inline_budget, cluster.discover()).await {
        Ok(Ok(Discovery { members, incomplete: None })) => return (members, Vec::new()),
        Ok(Ok(Discovery { members, incomplete: Some(error) })) => (members, error),
        Ok(Err(error)) => (Vec::new(), error),
        Err(_) => (Vec::new(), nobody_told(cluster.name())),
    };
    let now: HashSet<String> = members.iter().map(|member| member.host().to_owned()).collect();
    members.extend(before.into_iter().filter(|member| !now.contains(member.host())));
    (members, vec![error])
}
