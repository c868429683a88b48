//! A pause by hand, and the canary.

use std::fs;

use super::house::{House, Plan, SOON, offboarded, outcome, triggers};

#[test]
fn while_the_pause_file_exists_nothing_is_consumed_and_afterwards_all_of_it_is() {
    let plan = Plan { more: "pause_file: hold\n".to_owned(), ..Plan::default() };
    let house = House::new("held", plan);
    let file = house.path().join("hold");
    fs::write(&file, "").expect("the folder is ours");
    let service = house.start();
    service.says(&["paused", "hold"]);
    house.put(&[offboarded("held-1", "held-1"), offboarded("held-2", "held-2")]);
    // What comes has arrived: the group has its partition and its end is known.
    service.says(&["partitions assigned"]);
    assert_eq!(house.committed(), None);
    assert!(house.outcomes().all().is_empty());
    fs::remove_file(&file).expect("it is there");
    service.says(&["the pause is over"]);
    let all = house.outcomes().at_least(SOON, 2);
    assert_eq!(triggers(&all), ["held-1", "held-2"]);
    fs::write(&file, "").expect("the folder is ours");
    service.says(&["paused"]);
    house.put(&[offboarded("held-3", "held-3")]);
    let log = service.stop();
    assert!(log.contains("drained"), "a pause does not keep it from leaving: {log}");
    assert_eq!(house.outcomes().all().len(), 2, "what it had not begun is left to whoever is next");
}

#[test]
fn a_canary_goes_the_whole_way_and_alarms_nobody() {
    let plan = Plan {
        topics: "    - { name: {topic}, accept_types: ['io.severance.canary.v1'] }\n".to_owned(),
        more: "canary: { every: 1s, topic: canary.events }\n".to_owned(),
        ..Plan::default()
    };
    let house = House::new("canary", plan);
    let service = house.start();
    let seen = house.outcomes().at_least(SOON, 2);
    for raw in &seen {
        let data = &outcome(raw)["data"];
        assert_eq!(data["rule"], "canary");
        assert_eq!(data["status"], "nothing_found", "{data:#}");
        assert_eq!(data["alert"], "info");
        assert_eq!(data["principals"][0]["user"], "severance-canary");
        assert!(
            data["clusters"][0]["nodes"]
                .as_array()
                .expect("nodes")
                .iter()
                .all(|node| node["status"] == "clean")
        );
    }
    let log = service.stop();
    assert!(!log.contains("outcome"), "it is no news: {log}");
}
