//! decode: a [`Record`] becomes a [`Trigger`], or a [`Poison`] that says why not.
//!
//! Nothing that a sender writes makes it panic, is quoted in what it says, or is guessed at: a
//! document that can be read in two ways (a repeated key or attribute, a date without an offset,
//! an empty list) is poison.

mod attributes;
mod body;
mod cloudevent;
mod examples;
mod fault;
mod instant;
mod json;
mod node;
mod tags;
mod targets;
#[cfg(test)]
mod tests;
mod trigger;

use std::sync::Arc;

use jiff::Timestamp;

use self::fault::Fault;
use crate::{ingest::Record, last_resort};

pub use examples::{example, own_types};
pub use trigger::{Body, Release, Tags, Trigger};

/// A record after decoding. Nothing is dropped here: what cannot be read is carried on as
/// [`Poison`], so that it ends in the dead letters and in an outcome.
#[derive(Debug)]
pub struct Decoded {
    /// The record as it came: should deciding about it crash, it is poison after all.
    pub record: Arc<Record>,
    /// When we took it.
    pub received_at: Timestamp,
    /// Its partition was new to us: an earlier owner may have acted on it already.
    pub maybe_rerun: bool,
    /// How often a person gave it another chance: where one did, its age and whether it was heard
    /// before do not count.
    pub redriven: u32,
    /// What it says.
    pub content: Result<Box<Trigger>, Poison>,
}

/// Reads one record.
pub fn decode(record: Record, received_at: Timestamp, maybe_rerun: bool) -> Decoded {
    let record = Arc::new(record);
    let read = last_resort::guard("reading", || {
        #[cfg(test)]
        last_resort::trap::spring("decode", &record.origin.to_string());
        Trigger::from_event(cloudevent::read(&record)?).map(Box::new)
    })
    .unwrap_or_else(|crash| Err(Fault::new(PoisonReason::Panicked, crash.to_string())));
    let content = read.map_err(|Fault { reason, detail }| Poison { record: record.clone(), reason, detail });
    let redriven = record.redriven();
    Decoded { record, received_at, maybe_rerun, redriven, content }
}

/// Does not read a record that was alone in the last of so many attempts which brought the process
/// down.
pub fn give_up(record: Record, crashes: u32, received_at: Timestamp, maybe_rerun: bool) -> Decoded {
    let record = Arc::new(record);
    let detail =
        format!("{crashes} attempts at it, the last of them alone, ended with the process; not tried again");
    let poison = Poison { record: record.clone(), reason: PoisonReason::KeepsCrashing, detail };
    let redriven = record.redriven();
    Decoded { record, received_at, maybe_rerun, redriven, content: Err(poison) }
}

/// A record that cannot be read, whole, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    /// The record as it came.
    pub record: Arc<Record>,
    /// What is wrong, as a word.
    pub reason: PoisonReason,
    /// What is wrong, for a person: names the attribute or the path in the data, never a value.
    pub detail: String,
}

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoisonReason {
    /// Null or nothing where an event should be.
    Empty,
    /// Neither a structured nor a binary CloudEvent.
    NotACloudEvent,
    /// Batch content mode, which is not part of the Kafka binding.
    BatchMode,
    /// Not JSON, not UTF-8, or nested too deeply.
    MalformedJson,
    /// A required attribute is missing, empty or wrong.
    InvalidAttribute,
    /// The data does not fit the schema of its type.
    InvalidData,
    /// Reading it or deciding about it crashed; see the log.
    Panicked,
    /// The process ended each time it was worked on.
    KeepsCrashing,
}

impl PoisonReason {
    /// As it is written in outcomes and dead letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotACloudEvent => "not_a_cloud_event",
            Self::BatchMode => "batch_mode",
            Self::MalformedJson => "malformed_json",
            Self::InvalidAttribute => "invalid_attribute",
            Self::InvalidData => "invalid_data",
            Self::Panicked => "panicked",
            Self::KeepsCrashing => "keeps_crashing",
        }
    }
}
