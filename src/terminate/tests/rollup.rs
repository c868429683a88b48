//! From nodes to clusters to cases: the table of contract.md.

use super::*;

fn node(status: NodeStatus, found: Option<u64>) -> NodeReport {
    NodeReport {
        host: "m:1".to_owned(),
        role: "secondary".to_owned(),
        status: Some(status),
        found,
        killed: found,
        left: 0,
        returned: 0,
        returned_active: 0,
        spared_shared: 0,
        unattributable_cursors: 0,
        idle_connections: 0,
        idle_clients: Vec::new(),
        evidence: Vec::new(),
        truncated: false,
        attempts: 1,
        errors: vec![error(ErrorClass::Transient, 91)],
        before_at: None,
        killed_at: None,
        verified_at: None,
    }
}

const NODES: [NodeStatus; 6] = [
    NodeStatus::Clean,
    NodeStatus::Leftover,
    NodeStatus::Unreachable,
    NodeStatus::Unverified,
    NodeStatus::EndedByRestart,
    NodeStatus::Unsupported,
];

const CLUSTERS: [ClusterStatus; 6] = [
    ClusterStatus::Terminated,
    ClusterStatus::NothingFound,
    ClusterStatus::Partial,
    ClusterStatus::Failed,
    ClusterStatus::Unsupported,
    ClusterStatus::Simulated,
];

fn cluster(statuses: &[NodeStatus], found: Option<u64>, complete: bool) -> ClusterStatus {
    let nodes: Vec<_> = statuses.iter().map(|status| node(*status, found)).collect();
    tally::cluster_status(&nodes, complete)
}

#[test]
fn a_cluster_is_terminated_only_if_every_node_is_done_and_none_may_be_missing() {
    for one in NODES {
        for two in NODES {
            for complete in [true, false] {
                let all_done = one.is_done() && two.is_done() && complete;
                let status = cluster(&[one, two], Some(1), complete);
                assert_eq!(status == ClusterStatus::Terminated, all_done, "{one:?} {two:?}: {status:?}");
                let status = cluster(&[one, two], Some(0), complete);
                assert_eq!(status == ClusterStatus::NothingFound, all_done, "{one:?} {two:?}: {status:?}");
            }
        }
    }
}

#[test]
fn a_cluster_where_no_node_is_done_has_failed_and_where_some_are_it_is_partial() {
    use NodeStatus::{Clean, EndedByRestart, Leftover, Unreachable, Unsupported, Unverified};
    assert_eq!(cluster(&[Leftover, Unreachable, Unverified], Some(1), true), ClusterStatus::Failed);
    assert_eq!(cluster(&[Leftover, Unsupported], Some(1), true), ClusterStatus::Failed);
    assert_eq!(cluster(&[Clean, Unreachable], Some(0), true), ClusterStatus::Partial);
    assert_eq!(cluster(&[EndedByRestart, Unsupported], Some(0), true), ClusterStatus::Partial);
    assert_eq!(cluster(&[Unsupported, Unsupported], Some(0), true), ClusterStatus::Unsupported);
    assert_eq!(cluster(&[Clean, Clean], Some(0), false), ClusterStatus::Partial, "a member may be missing");
    assert_eq!(cluster(&[], None, true), ClusterStatus::Failed, "nobody was asked");
    assert_eq!(cluster(&[], None, false), ClusterStatus::Failed);
}

#[test]
fn where_nobody_saw_anything_no_success_is_claimed() {
    let nodes = [node(NodeStatus::Clean, Some(0)), node(NodeStatus::Clean, None)];
    assert_eq!(tally::cluster_status(&nodes, true), ClusterStatus::NothingFound, "a look that was late");
    let nodes = [node(NodeStatus::Clean, Some(1)), node(NodeStatus::Clean, None)];
    assert_eq!(tally::cluster_status(&nodes, true), ClusterStatus::Terminated);
    let nodes = [NodeReport { returned: 1, ..node(NodeStatus::Clean, Some(0)) }];
    assert_eq!(tally::cluster_status(&nodes, true), ClusterStatus::Terminated, "somebody was cut after all");
}

#[test]
fn routers_that_did_their_part_make_the_cluster_partial() {
    let mongos = NodeReport { errors: Vec::new(), ..node(NodeStatus::Unverified, Some(1)) };
    assert_eq!(tally::cluster_status(&[mongos.clone(), mongos], true), ClusterStatus::Partial);
}

#[test]
fn a_look_is_simulated_where_every_node_was_seen_and_never_a_success() {
    let looked = NodeReport { status: None, ..node(NodeStatus::Clean, Some(1)) };
    let lost = node(NodeStatus::Unreachable, None);
    assert_eq!(tally::cluster_status(&[looked.clone(), looked.clone()], true), ClusterStatus::Simulated);
    assert_eq!(tally::cluster_status(&[looked.clone(), lost], true), ClusterStatus::Partial);
    assert_eq!(tally::cluster_status(&[looked], false), ClusterStatus::Partial);
}

#[test]
fn a_case_is_rolled_up_as_the_contract_says() {
    use ClusterStatus::{Failed, NothingFound, Partial, Simulated, Terminated, Unsupported};
    for one in CLUSTERS {
        for two in CLUSTERS {
            for three in CLUSTERS {
                let all = [one, two, three];
                let every = |wanted: &[ClusterStatus]| all.iter().all(|status| wanted.contains(status));
                let any = |wanted: &[ClusterStatus]| all.iter().any(|status| wanted.contains(status));
                let expected = if every(&[Unsupported]) {
                    Unsupported
                } else if every(&[Failed, Unsupported]) {
                    Failed
                } else if any(&[Partial, Failed, Unsupported]) {
                    Partial
                } else if every(&[Simulated]) {
                    Simulated
                } else if any(&[Terminated]) {
                    Terminated
                } else {
                    NothingFound
                };
                assert_eq!(tally::case_status(&all), expected, "{all:?}");
            }
        }
    }
    assert_eq!(tally::case_status(&[]), Failed, "no cluster was asked");
}
