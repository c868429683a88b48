//! librdkafka's own mock cluster, inside this process: for the demo and for tests of this edge.
//!
//! It is an honest witness for groups, records, headers, offsets and errors, and none for
//! transactions: it fakes them. It keeps at most 5 MiB or 100,000 records of a partition.

use rdkafka::{error::KafkaError, mocking::MockCluster as Native, producer::DefaultProducerContext};

/// A cluster that lives as long as this value.
pub struct MockCluster(Native<'static, DefaultProducerContext>);

/// The mock cluster refused something.
#[derive(Debug, thiserror::Error)]
#[error("the mock Kafka cluster: {0}")]
pub struct MockError(String);

impl From<KafkaError> for MockError {
    fn from(error: KafkaError) -> Self {
        Self(error.to_string())
    }
}

impl MockCluster {
    /// Starts `brokers` brokers on loopback, at ports that are free.
    pub fn start(brokers: u16) -> Result<Self, MockError> {
        Ok(Self(Native::new(i32::from(brokers))?))
    }

    /// For `bootstrap.servers`; other processes on this machine may use it too.
    pub fn bootstrap_servers(&self) -> String {
        self.0.bootstrap_servers()
    }

    /// Creates a topic with one replica.
    pub fn create_topic(&self, name: &str, partitions: u16) -> Result<(), MockError> {
        Ok(self.0.create_topic(name, i32::from(partitions), 1)?)
    }

    /// Every broker hangs up and takes no connection, until [`MockCluster::up`].
    pub fn down(&self) -> Result<(), MockError> {
        Ok(self.0.broker_down(-1)?)
    }

    /// Every broker takes connections again.
    pub fn up(&self) -> Result<(), MockError> {
        Ok(self.0.broker_up(-1)?)
    }
}
