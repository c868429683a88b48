//! Who is meant: dropped users, odd names, mistyped ones.

use serde_json::{Value, json};
use severance::principal::Principal;

use crate::support::{
    block_on,
    people::{
        assert_ended, assert_untouched, principal, query, query_everywhere, terminated_everywhere, told, user,
    },
    replica_set,
    responder::{compromised, event, respond_to, shared},
};

/// `lsid.uid` as `$currentOp` shows it, in hexadecimal.
fn uid(op: &Value) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = op["lsid"]["uid"]["$binary"]["base64"].as_str().unwrap_or_else(|| panic!("no uid in {op:#}"));
    let bytes = STANDARD.decode(text).expect("base64");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_dropped_user_is_still_killed() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let who = user(set, "dropped", "admin").await;
        let victims = query_everywhere(set, &who).await;
        let primary = set.admin(set.primary().await.expect("a primary"));
        let everywhere = json!({"writeConcern": {"w": set.size(), "wtimeout": 20_000}});
        primary.run("admin", "dropUser", json!("dropped"), everywhere).await.expect("the user goes");
        assert_untouched(&victims);

        let outcome = respond_to(responder, compromised(&["dropped@admin"])).await;

        assert_eq!(told(set, &outcome), terminated_everywhere(set, 1));
        assert_ended(&victims).await;
        assert_eq!(principal(&outcome, "dropped@admin")["known"], "yes", "seen at work");
    });
}

#[test]
fn our_digest_is_the_servers_own_for_odd_names_and_they_die() {
    const NAMES: [&str; 8] =
        ["jörg", "李雷 🐉", "a b  c", "ann@example.org", "o'hara \"x\"", "MiXeD", "$dollar.dot", "e\u{301}"];
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let primary = set.primary().await.expect("a primary");
        let mut victims = Vec::new();
        for name in NAMES {
            let who = user(set, name, "odd").await;
            victims.push(query(set, primary, &who).await);
        }
        let live = set.admin(primary).current_ops().await.expect("what runs");
        for (name, victim) in NAMES.iter().zip(&victims) {
            let op = live.iter().find(|op| op["command"]["comment"] == victim.comment()).expect("it runs");
            let ours = Principal::new(*name, "odd").expect("a principal").digest();
            assert_eq!(uid(op), ours.to_string(), "{name}");
        }
        let named: Value = NAMES.iter().map(|name| json!({"user": name, "db": "odd"})).collect();

        let outcome = respond_to(responder, event("account.compromised", json!({"principals": named}))).await;

        assert_eq!(outcome["status"], "terminated", "{outcome:#}");
        assert_eq!(outcome["cumulative"], json!({"found": NAMES.len(), "killed": NAMES.len()}));
        for name in NAMES {
            assert_eq!(principal(&outcome, &format!("{name}@odd"))["known"], "yes");
        }
        assert_ended(&victims).await;
    });
}

#[test]
fn a_mistyped_database_finds_nothing_and_says_where_the_name_is() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let who = user(set, "typo", "app").await;
        let bystander = query(set, 0, &who).await;

        let outcome = respond_to(responder, compromised(&["typo@admin"])).await;

        assert_eq!((&outcome["status"], &outcome["alert"]), (&json!("nothing_found"), &json!("warning")));
        let named = principal(&outcome, "typo@admin");
        assert_eq!(
            (&named["known"], &named["near"]),
            (&json!("no"), &json!([{"user": "typo", "db": "app"}]))
        );
        assert_untouched([&bystander]);
    });
}

#[test]
fn a_name_in_the_wrong_case_finds_nothing_and_says_how_it_is_spelled() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let who = user(set, "Casey.Jones", "admin").await;
        // Matches only where the dot is taken for "anything".
        user(set, "CaseyXJones", "admin").await;
        let bystander = query(set, 0, &who).await;

        let outcome = respond_to(responder, compromised(&["casey.jones@admin"])).await;

        assert_eq!(outcome["status"], "nothing_found", "{outcome:#}");
        let named = principal(&outcome, "casey.jones@admin");
        let near = json!([{"user": "Casey.Jones", "db": "admin"}]);
        assert_eq!((&named["known"], &named["near"]), (&json!("no"), &near));
        assert_untouched([&bystander]);
    });
}
