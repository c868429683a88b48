//! What comes a second time: a record that ended the process before, and an event that was heard
//! before.

use std::time::{Duration, Instant};

use severance::lab::Signal;

use super::group::spread;
use super::house::{House, Plan, SOON, at_home, offboarded, outcome, triggers, unheard};

/// Nothing can be published: whatever is taken hangs.
fn hanging(name: &str) -> House<'static> {
    let house = House::new(name, at_home("limits: { drain: 1s }\n"));
    house.kafka.delete_topic(&house.outcomes);
    house
}

fn mend(house: &House<'_>) {
    house.kafka.create_topics(&[(&house.outcomes, 1, &[])]);
}

#[test]
fn a_record_that_ends_the_process_five_times_is_a_dead_letter_and_the_next_is_served() {
    let house = hanging("crashes");
    house.put(&[unheard("bad"), unheard("good")]);
    for attempt in 1..=5 {
        let service = house.start();
        service.says(&["ERROR", "what is done cannot be published"]);
        service.kill();
        assert_eq!(house.noted(0), format!("attempts={attempt}"));
        assert_eq!(house.committed(), Some(0));
    }
    mend(&house);
    let service = house.start();
    let letters = house.dead_letters().at_least(SOON, 1);
    let outcomes = house.outcomes().at_least(SOON, 2);
    service.stop();

    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].header("severance-reason").as_deref(), Some("keeps_crashing"));
    assert_eq!(letters[0].header("severance-offset").as_deref(), Some("0"));
    assert_eq!(letters[0].value, unheard("bad").value);
    let first = &outcome(&outcomes[0])["data"];
    assert_eq!((&first["status"], &first["reason"]), (&"undecodable".into(), &"keeps_crashing".into()));
    assert_eq!(first["origin"]["kafka"]["offset"], 0);
    assert_eq!(triggers(&outcomes), ["good"]);
    assert_eq!((house.committed(), house.noted(0)), (Some(2), String::new()));
}

#[test]
fn from_the_third_attempt_on_records_go_alone_so_that_the_one_to_blame_is_found() {
    let house = hanging("blame");
    house.put(&[unheard("1"), unheard("2"), unheard("3")]);
    for _ in 0..2 {
        let service = house.start();
        service.says(&["ERROR", "what is done cannot be published"]);
        service.kill();
    }
    mend(&house);
    let outcomes = house.outcomes();
    let service = house.start_with(|command| {
        command.env("RUST_LOG", "severance=debug");
    });
    let all = outcomes.at_least(SOON, 3);
    assert_eq!(triggers(&all), ["1", "2", "3"]);
    let log = service.stop();
    let batches = log.lines().filter(|line| line.contains("batch taken")).count();
    assert_eq!(batches, 3, "each alone:\n{log}");
    assert_eq!((house.committed(), house.noted(0)), (Some(3), String::new()));
}

#[test]
fn a_stop_is_no_attempt_even_where_it_could_not_drain() {
    let house = hanging("stops");
    house.put(&[unheard("1")]);
    for _ in 0..6 {
        let service = house.start();
        service.says(&["ERROR", "what is done cannot be published"]);
        assert_eq!(house.noted(0), "attempts=1");
        service.signal(Signal::Terminate);
        assert_eq!(service.exit(SOON), 1, "{}", service.log());
        assert_eq!((house.committed(), house.noted(0)), (Some(0), String::new()));
    }
    mend(&house);
    let outcomes = house.outcomes();
    let service = house.start();
    assert_eq!(triggers(&outcomes.at_least(SOON, 1)), ["1"]);
    service.stop();
}

#[test]
fn a_partition_that_moves_on_unworked_has_no_attempt_behind_it() {
    let plan = Plan {
        partitions: 2,
        more: "limits: { batch_max_records: 1, depth: 1, drain: 1s }\n".to_owned(),
        ..Plan::default()
    };
    let house = House::new("moves", plan);
    house.kafka.delete_topic(&house.outcomes);
    spread(&house, 0..2);
    let first = house.start();
    first.says(&["ERROR", "what is done cannot be published"]);
    // One batch at a time: what stands behind it is not begun, and so not marked.
    let marked = |partition| house.noted(partition) == "attempts=1";
    until(|| marked(0) != marked(1));
    let second = house.start();
    second.says(&["ERROR", "what is done cannot be published"]);
    until(|| marked(0) && marked(1));
    second.kill();
    first.kill();
}

#[track_caller]
fn until(is_so: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < end, "it does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_event_that_was_heard_before_a_restart_is_a_duplicate_after_it() {
    let house = House::new("heard", Plan::default());
    let outcomes = house.outcomes();
    house.put(&[offboarded("once", "nobody-heard"), unheard("unheard")]);
    let service = house.start();
    outcomes.at_least(SOON, 2);
    service.stop();

    house.put(&[offboarded("once", "nobody-heard"), unheard("unheard"), offboarded("new", "nobody-heard")]);
    let service = house.start();
    let all = outcomes.at_least(SOON, 5);
    service.stop();
    let data: Vec<_> = all.iter().map(|raw| outcome(raw)["data"].clone()).collect();
    let said: Vec<_> = data.iter().map(|data| data["status"].as_str().unwrap_or_default()).collect();
    assert_eq!(said, ["nothing_found", "no_rule", "duplicate", "no_rule", "nothing_found"]);
    assert_eq!((&data[2]["final"], &data[0]["final"]), (&false.into(), &true.into()));
    assert_eq!(data[2]["case_id"], data[0]["case_id"]);
    let ids: Vec<_> = all.iter().map(|raw| outcome(raw)["id"].clone()).collect();
    assert_ne!(ids[2], ids[0], "an id of its own");
    assert_eq!(ids[3], ids[1], "what was not accepted is not remembered");
}
