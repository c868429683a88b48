//! A Kafka that goes away and comes back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use severance::lab::Signal;

use super::house::{House, SOON, Service, at_home, triggers};
use crate::support::topic::Topic;
use crate::support::{Kafka, eventually};

fn all_of(outcomes: &Topic, house: &House<'_>, count: usize) {
    let everything: BTreeSet<String> = house.stream(0..count).0.into_iter().collect();
    outcomes.until(SOON, |seen| triggers(seen).into_iter().collect::<BTreeSet<_>>() == everything);
}

#[test]
fn nothing_is_lost_while_kafka_is_down_at_the_start_or_in_the_middle() {
    let kafka = Kafka::start();
    let house = House::on(&kafka, "outage", at_home("limits: { batch_max_records: 5, drain: 3s }\n"));
    let outcomes = house.outcomes();
    house.put(&house.stream(0..10).1);
    kafka.kill();
    let service = house.start();
    service.says(&["ERROR", "Kafka cannot be reached", "consumer"]);
    kafka.restart();
    all_of(&outcomes, &house, 10);
    service.says(&["INFO", "Kafka answers again"]);

    // What it has taken by now is killed for while the broker is down, and waits to be published.
    house.put(&house.stream(10..110).1);
    outcomes.at_least(SOON, 20);
    kafka.kill();
    service.says(&["ERROR", "Kafka cannot be reached", "publisher"]);
    kafka.restart();
    all_of(&outcomes, &house, 110);

    // Somebody joins under our name. So soon after an outage that may be what was left of us.
    let said = |what: &'static str| move |service: &Service| service.has_said(&[what]);
    let anew = said("joining anew");
    pose_as_one(&house, || anew(&service));
    house.put(&house.stream(110..115).1);
    all_of(&outcomes, &house, 115);

    // Out of the blue it is another process, and two would fence each other for ever.
    let ended = said("another process has joined the group under our name");
    pose_as_one(&house, || ended(&service));
    assert_eq!(service.exit(SOON), 1, "{}", service.log());
    let cries = service.log().lines().filter(|line| line.contains("ERROR")).count();
    assert!(cries <= 8, "each trouble is said once by each side:\n{}", service.log());

    // With Kafka down there is nobody to commit to: it goes in time, and says what that means.
    let service = house.start();
    house.put(&house.stream(115..120).1);
    all_of(&outcomes, &house, 120);
    kafka.kill();
    let told = Instant::now();
    service.signal(Signal::Terminate);
    let exit = service.exit(SOON);
    assert!(told.elapsed().as_secs() < 7, "{:?} for a drain of 3 s:\n{}", told.elapsed(), service.log());
    assert!(exit == 1 || service.has_said(&["drained: everything"]), "{}", service.log());

    kafka.restart();
    let service = house.start();
    house.put(&house.stream(120..121).1);
    all_of(&outcomes, &house, 121);
    service.stop();
    assert_eq!(house.committed(), Some(121));
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
