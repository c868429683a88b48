//! What is left after a cut for a later attempt: enough to tell leftovers from what returned, and
//! nothing where another attempt would end the same.

use std::sync::atomic::Ordering;

use super::{
    fake::{
        FakeCluster,
        Temper::{Immortal, Lingering, Mortal, Returning},
    },
    *,
};
use crate::terminate::{member::ProcessId, survey::Identity};

fn alice() -> Order {
    order(vec![part("1", &["alice@admin"])])
}

async fn run(cluster: &FakeCluster, order: &Order) -> ClusterRun {
    cluster::run(cluster, order, &short(), &Circuits::default(), false).await
}

/// Of the order's first case, on the one member.
async fn left_on(member: &Arc<Fake>, order: &Order) -> Option<Remains> {
    run(&FakeCluster::of(&[member]), order).await.remains.remove(0).nodes.remove(0).1
}

fn named(opid: &str) -> Identity {
    Identity::Operation { connection: 1, opid: opid.to_owned() }
}

#[tokio::test]
async fn nothing_is_left_where_another_attempt_would_end_the_same() {
    let clean = Fake::new("m:1");
    clean.runs(&["alice@admin"], true, Returning(100));
    assert_eq!(left_on(&clean, &alice()).await, None, "what returned is not hunted");

    let shared = Fake::new("m:1");
    shared.runs(&["alice@admin", "bob@admin"], false, Mortal);
    assert_eq!(left_on(&shared, &alice()).await, None);

    let unsupported = Fake::new("m:1");
    unsupported.authorized.store(false, Ordering::SeqCst);
    assert_eq!(left_on(&unsupported, &alice()).await, None);

    let mongos = Fake::new("m:1");
    mongos.sees_all.store(false, Ordering::SeqCst);
    assert_eq!(left_on(&mongos, &alice()).await, None);
}

#[tokio::test]
async fn what_is_left_is_told_by_identity_and_by_the_time_of_the_kill() {
    for temper in [Immortal, Lingering] {
        let member = Fake::new("m:1");
        member.runs(&["alice@admin"], true, temper);
        member.runs(&["alice@admin"], true, Mortal);
        let left = left_on(&member, &alice()).await.unwrap();
        assert_eq!((left.leftovers, left.truncated), (vec![named("1")], false));
        assert_eq!(left.process, Some(ProcessId("first".to_owned())));
        assert!(left.killed_at.is_some_and(|at| at <= Timestamp::now()), "{temper:?}");
    }
}

#[tokio::test]
async fn of_a_member_that_was_not_reached_nothing_is_known() {
    let member = Fake::new("m:1");
    member.dead.store(true, Ordering::SeqCst);
    let before = Timestamp::now();
    let run = run(&FakeCluster::of(&[&member]), &alice()).await;
    assert_eq!(run.remains[0].nodes, [("m:1".to_owned(), Some(Remains::default()))]);
    let later = run.remains[0].asked_at.duration_since(before);
    assert!(later < (short().inline_budget / 2).try_into().unwrap(), "when we began, not when we gave up");
}

#[tokio::test]
async fn a_check_that_failed_leaves_what_was_there_before() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], true, Mortal);
    let denied = member.clone();
    member.before_look(0, move |_| {
        *denied.survey_error.lock().unwrap() = Some(error(ErrorClass::Permanent, 13));
    });
    let left = left_on(&member, &alice()).await.unwrap();
    assert_eq!(left.leftovers, [named("1")]);
    assert!(left.killed_at.is_some());
}

/// The others' kill was acknowledged, this one's was not.
#[tokio::test]
async fn a_case_whose_kill_was_refused_has_no_time_of_a_kill() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], true, Mortal);
    member.runs(&["bob@admin"], true, Mortal);
    let refusal = || Err(error(ErrorClass::Permanent, 13));
    member.kills.lock().unwrap().extend([refusal(), refusal(), Ok(())]);
    let both = order(vec![part("1", &["alice@admin"]), part("2", &["bob@admin"])]);
    let run = run(&FakeCluster::of(&[&member]), &both).await;
    let left = run.remains.iter().map(|remains| remains.nodes[0].1.clone()).collect::<Vec<_>>();
    assert_eq!(left[1], None);
    let refused = left[0].clone().unwrap();
    assert_eq!((refused.killed_at, refused.leftovers), (None, vec![named("1")]));
}

#[tokio::test]
async fn where_the_kill_was_refused_nothing_is_proven_by_seeing_nothing() {
    let member = Fake::new("m:1");
    member.kills.lock().unwrap().push_back(Err(error(ErrorClass::Permanent, 13)));
    let process = Some(ProcessId("first".to_owned()));
    assert_eq!(left_on(&member, &alice()).await, Some(Remains { process, ..Remains::default() }));
}

/// A hunt then sees that whatever ran is gone.
#[tokio::test]
async fn after_a_restart_the_process_that_is_gone_is_the_one_to_look_for() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], true, Mortal);
    let restarted = member.clone();
    member.before_look(0, move |_| {
        restarted.restarts();
    });
    let other = member.clone();
    member.before_look(1, move |_| {
        *other.survey_error.lock().unwrap() = Some(error(ErrorClass::Permanent, 13));
    });
    let left = left_on(&member, &alice()).await;
    assert_eq!(
        left.map(|left| (left.process, left.leftovers)),
        Some((Some(ProcessId("first".to_owned())), Vec::new()))
    );
}

#[tokio::test]
async fn a_plan_that_was_only_looked_at_leaves_nothing() {
    let member = Fake::new("m:1");
    member.dead.store(true, Ordering::SeqCst);
    let run =
        cluster::run(&FakeCluster::of(&[&member]), &alice(), &short(), &Circuits::default(), true).await;
    assert!(run.remains.is_empty());
}

#[tokio::test]
async fn where_members_may_be_missing_what_is_left_is_not_complete() {
    let member = Fake::new("m:1");
    let mut cluster = FakeCluster::of(&[&member]);
    assert!(run(&cluster, &alice()).await.remains[0].complete);
    cluster.incomplete = Some(error(ErrorClass::Permanent, 13));
    assert!(!run(&cluster, &alice()).await.remains[0].complete);
}
