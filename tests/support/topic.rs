//! Both ends of a topic, by a client that is not the program's own.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

/// One step of waiting for a record.
const POLL: Duration = Duration::from_millis(100);
/// How long a broker may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// A record, as it is on a topic or is to be put there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Raw {
    /// With these headers, in this order.
    pub fn new(value: impl Into<Vec<u8>>, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).into())));
        Self { key: None, value: Some(value.into()), headers: headers.collect() }
    }

    /// The only value of a header, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut found = self.headers.iter().filter(|(header, _)| header == name);
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "{name} is there twice");
        Some(String::from_utf8_lossy(value.as_deref()?).into_owned())
    }
}

/// Puts records on a partition, in order; all of them are there when this returns.
pub fn put(bootstrap: &str, topic: &str, partition: i32, records: &[Raw]) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("acks", "all").set("enable.idempotence", "true");
    config.set("linger.ms", "1").set("message.max.bytes", "2000000");
    config.set("reconnect.backoff.max.ms", "500");
    let producer: BaseProducer = config.create().expect("the configuration is right");
    for raw in records {
        let mut record = BaseRecord::to(topic).partition(partition);
        record.key = raw.key.as_deref();
        record.payload = raw.value.as_deref();
        if !raw.headers.is_empty() {
            let headers = raw.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: value.as_deref() })
            });
            record.headers = Some(headers);
        }
        producer.send(record).map_err(|(error, _)| error).expect("there is room in the queue");
    }
    producer.flush(Timeout::After(ANSWER)).expect("the broker takes the records");
    assert_eq!(producer.in_flight_count(), 0);
}

/// Reads a topic from its beginning, whatever a group has committed.
pub struct Topic {
    consumer: BaseConsumer,
    name: String,
    seen: RefCell<Vec<Raw>>,
}

impl Topic {
    pub fn open(bootstrap: &str, name: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("group.id", "nobody");
        config.set("fetch.wait.max.ms", "10").set("isolation.level", "read_committed");
        // Else it would wait at its end for a broker that may be gone.
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        config.set("reconnect.backoff.max.ms", "500");
        let consumer: BaseConsumer = config.create().expect("the configuration is right");
        // A broker hears of a new topic a moment after whoever has made it.
        let partitions = super::eventually(&format!("a topic {name}"), ANSWER, || {
            let metadata = consumer.fetch_metadata(Some(name), ANSWER).expect("the broker answers");
            let topic = metadata.topics().iter().find(|topic| topic.name() == name)?;
            let numbers: Vec<i32> = topic.partitions().iter().map(|partition| partition.id()).collect();
            (topic.error().is_none() && !numbers.is_empty()).then_some(numbers)
        });
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition_offset(name, partition, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&list).expect("partitions that exist");
        Self { consumer, name: name.to_owned(), seen: RefCell::default() }
    }

    /// Every record so far, once `enough` of them are there.
    pub fn until(&self, limit: Duration, enough: impl Fn(&[Raw]) -> bool) -> Vec<Raw> {
        let end = Instant::now() + limit;
        loop {
            if enough(&self.seen.borrow()) {
                return self.seen.borrow().clone();
            }
            let seen = self.seen.borrow().len();
            assert!(Instant::now() < end, "{}: {seen} records after {} s", self.name, limit.as_secs());
            self.take(POLL);
        }
    }

    /// At least so many.
    pub fn at_least(&self, limit: Duration, count: usize) -> Vec<Raw> {
        self.until(limit, |seen| seen.len() >= count)
    }

    /// Every record that is there now.
    pub fn all(&self) -> Vec<Raw> {
        let ends: Vec<(i32, i64)> = self
            .consumer
            .assignment()
            .expect("an assignment")
            .elements()
            .iter()
            .map(|element| {
                let partition = element.partition();
                let marks = self.consumer.fetch_watermarks(&self.name, partition, ANSWER);
                (partition, marks.expect("the broker answers").1)
            })
            .collect();
        let end = Instant::now() + ANSWER;
        let is_behind = || {
            let positions = self.consumer.position().expect("positions");
            ends.iter().any(|(partition, end)| {
                let position = positions.find_partition(&self.name, *partition).map(|at| at.offset());
                let next = match position {
                    Some(Offset::Offset(next)) => next,
                    _ => 0,
                };
                next < *end
            })
        };
        while is_behind() {
            assert!(Instant::now() < end, "{} cannot be read to its end", self.name);
            self.take(POLL);
        }
        self.seen.borrow().clone()
    }

    fn take(&self, wait: Duration) {
        let mut wait = wait;
        while let Some(polled) = self.consumer.poll(wait) {
            // librdkafka goes on by itself after whatever is wrong with the connection.
            if let Ok(message) = polled {
                let headers = message.headers().map(|headers| {
                    let pair =
                        |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
                    headers.iter().map(pair).collect()
                });
                self.seen.borrow_mut().push(Raw {
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: headers.unwrap_or_default(),
                });
            }
            wait = Duration::ZERO;
        }
    }
}

/// What a group has committed of a partition; `None` where nothing is.
pub fn committed(bootstrap: &str, group: &str, topic: &str, partition: i32) -> Option<i64> {
    match asked(bootstrap, group, topic, partition).elements()[0].offset() {
        Offset::Offset(next) => Some(next),
        _ => None,
    }
}

/// What a group has noted beside the offset that it has committed.
pub fn noted(bootstrap: &str, group: &str, topic: &str, partition: i32) -> String {
    asked(bootstrap, group, topic, partition).elements()[0].metadata().to_owned()
}

fn asked(bootstrap: &str, group: &str, topic: &str, partition: i32) -> TopicPartitionList {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", group);
    let consumer: BaseConsumer = config.create().expect("the configuration is right");
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    consumer.committed_offsets(list, ANSWER).expect("the broker answers")
}
