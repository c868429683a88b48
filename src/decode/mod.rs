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
mod last_resort;
mod node;
mod tags;
mod targets;
#[cfg(test)]
mod tests;
mod trigger;

use jiff::Timestamp;

use crate::ingest::{Origin, Record};

pub use examples::{example, own_types};
pub use trigger::{Body, Release, Tags, Trigger};

/// A record after decoding. Nothing is dropped here: what cannot be read is carried on as
/// [`Poison`], so that it ends in the dead letters and in an outcome.
#[derive(Debug)]
pub struct Decoded {
    /// Where it came from.
    pub origin: Origin,
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

/// Reads one record. It is kept only where it is poison.
pub fn decode(record: Record, received_at: Timestamp, maybe_rerun: bool) -> Decoded {
    let origin = record.origin.clone();
    let redriven = record.redriven();
    let read = last_resort::guard(|| Trigger::from_event(cloudevent::read(&record)?).map(Box::new));
    let content = read.map_err(|fault| Poison { record, reason: fault.reason, detail: fault.detail });
    Decoded { origin, received_at, maybe_rerun, redriven, content }
}

/// A record that cannot be read, whole, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    /// The record as it came.
    pub record: Record,
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
    /// Reading it crashed; see the log.
    Panicked,
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
        }
    }
}
