//! A Kafka that goes away and comes back.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use severance::lab::Signal;

use super::house::{House, SOON, at_home, triggers};
use crate::support::topic::Topic;
use crate::support::{Kafka, eventually};

fn all_of(outcomes: &Topic, house: &House<'_>, count: usize) {
    let everything: BTreeSet<String> = house.stream(0..count).0.into_iter().collect();
    outcomes.until(SOON, |seen| triggers(seen).into_iter().collect::<BTreeSet<_>>() == everything);
}

#[test]
fn nothing_is_lost_while_kafka_is_down_at_the_start_or_in_the_middle() {
    let kafka = Kafka::start();
    // Both ways to commit live through the same outages.
    let houses = ["exactly-once", "at-least-once"].map(|delivery| {
        let mut plan = at_home("limits: { batch_max_records: 5, drain: 3s }\n");
        plan.kafka += &format!("  delivery: {delivery}\n");
        House::on(&kafka, delivery, plan)
    });
    let outcomes = houses.each_ref().map(House::outcomes);
    let all_of =
        |count| houses.iter().zip(&outcomes).for_each(|(house, outcomes)| all_of(outcomes, house, count));
    let put = |range: Range<usize>| houses.iter().for_each(|house| house.put(&house.stream(range.clone()).1));

    put(0..10);
    kafka.kill();
    let services = houses.each_ref().map(House::start);
    let say = |words: &[&str]| services.iter().for_each(|service| drop(service.says(words)));
    say(&["ERROR", "Kafka cannot be reached", "consumer"]);
    kafka.restart();
    all_of(10);
    say(&["INFO", "Kafka answers again"]);

    // What they have taken by now is killed for while the broker is down, and waits to be published.
    put(10..110);
    outcomes.iter().for_each(|outcomes| drop(outcomes.at_least(SOON, 20)));
    kafka.kill();
    say(&["ERROR", "Kafka cannot be reached", "publisher"]);
    kafka.restart();
    all_of(110);
    assert_eq!(outcomes[0].all().len(), 110, "exactly once is once");

    // Somebody joins under their name. So soon after an outage that may be what was left of them, and
    // they join anew; in the end it is another process, and two would fence each other for ever.
    for (house, service) in houses.iter().zip(&services) {
        let has_ended = || service.has_said(&["another process", "under our name"]);
        for round in 1..=3 {
            pose_as_one(house, || has_ended() || service.log().matches("joining anew").count() >= round);
        }
        assert_eq!(service.exit(SOON), 1, "{}", service.log());
        let log = service.log();
        let cries = |level: &str, what: &str| {
            log.lines().filter(|line| line.contains(level) && line.contains(what)).count()
        };
        assert!(cries("ERROR", "Kafka cannot be reached") <= 6, "twice, by each side:\n{}", service.log());
        assert!(cries("WARN", "joining anew") <= 2, "once an outage:\n{}", service.log());
    }

    // With Kafka down there is nobody to commit to: they go in time, and say what that means.
    let services = houses.each_ref().map(House::start);
    put(110..120);
    all_of(120);
    kafka.kill();
    for service in &services {
        let told = Instant::now();
        service.signal(Signal::Terminate);
        let exit = service.exit(SOON);
        assert!(told.elapsed().as_secs() < 7, "{:?} for a drain of 3 s:\n{}", told.elapsed(), service.log());
        assert!(exit == 1 || service.has_said(&["drained: everything"]), "{}", service.log());
    }

    kafka.restart();
    put(120..121);
    let services = houses.each_ref().map(House::start);
    all_of(121);
    for (house, service) in houses.iter().zip(services) {
        service.stop();
        assert_eq!(house.committed(), Some(121));
    }
}

/// A member of the group that calls itself as the service does, until that has an effect.
fn pose_as_one(house: &House<'_>, mut enough: impl FnMut() -> bool) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", house.kafka.bootstrap()).set("group.id", &house.group);
    config.set("group.instance.id", "one").set("partition.assignment.strategy", "cooperative-sticky");
    config.set("enable.auto.commit", "false");
    let impostor: BaseConsumer = config.create().expect("the configuration is right");
    impostor.subscribe(&[&house.events]).expect("it can be subscribed to");
    eventually("the service notices that its name is taken", SOON, || {
        let _whatever = impostor.poll(Duration::from_millis(20));
        enough().then_some(())
    });
}
