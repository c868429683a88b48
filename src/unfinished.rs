//! Work that is not finished, as somebody sees it who only looks: what stands on the topics of
//! unfinished work now. It joins no group and changes nothing.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::{
    config::{JobTopics, Kafka},
    edge::kafka_reader::{ReadError, Reader, Start},
    ingest::{Origin, Record},
    jobs::{Heard, Shelves},
};

/// How long one poll for a record lasts.
const POLL: Duration = Duration::from_millis(200);
/// How long a topic may say nothing before its end.
const PATIENCE: Duration = Duration::from_secs(15);

/// What stands on both topics.
#[derive(Clone, Debug, Default)]
pub struct Unfinished {
    /// The state topic.
    pub shelves: Shelves,
    /// The commands topic.
    pub heard: Heard,
}

impl Unfinished {
    /// Reads both. Blocks.
    pub fn read(kafka: &Kafka, topics: &JobTopics) -> Result<Self, ReadError> {
        let mut unfinished = Self::default();
        // The commands first: what was applied meanwhile has then ended its case on the other.
        read_all(kafka, &topics.commands, |record| unfinished.command(&record))?;
        read_all(kafka, &topics.state, |record| unfinished.state(&record))?;
        Ok(unfinished)
    }

    fn command(&mut self, record: &Record) {
        let Origin::Kafka { partition, offset, timestamp, .. } = &record.origin else { return };
        let at = timestamp.unwrap_or(Timestamp::UNIX_EPOCH);
        // One that cannot be read is counted there.
        let _ = self.heard.read(*partition, *offset, at, record.value.as_deref());
    }

    fn state(&mut self, record: &Record) {
        let Origin::Kafka { partition, .. } = &record.origin else { return };
        self.shelves.put(*partition, record.key.as_deref().unwrap_or_default(), record.value.as_deref());
    }
}

/// Hands over every record that a topic has now. Blocks.
pub fn read_all(kafka: &Kafka, topic: &str, mut take: impl FnMut(Record)) -> Result<(), ReadError> {
    let mut reader = Reader::open(kafka, topic, Start::Beginning)?;
    let mut heard_at = Instant::now();
    while !reader.has_caught_up() {
        if let Some(record) = reader.next(POLL)? {
            heard_at = Instant::now();
            take(record);
        } else if heard_at.elapsed() > PATIENCE {
            let reason = format!("its end was not reached, and nothing came for {} s", PATIENCE.as_secs());
            return Err(ReadError::Refused { topic: topic.to_owned(), reason });
        }
    }
    Ok(())
}
