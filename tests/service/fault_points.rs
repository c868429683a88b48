//! The process ends, as by a power cut, at each named place of a batch's way: whatever was lost by
//! that, each event ends in one final outcome, and who was named is cut.

use std::collections::{BTreeMap, BTreeSet};

use severance::fault_point::Place;

use super::house::{House, SOON, at_home, outcome, triggers};

const EVENTS: usize = 30;
/// In batches of five; the third batch meets the end.
const LIMITS: &str = "limits: { batch_max_records: 5 }\n";

fn through(place: Place, delivery: &str) -> (Vec<String>, Vec<super::house::Seen>) {
    let name = format!("fault-{place:?}-{delivery}").to_lowercase();
    let mut plan = at_home(LIMITS);
    plan.kafka.push_str(&format!("  delivery: {delivery}\n"));
    let house = House::new(&name, plan);
    let (ids, records) = house.stream(0..EVENTS);
    house.put(&records);
    let doomed = house.start_with(|command| {
        command.env("SEVERANCE_FAULT_POINT", format!("{place:?}")).env("SEVERANCE_FAULT_POINT_AT", "3");
    });
    let exit = doomed.exit(SOON);
    assert_ne!(exit, 0, "{place:?} was never reached:\n{}", doomed.log());
    let service = house.start();
    let all = house
        .outcomes()
        .until(SOON, |seen| triggers(seen).into_iter().collect::<BTreeSet<_>>().len() >= EVENTS);
    service.stop();
    drop(all);
    let all = house.outcomes().all();
    (ids, all.iter().map(|raw| super::house::Seen::of(&outcome(raw))).collect())
}

/// By trigger how many different outcomes say that it is the last.
fn finals(seen: &[super::house::Seen]) -> BTreeMap<String, BTreeSet<String>> {
    let mut finals: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in seen.iter().filter(|one| one.is_final) {
        finals.entry(one.trigger.clone()).or_default().insert(one.id.clone());
    }
    finals
}

fn each_place(delivery: &str, at_most: usize) {
    for place in
        [Place::Received, Place::Decided, Place::Killed, Place::Verified, Place::Produced, Place::Committed]
    {
        let (ids, seen) = through(place, delivery);
        let finals = finals(&seen);
        for id in &ids {
            assert_eq!(finals.get(id).map(BTreeSet::len), Some(1), "{place:?}, {delivery}: {id}");
            let said = seen.iter().filter(|one| one.trigger == *id).count();
            assert!(said <= at_most, "{place:?}, {delivery}: {id} was said {said} times");
        }
    }
}

#[test]
fn exactly_once_each_event_has_one_outcome_whatever_place_the_process_ended_at() {
    each_place("exactly-once", 1);
}

#[test]
fn at_least_once_a_repeated_outcome_has_the_same_id() {
    each_place("at-least-once", 2);
}
