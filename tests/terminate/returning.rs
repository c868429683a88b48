//! A kill is an instant, not a ban: the client that comes back is no failed kill.

use std::time::Duration;

use serde_json::json;
use severance::edge::mongo_lab::{Kind, Work};

use crate::support::{
    block_on,
    people::{GONE, nodes, user, work},
    replica_set,
    responder::{compromised, respond_to, shared},
};

#[test]
fn a_client_that_comes_back_at_once_is_returned_and_not_left_over() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let who = user(set, "boomerang", "admin").await;
        let each = Duration::from_secs(60);
        let mut clients = Vec::new();
        for member in 0..set.size() {
            clients.push(work(set, member, &who, Work::new(Kind::ComesBack { each }, "loop")).await);
        }

        let outcome = respond_to(responder, compromised(&["boomerang@admin"])).await;

        assert_eq!(outcome["status"], "terminated", "{outcome:#}");
        let mut returned = 0;
        for node in nodes(&outcome) {
            assert_eq!((&node["status"], &node["left"]), (&json!("clean"), &json!(0)), "{node:#}");
            returned += node["returned"].as_u64().expect("a count");
        }
        assert!(returned > 0, "nobody came back: {outcome:#}");
        for client in &clients {
            let journal = client.wait_touched(GONE).await.expect("it was cut");
            assert!(!journal.ended, "and goes on");
        }
    });
}
