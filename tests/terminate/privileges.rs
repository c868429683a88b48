//! Each privilege that is missing shows in the outcome; none turns into a success that was none.

use serde_json::{Value, json};
use severance::{
    edge::mongo_lab::{Kind, Sessions, Work},
    responder::Responder,
};

use crate::support::{
    block_on,
    people::{assert_ended, assert_untouched, node, nodes, principal, query_everywhere, user, work},
    replica_set,
    responder::{account_without, compromised, respond_to, responder},
};

/// A responder whose account, `lacks-<action>`, lacks the action.
async fn without(action: &str) -> Responder {
    let set = replica_set();
    let own = account_without(set, &format!("lacks-{action}"), &[action]).await;
    responder(&set.uri(&own), "limits: {inline_budget: 1s}\n").await
}

fn codes(node: &Value) -> Vec<i64> {
    let errors = node["errors"].as_array().expect("errors");
    errors.iter().filter_map(|error| error["code"].as_i64()).collect()
}

#[test]
fn without_kill_any_session_the_case_fails_and_names_the_error_on_each_node() {
    let set = replica_set();
    block_on(async {
        let who = user(set, "no-kill", "admin").await;
        let lives = query_everywhere(set, &who).await;
        let responder = without("killAnySession").await;

        let outcome = respond_to(&responder, compromised(&["no-kill@admin"])).await;

        assert_eq!(
            (&outcome["status"], &outcome["alert"]),
            (&json!("failed"), &json!("error")),
            "{outcome:#}"
        );
        assert_eq!(nodes(&outcome).len(), set.size());
        for node in nodes(&outcome) {
            assert_eq!((codes(node), &node["killed"], &node["left"]), (vec![13], &json!(0), &json!(1)));
        }
        assert_untouched(&lives);
    });
}

#[test]
fn without_inprog_nothing_can_be_proven_so_nothing_is_called_terminated() {
    let set = replica_set();
    block_on(async {
        let who = user(set, "no-look", "admin").await;
        let dies = query_everywhere(set, &who).await;
        let responder = without("inprog").await;

        let outcome = respond_to(&responder, compromised(&["no-look@admin"])).await;

        assert_eq!(
            (&outcome["status"], &outcome["reason"]),
            (&json!("failed"), &json!("unverified_members"))
        );
        for node in nodes(&outcome) {
            assert_eq!((&node["status"], codes(node)), (&json!("unverified"), vec![13]), "{node:#}");
            assert_eq!((&node["found"], &node["killed"]), (&json!(null), &json!(null)), "{node:#}");
        }
        assert_ended(&dies).await;
    });
}

#[test]
fn without_killop_an_operation_without_a_session_is_left_over() {
    let set = replica_set();
    block_on(async {
        let who = user(set, "no-killop", "admin").await;
        let hidden = set.hidden().expect("a hidden member");
        let lives = work(set, hidden, &who, Work::new(Kind::Query, "old").sessions(Sessions::None)).await;
        let responder = without("killop").await;

        let outcome = respond_to(&responder, compromised(&["no-killop@admin"])).await;

        assert_eq!((&outcome["status"], &outcome["reason"]), (&json!("partial"), &json!("leftover")));
        let node = node(set, &outcome, hidden);
        assert_eq!((&node["status"], &node["left"]), (&json!("leftover"), &json!(1)), "{node:#}");
        assert_eq!(codes(node), [13], "{node:#}");
        assert_untouched([&lives]);
    });
}

#[test]
fn without_repl_set_get_config_hidden_members_cannot_be_known() {
    let set = replica_set();
    block_on(async {
        let who = user(set, "no-config", "admin").await;
        let hidden = set.hidden().expect("a hidden member");
        let mut all = query_everywhere(set, &who).await;
        let responder = without("replSetGetConfig").await;

        let outcome = respond_to(&responder, compromised(&["no-config@admin"])).await;

        assert_eq!((&outcome["status"], &outcome["reason"]), (&json!("partial"), &json!("unknown_members")));
        let error = &outcome["clusters"][0]["errors"][0];
        let message = error["message"].as_str().expect("a message");
        assert!(message.starts_with("hidden members cannot be known"), "{message}");
        assert_eq!(error["code"], 13);
        assert_eq!(nodes(&outcome).len(), set.size() - 1);
        let unseen = all.remove(hidden);
        assert_ended(&all).await;
        assert_untouched([&unseen]);
    });
}

#[test]
fn without_view_user_who_is_not_seen_is_unknown_and_the_case_is_terminated() {
    let set = replica_set();
    block_on(async {
        let who = user(set, "no-view", "admin").await;
        user(set, "no-view-idle", "admin").await;
        let dies = query_everywhere(set, &who).await;
        let responder = without("viewUser").await;

        let outcome = respond_to(&responder, compromised(&["no-view@admin", "no-view-idle@admin"])).await;

        assert_eq!(outcome["status"], "terminated", "{outcome:#}");
        assert_eq!(principal(&outcome, "no-view@admin")["known"], "yes");
        assert_eq!(principal(&outcome, "no-view-idle@admin")["known"], "unknown");
        assert_ended(&dies).await;
    });
}
