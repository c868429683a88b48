//! A topic is followed to a moment: what open transactions hide is waited for, not read past.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use secrecy::SecretString;
use severance::config::{Delivery, Kafka};
use severance::edge::kafka_follow::{Follower, News};

use crate::support::kafka;

/// For anything that takes moments on a machine that is not busy.
const SOON: Duration = Duration::from_secs(40);
/// So long nothing may come.
const QUIET: Duration = Duration::from_millis(700);

fn settings() -> Kafka {
    let property = |name: &str, value: String| (name.to_owned(), SecretString::from(value));
    Kafka {
        properties: [
            property("bootstrap.servers", kafka().bootstrap()),
            property("group.id", "follow".to_owned()),
        ]
        .into(),
        group: "follow".to_owned(),
        instance: None,
        delivery: Delivery::ExactlyOnce,
        topics: Vec::new(),
        outcomes: "outcomes".to_owned(),
        dead_letters: "dead-letters".to_owned(),
        jobs: None,
    }
}

fn follow(topic: &str) -> (Follower, Receiver<News>) {
    let (told, news) = mpsc::channel();
    let follower = Follower::start(&settings(), topic, "test", move |news| told.send(news).is_ok(), |_| {});
    (follower.expect("the configuration is right"), news)
}

/// A producer with a transaction of its own.
struct Writer {
    producer: BaseProducer,
    topic: String,
}

impl Writer {
    fn new(topic: &str, name: &str) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", kafka().bootstrap())
            .set("transactional.id", format!("{topic}-{name}"));
        let producer: BaseProducer = config.create().expect("the configuration is right");
        producer.init_transactions(SOON).expect("a coordinator");
        Self { producer, topic: topic.to_owned() }
    }

    fn write(&self, partition: i32, key: &str) {
        self.producer.begin_transaction().expect("none is open");
        let record = BaseRecord::to(&self.topic).partition(partition).key(key).payload(key);
        self.producer.send(record).map_err(|(error, _)| error).expect("there is room");
        self.drain();
    }

    /// `flush` and a commit with records on their way look every 100 ms.
    fn drain(&self) {
        let end = Instant::now() + SOON;
        while self.producer.in_flight_count() > 0 {
            assert!(Instant::now() < end, "the broker takes it");
            self.producer.poll(Duration::from_millis(1));
        }
    }

    fn end(&self, commit: bool) {
        match commit {
            true => self.producer.commit_transaction(SOON).expect("it commits"),
            false => self.producer.abort_transaction(SOON).expect("it aborts"),
        }
    }
}

/// The keys that were read, until `is_last`.
fn until(news: &Receiver<News>, mut is_last: impl FnMut(&News) -> bool) -> Vec<String> {
    let end = Instant::now() + SOON;
    let mut keys = Vec::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let one = news.recv_timeout(left).expect("it is told in time");
        if let News::Record { key, .. } = &one {
            keys.push(String::from_utf8_lossy(key).into_owned());
        }
        if is_last(&one) {
            return keys;
        }
    }
}

fn is_quiet(news: &Receiver<News>) -> bool {
    matches!(news.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout))
}

#[test]
fn a_partition_is_loaded_only_when_what_was_open_has_ended() {
    let topic = "follow-load";
    kafka().create_topic(topic, 1, &[]);
    let (done, open) = (Writer::new(topic, "done"), Writer::new(topic, "open"));
    done.write(0, "first");
    done.end(true);
    open.write(0, "hidden");
    done.write(0, "behind it");
    done.end(true);
    let (follower, news) = follow(topic);
    follower.load(0, 7);
    until(&news, |news| matches!(news, News::Begun { load: 7, high_watermark, .. } if *high_watermark >= 3));
    assert!(is_quiet(&news), "nothing is read past an open transaction");
    open.end(true);
    let keys = until(&news, |news| matches!(news, News::Reached { load: 7, .. }));
    assert_eq!(keys, ["first", "hidden", "behind it"]);
    done.write(0, "later");
    done.end(true);
    assert_eq!(until(&news, |news| matches!(news, News::Record { .. })), ["later"], "it is read as it grows");
}

#[test]
fn an_aborted_record_is_never_read_and_its_mark_is_no_obstacle() {
    let topic = "follow-abort";
    kafka().create_topic(topic, 1, &[]);
    let writer = Writer::new(topic, "one");
    for round in 0..3 {
        writer.write(0, &format!("no {round}"));
        writer.end(false);
    }
    let (follower, news) = follow(topic);
    follower.load(0, 1);
    let keys = until(&news, |news| matches!(news, News::Reached { next, .. } if *next >= 6));
    assert!(keys.is_empty(), "{keys:?}");
}

#[test]
fn caught_up_means_that_everything_that_was_there_was_told_before() {
    let topic = "follow-catch-up";
    kafka().create_topic(topic, 2, &[]);
    let writers: Vec<Writer> = (0..2).map(|number| Writer::new(topic, &number.to_string())).collect();
    let (follower, news) = follow(topic);
    let mut expected = Vec::new();
    let mut read = Vec::new();
    for round in 0..20 {
        let commit = round % 3 != 2;
        for (partition, writer) in (0..).zip(&writers) {
            let key = format!("{round} {partition}");
            writer.write(partition, &key);
            writer.end(commit);
            if commit {
                expected.push(key);
            }
        }
        follower.catch_up(round);
        let keys = until(&news, |news| matches!(news, News::CaughtUp { token, .. } if *token == round));
        read.extend(keys);
        let (mut read, mut expected) = (read.clone(), expected.clone());
        read.sort();
        expected.sort();
        assert_eq!(read, expected, "after round {round}");
    }
}

#[test]
fn loading_again_reads_everything_again_and_leaving_reads_nothing() {
    let topic = "follow-again";
    kafka().create_topic(topic, 1, &[]);
    let writer = Writer::new(topic, "one");
    writer.write(0, "a");
    writer.end(true);
    let (follower, news) = follow(topic);
    for load in 1..=3 {
        follower.load(0, load);
        let keys = until(&news, |news| matches!(news, News::Reached { load: told, .. } if *told == load));
        assert_eq!(keys, ["a"]);
    }
    follower.leave(0);
    assert!(is_quiet(&news));
    writer.write(0, "b");
    writer.end(true);
    assert!(is_quiet(&news));
}

#[test]
fn a_topic_that_comes_later_is_followed_when_it_is_there() {
    let topic = "follow-later";
    let (follower, news) = follow(topic);
    follower.catch_up(1);
    assert!(is_quiet(&news));
    assert!(follower.fault()().is_some_and(|fault| fault.contains(topic)));
    kafka().create_topic(topic, 1, &[]);
    until(&news, |news| matches!(news, News::CaughtUp { token: 1, .. }));
}
