//! People at work in a replica set, and what an outcome says of them in one line a node.

use std::time::Duration;

use serde_json::{Value, json};
use severance::{
    edge::mongo_lab::{Kind, Work, Workload},
    lab::{Credentials, ReplicaSet},
};

/// How long a victim may take to learn of its end.
pub const GONE: Duration = Duration::from_secs(10);

/// A user that can read and write everything, of a name that no other test has.
pub async fn user(set: &ReplicaSet, name: &str, db: &str) -> Credentials {
    set.create_user(name, db, json!([{"role": "readWriteAnyDatabase", "db": "admin"}])).await.expect("a user")
}

/// A running query on one member.
pub async fn query(set: &ReplicaSet, member: usize, who: &Credentials) -> Workload {
    work(set, member, who, Work::new(Kind::Query, "test")).await
}

/// Any work on one member.
pub async fn work(set: &ReplicaSet, member: usize, who: &Credentials, work: Work) -> Workload {
    set.work(member, who, work).await.expect("work that runs")
}

/// A running query on every member.
pub async fn query_everywhere(set: &ReplicaSet, who: &Credentials) -> Vec<Workload> {
    let mut all = Vec::new();
    for member in 0..set.size() {
        all.push(query(set, member, who).await);
    }
    all
}

/// Fails unless each of these learns of its end.
pub async fn assert_ended(victims: &[Workload]) {
    for victim in victims {
        victim.wait_touched(GONE).await.expect("the victim's work ends");
    }
}

/// Fails if one of these has learned of anything.
pub fn assert_untouched<'a>(bystanders: impl IntoIterator<Item = &'a Workload>) {
    for bystander in bystanders {
        assert!(bystander.is_untouched(), "a bystander was cut: {:?}", bystander.journal());
    }
}

/// The nodes of the outcome's one cluster.
pub fn nodes(outcome: &Value) -> &Vec<Value> {
    outcome["clusters"][0]["nodes"].as_array().expect("nodes")
}

/// What the outcome says of one member.
pub fn node<'a>(set: &ReplicaSet, outcome: &'a Value, member: usize) -> &'a Value {
    let host = set.host(member);
    nodes(outcome)
        .iter()
        .find(|node| node["host"] == host)
        .unwrap_or_else(|| panic!("no {host}: {outcome:#}"))
}

/// Status and reason, then by member its status, found, killed and left.
pub fn told(set: &ReplicaSet, outcome: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut lines = vec![format!("{} {}", word(&outcome["status"]), word(&outcome["reason"]))];
    for member in 0..set.size() {
        let Some(node) = nodes(outcome).iter().find(|node| node["host"] == set.host(member)) else {
            lines.push(format!("{member}: not among the nodes"));
            continue;
        };
        lines.push(format!(
            "{member}: {} found {} killed {} left {}",
            word(&node["status"]),
            node["found"],
            node["killed"],
            node["left"]
        ));
    }
    lines.join("\n")
}

/// What a case looks like that found and cut `count` things on every member.
pub fn terminated_everywhere(set: &ReplicaSet, count: u64) -> String {
    let node = |member| format!("\n{member}: clean found {count} killed {count} left 0");
    format!("terminated null{}", (0..set.size()).map(node).collect::<String>())
}

/// Of the principals in the outcome the one of this name, `user@db`.
pub fn principal<'a>(outcome: &'a Value, who: &str) -> &'a Value {
    let (user, db) = who.rsplit_once('@').expect("user@db");
    let mut all = outcome["principals"].as_array().expect("principals").iter();
    all.find(|principal| principal["user"] == user && principal["db"] == db)
        .unwrap_or_else(|| panic!("no {who}: {outcome:#}"))
}

/// The kills in a member's log whose comment names this case.
pub fn kills_of(set: &ReplicaSet, member: usize, outcome: &Value) -> Vec<Value> {
    let case = outcome["case_id"].as_str().expect("a case");
    let kills = set.logged_kills(member).expect("a log");
    kills.into_iter().filter(|line| line.to_string().contains(case)).collect()
}
