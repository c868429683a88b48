//! A merged kill that fails for good is asked again case by case, and only the one to blame suffers.

use serde_json::{Value, json};

use crate::{
    harmed::{fail_command, harmed},
    support::{
        block_on,
        people::{assert_ended, assert_untouched, kills_of, node, query, terminated_everywhere, told, user},
        responder::{account, compromised, respond, responder},
    },
};

/// The server's code for an operation that is not allowed, of no class of its own: permanent.
const ILLEGAL_OPERATION: i32 = 20;
/// The log line "Slow query", with which every command is logged where any is slow.
const LOG_COMMAND: u64 = 51_803;

#[test]
fn of_two_merged_cases_the_one_that_fails_for_good_does_not_harm_the_other() {
    block_on(async {
        let set = harmed().await;
        let hidden = set.hidden().expect("a hidden member");
        let bad = user(&set, "bad", "admin").await;
        let good = user(&set, "good", "admin").await;
        let own = account(&set, "responder-merged").await;
        let responder = responder(&set.uri(&own), "").await;
        let mut dies = Vec::new();
        for member in 0..set.size() {
            dies.push(query(&set, member, &good).await);
        }
        let lives = query(&set, hidden, &bad).await;
        let every = |ms: i32| json!({"slowms": ms});
        set.admin(hidden)
            .run("admin", "profile", json!(0), every(-1))
            .await
            .expect("every command is logged");
        // Fails twice: the merged command, then the first case's own.
        let twice = json!({"mode": {"times": 2}, "data": {
            "failCommands": ["killAllSessionsByPattern"], "appName": "severance", "errorCode": ILLEGAL_OPERATION,
        }});
        fail_command(&set, hidden, twice).await;

        let events = [compromised(&["bad@admin"]), compromised(&["good@admin"])];
        let outcomes = respond(&responder, &events).await;
        set.admin(hidden).run("admin", "profile", json!(0), every(100)).await.expect("as it was");

        assert_eq!(told(&set, &outcomes[1]), terminated_everywhere(&set, 1));
        assert_eq!(outcomes[0]["status"], "partial", "{:#}", outcomes[0]);
        let blamed = node(&set, &outcomes[0], hidden);
        assert_eq!(blamed["errors"][0]["code"], ILLEGAL_OPERATION, "{blamed:#}");
        assert_eq!((&blamed["status"], &blamed["left"]), (&json!("leftover"), &json!(1)), "{blamed:#}");
        assert_eq!(node(&set, &outcomes[1], hidden)["errors"], json!([]));
        assert_ended(&dies).await;
        assert_untouched([&lives]);

        // The member's own log: the merged command and two single ones, of which one succeeded.
        let cases = [&outcomes[0], &outcomes[1]].map(|outcome| outcome["case_id"].as_str().expect("a case"));
        let asked: Vec<Value> = set.log_lines(hidden, LOG_COMMAND).expect("a log");
        let names: Vec<[bool; 2]> = asked
            .iter()
            .filter(|line| line["attr"]["command"]["killAllSessionsByPattern"].is_array())
            .map(|line| cases.map(|case| line["attr"]["command"]["comment"].to_string().contains(case)))
            .filter(|named| named.contains(&true))
            .collect();
        assert_eq!(names, [[true, true], [true, false], [false, true]]);
        assert_eq!(kills_of(&set, hidden, &outcomes[0]).len(), 0);
        assert_eq!(kills_of(&set, hidden, &outcomes[1]).len(), 1);
    });
}
