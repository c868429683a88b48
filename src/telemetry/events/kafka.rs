//! What happens with Kafka.

use std::time::Duration;

use opentelemetry::KeyValue;

use crate::{
    decode::PoisonReason,
    ingest::Partition,
    telemetry::{metrics, names::label},
};

/// We were given partitions.
pub struct PartitionsAssigned<'a> {
    /// Which.
    pub partitions: &'a [Partition],
}

/// Partitions were taken from us.
pub struct PartitionsRevoked<'a> {
    /// Which.
    pub partitions: &'a [Partition],
    /// How many records that were not begun went with them.
    pub dropped: usize,
}

/// A rebalance failed.
pub struct RebalanceFailed<'a> {
    /// Why.
    pub error: &'a str,
}

/// What was taken of a partition is done and published. Not in the log: it is so all the time.
pub struct OffsetsDone<'a> {
    /// Which.
    pub partition: &'a Partition,
    /// Everything before it is done.
    pub next: i64,
}

/// The broker told where a partition ends: what lag is measured by.
pub struct PartitionEnds<'a> {
    /// Which.
    pub partition: &'a Partition,
    /// The offset of the next record that will be written there.
    pub end: i64,
    /// What is committed of it, or where it begins.
    pub begin: Option<i64>,
}

/// A topic did not take what was sent, and it is sent again.
pub struct PublishRetried<'a> {
    /// Which.
    pub topic: &'a str,
    /// Why, as a word; the publisher says it once.
    pub error: &'a str,
}

/// A transaction has ended. Not in the log: it is so all the time, and what keeps one from coming
/// about is said by whoever tries.
pub struct TransactionEnded {
    /// `committed`, `rejected`, `aborted` or `unknown`.
    pub result: &'static str,
    /// How long it took.
    pub took: Duration,
}

impl TransactionEnded {
    /// Counts it.
    pub fn emit(self) {
        let labels = [KeyValue::new(label::RESULT, self.result)];
        metrics::with(|metrics| metrics.transactions.record(self.took.as_secs_f64(), &labels));
    }
}

/// A record could not be read.
pub struct DeadLettered {
    /// Why.
    pub reason: PoisonReason,
}

impl PartitionsAssigned<'_> {
    /// Says and counts it.
    pub fn emit(self) {
        let Self { partitions } = self;
        tracing::info!(partitions = written(partitions), "partitions assigned");
        metrics::with(|metrics| {
            metrics.lags.assigned(partitions.iter().cloned());
            metrics.rebalances.add(1, &[KeyValue::new(label::CHANGE, "assigned")]);
        });
    }
}

impl PartitionsRevoked<'_> {
    /// Says and counts it.
    pub fn emit(self) {
        let Self { partitions, dropped } = self;
        tracing::info!(partitions = written(partitions), dropped, "partitions revoked");
        metrics::with(|metrics| {
            metrics.lags.revoked(partitions);
            metrics.rebalances.add(1, &[KeyValue::new(label::CHANGE, "revoked")]);
        });
    }
}

impl RebalanceFailed<'_> {
    /// Says and counts it.
    pub fn emit(self) {
        let Self { error } = self;
        tracing::warn!(error, "a rebalance failed");
        metrics::with(|metrics| metrics.rebalances.add(1, &[KeyValue::new(label::CHANGE, "failed")]));
    }
}

impl OffsetsDone<'_> {
    /// Counts it.
    pub fn emit(self) {
        metrics::with(|metrics| metrics.lags.done(self.partition, self.next));
    }
}

impl PartitionEnds<'_> {
    /// Counts it.
    pub fn emit(self) {
        metrics::with(|metrics| metrics.lags.seen(self.partition, self.end, self.begin));
    }
}

impl PublishRetried<'_> {
    /// Counts it.
    pub fn emit(self) {
        let Self { topic, error } = self;
        tracing::debug!(topic, error, "sent again");
        metrics::with(|metrics| {
            let labels = [
                KeyValue::new(label::TOPIC, metrics.topics.bound(topic)),
                KeyValue::new(label::ERROR, metrics.reasons.bound(error)),
            ];
            metrics.publish_retries.add(1, &labels);
        });
    }
}

impl DeadLettered {
    /// Counts it; its outcome says it.
    pub fn emit(self) {
        metrics::with(|metrics| {
            metrics.dead_letters.add(1, &[KeyValue::new(label::REASON, self.reason.name())]);
        });
    }
}

/// `hr[0] hr[1] siem[0]`
fn written(partitions: &[Partition]) -> String {
    let mut sorted: Vec<_> = partitions.iter().collect();
    sorted.sort();
    let names: Vec<_> =
        sorted.iter().map(|partition| format!("{}[{}]", partition.topic, partition.number)).collect();
    names.join(" ")
}
