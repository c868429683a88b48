//! What was on a partition before we were given it, read again: for whoever has to tell what it has
//! seen before.
//!
//! It is read by consumers of its own on threads of its own, so that nothing waits for it but
//! whoever wants to, and only for so long.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tracing::{debug, warn};

use super::{
    kafka_client,
    kafka_context::{Connection, Watched, cause},
    kafka_reader::ReadError,
    kafka_record::{expect_odd_names, record},
};
use crate::{
    config::Kafka,
    ingest::{Partition, Record},
};

/// How long the first batch of a partition waits for its past.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long reading goes on beside the batches then.
const LONGEST: Duration = Duration::from_secs(120);

/// How long a broker may take to answer when a past is opened.
const OPENING: Duration = Duration::from_secs(5);

const POLL: Duration = Duration::from_millis(50);

/// How many records are told together.
const CHUNK: usize = 500;

/// Where we begin with a partition: what is before it is its past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// Which assignment it is of.
    pub(super) epoch: u64,
    /// The committed offset.
    pub(super) offset: i64,
}

/// By partition that we hold where we begin, where something is before it.
pub type Beginnings = BTreeMap<Partition, Beginning>;

/// How far back to read.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// No record that is older.
    pub since: Duration,
    /// No more records than this, all partitions together.
    pub most: usize,
}

/// Reads pasts until it is dropped.
pub struct Past {
    beginnings: watch::Receiver<Beginnings>,
    /// By partition the assignment whose past has been told, as far as it could be read.
    told: watch::Receiver<BTreeMap<Partition, u64>>,
    reading: JoinHandle<()>,
}

impl Past {
    /// Tells the records before each beginning, in parts.
    pub fn start(
        kafka: &Kafka,
        beginnings: watch::Receiver<Beginnings>,
        reach: Reach,
        tell: impl Fn(Vec<Record>) + Send + Sync + 'static,
    ) -> Self {
        let (done, told) = watch::channel(BTreeMap::new());
        let reading = tokio::spawn(follow(
            kafka_client::reader(kafka),
            beginnings.clone(),
            reach,
            Arc::new(tell),
            done,
        ));
        Self { beginnings, told, reading }
    }

    /// Waits until the pasts of these partitions have been told, but not for long.
    pub async fn known(&mut self, partitions: &BTreeSet<Partition>) {
        let awaited: BTreeMap<Partition, u64> = {
            let beginnings = self.beginnings.borrow();
            let awaited = partitions.iter().filter_map(|it| Some((it.clone(), beginnings.get(it)?.epoch)));
            awaited.collect()
        };
        let is_told = |told: &BTreeMap<Partition, u64>| {
            awaited.iter().all(|(partition, epoch)| told.get(partition).is_some_and(|told| told >= epoch))
        };
        if timeout(PATIENCE, self.told.wait_for(is_told)).await.is_err() {
            warn!(
                patience = ?PATIENCE,
                "what was on the partitions before is not read yet: a duplicate of it may be worked on again"
            );
        }
    }
}

impl Drop for Past {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

type Tell = Arc<dyn Fn(Vec<Record>) + Send + Sync>;

async fn follow(
    config: ClientConfig,
    mut beginnings: watch::Receiver<Beginnings>,
    reach: Reach,
    tell: Tell,
    done: watch::Sender<BTreeMap<Partition, u64>>,
) {
    loop {
        let now = beginnings.borrow_and_update().clone();
        let news: Beginnings = {
            let told = done.borrow();
            now.into_iter().filter(|(it, beginning)| told.get(it) != Some(&beginning.epoch)).collect()
        };
        if news.is_empty() {
            if beginnings.changed().await.is_err() {
                return;
            }
            continue;
        }
        let (ended, end) = oneshot::channel::<()>();
        let (config, tell, of) = (config.clone(), tell.clone(), news.clone());
        let thread = thread::Builder::new().name("kafka-past".to_owned()).spawn(move || {
            read(&config, &of, reach, &tell, &|| ended.is_closed());
            drop(ended);
        });
        if let Err(error) = thread {
            warn!(%error, "no thread to read what was on the partitions before");
        }
        // It ends by being dropped, however the thread ends.
        let _ended = end.await;
        done.send_modify(|told| {
            told.extend(news.into_iter().map(|(partition, beginning)| (partition, beginning.epoch)));
        });
    }
}

fn read(
    config: &ClientConfig,
    beginnings: &Beginnings,
    reach: Reach,
    tell: &Tell,
    is_over: &dyn Fn() -> bool,
) {
    let topics: BTreeSet<&Arc<str>> = beginnings.keys().map(|partition| &partition.topic).collect();
    let most = i64::try_from(reach.most / beginnings.len().max(1)).unwrap_or(i64::MAX);
    let until = Instant::now() + LONGEST;
    for topic in topics {
        let ends = beginnings.iter().filter(|(partition, _)| partition.topic == *topic);
        let ends = ends.map(|(partition, beginning)| (partition.number, beginning.offset)).collect();
        let is_over = || is_over() || Instant::now() > until;
        if let Err(error) = read_topic(config, topic, ends, most, reach.since, tell, &is_over) {
            warn!(%error, "what was on the partitions before cannot be read: duplicates of it are worked on again");
        }
    }
}

/// Of one topic, since the end of a partition does not say of which.
fn read_topic(
    config: &ClientConfig,
    topic: &Arc<str>,
    mut ends: BTreeMap<i32, i64>,
    most: i64,
    since: Duration,
    tell: &Tell,
    is_over: &dyn Fn() -> bool,
) -> Result<(), ReadError> {
    expect_odd_names();
    let began = Instant::now();
    let context = Watched(Arc::new(Connection::unlogged()));
    let consumer = BaseConsumer::from_config_and_context(config, context)
        .map_err(|_| ReadError::Config("librdkafka refuses them for a second consumer".to_owned()))?;
    let unreachable = |error: KafkaError| ReadError::Unreachable(cause(&consumer, &error));
    let refused =
        |error: KafkaError| ReadError::Refused { topic: topic.to_string(), reason: error.to_string() };
    // A client that has not seen metadata waits half a second for nothing.
    consumer.fetch_metadata(Some(topic), OPENING).map_err(unreachable)?;
    let oldest = Timestamp::now().checked_sub(since).unwrap_or(Timestamp::UNIX_EPOCH).as_millisecond().max(0);
    let mut list = TopicPartitionList::new();
    for number in ends.keys() {
        list.add_partition_offset(topic, *number, Offset::Offset(oldest)).map_err(refused)?;
    }
    let starts = consumer.offsets_for_times(list, OPENING).map_err(unreachable)?;
    let mut list = TopicPartitionList::new();
    ends.retain(|number, end| match starts.find_partition(topic, *number).map(|start| start.offset()) {
        Some(Offset::Offset(start)) if start.max(*end - most) < *end => {
            let start = Offset::Offset(start.max(*end - most));
            list.add_partition_offset(topic, *number, start).is_ok()
        }
        // Nothing is as young as that.
        _ => false,
    });
    consumer.assign(&list).map_err(refused)?;
    let mut records = Vec::new();
    let mut count = 0_usize;
    while !ends.is_empty() && !is_over() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let number = message.partition();
                match ends.get(&number) {
                    Some(end) if message.offset() < *end => {
                        records.push(record(&message, topic.clone()));
                        if message.offset() + 1 == *end {
                            ends.remove(&number);
                        }
                    }
                    Some(_) => drop(ends.remove(&number)),
                    None => {}
                }
            }
            // The mark of a transaction at the end takes an offset and is never read.
            Some(Err(KafkaError::PartitionEOF(number))) => drop(ends.remove(&number)),
            // librdkafka goes on by itself.
            Some(Err(error)) => debug!(%error, %topic, "while reading what was before"),
            None => {}
        }
        if records.len() >= CHUNK {
            count += records.len();
            tell(std::mem::take(&mut records));
        }
    }
    count += records.len();
    tell(records);
    if !ends.is_empty() && Instant::now() >= began + LONGEST {
        warn!(%topic, "what was on the partitions before is too much to be read in time: it is known in part");
    }
    debug!(%topic, records = count, took = ?began.elapsed(), "read what was on the partitions before");
    Ok(())
}
