//! SIGHUP: another configuration while it runs, and a broken one that changes nothing.

use std::fs;

use serde_json::json;
use severance::lab::Signal;

use super::house::{House, Plan, SOON, offboarded, outcome};
use crate::support::{block_on, replica_set};

#[test]
fn what_is_read_again_counts_for_the_next_event_and_what_is_broken_does_not() {
    let house = House::new("reload", Plan { more: "dry_run: true\n".to_owned(), ..Plan::default() });
    let service = house.start();
    service.says(&["listening"]);
    house.put(&[offboarded("1", "reload-nobody")]);
    house.outcomes().at_least(SOON, 1);
    let pretended = fs::read_to_string(house.config()).expect("the configuration");

    fs::write(house.config(), pretended.replace("dry_run: true", "dry_run: sometimes")).expect("it is ours");
    service.signal(Signal::Hangup);
    service.says(&["ERROR", "the last good one goes on", "dry_run"]);
    house.put(&[offboarded("2", "reload-nobody")]);
    house.outcomes().at_least(SOON, 2);

    fs::write(house.config(), pretended.replace("dry_run: true", "dry_run: false")).expect("it is ours");
    service.signal(Signal::Hangup);
    service.says(&["counts from now on"]);
    house.put(&[offboarded("3", "reload-nobody"), offboarded("1", "reload-nobody")]);
    let all = house.outcomes().at_least(SOON, 4);
    let said: Vec<_> = all.iter().map(|raw| outcome(raw)["data"].clone()).collect();
    let statuses: Vec<_> = said.iter().map(|data| data["status"].as_str().unwrap_or_default()).collect();
    // A simulated case was not accepted, so it may still be carried out.
    assert_eq!(statuses, ["simulated", "simulated", "nothing_found", "nothing_found"]);
    assert_eq!(said[0]["config_hash"], said[1]["config_hash"]);
    assert_ne!(said[1]["config_hash"], said[2]["config_hash"]);

    house.put(&[offboarded("3", "reload-nobody")]);
    let all = house.outcomes().at_least(SOON, 5);
    assert_eq!(outcome(&all[4])["data"]["status"], "duplicate", "what was heard is still known");
    let kafka = fs::read_to_string(house.config()).expect("it").replace("  outcomes: ", "  outcomes: other.");
    fs::write(house.config(), kafka).expect("it is ours");
    service.signal(Signal::Hangup);
    service.says(&["count after a restart only"]);
    service.stop();
}

#[test]
fn a_new_password_counts_without_a_restart() {
    let set = replica_set();
    // Makes the role.
    super::house::responder();
    let (old, new) = block_on(async {
        let role = json!([{"role": severance::privilege::ROLE, "db": "admin"}]);
        let make = async |name: &str| set.create_user(name, "admin", role.clone()).await.expect("an account");
        (make("reload-old").await, make("reload-new").await)
    });
    let house = House::new("password", Plan { uri: Some(set.uri(&old)), ..Plan::default() });
    let service = house.start();
    service.says(&["listening"]);
    fs::write(house.path().join("uri"), set.uri(&new)).expect("it is ours");
    service.signal(Signal::Hangup);
    service.says(&["counts from now on"]);
    // Whoever it is by now spares itself, and nobody spares who it was.
    house.put(&[offboarded("own", "reload-new"), offboarded("was", "reload-old")]);
    let all = house.outcomes().at_least(SOON, 2);
    let statuses: Vec<_> = all
        .iter()
        .map(|raw| outcome(raw)["data"]["status"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(statuses[0], "refused");
    assert_ne!(statuses[1], "refused");
    service.stop();
}
