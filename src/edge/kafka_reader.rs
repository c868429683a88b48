//! Reads a topic without a group: nothing is joined and nothing is committed.

use std::{
    collections::BTreeSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use tokio::sync::mpsc;

use super::{
    kafka_client,
    kafka_context::{Connection, Watched, cause},
    kafka_record::{expect_odd_names, record},
};
use crate::{config::Kafka, ingest::Record};

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record that is kept.
    Beginning,
    /// With whatever comes after [`Reader::open`] has returned.
    Now,
}

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// librdkafka does not take the configuration.
    #[error("kafka.properties: {0}")]
    Config(String),
    /// No broker answered.
    #[error("Kafka cannot be reached: {0}")]
    Unreachable(String),
    /// There is no such topic, or we may not see it.
    #[error("there is no topic {0}, or we may not read it")]
    Missing(String),
    /// The broker refused.
    #[error("topic {topic}: {reason}")]
    Refused {
        /// Which topic.
        topic: String,
        /// In librdkafka's words.
        reason: String,
    },
}

/// How long a broker may take to answer when a topic is opened.
const OPENING: Duration = Duration::from_secs(10);

/// How long a poll of [`Reader::follow`] lasts, and so how long its thread outlives its receiver.
const POLL: Duration = Duration::from_millis(100);

/// How many records [`Reader::follow`] reads ahead.
const AHEAD: usize = 256;

/// Reads one topic, in the order of each partition.
pub struct Reader {
    consumer: BaseConsumer<Watched>,
    topic: Arc<str>,
    /// Partitions that were not yet read to their end.
    behind: BTreeSet<i32>,
}

impl Reader {
    /// Asks for the topic's partitions and their ends, and begins to read. Blocks for at most ten
    /// seconds a partition.
    pub fn open(kafka: &Kafka, topic: &str, start: Start) -> Result<Self, ReadError> {
        expect_odd_names();
        let context = Watched(Arc::new(Connection::logged("reader")));
        let consumer = BaseConsumer::from_config_and_context(&kafka_client::reader(kafka), context)
            .map_err(|error| ReadError::Config(kafka_client::fault(&error, &kafka.properties)))?;
        let unreachable = |error: KafkaError| ReadError::Unreachable(cause(&consumer, &error));
        let metadata = consumer.fetch_metadata(Some(topic), OPENING).map_err(unreachable)?;
        let partitions: Vec<i32> = metadata
            .topics()
            .iter()
            .filter(|found| found.name() == topic && found.error().is_none())
            .flat_map(|found| found.partitions().iter().map(|partition| partition.id()))
            .collect();
        if partitions.is_empty() {
            return Err(ReadError::Missing(topic.to_owned()));
        }
        let mut behind = BTreeSet::new();
        let mut list = TopicPartitionList::new();
        for number in partitions {
            let (begin, end) = consumer.fetch_watermarks(topic, number, OPENING).map_err(unreachable)?;
            let next = match start {
                Start::Beginning => begin,
                Start::Now => end,
            };
            if next < end {
                behind.insert(number);
            }
            list.add_partition_offset(topic, number, Offset::Offset(next))
                .map_err(|error| refused(topic, &error))?;
        }
        consumer.assign(&list).map_err(|error| refused(topic, &error))?;
        Ok(Self { consumer, topic: topic.into(), behind })
    }

    /// The next record; `None` where none came in this time. Blocks.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Record>, ReadError> {
        match self.consumer.poll(wait) {
            Some(Ok(message)) => Ok(Some(record(&message, self.topic.clone()))),
            Some(Err(KafkaError::PartitionEOF(number))) => {
                self.behind.remove(&number);
                Ok(None)
            }
            Some(Err(error)) => match self.consumer.client().fatal_error() {
                Some((_, reason)) => Err(ReadError::Refused { topic: self.topic.to_string(), reason }),
                // The context has logged it, and librdkafka tries on.
                None => {
                    tracing::debug!(%error, topic = %self.topic, "while reading");
                    Ok(None)
                }
            },
            None => Ok(None),
        }
    }

    /// Whether everything was read that was there when the topic was opened, as far as
    /// transactions that were open then have ended. Offsets do not tell: the mark at the end of a
    /// transaction takes one and is never read.
    pub fn has_caught_up(&self) -> bool {
        self.behind.is_empty()
    }

    /// Reads on a thread of its own until the receiver is dropped.
    pub fn follow(mut self) -> Result<mpsc::Receiver<Record>, ReadError> {
        let (records, received) = mpsc::channel(AHEAD);
        let topic = self.topic.to_string();
        thread::Builder::new()
            .name("kafka-reader".to_owned())
            .spawn(move || {
                while !records.is_closed() {
                    match self.next(POLL) {
                        // It fails only where the receiver is gone, which ends the loop.
                        Ok(Some(record)) => drop(records.blocking_send(record)),
                        Ok(None) => {}
                        Err(error) => {
                            tracing::error!(%error, "reading has ended");
                            return;
                        }
                    }
                }
            })
            .map_err(|error| ReadError::Refused { topic, reason: format!("no thread for it: {error}") })?;
        Ok(received)
    }
}

/// The record at a position; `None` where it is no longer there. Blocks, at most for `patience`.
pub fn fetch(
    kafka: &Kafka,
    topic: &str,
    partition: i32,
    offset: i64,
    patience: Duration,
) -> Result<Option<Record>, ReadError> {
    let context = Watched(Arc::new(Connection::unlogged()));
    let consumer = BaseConsumer::from_config_and_context(&kafka_client::reader(kafka), context)
        .map_err(|error| ReadError::Config(kafka_client::fault(&error, &kafka.properties)))?;
    let (begin, end) = consumer
        .fetch_watermarks(topic, partition, OPENING)
        .map_err(|error| ReadError::Unreachable(cause(&consumer, &error)))?;
    if !(begin..end).contains(&offset) {
        return Ok(None);
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset))
        .map_err(|error| refused(topic, &error))?;
    consumer.assign(&list).map_err(|error| refused(topic, &error))?;
    let until = Instant::now() + patience;
    while Instant::now() < until {
        match consumer.poll(POLL) {
            Some(Ok(message)) if message.offset() == offset => {
                return Ok(Some(record(&message, topic.into())));
            }
            // Compacted, or of an aborted transaction: what comes is a later one.
            Some(Ok(_)) => return Ok(None),
            Some(Err(_)) | None => {}
        }
    }
    Err(ReadError::Unreachable(format!("no answer within {patience:?}")))
}

fn refused(topic: &str, error: &KafkaError) -> ReadError {
    ReadError::Refused { topic: topic.to_owned(), reason: error.to_string() }
}
