//! What happens with a member.

use opentelemetry::KeyValue;

use crate::telemetry::{metrics, names::label};

/// A member is asked again after a try that failed or was not answered.
pub struct KillRetried<'a> {
    /// Which member.
    pub node: &'a str,
}

/// A member was not reached in a batch.
pub struct NodeUnreachable<'a> {
    /// The cluster's configured name.
    pub cluster: &'a str,
    /// Which member.
    pub node: &'a str,
}

/// A member used up a budget.
pub struct CircuitOpened<'a> {
    /// Which member.
    pub node: &'a str,
}

/// A member that used up a budget answered a probe.
pub struct CircuitClosed<'a> {
    /// Which member.
    pub node: &'a str,
}

impl KillRetried<'_> {
    /// Says and counts it.
    pub fn emit(self) {
        let Self { node } = self;
        tracing::debug!(node, "asking the node again");
        metrics::with(|metrics| metrics.kill_retries.add(1, &[of(metrics, node)]));
    }
}

impl NodeUnreachable<'_> {
    /// Counts it; the outcomes of the batch say it.
    pub fn emit(self) {
        let Self { cluster, node } = self;
        tracing::debug!(cluster, node, "node not reached in this batch");
        metrics::with(|metrics| {
            let cluster = KeyValue::new(label::CLUSTER, cluster.to_owned());
            metrics.unreachable.add(1, &[cluster, of(metrics, node)]);
        });
    }
}

impl CircuitOpened<'_> {
    /// Says and counts it.
    pub fn emit(self) {
        let Self { node } = self;
        tracing::warn!(node, "node used up its budget: not waited for until it answers a probe");
        metrics::with(|metrics| {
            metrics.circuit_trips.add(1, &[of(metrics, node)]);
            metrics.circuit_opened(node);
        });
    }
}

impl CircuitClosed<'_> {
    /// Says it.
    pub fn emit(self) {
        let Self { node } = self;
        tracing::info!(node, "node answers again");
        metrics::with(|metrics| metrics.circuit_closed(node));
    }
}

fn of(metrics: &metrics::Metrics, node: &str) -> KeyValue {
    KeyValue::new(label::NODE, metrics.nodes.bound(node))
}
