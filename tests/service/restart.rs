//! Nothing is lost when the program goes, however it goes.

use std::collections::BTreeSet;
use std::time::Instant;

use severance::lab::Signal;

use super::house::{House, Plan, SOON, at_home, outcome, triggers, unheard};

#[test]
fn what_is_published_while_it_is_down_is_served_at_the_next_start_and_nothing_twice() {
    let house = House::new("down", Plan::default());
    let outcomes = house.outcomes();
    let service = house.start();
    house.put(&[unheard("1")]);
    outcomes.at_least(SOON, 1);
    service.stop();

    house.put(&[unheard("2"), unheard("3")]);
    let service = house.start();
    outcomes.at_least(SOON, 3);
    house.put(&[unheard("4")]);
    outcomes.at_least(SOON, 4);
    service.stop();
    let all = outcomes.all();
    assert_eq!(triggers(&all), ["1", "2", "3", "4"]);
    let reruns: Vec<_> = all.iter().map(|raw| outcome(raw)["data"]["maybe_rerun"] == true).collect();
    assert_eq!(reruns, [true, true, true, false], "first batches after an assignment, and no others");
    assert_eq!(house.committed(), Some(4));
}

#[test]
fn killed_in_the_middle_of_a_stream_every_event_has_its_outcome_after_the_next_start() {
    let house = House::new("killed", at_home("limits: { batch_max_records: 10 }\n"));
    let (ids, records) = house.stream(0..200);
    house.put(&records);
    let outcomes = house.outcomes();
    let service = house.start();
    outcomes.at_least(SOON, 40);
    service.kill();
    let before = outcomes.all();
    assert!(before.len() < ids.len(), "it was done already: the test needs a longer stream");

    let service = house.start();
    let everything: BTreeSet<&String> = ids.iter().collect();
    let all = outcomes.until(SOON, |seen| triggers(seen).iter().collect::<BTreeSet<_>>() == everything);
    service.stop();
    assert_eq!(triggers(&all), ids, "each once: outcomes and offsets are one transaction");
    // `outcome` has compared each id with the one that its event must have.
    let again = outcome(&all[before.len()]);
    assert_eq!(again["data"]["maybe_rerun"], true, "{again:#}");
    assert_eq!(outcome(&all[all.len() - 1])["data"]["maybe_rerun"], false);
    assert_eq!(house.committed(), Some(200));
}

#[test]
fn told_to_stop_under_load_it_publishes_and_commits_what_it_has_taken_and_goes() {
    let more = "limits: { batch_max_records: 5, drain: 15s }\n";
    let house = House::new("drain", Plan { more: more.to_owned(), ..Plan::default() });
    let (ids, records) = house.stream(0..100);
    house.put(&records);
    let outcomes = house.outcomes();
    let service = house.start();
    outcomes.at_least(SOON, 20);
    let told = Instant::now();
    service.signal(Signal::Terminate);
    assert_eq!(service.exit(SOON), 0, "{}", service.log());
    let took = told.elapsed();
    assert!(took.as_secs() < 15, "{took:?}");
    service.says(&["draining: no more records are taken"]);
    service.says(&["drained: everything that was taken is published and committed"]);

    let before = outcomes.all().len();
    assert!(before < ids.len(), "it was done already: the test needs a longer stream");
    assert_eq!(house.committed(), i64::try_from(before).ok(), "what is published is committed");
    let service = house.start();
    outcomes.at_least(SOON, ids.len());
    service.stop();
    assert_eq!(triggers(&outcomes.all()), ids, "each once, in order");
}

#[test]
fn ctrl_c_drains_too() {
    let house = House::new("ctrl-c", Plan::default());
    let service = house.start();
    house.put(&[unheard("1")]);
    house.outcomes().at_least(SOON, 1);
    service.signal(Signal::Interrupt);
    assert_eq!(service.exit(SOON), 0, "{}", service.log());
    service.says(&["drained"]);
    assert_eq!(house.committed(), Some(1));
}

/// Cannot finish: its outcomes have nowhere to go.
#[test]
fn told_twice_it_leaves_at_once() {
    for signal in [Signal::Terminate, Signal::Interrupt] {
        let house = House::new(&format!("twice-{signal}"), at_home("limits: { drain: 600s }\n"));
        house.kafka.delete_topic(&house.outcomes);
        house.put(&[unheard("1")]);
        let service = house.start();
        service.says(&["ERROR", "what is done cannot be published"]);
        service.signal(signal);
        service.says(&["draining"]);
        let told = Instant::now();
        service.signal(signal);
        assert_eq!(service.exit(SOON), 1, "{}", service.log());
        let took = told.elapsed();
        assert!(took.as_secs() < 5, "{took:?}");
        service.says(&["ERROR", "a second time"]);
        assert_eq!(house.committed(), Some(0), "nothing is committed that is not published");
    }
}

#[test]
fn a_drain_that_cannot_end_says_so_in_time_and_commits_nothing() {
    let house = House::new("stuck", at_home("limits: { drain: 1s }\n"));
    house.kafka.delete_topic(&house.outcomes);
    house.put(&[unheard("1")]);
    let service = house.start();
    service.says(&["ERROR", "what is done cannot be published"]);
    let told = Instant::now();
    service.signal(Signal::Terminate);
    assert_eq!(service.exit(SOON), 1, "{}", service.log());
    let took = told.elapsed();
    assert!(took.as_secs() < 5, "{took:?}");
    service.says(&["ERROR", "not drained within limits.drain (1s)"]);
    assert_eq!(house.committed(), Some(0));
}
