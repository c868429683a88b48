//! Everything that can be open: operations, cursors and transactions, with a session and without.

use serde_json::{Value, json};
use severance::edge::mongo_lab::{Admin, Kind, Sessions, Work};

use crate::support::{
    block_on,
    people::{
        GONE, assert_ended, kills_of, node, query, query_everywhere, terminated_everywhere, told, user, work,
    },
    replica_set,
    responder::{account, compromised, respond_to, responder, shared},
};

fn evidence(node: &Value) -> &Vec<Value> {
    node["evidence"].as_array().expect("evidence")
}

#[test]
fn a_cursor_and_an_open_transaction_die_and_the_evidence_holds_no_query_value() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let who = user(set, "opener", "admin").await;
        let primary = set.primary().await.expect("a primary");
        let cursor = Work::new(Kind::Cursor, "shell").sessions(Sessions::Explicit);
        let cursor = work(set, primary, &who, cursor).await;
        let transaction = work(set, primary, &who, Work::new(Kind::Transaction, "shop")).await;
        let running = query(set, primary, &who).await;
        cursor.probe().await.expect("the cursor is open");
        transaction.probe().await.expect("the transaction is open");

        let outcome = respond_to(responder, compromised(&["opener@admin"])).await;

        assert_eq!(outcome["status"], "terminated", "{outcome:#}");
        let node = node(set, &outcome, primary);
        assert_eq!(
            (&node["status"], &node["found"], &node["killed"]),
            (&json!("clean"), &json!(3), &json!(3))
        );
        assert_eq!(cursor.probe().await.expect_err("the cursor is gone").code, Some(43));
        assert_eq!(transaction.probe().await.expect_err("the transaction is gone").code, Some(251));
        assert_ended(&[running]).await;

        let mut kinds: Vec<_> =
            evidence(node).iter().map(|one| one["kind"].as_str().unwrap_or_default()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["cursor", "operation", "transaction"]);
        for one in evidence(node) {
            assert_eq!(one["principal"], "opener@admin", "{one:#}");
            assert!(one["lsid"].is_string(), "{one:#}");
        }
        let of = |kind: &str| evidence(node).iter().find(|one| one["kind"] == kind).expect("there is one");
        assert_eq!(of("operation")["command"], "find");
        assert_eq!(of("operation")["app"], "test");
        assert_eq!(of("operation")["namespace"], "lab.things");
        assert!(of("operation")["client"].as_str().expect("a client").starts_with("127.0.0.1:"));
        assert!(of("operation")["driver"].as_str().expect("a driver").contains("mongo-rust-driver"));
        assert_eq!(
            (&of("cursor")["command"], &of("cursor")["namespace"]),
            (&json!("find"), &json!("lab.things"))
        );
        assert_eq!(of("transaction")["app"], "shop");

        let text = outcome.to_string();
        for value in ["Date.now", "$where", "filter", cursor.comment(), transaction.comment()] {
            assert!(!text.contains(value), "a value of a query, {value}, is in {text}");
        }
    });
}

#[test]
fn operations_without_a_session_are_ended_on_every_member() {
    let set = replica_set();
    block_on(async {
        let who = user(set, "sessionless", "admin").await;
        let mut victims = Vec::new();
        for member in 0..set.size() {
            let old_client = Work::new(Kind::Query, "old client").sessions(Sessions::None);
            victims.push(work(set, member, &who, old_client).await);
        }
        let own = account(set, "responder-sessionless").await;
        let responder = responder(&set.uri(&own), "").await;

        let outcome = respond_to(&responder, compromised(&["sessionless@admin"])).await;

        assert_eq!(told(set, &outcome), terminated_everywhere(set, 1));
        assert_ended(&victims).await;
    });
}

#[test]
fn somebody_on_the_hidden_member_dies_with_a_session_and_without_and_its_log_names_the_case() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let who = user(set, "hider", "admin").await;
        let hidden = set.hidden().expect("a hidden member");
        let with = query(set, hidden, &who).await;
        let without = work(set, hidden, &who, Work::new(Kind::Query, "old").sessions(Sessions::None)).await;

        let outcome = respond_to(responder, compromised(&["hider@admin"])).await;

        assert_ended(&[with, without]).await;
        let node = node(set, &outcome, hidden);
        assert_eq!(
            (&outcome["status"], &node["role"]),
            (&json!("terminated"), &json!("hidden")),
            "{outcome:#}"
        );
        assert_eq!((&node["found"], &node["killed"]), (&json!(2), &json!(2)), "{node:#}");
        let without_session = evidence(node).iter().filter(|one| one["lsid"].is_null()).count();
        assert_eq!(without_session, 1, "{node:#}");
        assert!(!kills_of(set, hidden, &outcome).is_empty(), "the hidden member logged no kill of the case");
    });
}

#[test]
fn an_idle_cursor_without_a_session_is_counted_and_left_alone() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let nobody = user(set, "nobody", "admin").await;
        let who = user(set, "beside-nobody", "admin").await;
        let hidden = set.hidden().expect("a hidden member");
        let cursor =
            work(set, hidden, &nobody, Work::new(Kind::Cursor, "old").sessions(Sessions::None)).await;
        let victim = query(set, hidden, &who).await;

        let outcome = respond_to(responder, compromised(&["beside-nobody@admin"])).await;

        assert_eq!(outcome["status"], "terminated", "{outcome:#}");
        let unattributable = node(set, &outcome, hidden)["unattributable_cursors"].as_u64();
        assert!(unattributable >= Some(1), "{outcome:#}");
        assert_ended(&[victim]).await;
        cursor.probe().await.expect("it is open still");
    });
}

#[test]
fn an_operation_that_stays_kill_pending_makes_the_case_partial() {
    /// A collection whose reads do not notice that they are killed while the failpoint is on.
    const STUCK: &str = "lingering";
    let set = replica_set();
    block_on(async {
        let who = user(set, "lingerer", "admin").await;
        let hidden = set.hidden().expect("a hidden member");
        let failpoint = async |mode: &str| {
            let fields = json!({"mode": mode, "data": {"nss": format!("lab.{STUCK}")}});
            let name = json!("waitInFindBeforeMakingBatch");
            set.admin(hidden).run("admin", "configureFailPoint", name, fields).await.expect("a failpoint");
        };
        let primary = set.admin(set.primary().await.expect("a primary"));
        let fields = json!({"documents": [{"_id": 1}], "writeConcern": {"w": set.size()}});
        primary.run("lab", "insert", json!(STUCK), fields).await.expect("a collection");
        failpoint("alwaysOn").await;
        let client = Admin::connect(&set.member_uri(hidden, &who)).await.expect("a client");
        let read = tokio::spawn(async move { client.run("lab", "find", json!(STUCK), json!({})).await });
        let stuck = |op: &Value| op["command"]["find"] == STUCK && op["active"] == true;
        set.admin(hidden).wait_for_op(GONE, stuck).await.expect("it runs");
        let own = account(set, "responder-lingerer").await;
        let responder = responder(&set.uri(&own), "limits: {inline_budget: 1s}\n").await;

        let outcome = respond_to(&responder, compromised(&["lingerer@admin"])).await;
        let after = respond_to(&responder, compromised(&["nobody-lingers@admin"])).await;
        failpoint("off").await;

        let node = node(set, &outcome, hidden);
        assert_eq!((&node["status"], &node["left"]), (&json!("leftover"), &json!(1)), "{outcome:#}");
        assert_eq!((&outcome["status"], &outcome["reason"]), (&json!("partial"), &json!("leftover")));
        assert_eq!((&node["found"], &node["killed"]), (&json!(1), &json!(0)), "it is not gone: {node:#}");
        assert_eq!(after["status"], "nothing_found", "a member that answered is asked again: {after:#}");
        read.await.expect("a task").expect_err("it was killed after all");
    });
}

#[test]
fn the_evidence_is_capped_and_the_counts_are_exact() {
    let set = replica_set();
    block_on(async {
        let who = user(set, "crowd", "admin").await;
        let victims = query_everywhere(set, &who).await;
        let more = query_everywhere(set, &who).await;
        let own = account(set, "responder-crowd").await;
        let responder = responder(&set.uri(&own), "evidence: {wait: 900ms, max_items: 1}\n").await;

        let outcome = respond_to(&responder, compromised(&["crowd@admin"])).await;

        assert_eq!(told(set, &outcome), terminated_everywhere(set, 2));
        for member in 0..set.size() {
            let node = node(set, &outcome, member);
            assert_eq!((evidence(node).len(), &node["truncated"]), (1, &json!(true)));
        }
        assert_ended(&victims).await;
        assert_ended(&more).await;
    });
}
