//! Two events about one person in one batch: their order decides.

use serde_json::{Value, json};

use crate::support::{
    block_on,
    people::{
        assert_ended, assert_untouched, principal, query, query_everywhere, terminated_everywhere, told, user,
    },
    replica_set,
    responder::{compromised, event, principals, respond, shared},
};

fn offboarded(who: &[&str]) -> Value {
    event("account.offboarded", json!({"principals": principals(who)}))
}

fn reinstated(who: &[&str]) -> Value {
    event("account.reinstated", json!({"principals": principals(who)}))
}

fn reinstated_from(who: &[&str], releases: Value) -> Value {
    event("account.reinstated", json!({"principals": principals(who), "releases": releases}))
}

#[test]
fn an_offboarding_that_is_taken_back_in_its_batch_kills_nobody() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let who = user(set, "rehired", "admin").await;
        let lives = query_everywhere(set, &who).await;

        let outcomes =
            respond(responder, &[offboarded(&["rehired@admin"]), reinstated(&["rehired@admin"])]).await;

        assert_eq!(
            (&outcomes[0]["status"], &outcomes[1]["status"]),
            (&json!("superseded"), &json!("released"))
        );
        assert_eq!(outcomes[1]["cancels"], json!([outcomes[0]["case_id"]]));
        assert_untouched(&lives);
    });
}

#[test]
fn an_offboarding_after_a_reinstatement_kills() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let who = user(set, "fired-again", "admin").await;
        let dies = query_everywhere(set, &who).await;

        let outcomes =
            respond(responder, &[reinstated(&["fired-again@admin"]), offboarded(&["fired-again@admin"])])
                .await;

        assert_eq!(outcomes[0]["status"], "released");
        assert_eq!(told(set, &outcomes[1]), terminated_everywhere(set, 1));
        assert_ended(&dies).await;
    });
}

#[test]
fn a_reinstatement_undoes_a_compromise_only_if_it_names_its_class_or_case() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let names = ["hacked-a", "hacked-b", "hacked-c"];
        let mut running = Vec::new();
        for name in names {
            let who = user(set, name, "admin").await;
            running.push(query(set, 0, &who).await);
        }
        let third = compromised(&["hacked-c@admin"]);
        let case = severance::case::CaseId::of_event("/test", third["id"].as_str().expect("an id"));
        let batch = [
            compromised(&["hacked-a@admin"]),
            compromised(&["hacked-b@admin"]),
            third,
            reinstated(&["hacked-a@admin"]),
            reinstated_from(&["hacked-b@admin"], json!(["compromise"])),
            reinstated_from(&["hacked-c@admin"], json!([case])),
        ];

        let outcomes = respond(responder, &batch).await;

        let status: Vec<_> =
            outcomes.iter().map(|outcome| outcome["status"].as_str().unwrap_or("?")).collect();
        assert_eq!(status, ["terminated", "superseded", "superseded", "released", "released", "released"]);
        let lives = running.split_off(1);
        assert_ended(&running).await;
        assert_untouched(&lives);
    });
}

#[test]
fn of_two_people_only_the_one_who_is_reinstated_lives() {
    let (set, responder) = (replica_set(), shared());
    block_on(async {
        let (stays, goes) = (user(set, "stays", "admin").await, user(set, "goes", "admin").await);
        let (lives, dies) = (query(set, 0, &stays).await, query(set, 0, &goes).await);

        let batch = [offboarded(&["stays@admin", "goes@admin"]), reinstated(&["stays@admin"])];
        let outcomes = respond(responder, &batch).await;

        assert_eq!(outcomes[0]["status"], "terminated", "{:#}", outcomes[0]);
        assert_eq!(principal(&outcomes[0], "stays@admin")["spared_because"], "reinstated");
        assert_ended(&[dies]).await;
        assert_untouched([&lives]);
    });
}
