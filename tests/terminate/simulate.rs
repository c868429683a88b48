//! Pretending: what would be cut is said, and nothing is cut.

use serde_json::{Value, json};

use crate::support::{
    block_on,
    people::{
        assert_ended, assert_untouched, kills_of, nodes, query_everywhere, terminated_everywhere, told, user,
    },
    replica_set,
    responder::{account, compromised, event, principals, respond, respond_to, responder},
};

const PRETEND: &str = "rules:\n  - name: pretend\n    class: offboarding\n    \
    on: ['io.severance.account.offboarded.*']\n    target: {principals: event.data.principals}\n    \
    dry_run: true\n";

fn assert_simulated(outcome: &Value) {
    assert_eq!((&outcome["status"], &outcome["dry_run"]), (&json!("simulated"), &json!(true)), "{outcome:#}");
    for node in nodes(outcome) {
        assert_eq!((&node["found"], &node["attempts"]), (&json!(1), &json!(0)), "{node:#}");
        assert!(node["status"].is_null() && node["killed_at"].is_null(), "{node:#}");
        assert!(node["killed"].is_null() || node["killed"] == 0, "{node:#}");
        assert_eq!(node["evidence"].as_array().map(Vec::len), Some(1), "{node:#}");
    }
}

#[test]
fn a_pretended_plan_is_not_in_the_merged_kill_of_its_batch() {
    let set = replica_set();
    block_on(async {
        let simon = user(set, "simon", "admin").await;
        let real = user(set, "not-simon", "admin").await;
        let lives = query_everywhere(set, &simon).await;
        let dies = query_everywhere(set, &real).await;
        let own = account(set, "responder-pretend").await;
        let responder = responder(&set.uri(&own), PRETEND).await;

        let pretend = event("account.offboarded", json!({"principals": principals(&["simon@admin"])}));
        let outcomes = respond(&responder, &[pretend, compromised(&["not-simon@admin"])]).await;

        assert_simulated(&outcomes[0]);
        assert_eq!(told(set, &outcomes[1]), terminated_everywhere(set, 1));
        assert_ended(&dies).await;
        assert_untouched(&lives);
        for member in 0..set.size() {
            assert!(kills_of(set, member, &outcomes[0]).is_empty(), "a kill names the pretended case");
            let kills = kills_of(set, member, &outcomes[1]);
            assert!(kills.iter().all(|kill| kill.to_string().matches("\"uid\"").count() == 1));
        }
    });
}

#[test]
fn with_dry_run_nobody_dies_at_all() {
    let set = replica_set();
    block_on(async {
        let who = user(set, "only-looked-at", "admin").await;
        let lives = query_everywhere(set, &who).await;
        let own = account(set, "responder-dry").await;
        let responder = responder(&set.uri(&own), "dry_run: true\n").await;

        let outcome = respond_to(&responder, compromised(&["only-looked-at@admin"])).await;

        assert_simulated(&outcome);
        assert_eq!(outcome["principals"][0]["known"], "yes");
        assert_untouched(&lives);
    });
}
