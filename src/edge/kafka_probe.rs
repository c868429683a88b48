//! Asks the broker for its clock, and whether we may write transactions, by a record that nobody ever
//! reads: its transaction is aborted.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

use super::{kafka_client, kafka_context::Connection, kafka_produce::Rounds};
use crate::{config::Kafka, report::Encoded};

/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(10);

/// What the broker's clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerClock {
    /// It less ours.
    pub ahead: SignedDuration,
    /// By how much that may be wrong.
    pub error: SignedDuration,
}

/// Writes to the topic, which has `LogAppendTime`, and takes it back. `None` where the broker did
/// not say when it wrote. Blocks.
pub fn probe(kafka: &Kafka, topic: &str) -> Result<Option<BrokerClock>, String> {
    let connection = Arc::new(Connection::unlogged());
    let because = |error: &dyn std::fmt::Display| connection.cause().unwrap_or_else(|| error.to_string());
    let rounds = Rounds::new(&kafka_client::probing(kafka), connection.clone())
        .map_err(|error| kafka_client::fault(&error, &kafka.properties))?;
    rounds.init(ANSWER).map_err(|error| because(&error))?;
    rounds.begin().map_err(|error| because(&error))?;
    let record =
        Encoded { key: Some(b"check".to_vec()), value: None, headers: Vec::new(), partition: Some(0) };
    let (asked, began) = (Timestamp::now(), Instant::now());
    let delivered = rounds.round([(0, topic, &record)], |elapsed| elapsed < ANSWER).pop();
    let took = SignedDuration::try_from(began.elapsed()).unwrap_or(SignedDuration::MAX);
    rounds.abort(ANSWER).map_err(|error| because(&error))?;
    match delivered {
        Some((_, Ok(position))) => Ok(position.timestamp().map(|written| BrokerClock {
            ahead: written.duration_since(asked) - took / 2,
            // It is told in whole milliseconds.
            error: took / 2 + SignedDuration::from_millis(1),
        })),
        Some((_, Err(code))) => Err(because(&code)),
        None => Err("librdkafka has not said what became of a record".to_owned()),
    }
}
