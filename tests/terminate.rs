//! The kill on real servers: who dies, who must not, and what is said about it.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use severance::edge::mongo_lab::{Kind, Sessions, Work, Workload};
use severance::lab::{Credentials, ReplicaSet};
use support::responder::{account, compromised, respond, responder};
use support::{block_on, replica_set};

const GONE: Duration = Duration::from_secs(5);

/// A user that can read everything, of a name that no other test has.
async fn user(set: &ReplicaSet, name: &str, db: &str) -> Credentials {
    set.create_user(name, db, json!([{"role": "readWriteAnyDatabase", "db": "admin"}])).await.expect("a user")
}

async fn query_on_every_member(set: &ReplicaSet, who: &Credentials) -> Vec<Workload> {
    let mut all = Vec::new();
    for member in 0..set.size() {
        all.push(set.work(member, who, Work::new(Kind::Query, "test")).await.expect("a query"));
    }
    all
}

fn nodes(outcome: &Value) -> &Vec<Value> {
    outcome["clusters"][0]["nodes"].as_array().expect("nodes")
}

#[test]
fn only_the_named_user_dies_and_the_same_name_in_another_database_lives() {
    let set = replica_set();
    block_on(async {
        let mallory = user(set, "mallory", "admin").await;
        let namesake = user(set, "mallory", "app").await;
        let bystander = user(set, "bystander", "admin").await;
        let victims = query_on_every_member(set, &mallory).await;
        let others =
            [query_on_every_member(set, &namesake).await, query_on_every_member(set, &bystander).await]
                .concat_all();
        let own = account(set, "responder-trap").await;
        let responder = responder(&set.uri(&own), "").await;

        let outcomes = respond(&responder, &[compromised(&["mallory@admin"])]).await;

        let outcome = &outcomes[0];
        assert_eq!(outcome["status"], "terminated", "{outcome:#}");
        assert_eq!(nodes(outcome).len(), set.size());
        for node in nodes(outcome) {
            assert_eq!(
                (&node["status"], &node["found"], &node["killed"], &node["left"]),
                (&json!("clean"), &json!(1), &json!(1), &json!(0)),
                "{node:#}"
            );
        }
        for victim in &victims {
            victim.wait_touched(GONE).await.expect("the victim's query ends");
        }
        assert!(others.iter().all(Workload::is_untouched), "a bystander was cut");
        let case = outcome["case_id"].as_str().expect("a case");
        for member in 0..set.size() {
            let kills = set.logged_kills(member).expect("a log");
            assert!(
                kills.iter().any(|line| line.to_string().contains(case)),
                "no kill of {case} in the log of {member}"
            );
        }
    });
}

trait ConcatAll<T> {
    fn concat_all(self) -> Vec<T>;
}

impl<T, const N: usize> ConcatAll<T> for [Vec<T>; N] {
    fn concat_all(self) -> Vec<T> {
        self.into_iter().flatten().collect()
    }
}

#[test]
fn operations_without_a_session_are_ended_on_every_member() {
    let set = replica_set();
    block_on(async {
        let who = user(set, "sessionless", "admin").await;
        let mut victims = Vec::new();
        for member in 0..set.size() {
            let work = Work::new(Kind::Query, "old client").sessions(Sessions::None);
            victims.push(set.work(member, &who, work).await.expect("a query"));
        }
        let own = account(set, "responder-sessionless").await;
        let responder = responder(&set.uri(&own), "").await;

        let outcomes = respond(&responder, &[compromised(&["sessionless@admin"])]).await;

        assert_eq!(outcomes[0]["status"], "terminated", "{:#}", outcomes[0]);
        for victim in &victims {
            victim.wait_touched(GONE).await.expect("the victim's query ends");
        }
    });
}
