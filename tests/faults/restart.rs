//! A member that restarts between the look and the check: what ran there is gone.

use serde_json::json;

use crate::{
    harmed::{fail_command, harmed},
    support::{
        block_on,
        people::{GONE, assert_ended, node, nodes, query, user},
        responder::{account, compromised, respond, responder},
    },
};

#[test]
fn a_member_that_restarts_between_look_and_check_is_ended_by_restart() {
    block_on(async {
        let set = harmed().await;
        let who = user(&set, "restarter", "admin").await;
        let own = account(&set, "responder-restart").await;
        let responder = responder(&set.uri(&own), "limits: {inline_budget: 60s}\n").await;
        let hidden = set.hidden().expect("a hidden member");
        let victim = query(&set, hidden, &who).await;
        // The kill arrives and waits: the look is back by then, the acknowledgement is not.
        let block = json!({"mode": "alwaysOn", "data": {
            "failCommands": ["killAllSessionsByPattern"], "appName": "severance",
            "blockConnection": true, "blockTimeMS": 120_000,
        }});
        fail_command(&set, hidden, block).await;

        let event = [compromised(&["restarter@admin"])];
        let restart = async {
            let waits = |op: &serde_json::Value| op["command"]["killAllSessionsByPattern"].is_array();
            set.admin(hidden).wait_for_op(GONE, waits).await.expect("the kill arrives");
            set.kill(hidden).await.expect("it ends");
            set.restart(hidden).await.expect("it starts");
        };
        let (mut outcomes, ()) = tokio::join!(respond(&responder, &event), restart);

        let outcome = outcomes.remove(0);
        assert_eq!(outcome["status"], "terminated", "{outcome:#}");
        for one in nodes(&outcome) {
            let wanted = if one["host"] == set.host(hidden) { "ended_by_restart" } else { "clean" };
            assert_eq!(one["status"], wanted, "{one:#}");
        }
        let node = node(&set, &outcome, hidden);
        assert_eq!((&node["found"], &node["killed"], &node["left"]), (&json!(1), &json!(1), &json!(0)));
        assert_ended(&[victim]).await;
    });
}
