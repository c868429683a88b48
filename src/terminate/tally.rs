//! From what happened on the members to what each case's outcome says: counts, lists, roll-up.
//! Pure.

use super::{
    ClusterStatus, Evidence, IdleClient, NodeReport, NodeStatus, node::NodeRun, order::Order, survey::Seen,
};

/// Each case's own view of one member, in the order's order.
pub fn node_reports(run: &NodeRun, order: &Order, max_items: usize) -> Vec<NodeReport> {
    let mut reports: Vec<NodeReport> = order.parts().iter().map(|_| empty_report(run)).collect();
    let watch = &run.watch;
    let mut each = |seen: &Seen, tell: &mut dyn FnMut(&mut NodeReport)| {
        for index in order.owners(seen) {
            if let Some(report) = reports.get_mut(index) {
                tell(report);
            }
        }
    };
    if let Some(found) = watch.found() {
        let left: std::collections::HashSet<_> = watch.left().iter().map(Seen::whole).collect();
        for seen in found {
            let gone = !run.simulated && run.verified && !left.contains(seen.whole());
            each(seen, &mut |report| {
                report.found = report.found.map(|found| found + 1);
                report.killed = report.killed.map(|killed| killed + u64::from(gone));
                add_evidence(report, order, seen, max_items);
            });
        }
    }
    for seen in watch.left() {
        each(seen, &mut |report| {
            report.left += 1;
            if report.found.is_none() {
                add_evidence(report, order, seen, max_items);
            }
        });
    }
    watch.returned().for_each(|seen| each(seen, &mut |report| report.returned += 1));
    watch.returned_active().iter().for_each(|seen| each(seen, &mut |report| report.returned_active += 1));
    watch.shared().iter().for_each(|seen| each(seen, &mut |report| report.spared_shared += 1));

    for connection in watch.idle() {
        let mut owners: Vec<_> =
            connection.users.iter().flat_map(|user| order.parts_naming(user)).copied().collect();
        owners.sort_unstable();
        owners.dedup();
        for index in owners {
            if let Some(report) = reports.get_mut(index) {
                report.idle_connections += 1;
                add_idle_client(report, &connection.address, max_items);
            }
        }
    }
    for (index, report) in reports.iter_mut().enumerate() {
        report.errors.extend(run.blamed.get(&index).cloned());
        report.status = (!run.simulated || !run.verified).then(|| node_status(run, report, index));
    }
    reports
}

fn empty_report(run: &NodeRun) -> NodeReport {
    let looked = run.watch.has_before().then_some(0);
    NodeReport {
        host: run.host.clone(),
        role: run.role.clone(),
        status: None,
        found: looked,
        killed: looked.filter(|_| run.verified),
        left: 0,
        returned: 0,
        returned_active: 0,
        spared_shared: 0,
        unattributable_cursors: run.watch.unattributable_cursors(),
        idle_connections: 0,
        idle_clients: Vec::new(),
        evidence: Vec::new(),
        truncated: false,
        attempts: run.attempts,
        errors: run.errors.clone(),
        before_at: run.before_at,
        killed_at: run.killed_at,
        verified_at: run.verified_at,
    }
}

fn node_status(run: &NodeRun, report: &NodeReport, index: usize) -> NodeStatus {
    if run.unsupported {
        NodeStatus::Unsupported
    } else if run.was_not_reached() {
        NodeStatus::Unreachable
    } else if report.left > 0 || report.spared_shared > 0 {
        NodeStatus::Leftover
    } else if !run.verified || !run.sees_all || run.blamed.contains_key(&index) {
        NodeStatus::Unverified
    } else if run.restarted {
        NodeStatus::EndedByRestart
    } else {
        NodeStatus::Clean
    }
}

pub(super) fn add_evidence(report: &mut NodeReport, order: &Order, seen: &Seen, max_items: usize) {
    if report.evidence.len() >= max_items {
        report.truncated = true;
        return;
    }
    let principal = order.principal_of(seen).map(ToString::to_string);
    report.evidence.push(Evidence { principal, ..seen.evidence.clone() });
}

fn add_idle_client(report: &mut NodeReport, address: &str, max_items: usize) {
    if let Some(client) = report.idle_clients.iter_mut().find(|client| client.address == address) {
        client.connections += 1;
    } else if report.idle_clients.len() < max_items {
        report.idle_clients.push(IdleClient { address: address.to_owned(), connections: 1 });
    } else {
        report.truncated = true;
    }
}

/// A cluster's status from its nodes'. `complete`: no member may be missing among them.
pub fn cluster_status(nodes: &[NodeReport], complete: bool) -> ClusterStatus {
    let statuses: Vec<_> = nodes.iter().filter_map(|node| node.status).collect();
    if !nodes.is_empty() && statuses.is_empty() && complete {
        return ClusterStatus::Simulated;
    }
    let done = statuses.iter().filter(|status| status.is_done()).count();
    let looked_at = nodes.len() - statuses.len();
    if !statuses.is_empty()
        && statuses.iter().all(|status| *status == NodeStatus::Unsupported)
        && looked_at == 0
    {
        ClusterStatus::Unsupported
    } else if done == 0 && looked_at == 0 && !nodes.iter().any(only_sees_part) {
        ClusterStatus::Failed
    } else if done < nodes.len() || !complete {
        ClusterStatus::Partial
    // Where no look was back in time nobody saw anything: that is no success to be claimed.
    } else if nodes.iter().all(|node| node.found.unwrap_or(0) == 0 && node.returned == 0) {
        ClusterStatus::NothingFound
    } else {
        ClusterStatus::Terminated
    }
}

/// Cut and checked, as far as it can see: a mongos, behind which are members that it does not show.
fn only_sees_part(node: &NodeReport) -> bool {
    node.status == Some(NodeStatus::Unverified) && node.errors.is_empty()
}

/// A case's status from its clusters'.
pub fn case_status(clusters: &[ClusterStatus]) -> ClusterStatus {
    let all = |wanted: ClusterStatus| !clusters.is_empty() && clusters.iter().all(|status| *status == wanted);
    let any = |wanted: ClusterStatus| clusters.contains(&wanted);
    if all(ClusterStatus::Unsupported) {
        ClusterStatus::Unsupported
    } else if clusters.is_empty()
        || clusters.iter().all(|status| matches!(status, ClusterStatus::Failed | ClusterStatus::Unsupported))
    {
        ClusterStatus::Failed
    } else if any(ClusterStatus::Partial) || any(ClusterStatus::Failed) || any(ClusterStatus::Unsupported) {
        ClusterStatus::Partial
    } else if all(ClusterStatus::Simulated) {
        ClusterStatus::Simulated
    } else if any(ClusterStatus::Terminated) {
        ClusterStatus::Terminated
    } else {
        ClusterStatus::NothingFound
    }
}
