//! What an attempt adds to what is left.

use super::*;
use crate::{
    pattern::SessionId,
    terminate::{
        ClusterRemains, ErrorClass, Hunted, NodeError, Remains, Termination, member::ProcessId,
        survey::Identity,
    },
};

fn acknowledged(second: i64, leftovers: &[&str]) -> Left {
    Left {
        process: Some(Process(format!("p{second}"))),
        killed_at: Some(at(second)),
        leftovers: leftovers.iter().map(|id| Leftover::Cursor((*id).into())).collect(),
        truncated: false,
    }
}

fn after(before: NodeWork, now: NodeWork) -> NodeWork {
    let Work(clusters) = Work(vec![cluster(vec![before])]).after(Work(vec![cluster(vec![now])]));
    clusters[0].nodes[0].clone()
}

/// By a later kill, a client that came back in between would be hunted.
#[test]
fn the_first_kill_that_was_acknowledged_divides_leftovers_from_what_returned() {
    let first = node("m", Some(acknowledged(10, &["1", "2"])));
    let second = node("m", Some(acknowledged(20, &["2"])));
    let left = after(first, second).left.unwrap();
    assert_eq!(left.killed_at, Some(at(10)));
    assert_eq!(left.process, Some(Process("p10".into())));
    assert_eq!(left.leftovers, [Leftover::Cursor("2".into())]);
}

#[test]
fn a_node_that_was_not_reached_again_keeps_what_is_known_of_it() {
    let first = node("m", Some(acknowledged(10, &["1"])));
    assert_eq!(after(first.clone(), node("m", Some(unreached()))).left, first.left);
    let looked = Left { leftovers: vec![Leftover::Cursor("7".into())], ..unreached() };
    let both = after(first, node("m", Some(looked))).left.unwrap();
    assert_eq!((both.leftovers.len(), both.killed_at), (2, Some(at(10))));
}

#[test]
fn a_node_that_is_reached_at_last_begins_with_its_own_kill() {
    let left = after(node("m", Some(unreached())), node("m", Some(acknowledged(20, &["3"])))).left;
    assert_eq!(left, Some(acknowledged(20, &["3"])));
}

#[test]
fn counts_add_up_and_what_was_unknown_may_become_known() {
    let count = |found, killed| {
        let mut node = node("m", None);
        (node.report.found, node.report.killed) = (found, killed);
        node
    };
    let table = [
        ((Some(3), Some(2)), (Some(0), Some(1)), (Some(3), Some(3))),
        ((None, None), (Some(5), Some(5)), (Some(5), Some(5))),
        ((Some(3), None), (None, None), (Some(3), None)),
        ((None, None), (None, None), (None, None)),
    ];
    for (before, now, both) in table {
        let merged = after(count(before.0, before.1), count(now.0, now.1)).report;
        assert_eq!((merged.found, merged.killed, merged.attempts), (both.0, both.1, 2), "{before:?} {now:?}");
    }
}

#[test]
fn a_member_that_has_left_the_cluster_is_hunted_no_more_once_that_is_sure() {
    let before = Work(vec![cluster(vec![node("gone", Some(unreached())), node("stays", Some(unreached()))])]);
    let seen = |complete| {
        Work(vec![ClusterWork { complete, ..cluster(vec![node("new", None), node("stays", None)]) }])
    };
    let hosts = |work: Work| work.0[0].nodes.iter().map(|node| node.report.host.clone()).collect::<Vec<_>>();
    assert!(before.after(seen(true)).is_done());
    assert_eq!(hosts(before.after(seen(true))), ["new", "stays"]);
    assert!(!before.after(seen(false)).is_done());
    assert_eq!(hosts(before.after(seen(false))), ["gone", "new", "stays"]);
}

#[test]
fn a_cluster_whose_members_are_not_all_known_is_not_done() {
    let unknown = ClusterWork { complete: false, ..cluster(vec![node("m", None)]) };
    assert!(!Work(vec![unknown]).is_done());
}

#[test]
fn a_cluster_of_which_the_attempt_says_nothing_stays_as_it_was_and_a_strange_one_is_no_part_of_it() {
    let strange = ClusterWork { name: "strange".into(), ..cluster(vec![node("m", None)]) };
    assert_eq!(work(true).after(Work(vec![strange])), work(true));
    assert_eq!(work(true).after(Work(Vec::new())), work(true));
}

#[test]
fn a_leftover_is_known_again_as_what_it_was() {
    let session = SessionId { id: uuid::Uuid::from_u128(7), uid: principal("alice").digest() };
    for identity in [
        Identity::Operation { connection: -3, opid: "shard01:77".into() },
        Identity::Cursor(i64::MIN),
        Identity::Cursor(i64::MAX),
        Identity::Transaction { session, number: 9 },
    ] {
        let json = serde_json::to_string(&Leftover::from(&identity)).unwrap();
        let read: Leftover = serde_json::from_str(&json).unwrap();
        assert_eq!(read.identity(), Some(identity), "{json}");
    }
}

#[test]
fn a_leftover_that_cannot_be_is_nothing() {
    for leftover in [
        Leftover::Cursor("seven".into()),
        Leftover::Transaction { id: uuid::Uuid::nil(), uid: "é".repeat(32), number: 1 },
        Leftover::Transaction { id: uuid::Uuid::nil(), uid: "+1".repeat(32), number: 1 },
        Leftover::Transaction { id: uuid::Uuid::nil(), uid: "00".into(), number: 1 },
    ] {
        assert_eq!(leftover.identity(), None, "{leftover:?}");
    }
}

/// Shorter lists, never another meaning: what is no longer listed is told by when it began.
#[test]
fn a_job_is_cut_until_it_fits() {
    let many: Vec<Leftover> = (0..50_000).map(|id| Leftover::Cursor(format!("{id:020}"))).collect();
    let error =
        NodeError { class: ErrorClass::Transient, code: None, node: "m".into(), message: "x".repeat(5_000) };
    let full = |host: String| {
        let left = Left { leftovers: many.clone(), ..acknowledged(10, &[]) };
        let mut node = node(&host, Some(left));
        node.report.errors = vec![error.clone(); 3];
        node
    };
    let big = Job { work: Work(vec![cluster((0..3).map(|i| full(format!("m{i}"))).collect())]), ..job(0) };
    let fitted = big.fit().unwrap();
    let left = fitted.work.0[0].nodes[0].left.clone().unwrap();
    assert_eq!((left.leftovers.len(), left.truncated, left.killed_at), (1_000, true, Some(at(10))));
    assert_eq!(fitted.work.0[0].nodes[0].report.errors.len(), 1);
    assert!(fitted.creation().unwrap().len() < super::super::wire::MAX_RECORD);

    let wide = Job { work: Work(vec![cluster((0..60).map(|i| full(format!("m{i}"))).collect())]), ..job(0) };
    let fitted = wide.fit().unwrap();
    assert_eq!(fitted.work.0[0].nodes[0].left.clone().unwrap().leftovers.len(), 100);
}

#[test]
fn a_job_that_cannot_be_written_down_at_all_is_refused() {
    let crowd = (0..20_000).map(|i| report(&format!("user with a long name {i:040}"))).collect();
    let job = Job { principals: Named::new(crowd).unwrap(), ..job(0) };
    assert!(job.fit().is_err_and(|too_large| too_large.bytes > super::super::wire::MAX_RECORD));
}

#[test]
fn a_case_whose_rest_cannot_be_written_down_ends_and_says_so() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    let nodes = (0..3_000).map(|i| node(&format!("m{i}"), Some(unreached()))).collect();
    let attempted = Attempted::Tried { work: Work(vec![cluster(nodes)]), principals: Vec::new() };
    let effects = desk.tell(|book, context| book.attempted(case(), turn, attempted, 0, context)).unwrap();
    assert!(line(&commit(&effects)).starts_with("[outcome 2 too large, final | done n0 seq 2"));
}

#[test]
fn nobody_and_nobody_who_can_be_is_no_job() {
    let spared = PrincipalReport { spared: true, ..report("alice") };
    for everybody in [vec![], vec![spared], vec![PrincipalReport { db: "a@b".into(), ..report("bob") }]] {
        assert_eq!(Named::new(everybody), Err(NobodyNamed));
    }
}

fn cursors(ids: &[i64]) -> Remains {
    Remains {
        process: Some(ProcessId("p1".into())),
        killed_at: Some(at(2)),
        leftovers: ids.iter().map(|id| Identity::Cursor(*id)).collect(),
        truncated: true,
    }
}

/// Two clusters, of which the second is done.
fn terminated() -> Termination {
    let remains = |name: &str, left: Option<Remains>| ClusterRemains {
        name: name.into(),
        complete: true,
        asked_at: at(1),
        nodes: vec![("m1".into(), None), ("m2".into(), left)],
    };
    let done = ClusterWork { name: "lab".into(), ..cluster(vec![node("m1", None), node("m2", None)]) };
    let mut m2 = node("m2", Some(unreached()));
    (m2.report.found, m2.report.killed) = (Some(5), Some(3));
    let left = cluster(vec![node("m1", None), m2]);
    Termination {
        clusters: Work(vec![left, done]).reports(),
        principals: vec![report("alice")],
        cut_by: None,
        remains: vec![remains("orders", Some(cursors(&[7, i64::MAX]))), remains("lab", None)],
    }
}

#[test]
fn what_a_batch_has_left_is_what_the_next_attempt_is_told() {
    let termination = terminated();
    let work = Work::begin(&termination);
    assert_eq!(work.reports(), termination.clusters, "and nothing that was said is lost");
    assert!(!work.is_done() && work.0[1].is_done());
    let hunt = Job { work, ..job(0) }.hunt(uuid::Uuid::from_u128(3));
    assert_eq!(
        (hunt.case, hunt.attempt, &hunt.principals),
        (case(), uuid::Uuid::from_u128(3), job(0).principals.targets())
    );
    let [on] = &hunt.clusters[..] else { panic!("one is done: {hunt:?}") };
    assert_eq!((&*on.name, on.asked_at), ("orders", at(1)));
    let told: Vec<_> =
        on.nodes.iter().map(|node| (&*node.host, node.remains.clone(), node.outstanding)).collect();
    assert_eq!(told, [("m1", None, 0), ("m2", Some(cursors(&[7, i64::MAX])), 2)]);
}

#[test]
fn a_plan_that_was_only_looked_at_leaves_no_work() {
    let looked = Termination { remains: Vec::new(), ..terminated() };
    assert!(Work::begin(&looked).is_done());
}

#[test]
fn what_came_of_a_hunt_is_what_the_attempt_is_answered_with() {
    assert_eq!(Attempted::of(None), Attempted::NotAsked);
    let termination = terminated();
    let hunted = Hunted { termination: termination.clone(), stopped: true };
    let tried = Attempted::Tried { work: Work::begin(&termination), principals: vec![report("alice")] };
    assert_eq!(Attempted::of(Some(hunted)), tried);
}
