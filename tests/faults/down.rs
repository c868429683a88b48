//! A member that is gone or hangs: named, waited for once, and asked again when it is back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use severance::{
    lab::{ReplicaSet, Signal},
    responder::Responder,
};

use crate::{
    harmed::harmed,
    support::{
        block_on,
        people::{GONE, assert_ended, node, nodes, query, user},
        responder::{account, compromised, respond_to, responder},
    },
};

/// The default of `limits.inline_budget`.
const BUDGET: Duration = Duration::from_secs(2);
/// What a busy machine may need on top for everything else.
const SLACK: Duration = Duration::from_millis(1_500);

async fn cut(responder: &Responder, who: &str) -> (Value, Duration) {
    let began = Instant::now();
    let outcome = respond_to(responder, compromised(&[who])).await;
    (outcome, began.elapsed())
}

/// Partial, with this member named unreachable and every other one clean.
fn assert_unreachable(set: &ReplicaSet, outcome: &Value, member: usize) {
    assert_eq!(
        (&outcome["status"], &outcome["reason"], &outcome["alert"]),
        (&json!("partial"), &json!("unreachable_members"), &json!("error")),
        "{outcome:#}"
    );
    assert_eq!(nodes(outcome).len(), set.size());
    for one in nodes(outcome) {
        let wanted = if one["host"] == set.host(member) { "unreachable" } else { "clean" };
        assert_eq!(one["status"], wanted, "{one:#}");
    }
    let errors = node(set, outcome, member)["errors"].as_array().expect("errors").len();
    assert!(errors > 0, "an unreachable member without a word why: {outcome:#}");
}

/// One outage from beginning to end: it costs one budget, once.
async fn outage(set: &ReplicaSet, tag: &str, begin: impl AsyncFnOnce(usize), end: impl AsyncFnOnce(usize)) {
    let names = ["first", "second", "third"].map(|name| format!("{tag}-{name}"));
    let mut people = Vec::new();
    for name in &names {
        people.push(user(set, name, "admin").await);
    }
    let own = account(set, &format!("responder-{tag}")).await;
    let responder = responder(&set.uri(&own), "").await;
    let primary = set.primary().await.expect("a primary");
    let lost = (0..set.size()).find(|member| *member != primary && Some(*member) != set.hidden());
    let lost = lost.expect("a secondary");
    let mut victims = vec![query(set, primary, &people[0]).await];
    victims.push(query(set, set.hidden().expect("a hidden member"), &people[1]).await);

    begin(lost).await;
    let (outcome, took) = cut(&responder, &format!("{}@admin", names[0])).await;
    assert_unreachable(set, &outcome, lost);
    assert!(took < BUDGET + SLACK, "one budget, but it took {took:?}");

    let (outcome, took) = cut(&responder, &format!("{}@admin", names[1])).await;
    assert_unreachable(set, &outcome, lost);
    assert!(took < BUDGET / 2, "the next batch waited for it: {took:?}");
    assert_ended(&victims).await;

    end(lost).await;
    set.wait_healthy().await.expect("it is back");
    let back = query(set, lost, &people[2]).await;
    // A probe in the background has to find it first: at most 2 s apart.
    let deadline = Instant::now() + GONE;
    let outcome = loop {
        let (outcome, _) = cut(&responder, &format!("{}@admin", names[2])).await;
        if outcome["status"] != "partial" {
            break outcome;
        }
        assert_unreachable(set, &outcome, lost);
        assert!(Instant::now() < deadline, "never asked again: {outcome:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(outcome["status"], "terminated", "{outcome:#}");
    assert_ended(&[back]).await;
}

#[test]
fn a_member_that_was_killed_is_named_and_costs_one_budget_once() {
    block_on(async {
        let set = harmed().await;
        let begin = async |member| set.kill(member).await.expect("it ends");
        let end = async |member| set.restart(member).await.expect("it starts");
        outage(&set, "down", begin, end).await;
    });
}

#[test]
fn a_member_that_hangs_is_named_and_costs_one_budget_once() {
    block_on(async {
        let set = harmed().await;
        let begin = async |member| set.signal(member, Signal::Stop).expect("it stops");
        let end = async |member| set.signal(member, Signal::Continue).expect("it goes on");
        outage(&set, "frozen", begin, end).await;
    });
}

#[test]
fn where_no_member_answers_the_case_has_failed() {
    block_on(async {
        let set = severance::lab::ReplicaSet::builder().voting(1).start().await.expect("a replica set");
        let own = account(&set, "responder-alone").await;
        let responder = responder(&set.uri(&own), "limits: {inline_budget: 1s}\n").await;
        set.kill(0).await.expect("it ends");

        let (outcome, _) = cut(&responder, "anybody@admin").await;

        assert_eq!(
            (&outcome["status"], &outcome["alert"]),
            (&json!("failed"), &json!("error")),
            "{outcome:#}"
        );
        assert_eq!(node(&set, &outcome, 0)["status"], "unreachable");
        assert_eq!(outcome["cumulative"], json!({"found": null, "killed": null}));
    });
}
