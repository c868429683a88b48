//! What one batch leaves behind, as a value: whoever writes it (an acknowledged produce and then
//! the offsets, or one transaction) writes all of it or none that counts.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{CommandRecord, DeadLetter, Outcome, StateRecord};
use crate::{
    ingest::{Claim, Header, Origin, Partition},
    telemetry::Trace,
};

/// The outcomes, dead letters, records for unfinished work and offsets of one batch.
#[derive(Debug)]
pub struct Commit {
    /// The batch's name.
    pub batch: Uuid,
    /// What is to be published, in the order of the records.
    pub messages: Vec<Message>,
    /// By partition the offset of the next record to read.
    pub offsets: BTreeMap<Partition, i64>,
    /// By what right.
    pub claim: Claim,
    /// Its spans, which end when it is done with.
    pub trace: Trace,
}

/// One record to publish.
#[derive(Clone, Debug)]
pub enum Message {
    /// To the outcomes topic.
    Outcome(Box<Outcome>),
    /// To the dead-letters topic.
    DeadLetter(Box<DeadLetter>),
    /// To the state topic: a job that carries on what is not finished.
    State(StateRecord),
    /// To the commands topic: what every process that runs jobs has to hear.
    Command(CommandRecord),
}

/// How much of a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All of it.
    Full,
    /// What always fits: counts without lists, a prefix of the payload.
    Minimal,
}

/// A message as it goes on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's value; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
    /// The record's headers.
    pub headers: Vec<Header>,
    /// The partition, where that is not the key's matter.
    pub partition: Option<i32>,
}

impl Encoded {
    /// An upper bound of the record's size on the wire: what it holds, and 64 bytes for itself
    /// and each header's lengths.
    pub fn size(&self) -> usize {
        let bytes = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
        let headers: usize =
            self.headers.iter().map(|header| header.name.len() + bytes(&header.value) + 10).sum();
        bytes(&self.key) + bytes(&self.value) + headers + 64
    }
}

impl Message {
    /// The record that it is about.
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Outcome(outcome) => &outcome.data.origin,
            Self::DeadLetter(letter) => &letter.poison.record.origin,
            Self::State(record) => &record.origin,
            Self::Command(record) => &record.origin,
        }
    }

    /// As bytes.
    pub fn encode(&self, form: Form) -> Encoded {
        match self {
            Self::Outcome(outcome) => outcome.encode(form),
            Self::DeadLetter(letter) => letter.encode(form),
            // They were made to fit, and half of one would be another.
            Self::State(record) => record.encode(),
            Self::Command(record) => record.encode(),
        }
    }
}
