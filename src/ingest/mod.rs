//! ingest: records as they arrive, and whether their topic may say what they say.
//!
//! A [`Record`] is bytes with an [`Origin`]; nothing here looks into the payload. The edge that
//! polls Kafka hands over whatever is ready as one [`Batch`], never waiting when one record is
//! there and never more than `limits.batch_max_records`.

mod trust;

use std::{any::Any, collections::BTreeSet, fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use trust::{Distrust, NAMED_ONLY, TopicTrust, Trust};

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub number: i32,
}

/// Where a record came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A record on a trigger topic.
    Kafka {
        /// The topic's name.
        topic: Arc<str>,
        /// The partition's number.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// The record's own time, where the broker gave one.
        timestamp: Option<Timestamp>,
    },
    /// A step of unfinished work.
    Job {
        /// The job's key in the state topic.
        key: String,
        /// Which step.
        seq: u32,
    },
    /// A file or standard input.
    Local,
}

impl Origin {
    /// One string a position: the name from which ids of undecodable records are derived.
    pub fn position(&self) -> String {
        match self {
            Self::Kafka { topic, partition, offset, .. } => format!("{topic}\0{partition}\0{offset}"),
            Self::Job { key, seq } => format!("{key}\0{seq}"),
            Self::Local => "local".to_owned(),
        }
    }

    /// The record's own time, where it has one.
    pub fn timestamp(&self) -> Option<Timestamp> {
        match self {
            Self::Kafka { timestamp, .. } => *timestamp,
            Self::Job { .. } | Self::Local => None,
        }
    }

    /// The trigger partition, where it came from one.
    pub fn partition(&self) -> Option<Partition> {
        match self {
            Self::Kafka { topic, partition, .. } => {
                Some(Partition { topic: topic.clone(), number: *partition })
            }
            Self::Job { .. } | Self::Local => None,
        }
    }

    /// The offset on its trigger partition, where it came from one.
    pub fn offset(&self) -> Option<i64> {
        match self {
            Self::Kafka { offset, .. } => Some(*offset),
            Self::Job { .. } | Self::Local => None,
        }
    }

    /// Whether both stand for the same record.
    pub fn same_position(&self, other: &Self) -> bool {
        self.position() == other.position()
    }
}

/// `topic[partition]@offset`, as Kafka's own tools write a position.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kafka { topic, partition, offset, .. } => write!(f, "{topic}[{partition}]@{offset}"),
            Self::Job { key, seq } => write!(f, "job {key} step {seq}"),
            Self::Local => f.write_str("local"),
        }
    }
}

/// A header as Kafka has it: the value may be missing, and may be any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The header's name.
    pub name: String,
    /// The header's value; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
}

impl Header {
    /// Stands where a header could not be read because its name is not UTF-8: the name is U+FFFD,
    /// the replacement character, which no attribute of an event has, and the value is null.
    pub fn unreadable() -> Self {
        Self { name: char::REPLACEMENT_CHARACTER.into(), value: None }
    }
}

/// Bytes with a position. Its `Debug` form shows no payload.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's value; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
    /// The record's headers, in their order; names may repeat.
    pub headers: Vec<Header>,
    /// Where it came from.
    pub origin: Origin,
}

/// Counts how often a person gave a record another chance; stands on the record that is sent.
pub const REDRIVEN: &str = "severance-redriven";

impl Record {
    /// How often a person gave it another chance.
    pub fn redriven(&self) -> u32 {
        let header = self.headers.iter().rev().find(|header| header.name == REDRIVEN);
        let value = header.and_then(|header| std::str::from_utf8(header.value.as_deref()?).ok());
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("origin", &self.origin)
            .field("value_bytes", &self.value.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// By what right a batch is committed: taken by the edge when the batch began, carried along, and
/// read by nobody but the edge.
#[derive(Clone, Default)]
pub struct Claim(Option<Arc<dyn Any + Send + Sync>>);

impl Claim {
    /// Of whatever the edge needs.
    pub fn new(right: impl Any + Send + Sync) -> Self {
        Self(Some(Arc::new(right)))
    }

    /// What the edge put in.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.as_deref()?.downcast_ref()
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Claim" } else { "no Claim" })
    }
}

/// What was ready at one moment: the unit of work.
#[derive(Debug)]
pub struct Batch {
    /// Names the batch in every kill's comment.
    pub id: Uuid,
    /// In the order of arrival; within a partition in offset order.
    pub records: Vec<Record>,
    /// Partitions that we were given since their last batch: a crash may have left a kill
    /// without its outcome, so their outcomes say `maybe_rerun`.
    pub fresh: BTreeSet<Partition>,
    /// How often its only record brought us down, where that is too often to try it again.
    pub crashed: Option<u32>,
    /// When the last record of it was taken.
    pub received_at: Timestamp,
    /// By what right it is committed.
    pub claim: Claim,
}
