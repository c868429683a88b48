//! What a batch could not end is hunted later, and nothing else is: whoever came back lives on.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};
use severance::{
    case::{CaseId, EventTime},
    decide::{Case, Decided, Decision, Plan, Target},
    edge::{
        mongo_cluster::MongoCluster,
        mongo_lab::{Kind, Sessions, Work},
    },
    ingest::Origin,
    jobs::{self, Attempted},
    lab::{Credentials, ReplicaSet, Signal},
    principal::Principals,
    terminate::{Hunt, NodeReport, NodeStatus, Pace, Termination, Terminator, hunt::ClusterHunt},
};
use uuid::Uuid;

use crate::{
    harmed::{fail_command, harmed},
    support::{
        block_on,
        people::{GONE, assert_ended, assert_untouched, query, user, work},
        responder::{account, config},
    },
};

async fn terminator(set: &ReplicaSet, own: &str) -> Terminator<MongoCluster> {
    let own = account(set, own).await;
    let config = config(&set.uri(&own), "");
    let cluster = MongoCluster::new(&config.clusters[0]).await.expect("a cluster");
    let pace = Pace {
        inline_budget: Duration::from_secs(3),
        evidence_wait: Duration::from_millis(900),
        max_items: 100,
        verify_rounds: 3,
    };
    Terminator::new(vec![Arc::new(cluster)], pace)
}

fn about(who: &Credentials) -> (CaseId, Principals) {
    let principal = format!("{}@admin", who.user).parse().expect("a principal");
    (CaseId::of_event("/test", &who.user), Principals::new([principal]).expect("somebody"))
}

/// What the batch of a trigger does.
async fn cut(terminator: &Terminator<MongoCluster>, who: &Credentials) -> Termination {
    let (id, principals) = about(who);
    let now = Timestamp::now();
    let case = Case {
        id,
        origin: Origin::Local,
        trigger: None,
        rule: None,
        class: None,
        dry_run: false,
        spared: Vec::new(),
        remarks: Vec::new(),
        event_time: EventTime { at: now, suspect: false },
        received_at: now,
        decided_at: now,
        maybe_rerun: false,
        redriven: 0,
    };
    let plan = Plan { case: id, clusters: vec!["lab".into()], target: Target::Principals(principals) };
    let decided = vec![Decided { case, decision: Decision::Terminate(plan) }];
    terminator.terminate(Uuid::now_v7(), decided).await.remove(0).termination.expect("a termination")
}

fn hunt(work: &jobs::Work, who: &Credentials) -> Hunt {
    let (case, principals) = about(who);
    work.hunt(case, Uuid::now_v7(), principals)
}

/// The work after an attempt that was begun, and what that said of its nodes.
async fn hunted(
    terminator: &Terminator<MongoCluster>,
    work: &jobs::Work,
    who: &Credentials,
) -> (jobs::Work, Vec<NodeReport>) {
    let hunted = terminator.hunt(hunt(work, who), || true).await.expect("it is begun");
    let nodes = hunted.termination.clusters[0].nodes.clone();
    let Attempted::Tried { work: attempt, .. } = Attempted::of(Some(hunted)) else {
        panic!("it was tried");
    };
    (work.after(attempt), nodes)
}

fn counts(node: &NodeReport) -> (Option<NodeStatus>, Option<u64>, Option<u64>, u64) {
    (node.status, node.found, node.killed, node.returned_active)
}

fn kills_on(set: &ReplicaSet, member: usize, who: &Credentials) -> usize {
    let case = about(who).0.to_string();
    let kills = set.logged_kills(member).expect("a log");
    kills.iter().filter(|line| line.to_string().contains(&case)).count()
}

async fn secondary(set: &ReplicaSet) -> usize {
    let primary = set.primary().await.expect("a primary");
    let mut others = (0..set.size()).filter(|member| *member != primary && Some(*member) != set.hidden());
    others.next().expect("a secondary")
}

#[test]
fn on_a_member_that_was_frozen_what_began_before_is_ended_and_what_came_back_is_not() {
    block_on(async {
        let set = harmed().await;
        let (who, first) = (user(&set, "chased", "admin").await, user(&set, "chased-first", "admin").await);
        let terminator = terminator(&set, "hunter-frozen").await;
        let mut closed = terminator.circuits_closed();
        let (frozen, other) = (secondary(&set).await, set.primary().await.expect("a primary"));
        let running = [query(&set, frozen, &who).await, query(&set, other, &who).await];
        let kept = Work::new(Kind::Cursor, "shell").sessions(Sessions::Explicit);
        let kept = work(&set, frozen, &who, kept).await;
        let sessionless = Work::new(Kind::Query, "by hand").sessions(Sessions::None);
        let sessionless = work(&set, frozen, &who, sessionless).await;
        assert!(jobs::Work::begin(&cut(&terminator, &first).await).is_done(), "all members are known");

        set.signal(frozen, Signal::Stop).expect("it stops");
        // Whoever is first waits for it in vain; a command of theirs may still reach it when it goes on.
        cut(&terminator, &first).await;
        let left = jobs::Work::begin(&cut(&terminator, &who).await);
        assert_ended(&running[1..]).await;
        let back = query(&set, other, &who).await;
        let case = hunt(&left, &who);
        assert_eq!(terminator.hunt(case, || true).await, None, "it is not waited for");
        set.signal(frozen, Signal::Continue).expect("it goes on");
        assert_eq!(closed.next().await, Some(vec!["lab".into()]));
        set.wait_healthy().await.expect("it is back");
        let late = query(&set, frozen, &who).await;
        let before = kills_on(&set, other, &who);

        let (after, nodes) = hunted(&terminator, &left, &who).await;

        let [node] = &nodes[..] else { panic!("the others are done and not asked again: {nodes:#?}") };
        assert_eq!(node.host, set.host(frozen));
        assert_eq!(counts(node), (Some(NodeStatus::Clean), Some(3), Some(3), 1), "{node:#?}");
        assert!(after.is_done());
        assert_ended(&running).await;
        assert_ended(&[sessionless]).await;
        assert_eq!(kept.probe().await.expect_err("the cursor is gone").code, Some(43));
        assert_eq!(kills_on(&set, other, &who), before);
        assert_untouched([&back, &late]);
    });
}

/// On every member the kill is refused; on one it ends with the process, on the others by a hunt.
#[test]
fn a_restarted_member_has_nothing_left_and_the_others_are_hunted_while_one_may() {
    block_on(async {
        let set = harmed().await;
        let who = user(&set, "refused", "admin").await;
        let terminator = terminator(&set, "hunter-refused").await;
        let (restarted, other) = (secondary(&set).await, set.primary().await.expect("a primary"));
        let victims = [query(&set, restarted, &who).await, query(&set, other, &who).await];
        for member in [restarted, other] {
            let refuse = json!({"mode": "alwaysOn", "data": {
                "failCommands": ["killAllSessionsByPattern"], "appName": "severance", "errorCode": 13,
            }});
            fail_command(&set, member, refuse).await;
        }
        let left = jobs::Work::begin(&cut(&terminator, &who).await);
        assert_eq!(left.cumulative().found, Some(2));
        assert_untouched(&victims);
        fail_command(&set, other, json!({"mode": "off"})).await;

        assert_eq!(terminator.hunt(hunt(&left, &who), || false).await, None);
        assert_untouched(&victims);
        set.kill(restarted).await.expect("it ends");
        set.restart(restarted).await.expect("it starts");
        set.wait_healthy().await.expect("a healthy set");
        let back = query(&set, restarted, &who).await;

        let (after, mut nodes) = hunted(&terminator, &left, &who).await;

        nodes.sort_by_key(|node| node.host != set.host(restarted));
        assert_eq!(counts(&nodes[0]), (Some(NodeStatus::EndedByRestart), Some(0), Some(1), 1));
        assert_eq!(counts(&nodes[1]), (Some(NodeStatus::Clean), Some(0), Some(1), 0));
        assert_eq!((nodes.len(), after.is_done(), after.cumulative().killed), (2, true, Some(2)));
        assert_ended(&victims).await;
        assert_untouched([&back]);
    });
}

/// All that one ever sees of it are requests that began a moment ago.
#[test]
fn a_cursor_that_is_read_all_the_time_began_when_it_was_opened() {
    block_on(async {
        let set = harmed().await;
        let who = user(&set, "reader", "admin").await;
        let terminator = terminator(&set, "hunter-reader").await;
        let member = set.primary().await.expect("a primary");
        let wait = Duration::from_millis(400);
        let _reader = work(&set, member, &who, Work::new(Kind::ChangeStream { wait }, "reader")).await;
        let reads = |op: &Value| op["active"] == true && op["appName"] == "reader" && op["op"] == "getmore";
        let first = set.admin(member).wait_for_op(GONE, reads).await.expect("a request");
        let asked_at = Timestamp::now();
        let later = |op: &Value| reads(op) && op["opid"] != first["opid"];
        set.admin(member).wait_for_op(GONE, later).await.expect("a later request");
        let (case, principals) = about(&who);
        let on = ClusterHunt { name: "lab".into(), asked_at, nodes: Vec::new() };
        let all = Hunt { case, attempt: Uuid::now_v7(), principals, clusters: vec![on] };

        let hunted = terminator.hunt(all, || true).await.expect("it is begun");

        let nodes = &hunted.termination.clusters[0].nodes;
        let node = nodes.iter().find(|node| node.host == set.host(member)).expect("the primary");
        assert_eq!((node.status, node.found, node.killed), (Some(NodeStatus::Clean), Some(1), Some(1)));
        assert_eq!(kills_on(&set, member, &who), 1, "by its session");
    });
}
