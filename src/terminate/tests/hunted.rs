//! A hunt on a cluster: who is asked, and who is not.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{
    fake::{FakeCluster, Temper::Mortal},
    hunts::{at, hunt, killed_at_10, named, node, operation, terminator},
    *,
};

/// Alice's operation since second 1 on each.
fn members<const N: usize>(hosts: [&str; N]) -> [Arc<Fake>; N] {
    hosts.map(|host| {
        let member = Fake::new(host);
        member.has(operation(1, Some(at(1))), Mortal);
        member
    })
}

fn said(hunted: &Hunted) -> Vec<String> {
    let cluster = &hunted.termination.clusters[0];
    cluster.nodes.iter().map(|node| format!("{} {}", node.host, line(node))).collect()
}

#[tokio::test]
async fn a_node_that_is_done_is_not_asked_again_and_a_new_one_is() {
    let [done, left, new] = members(["a:1", "b:1", "c:1"]);
    let nodes = vec![node("a:1", None), node("b:1", Some(killed_at_10(&[])))];
    let hunted = terminator(&[&done, &left, &new], short()).hunt(hunt(nodes), || true).await.unwrap();
    assert_eq!(said(&hunted), ["b:1 Clean found 1 killed 1 left 0", "c:1 Clean found 1 killed 1 left 0"]);
    assert_eq!(done.still_has(), [named(1)]);
    let remains = &hunted.termination.remains[0];
    assert_eq!((remains.complete, remains.asked_at), (true, at(5)));
    assert_eq!(remains.nodes, [("b:1".to_owned(), None), ("c:1".to_owned(), None)]);
}

#[tokio::test]
async fn a_member_that_has_left_is_not_asked_unless_members_may_be_missing() {
    let [stays, gone] = members(["a:1", "b:1"]);
    let nodes = || vec![node("a:1", Some(killed_at_10(&[]))), node("b:1", Some(killed_at_10(&[])))];
    let mut cluster = FakeCluster::of(&[&stays, &gone]);
    cluster.now = Ok(vec![stays.clone()]);
    let left = Terminator::new(vec![Arc::new(cluster)], short());
    assert_eq!(
        said(&left.hunt(hunt(nodes()), || true).await.unwrap()),
        ["a:1 Clean found 1 killed 1 left 0"]
    );

    for now in [Ok(vec![stays.clone()]), Err(error(ErrorClass::Transient, 6))] {
        let mut cluster = FakeCluster::of(&[&stays, &gone]);
        (cluster.now, cluster.incomplete) = (now, Some(error(ErrorClass::Transient, 6)));
        let unsure = Terminator::new(vec![Arc::new(cluster)], short());
        let hunted = unsure.hunt(hunt(nodes()), || true).await.unwrap();
        assert_eq!(said(&hunted).len(), 2);
        assert!(!hunted.termination.remains[0].complete);
    }
    assert!(gone.still_has().is_empty());
}

#[tokio::test]
async fn a_member_that_is_not_waited_for_is_not_asked() {
    let [dead, other] = members(["a:1", "b:1"]);
    dead.dead.store(true, Ordering::SeqCst);
    let terminator = terminator(&[&dead, &other], short());
    terminator.circuits["orders"].trip(dead.clone());
    let alone = vec![node("a:1", Some(Remains::default())), node("b:1", None)];
    assert_eq!(terminator.hunt(hunt(alone), || true).await, None, "nobody was asked");

    let both = vec![node("a:1", Some(Remains::default())), node("b:1", Some(killed_at_10(&[])))];
    let hunted = terminator.hunt(hunt(both), || true).await.unwrap();
    assert_eq!(
        said(&hunted),
        ["a:1 Unreachable found ? killed ? left 0 (no code)", "b:1 Clean found 1 killed 1 left 0"]
    );
    let remains = &hunted.termination.remains[0].nodes;
    assert_eq!(remains[..], [("a:1".to_owned(), Some(Remains::default())), ("b:1".to_owned(), None)]);
}

#[tokio::test]
async fn a_cluster_that_is_known_whole_at_last_is_done_without_asking_anybody() {
    let [done] = members(["a:1"]);
    let hunted = terminator(&[&done], short()).hunt(hunt(vec![node("a:1", None)]), || true).await.unwrap();
    let remains = &hunted.termination.remains[0];
    assert_eq!((remains.complete, remains.nodes.len()), (true, 0));
}

#[tokio::test]
async fn a_cluster_that_is_no_longer_configured_is_named() {
    let none: Terminator<FakeCluster> = Terminator::new(Vec::new(), short());
    let hunted = none.hunt(hunt(vec![node("a:1", Some(killed_at_10(&[])))]), || true).await.unwrap();
    assert!(hunted.termination.clusters[0].errors[0].message.contains("no cluster of this name"));
    assert!(!hunted.termination.remains[0].complete);
}

#[tokio::test]
async fn once_it_may_kill_no_longer_it_is_over_on_every_member() {
    let [one, two] = members(["a:1", "b:1"]);
    let nodes = ["a:1", "b:1"].map(|host| node(host, Some(killed_at_10(&[]))));
    // Asked at the start, and then for the first member that has something.
    let asked = AtomicUsize::new(0);
    let may_kill = || asked.fetch_add(1, Ordering::SeqCst) != 1;
    let hunted = terminator(&[&one, &two], short()).hunt(hunt(nodes.into()), may_kill).await.unwrap();
    assert!(hunted.stopped && one.asked().is_empty() && two.asked().is_empty());
}
