//! The batch is the unit: plans are merged, and each outcome counts its own principals only.

use serde_json::json;

use crate::support::{
    block_on,
    people::{assert_ended, kills_of, query_everywhere, terminated_everywhere, told, user},
    replica_set,
    responder::{compromised, respond, shared},
};

#[test]
fn cases_of_one_batch_are_one_command_and_each_counts_its_own() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let (ada, bea) = (user(set, "ada", "admin").await, user(set, "bea", "admin").await);
        let mut victims = query_everywhere(set, &ada).await;
        victims.extend(query_everywhere(set, &bea).await);
        victims.extend(query_everywhere(set, &bea).await);

        let outcomes = respond(responder, &[compromised(&["ada@admin"]), compromised(&["bea@admin"])]).await;

        assert_eq!(told(set, &outcomes[0]), terminated_everywhere(set, 1));
        assert_eq!(told(set, &outcomes[1]), terminated_everywhere(set, 2));
        assert_ended(&victims).await;
        for member in 0..set.size() {
            let first = kills_of(set, member, &outcomes[0]).remove(0).to_string();
            assert!(first.contains(outcomes[1]["case_id"].as_str().expect("a case")), "{first}");
        }
    });
}

#[test]
fn a_second_case_about_the_same_person_says_which_case_did_the_cutting() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let cleo = user(set, "cleo", "admin").await;
        let victims = query_everywhere(set, &cleo).await;

        let outcomes =
            respond(responder, &[compromised(&["cleo@admin"]), compromised(&["cleo@admin"])]).await;

        for outcome in &outcomes {
            assert_eq!(told(set, outcome), terminated_everywhere(set, 1));
        }
        assert_eq!(outcomes[0]["cut_by"], json!(null));
        assert_eq!(outcomes[1]["cut_by"], outcomes[0]["case_id"]);
        assert_ended(&victims).await;
    });
}

#[test]
fn the_same_event_twice_in_one_batch_is_one_case_and_one_duplicate() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let dora = user(set, "dora", "admin").await;
        let victims = query_everywhere(set, &dora).await;
        let event = compromised(&["dora@admin"]);

        let outcomes = respond(responder, &[event.clone(), event]).await;

        assert_eq!(told(set, &outcomes[0]), terminated_everywhere(set, 1));
        assert_eq!((&outcomes[1]["status"], &outcomes[1]["final"]), (&json!("duplicate"), &json!(false)));
        assert_ended(&victims).await;
    });
}
