//! What a kill does not end: connections on which somebody is logged in and nothing runs.

use serde_json::json;
use severance::edge::mongo_lab::{Kind, Work};

use crate::support::{
    block_on,
    people::{node, principal, user, work},
    replica_set,
    responder::{compromised, respond_to, shared},
};

#[test]
fn an_idle_connection_is_counted_with_its_address_and_is_no_failure() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let who = user(set, "idler", "admin").await;
        let hidden = set.hidden().expect("a hidden member");
        let cursor = work(set, hidden, &who, Work::new(Kind::Cursor, "idle")).await;
        let first = respond_to(responder, compromised(&["idler@admin"])).await;
        assert_eq!(first["status"], "terminated", "{first:#}");
        cursor.probe().await.expect_err("the cursor is gone, the connection is not");

        let second = respond_to(responder, compromised(&["idler@admin"])).await;

        for outcome in [&first, &second] {
            let node = node(set, outcome, hidden);
            assert_eq!(node["status"], "clean", "{node:#}");
            assert!(node["idle_connections"].as_u64() > Some(0), "{node:#}");
            assert_eq!(node["idle_clients"][0]["address"], "127.0.0.1", "{node:#}");
            assert_eq!(node["idle_clients"][0]["connections"], node["idle_connections"], "{node:#}");
        }
        assert_eq!((&second["status"], &second["alert"]), (&json!("nothing_found"), &json!("warning")));
        assert_eq!(principal(&second, "idler@admin")["known"], "yes");
    });
}
