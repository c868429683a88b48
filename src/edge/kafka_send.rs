//! Publishes a few records and says how it went: without trying for ever, for commands.

use std::{sync::Arc, time::Duration};

use rdkafka::error::RDKafkaErrorCode;

use super::{kafka_client, kafka_context::Connection, kafka_produce::Rounds};
use crate::{config::Kafka, ingest::Origin, report::Encoded};

/// Why nothing can be sent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// librdkafka does not take the configuration.
    #[error("kafka.properties: {0}")]
    Config(String),
}

/// A producer; the first record waits for it to connect.
pub struct Sender {
    rounds: Rounds,
    connection: Arc<Connection>,
}

impl Sender {
    /// Connects by itself, when it is first used.
    pub fn new(kafka: &Kafka) -> Result<Self, SendError> {
        let connection = Arc::new(Connection::unlogged());
        let rounds = Rounds::new(&kafka_client::producer(kafka), connection.clone())
            .map_err(|error| SendError::Config(kafka_client::fault(&error, &kafka.properties)))?;
        Ok(Self { rounds, connection })
    }

    /// Publishes to the topics and says of each record, in order, where it is now, or why it is
    /// not known to be anywhere. Blocks, at most for `patience`.
    pub fn send(&self, records: &[(Arc<str>, Encoded)], patience: Duration) -> Vec<Result<Origin, String>> {
        let numbered = records.iter().enumerate().map(|(index, (topic, encoded))| (index, &**topic, encoded));
        let mut answers: Vec<Result<Origin, String>> =
            records.iter().map(|_| Err("librdkafka has not said what became of it".to_owned())).collect();
        for (index, delivery) in self.rounds.round(numbered, |elapsed| elapsed < patience) {
            answers[index] = delivery.map_err(|code| match code {
                // What was given up: the cause is why no broker took it.
                RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight => {
                    let cause = self.connection.cause();
                    cause.unwrap_or_else(|| format!("no acknowledgement within {patience:?}"))
                }
                code => code.to_string(),
            });
        }
        answers
    }
}
