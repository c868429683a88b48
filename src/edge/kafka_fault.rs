//! What ends consumption.

/// What ends consumption. Everything else is tried again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConsumerError {
    /// librdkafka does not take the configuration.
    #[error("kafka.properties: {0}")]
    Config(String),
    /// Another process runs under our `kafka.instance`.
    #[error("another process has joined the group under our name (kafka.instance): {0}")]
    Fenced(String),
    /// librdkafka gave up this client.
    #[error("the Kafka consumer cannot go on: {0}")]
    Fatal(String),
    /// The offsets of the last batches were not committed: they will be read again.
    #[error("the last offsets were not committed: {0}")]
    NotCommitted(String),
    /// The thread is gone; its log line says why.
    #[error("the thread that polls Kafka has ended")]
    Gone,
}
