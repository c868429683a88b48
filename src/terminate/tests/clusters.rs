//! A cluster's members, all at once, and who is known there.

use std::sync::atomic::Ordering;

use super::{
    fake::{FakeCluster, Temper::Mortal},
    *,
};

async fn run(cluster: &FakeCluster, order: &Order) -> ClusterRun {
    cluster::run(cluster, order, &short(), &Circuits::default(), false).await
}

fn told(report: &ClusterReport) -> Vec<String> {
    let nodes = report.nodes.iter().map(|node| format!("{} {}", node.host, line(node)));
    std::iter::once(format!("{:?}", report.status)).chain(nodes).collect()
}

fn alice() -> Order {
    order(vec![part("1", &["alice@admin"])])
}

#[tokio::test]
async fn every_member_is_asked_and_named_in_order() {
    let (one, two) = (Fake::new("a:1"), Fake::new("b:1"));
    two.runs(&["alice@admin"], true, Mortal);
    let run = run(&FakeCluster::of(&[&two, &one]), &alice()).await;
    assert_eq!(
        told(&run.reports[0]),
        ["Terminated", "a:1 Clean found 0 killed 0 left 0", "b:1 Clean found 1 killed 1 left 0"]
    );
}

#[tokio::test]
async fn a_member_that_is_new_is_cut_as_well_and_one_that_left_is_not_waited_for() {
    let (stays, new, left) = (Fake::new("a:1"), Fake::new("b:1"), Fake::new("c:1"));
    new.runs(&["alice@admin"], true, Mortal);
    left.dead.store(true, Ordering::SeqCst);
    let mut cluster = FakeCluster::of(&[&stays, &left]);
    cluster.now = Ok(vec![stays.clone(), new.clone()]);
    let run = run(&cluster, &alice()).await;
    assert_eq!(
        told(&run.reports[0]),
        ["Terminated", "a:1 Clean found 0 killed 0 left 0", "b:1 Clean found 1 killed 1 left 0"]
    );
}

#[tokio::test]
async fn where_members_may_be_missing_the_case_is_partial() {
    let member = Fake::new("a:1");
    let mut cluster = FakeCluster::of(&[&member]);
    cluster.incomplete = Some(error(ErrorClass::Permanent, 13));
    let partial = run(&cluster, &alice()).await;
    assert_eq!(partial.reports[0].status, ClusterStatus::Partial);
    assert_eq!(partial.reports[0].errors, [error(ErrorClass::Permanent, 13)]);

    cluster.now = Err(error(ErrorClass::Transient, 6));
    let partial = run(&cluster, &alice()).await;
    assert_eq!((partial.reports[0].status, partial.reports[0].nodes.len()), (ClusterStatus::Partial, 1));
    assert_eq!(partial.reports[0].errors, [error(ErrorClass::Transient, 6)]);
}

#[tokio::test]
async fn where_nobody_is_known_the_case_has_failed() {
    let mut cluster = FakeCluster::of(&[]);
    cluster.now = Err(error(ErrorClass::Transient, 6));
    let failed = run(&cluster, &alice()).await;
    assert_eq!((failed.reports[0].status, failed.reports[0].nodes.len()), (ClusterStatus::Failed, 0));
}

#[tokio::test]
async fn one_slow_member_does_not_hold_up_the_kill_on_another() {
    let (slow, quick) = (Fake::new("a:1"), Fake::new("b:1"));
    slow.dead.store(true, Ordering::SeqCst);
    quick.runs(&["alice@admin"], true, Mortal);
    let run = run(&FakeCluster::of(&[&slow, &quick]), &alice()).await;
    assert_eq!(run.reports[0].status, ClusterStatus::Partial);
    let killed_at = run.reports[0].nodes[1].killed_at.unwrap();
    assert!(Timestamp::now().duration_since(killed_at) >= (short().inline_budget / 2).try_into().unwrap());
}

#[tokio::test]
async fn who_was_seen_is_known_and_the_others_are_looked_up() {
    let member = Fake::new("a:1");
    member.runs(&["alice@admin"], true, Mortal);
    member.idles(&["bob@admin"], "10.0.0.1");
    let mut cluster = FakeCluster::of(&[&member]);
    let near = vec![Near { user: "carol".to_owned(), db: "app".to_owned() }];
    cluster.users = vec![("carol@admin", Known::No, near.clone()), ("dan@admin", Known::Yes, Vec::new())];
    let names = ["alice@admin", "bob@admin", "carol@admin", "dan@admin"];
    let run = run(&cluster, &order(vec![part("1", &names)])).await;
    let known = names.map(|name| run.known[&who(name)].clone());
    let yes = (Known::Yes, Vec::new());
    assert_eq!(known, [yes.clone(), yes.clone(), (Known::No, near), yes]);
}

#[tokio::test]
async fn where_nobody_answers_nobody_is_called_unknown_to_the_cluster() {
    let member = Fake::new("a:1");
    member.dead.store(true, Ordering::SeqCst);
    let run = run(&FakeCluster::of(&[&member]), &alice()).await;
    assert!(run.known.is_empty(), "not knowing is no `no`");
}

#[tokio::test]
async fn a_simulated_plan_is_in_no_kill_and_each_case_counts_its_own() {
    let member = Fake::new("a:1");
    for name in ["alice@admin", "bob@admin", "carol@admin"] {
        member.runs(&[name], true, Mortal);
    }
    let terminator = Terminator::new(vec![Arc::new(FakeCluster::of(&[&member]))], short());
    let plan = |id: &str, names: &[&str]| Plan {
        case: case_of(id),
        clusters: vec!["orders".into()],
        target: crate::decide::Target::Principals(part(id, names).principals),
    };
    let decided = vec![
        decided("1", Decision::Terminate(plan("1", &["alice@admin"]))),
        decided("2", Decision::Simulate(plan("2", &["bob@admin"]))),
        decided("3", Decision::Terminate(plan("3", &["carol@admin", "alice@admin"]))),
        decided("4", Decision::NoRule),
    ];

    let done = terminator.terminate(Uuid::nil(), decided).await;

    assert_eq!(member.asked(), [format!("kill {} {}", case_of("1"), case_of("3"))]);
    let told: Vec<Option<Vec<String>>> =
        done.iter().map(|one| Some(told(&one.termination.as_ref()?.clusters[0]))).collect();
    let node = |text: &str| Some(text.split('|').map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(
        told,
        [
            node("Terminated|a:1 Clean found 1 killed 1 left 0"),
            node("Simulated|a:1 looked at found 1 killed 0 left 0"),
            node("Terminated|a:1 Clean found 2 killed 2 left 0"),
            None,
        ]
    );
}

fn decided(id: &str, decision: Decision) -> Decided {
    let now = Timestamp::UNIX_EPOCH;
    let case = Case {
        id: case_of(id),
        origin: crate::ingest::Origin::Local,
        trigger: None,
        rule: None,
        class: None,
        dry_run: false,
        spared: Vec::new(),
        remarks: Vec::new(),
        event_time: crate::case::EventTime { at: now, suspect: false },
        received_at: now,
        decided_at: now,
        maybe_rerun: false,
        redriven: 0,
    };
    Decided { case, decision }
}
