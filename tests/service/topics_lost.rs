//! The outcomes topic is gone for a while.

use std::time::{Duration, Instant};

use super::house::{House, SOON, at_home, offboarded, outcome, triggers};

/// How long a flood is looked for: librdkafka looks for the topic every second or two.
const WINDOW: Duration = Duration::from_secs(3);

#[test]
fn without_its_topic_an_outcome_waits_loudly_once_and_survives_a_crash() {
    // In a transaction it takes ten seconds until the topic is missed; the other test has one.
    let mut plan = at_home("");
    plan.kafka += "  delivery: at-least-once\n";
    let house = House::new("lost", plan);
    let service = house.start();
    house.put(&[offboarded("1", "nobody")]);
    house.outcomes().at_least(SOON, 1);
    service.says(&["outcome", "nothing_found"]);
    house.kafka.delete_topic(&house.outcomes);
    house.put(&[offboarded("2", "nobody")]);
    service.says(&["ERROR", "what is done cannot be published", &house.outcomes]);
    let said = Instant::now();
    while said.elapsed() < WINDOW {
        let log = service.log();
        let errors = log.lines().filter(|line| line.contains("ERROR")).count();
        assert!(errors <= 2, "the topic is missing, and what is done waits:\n{log}");
        std::thread::sleep(Duration::from_millis(100));
    }
    service.kill();

    house.kafka.create_topic(&house.outcomes, 1, &[]);
    let service = house.start();
    let outcomes = house.outcomes();
    let all = outcomes.until(SOON, |seen| triggers(seen).contains(&"2".to_owned()));
    let all: Vec<_> = all.iter().map(outcome).collect();
    let second = all.iter().find(|outcome| outcome["data"]["trigger"]["id"] == "2").expect("it is there");
    assert_eq!(second["data"]["maybe_rerun"], true, "{second:#}");
    service.stop();
    assert_eq!(house.committed(), Some(2));
}

#[test]
fn a_topic_that_comes_back_lets_it_go_on() {
    let house = House::new("back", at_home(""));
    house.kafka.delete_topic(&house.outcomes);
    house.put(&[offboarded("1", "nobody"), offboarded("2", "nobody")]);
    let service = house.start();
    service.says(&["ERROR", "what is done cannot be published"]);
    house.put(&[offboarded("3", "nobody")]);
    house.kafka.create_topic(&house.outcomes, 1, &[]);
    let outcomes = house.outcomes();
    assert_eq!(triggers(&outcomes.at_least(SOON, 3)), ["1", "2", "3"]);
    service.says(&["INFO", "published again"]);
    service.stop();
    assert_eq!(house.committed(), Some(3));
}
