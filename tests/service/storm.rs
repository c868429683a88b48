//! A storm: everybody leaves at once.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use severance::edge::mongo_lab::{Kind, Work};
use sha2::{Digest as _, Sha256};

use super::house::{House, Plan, SOON, offboarded, outcome, triggers, user};
use crate::support::{block_on, replica_set};

const EVENTS: usize = 1_000;

#[test]
fn a_thousand_offboardings_are_a_handful_of_kills_and_an_outcome_each() {
    let set = replica_set();
    let house = House::new("storm", Plan::default());
    let gina = block_on(user(set, "gina", "admin"));
    let victim = block_on(set.work(1, &gina, Work::new(Kind::Query, "shop"))).expect("a query");
    let (mut ids, mut records) = house.stream(0..EVENTS);
    ids[500] = "storm-gina".to_owned();
    records[500] = offboarded("storm-gina", "gina");
    house.put(&records);
    let service = house.start();
    let outcomes = house.outcomes();
    outcomes.at_least(SOON, EVENTS);
    service.stop();
    let all = outcomes.all();
    assert_eq!(triggers(&all), ids, "one each");
    block_on(victim.wait_touched(SOON)).expect("her query ends");

    let of_hers = outcome(&all[500]);
    assert_eq!(of_hers["data"]["status"], "terminated", "{of_hers:#}");
    let named: BTreeSet<String> = ids.iter().map(|user| digest(&format!("{user}@admin"))).collect();
    for member in 0..set.size() {
        let kills = set.logged_kills(member).expect("a log");
        let ours = kills.iter().filter(|line| uids(line).any(|uid| named.contains(uid))).count();
        assert!((1..=20).contains(&ours), "{ours} kills for {EVENTS} events on member {member}");
    }
}

/// As mongod's log writes it.
fn digest(user: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(user))
}

/// Whom a kill in mongod's log names; of a long command it shows the beginning.
fn uids(line: &Value) -> impl Iterator<Item = &str> {
    let patterns = line["attr"]["command"]["killAllSessionsByPattern"].as_array();
    patterns.into_iter().flatten().filter_map(|pattern| pattern["uid"]["$binary"]["base64"].as_str())
}
