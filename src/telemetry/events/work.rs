//! What happens with a batch.

use std::{collections::BTreeMap, time::Duration};

use opentelemetry::KeyValue;
use uuid::Uuid;

use crate::{
    ingest::{Origin, Record},
    telemetry::{
        metrics::{self, Metrics},
        names::label,
        trace::NOT_PUBLISHED,
    },
};

/// A batch was taken.
pub struct BatchTaken<'a> {
    /// Its name.
    pub batch: Uuid,
    /// What is in it.
    pub records: &'a [Record],
}

/// What a batch leaves behind was published, or was not.
pub struct Published<'a> {
    /// The topic for outcomes.
    pub outcomes: &'a str,
    /// The topic for dead letters.
    pub dead_letters: &'a str,
    /// How many of each.
    pub counts: (u64, u64),
    /// How long it took.
    pub took: Duration,
    /// Whether all of it was acknowledged.
    pub acknowledged: bool,
}

/// A canary has gone the whole way.
pub struct CanaryDone {
    /// How long ago it was made.
    pub took: Duration,
}

impl CanaryDone {
    /// Says and counts it.
    pub fn emit(self) {
        tracing::debug!(took = ?self.took, "canary");
        metrics::with(|metrics| metrics.canary(self.took));
    }
}

/// Everything of a batch is done.
pub struct BatchDone {
    /// Its name.
    pub batch: Uuid,
    /// How long ago it was taken.
    pub took: Duration,
}

impl BatchTaken<'_> {
    /// Says and counts it.
    pub fn emit(self) {
        let Self { batch, records } = self;
        tracing::debug!(%batch, records = records.len(), "batch taken");
        metrics::with(|metrics| {
            metrics.batch_size.record(u64::try_from(records.len()).unwrap_or(u64::MAX), &[]);
            let mut by_topic: BTreeMap<&str, u64> = BTreeMap::new();
            for record in records {
                if let Origin::Kafka { topic, .. } = &record.origin {
                    *by_topic.entry(topic).or_default() += 1;
                }
            }
            for (topic, count) in by_topic {
                metrics.consumed.add(count, &on(metrics, "poll", topic));
            }
        });
    }
}

impl Published<'_> {
    /// Counts it; what goes wrong is said by the publisher.
    pub fn emit(self) {
        let Self { outcomes, dead_letters, counts, took, acknowledged } = self;
        metrics::with(|metrics| {
            let mut labels =
                vec![KeyValue::new(label::MESSAGING, "kafka"), KeyValue::new(label::OPERATION, "publish")];
            labels.extend((!acknowledged).then(|| KeyValue::new(label::ERROR, NOT_PUBLISHED)));
            metrics.publish_duration.record(took.as_secs_f64(), &labels);
            if acknowledged {
                metrics.sent.add(counts.0, &on(metrics, "publish", outcomes));
                if counts.1 > 0 {
                    metrics.sent.add(counts.1, &on(metrics, "publish", dead_letters));
                }
            }
        });
    }
}

impl BatchDone {
    /// Says and counts it.
    pub fn emit(self) {
        let Self { batch, took } = self;
        tracing::debug!(%batch, ?took, "batch done");
        let labels = [KeyValue::new(label::MESSAGING, "kafka"), KeyValue::new(label::OPERATION, "process")];
        metrics::with(|metrics| metrics.batch_duration.record(took.as_secs_f64(), &labels));
    }
}

fn on(metrics: &Metrics, operation: &'static str, topic: &str) -> [KeyValue; 3] {
    [
        KeyValue::new(label::MESSAGING, "kafka"),
        KeyValue::new(label::OPERATION, operation),
        KeyValue::new(label::TOPIC, metrics.topics.bound(topic)),
    ]
}
