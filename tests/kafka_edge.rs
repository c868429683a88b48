//! The Kafka edge against librdkafka's mock cluster, where that is an honest witness: batches,
//! back-pressure, odd records, sizes, rebalances, outages. Not for transactions: it fakes them.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    io::Write,
    os::unix::ffi::OsStrExt,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use secrecy::SecretString;
use severance::{
    config::Kafka,
    edge::{
        kafka_consumer::{Batches, Consumer, Offsets},
        kafka_mock::MockCluster,
        kafka_publisher::{Destination, PublishError, Publishable, Publisher},
        kafka_reader::{Reader, Start},
    },
    ingest::{Batch, Header, Partition, Record, TopicTrust},
    report::{Encoded, Form},
};
use tokio::time::timeout;

const TRIGGERS: &str = "triggers";
const OUTCOMES: &str = "outcomes";

/// The mock cluster makes the first member of a group wait for three seconds.
const JOIN: Duration = Duration::from_secs(15);
const SOON: Duration = Duration::from_secs(10);

fn kafka(cluster: &MockCluster, more: &[(&str, &str)]) -> Kafka {
    let servers = cluster.bootstrap_servers();
    let mut properties = BTreeMap::from([("bootstrap.servers".to_owned(), SecretString::from(servers))]);
    for (name, value) in more {
        properties.insert((*name).to_owned(), SecretString::from(*value));
    }
    Kafka {
        delivery: severance::config::Delivery::AtLeastOnce,
        properties,
        group: "severance".into(),
        instance: None,
        topics: vec![(TRIGGERS.into(), TopicTrust::new(None, None))],
        outcomes: OUTCOMES.into(),
        dead_letters: "dead-letters".into(),
        jobs: None,
    }
}

/// A publisher onto the trigger topic is what feeds the consumer here.
fn feeder(cluster: &MockCluster) -> Publisher<Raw> {
    let mut kafka = kafka(cluster, &[]);
    kafka.outcomes = TRIGGERS.into();
    Publisher::start(&kafka).unwrap()
}

#[derive(Clone)]
struct Raw {
    key: String,
    full: Vec<u8>,
    headers: Vec<Header>,
}

impl Publishable for Raw {
    fn destination(&self) -> Destination {
        Destination::Outcomes
    }

    fn encode(&self, form: Form) -> Encoded {
        let value = match form {
            Form::Full => self.full.clone(),
            Form::Minimal => b"minimal".to_vec(),
        };
        Encoded {
            key: Some(self.key.clone().into()),
            value: Some(value),
            headers: self.headers.clone(),
            partition: None,
        }
    }
}

fn raw(key: impl ToString) -> Raw {
    Raw { key: key.to_string(), full: key.to_string().into(), headers: Vec::new() }
}

fn cluster(partitions: u16) -> MockCluster {
    let cluster = MockCluster::start(1).unwrap();
    cluster.create_topic(TRIGGERS, partitions).unwrap();
    cluster.create_topic(OUTCOMES, 1).unwrap();
    cluster
}

fn consume(cluster: &MockCluster, max: usize) -> (Consumer, Batches, Offsets) {
    Consumer::start(&kafka(cluster, &[]), max, Timestamp::now).unwrap()
}

async fn next(batches: &mut Batches) -> Batch {
    timeout(JOIN, batches.next()).await.expect("a batch in time").unwrap().expect("not drained")
}

fn values(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .map(|record| String::from_utf8(record.value.clone().unwrap_or_default()).unwrap())
        .collect()
}

fn acknowledge(offsets: &Offsets, batch: &Batch) {
    for record in &batch.records {
        let (partition, offset) = (record.origin.partition().unwrap(), record.origin.offset().unwrap());
        offsets.store(&partition, offset + 1);
    }
    offsets.settled(&batch.claim, true);
}

fn read_all(cluster: &MockCluster, topic: &str) -> Vec<Record> {
    let mut reader = Reader::open(&kafka(cluster, &[]), topic, Start::Beginning).unwrap();
    let mut records = Vec::new();
    while !reader.has_caught_up() {
        records.extend(reader.next(SOON).unwrap());
    }
    records
}

#[tokio::test]
async fn what_is_ready_comes_as_one_batch_and_what_comes_meanwhile_as_the_next() {
    let cluster = cluster(1);
    let feeder = feeder(&cluster);
    feeder.publish((0..5).map(raw).collect()).await.unwrap();
    let (consumer, mut batches, offsets) = consume(&cluster, 1000);

    let first = next(&mut batches).await;
    assert_eq!(values(&first.records), ["0", "1", "2", "3", "4"]);
    assert_eq!(first.fresh.len(), 1);
    assert!(first.records[0].origin.timestamp().is_some());

    for key in 5..8 {
        feeder.publish(vec![raw(key)]).await.unwrap();
    }
    acknowledge(&offsets, &first);
    let mut rest = Vec::new();
    while rest.len() < 3 {
        let batch = next(&mut batches).await;
        assert!(batch.fresh.is_empty());
        acknowledge(&offsets, &batch);
        rest.extend(values(&batch.records));
    }
    assert_eq!(rest, ["5", "6", "7"]);
    consumer.close().await.unwrap();
}

#[tokio::test]
async fn back_pressure_pauses_and_goes_on_without_losing_or_repeating_anything() {
    let cluster = cluster(2);
    let feeder = feeder(&cluster);
    let (consumer, mut batches, offsets) = consume(&cluster, 7);
    feeder.publish((0..100).map(raw).collect()).await.unwrap();

    let mut seen = Vec::new();
    while seen.len() < 100 {
        let batch = next(&mut batches).await;
        assert!(batch.records.len() <= 7, "{}", batch.records.len());
        acknowledge(&offsets, &batch);
        seen.extend(values(&batch.records));
        if seen.len() < 30 {
            // Longer than the consumer waits before it pauses.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    let mut sorted: Vec<u32> = seen.iter().map(|value| value.parse().unwrap()).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    consumer.close().await.unwrap();
}

#[tokio::test]
async fn after_a_pause_the_next_batch_does_not_wait_for_librdkafka_to_wake_up() {
    let cluster = cluster(1);
    let feeder = feeder(&cluster);
    let (consumer, mut batches, offsets) = consume(&cluster, 5);
    feeder.publish(vec![raw("warm")]).await.unwrap();
    acknowledge(&offsets, &next(&mut batches).await);
    let mut waits = Vec::new();
    for _ in 0..3 {
        feeder.publish((0..10).map(raw).collect()).await.unwrap();
        // Long enough to be paused; left alone, librdkafka would sleep for the rest of a second.
        tokio::time::sleep(Duration::from_millis(300)).await;
        acknowledge(&offsets, &next(&mut batches).await);
        let began = Instant::now();
        acknowledge(&offsets, &next(&mut batches).await);
        waits.push(began.elapsed());
    }
    assert!(waits.iter().min() < Some(&Duration::from_millis(300)), "{waits:?}");
    consumer.close().await.unwrap();
}

#[tokio::test]
async fn a_restart_goes_on_behind_what_was_stored_and_repeats_what_was_not() {
    let cluster = cluster(1);
    let feeder = feeder(&cluster);
    feeder.publish((0..4).map(raw).collect()).await.unwrap();

    let (consumer, mut batches, offsets) = consume(&cluster, 2);
    let done = next(&mut batches).await;
    acknowledge(&offsets, &done);
    let not_done = next(&mut batches).await;
    assert_eq!(values(&not_done.records), ["2", "3"]);
    consumer.stop();
    assert!(timeout(SOON, batches.next()).await.unwrap().unwrap().is_none(), "drained");
    consumer.close().await.unwrap();

    let (consumer, mut batches, _) = consume(&cluster, 10);
    let again = next(&mut batches).await;
    assert_eq!(values(&again.records), ["2", "3"]);
    assert_eq!(again.fresh.len(), 1, "an earlier owner may have acted on them");
    consumer.close().await.unwrap();
}

#[tokio::test]
async fn a_second_member_takes_half_and_what_was_pending_of_it_is_not_worked_on_twice() {
    let cluster = cluster(2);
    let feeder = feeder(&cluster);
    let (first, mut first_batches, first_offsets) = consume(&cluster, 1000);
    feeder.publish((0..20).map(raw).collect()).await.unwrap();
    let mut done: Vec<String> = Vec::new();
    while done.len() < 20 {
        let batch = next(&mut first_batches).await;
        acknowledge(&first_offsets, &batch);
        done.extend(values(&batch.records));
    }
    // Pending with the first, which does not take them: half of them will be the second's.
    feeder.publish((100..120).map(raw).collect()).await.unwrap();
    let (second, mut second_batches, second_offsets) = consume(&cluster, 1000);
    let of_second = timeout(Duration::from_secs(30), second_batches.next()).await.unwrap().unwrap().unwrap();
    acknowledge(&second_offsets, &of_second);

    let owned: Vec<Partition> =
        of_second.records.iter().map(|record| record.origin.partition().unwrap()).collect();
    // Unlike Kafka, the mock cluster refuses the commit that goes with a revocation, so what the
    // first has done may come to the second again; what was only pending comes to one of them.
    let pending = |batch: &Batch| values(&batch.records).into_iter().filter(|key| key.len() == 3);
    let mut both: Vec<String> = pending(&of_second).collect();
    while both.len() < 20 {
        let batch = tokio::select! {
            batch = next(&mut first_batches) => {
                assert!(batch.records.iter().all(|it| !owned.contains(&it.origin.partition().unwrap())));
                batch
            }
            batch = next(&mut second_batches) => batch,
        };
        both.extend(pending(&batch));
    }
    both.sort();
    assert_eq!(both, (100..120).map(|key| key.to_string()).collect::<Vec<_>>());
    second.close().await.unwrap();
    first.close().await.unwrap();
}

#[tokio::test]
async fn a_partition_that_was_taken_away_while_it_was_paused_is_read_again_when_it_comes_back() {
    let cluster = cluster(2);
    let feeder = feeder(&cluster);
    let quick = || {
        // A rebalance is heard of with a heartbeat.
        let kafka = kafka(&cluster, &[("heartbeat.interval.ms", "200")]);
        Consumer::start(&kafka, 3, Timestamp::now).unwrap()
    };
    feeder.publish((0..40).map(raw).collect()).await.unwrap();
    let (first, mut first_batches, first_offsets) = quick();
    let batch = next(&mut first_batches).await;
    let mut seen: BTreeSet<String> = values(&batch.records).into_iter().collect();
    first_offsets.settled(&batch.claim, false);
    // Nobody takes the next batch: it is full, and the partitions are paused, long before another
    // member can join.
    let (second, mut second_batches, second_offsets) = quick();
    let batch = timeout(Duration::from_secs(30), second_batches.next()).await.unwrap().unwrap().unwrap();
    for _ in 0..2 {
        // What is left to the first goes on meanwhile.
        let batch = next(&mut first_batches).await;
        acknowledge(&first_offsets, &batch);
        seen.extend(values(&batch.records));
    }
    second_offsets.settled(&batch.claim, false);
    second.close().await.unwrap();

    // It had committed nothing, so all of its partition is the first one's again.
    while seen.len() < 40 {
        let batch = next(&mut first_batches).await;
        acknowledge(&first_offsets, &batch);
        seen.extend(values(&batch.records));
    }
    first.close().await.unwrap();
}

#[tokio::test]
async fn headers_may_be_null_repeated_and_any_bytes() {
    let cluster = cluster(1);
    let header =
        |name: &str, value: Option<&[u8]>| Header { name: name.to_owned(), value: value.map(<[u8]>::to_vec) };
    let headers = vec![
        header("ce_id", Some(b"1")),
        header("ce_id", None),
        header("", Some(b"")),
        header("ce_source", Some(&[0xff, 0x00, 0xfe])),
    ];
    let message = Raw { headers: headers.clone(), ..raw("x") };
    feeder(&cluster).publish(vec![message]).await.unwrap();
    let (consumer, mut batches, _) = consume(&cluster, 10);
    assert_eq!(next(&mut batches).await.records[0].headers, headers);
    consumer.close().await.unwrap();
}

/// rdkafka can only send names that are UTF-8, so kcat sends this one.
#[tokio::test]
async fn a_header_whose_name_is_not_utf8_costs_that_header_and_nothing_else() {
    let cluster = cluster(1);
    let mut kcat = Command::new("kcat");
    kcat.args(["-P", "-b", &cluster.bootstrap_servers(), "-t", TRIGGERS, "-H", "ce_id=1", "-H"])
        .arg(OsStr::from_bytes(b"\xff\xfe=x"))
        .args(["-H", "ce_type=t"]);
    let mut kcat = kcat.stdin(Stdio::piped()).spawn().expect("kcat is not installed: apt-get install kcat");
    kcat.stdin.take().unwrap().write_all(b"odd").unwrap();
    assert!(kcat.wait().unwrap().success());
    let (consumer, mut batches, _) = consume(&cluster, 10);
    let batch = next(&mut batches).await;
    assert_eq!(values(&batch.records), ["odd"]);
    let header = |name: &str, value: &str| Header { name: name.into(), value: Some(value.into()) };
    assert_eq!(
        batch.records[0].headers,
        [header("ce_id", "1"), Header::unreadable(), header("ce_type", "t")]
    );
    consumer.close().await.unwrap();
}

#[tokio::test]
async fn what_is_too_large_is_published_in_the_form_that_fits() {
    let cluster = cluster(1);
    let publisher: Publisher<Raw> =
        Publisher::start(&kafka(&cluster, &[("message.max.bytes", "2000")])).unwrap();
    let large = Raw { full: vec![b'x'; 3000], ..raw("large") };
    publisher.publish(vec![raw("small"), large]).await.unwrap();
    assert_eq!(values(&read_all(&cluster, OUTCOMES)), ["small", "minimal"]);
}

#[tokio::test]
async fn an_outage_delays_outcomes_and_loses_none() {
    let cluster = cluster(1);
    let publisher: Publisher<Raw> = Publisher::start(&kafka(&cluster, &[])).unwrap();
    publisher.publish(vec![raw("before")]).await.unwrap();
    cluster.down().unwrap();
    let mut during = Box::pin(publisher.publish((0..50).map(raw).collect()));
    assert!(timeout(Duration::from_secs(1), &mut during).await.is_err(), "nobody can have acknowledged");
    assert!(!publisher.is_reachable());
    cluster.up().unwrap();
    timeout(SOON, &mut during).await.expect("acknowledged after the outage").unwrap();
    assert!(publisher.is_reachable());
    let mut published = values(&read_all(&cluster, OUTCOMES));
    published.dedup();
    assert_eq!(published.len(), 51);
}

#[tokio::test]
async fn a_publisher_that_is_stopped_in_an_outage_says_how_much_is_not_acknowledged() {
    let cluster = cluster(1);
    let publisher: Publisher<Raw> = Publisher::start(&kafka(&cluster, &[])).unwrap();
    publisher.publish(vec![raw("before")]).await.unwrap();
    cluster.down().unwrap();
    let publishing = publisher.publish((0..3).map(raw).collect());
    let (answer, ()) = tokio::join!(publishing, async { publisher.stop() });
    assert_eq!(answer, Err(PublishError::Stopped { unacknowledged: 3, total: 3 }));
}

#[tokio::test]
async fn brokers_that_are_down_at_the_start_are_waited_for() {
    let cluster = cluster(1);
    feeder(&cluster).publish(vec![raw("early")]).await.unwrap();
    cluster.down().unwrap();
    let (consumer, mut batches, _) = consume(&cluster, 10);
    assert!(timeout(Duration::from_secs(2), batches.next()).await.is_err());
    assert!(!consumer.is_reachable());
    cluster.up().unwrap();
    assert_eq!(values(&next(&mut batches).await.records), ["early"]);
    assert!(consumer.is_reachable());
    consumer.close().await.unwrap();
}

#[tokio::test]
async fn a_reader_from_now_on_sees_only_what_comes_after() {
    let cluster = cluster(1);
    let feeder = feeder(&cluster);
    feeder.publish(vec![raw("before")]).await.unwrap();
    let reader = Reader::open(&kafka(&cluster, &[]), TRIGGERS, Start::Now).unwrap();
    assert!(reader.has_caught_up());
    let mut following = reader.follow().unwrap();
    feeder.publish(vec![raw("after")]).await.unwrap();
    let record = timeout(SOON, following.recv()).await.unwrap().unwrap();
    assert_eq!(values(&[record]), ["after"]);
}
