//! What librdkafka says while it runs: its log goes to ours, and a trouble is logged once when it
//! begins and once when it is over, however often librdkafka repeats it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::ProducerContext,
};
use tracing::{debug, error, info, warn};

/// A context that says nothing, for clients that only live to be checked.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Quiet {}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// A context that logs and keeps track of troubles, for clients without callbacks of their own.
pub(super) struct Watched(pub(super) Arc<Connection>);

impl ClientContext for Watched {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        bridge(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.trouble(&error, reason);
    }
}

impl ConsumerContext for Watched {}

/// Why the brokers cannot be reached, where librdkafka has said so by now: what it says waits in
/// its queue until somebody polls.
pub(super) fn cause(consumer: &BaseConsumer<Watched>, error: &KafkaError) -> String {
    let connection = &consumer.context().0;
    for _ in 0..QUEUED {
        if consumer.poll(Duration::from_millis(1)).is_none() {
            break;
        }
    }
    connection.cause().unwrap_or_else(|| error.to_string())
}

/// How many messages of librdkafka's are looked through for a cause; each failed connection
/// leaves one, a few a second.
const QUEUED: usize = 100;

/// librdkafka's log. What it also reports as an error comes in floods here and is left to
/// [`Connection`]; so are a broker that is not ready for idempotence and a partition whose leader
/// is not back yet, ten times a second while a broker starts. And properties of the other kind of
/// client are no news: both kinds are built from the same ones.
pub(super) fn bridge(level: RDKafkaLogLevel, facility: &str, message: &str) {
    let other_kind = facility == "CONFWARN"
        && (message.contains("is a consumer property") || message.contains("is a producer property"));
    if other_kind {
        return;
    }
    if ["FAIL", "ERROR", "FATAL", "GETPID", "METADATAUPDATE"].contains(&facility) {
        debug!(target: "librdkafka", facility, "{message}");
        return;
    }
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            error!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            warn!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            debug!(target: "librdkafka", facility, "{message}");
        }
    }
}

/// The troubles of one client with Kafka.
pub(super) struct Connection {
    /// Whose troubles these are in the log; `None` where the caller says it in an error.
    client: Option<&'static str>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What keeps us from the brokers, logged and not over.
    unreachable: BTreeSet<&'static str>,
    /// What the brokers refuse us, logged and not over.
    refused: BTreeSet<String>,
    /// Why the last single connection failed: the cause of "all brokers are down".
    last_failure: Option<String>,
    /// A topic that takes nothing, and why.
    blocked: Option<String>,
    /// When the brokers could not be reached for the last time, until somebody has asked.
    outage: Option<Instant>,
}

impl Connection {
    /// `client` says in the log whose troubles these are.
    pub(super) fn logged(client: &'static str) -> Self {
        Self { client: Some(client), state: Mutex::default() }
    }

    /// Logs nothing: for a command that ends with what went wrong.
    pub(super) fn unlogged() -> Self {
        Self { client: None, state: Mutex::default() }
    }

    /// Something went wrong.
    pub(super) fn trouble(&self, error: &KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        let mut state = self.state();
        let Some(client) = self.client else {
            // The first cause is the cause; "all brokers are down" is what comes of it.
            if code != RDKafkaErrorCode::AllBrokersDown {
                state.last_failure = Some(reason.to_owned());
            }
            return;
        };
        match code {
            RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve => {
                state.last_failure = Some(reason.to_owned());
                debug!(client, reason, "a connection to Kafka failed");
            }
            RDKafkaErrorCode::AllBrokersDown => {
                let cause = state.last_failure.clone();
                state.outage = Some(Instant::now());
                if state.unreachable.insert("brokers") {
                    error!(client, reason, cause, "Kafka cannot be reached; trying on");
                }
            }
            RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL => {
                state.last_failure = Some(reason.to_owned());
                if state.unreachable.insert("authentication") {
                    error!(client, reason, "Kafka does not let us in: check sasl.* and ssl.*; trying on");
                }
            }
            RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition => {
                if state.refused.insert(reason.to_owned()) {
                    error!(client, reason, "a topic is missing: `severance topics` says more; trying on");
                }
            }
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed => {
                if state.refused.insert(reason.to_owned()) {
                    error!(client, reason, "Kafka does not allow it: check the access lists; trying on");
                }
            }
            // Whoever polls ends with it and says so, or is glad to be at the end.
            RDKafkaErrorCode::Fatal | RDKafkaErrorCode::FencedInstanceId | RDKafkaErrorCode::PartitionEOF => {
                debug!(client, reason, "left to whoever polls")
            }
            other => {
                if state.refused.insert(format!("{other:?}")) {
                    warn!(client, reason, code = %other, "trouble with Kafka");
                }
            }
        }
    }

    /// A broker answered.
    pub(super) fn reached(&self) {
        let mut state = self.state();
        if !state.unreachable.is_empty() {
            state.unreachable.clear();
            state.outage = Some(Instant::now());
            info!(client = self.client.unwrap_or_default(), "Kafka answers again");
        }
    }

    /// What was refused may have been granted; should it be refused again, that is news.
    pub(super) fn forget_refusals(&self) {
        self.state().refused.clear();
    }

    /// Whether there was an outage no longer ago than this. Each outage explains one thing: who asks
    /// a second time hears of it no more.
    pub(super) fn explains(&self, within: Duration) -> bool {
        self.state().outage.take().is_some_and(|outage| outage.elapsed() < within)
    }

    /// Whether no broker can be reached, as far as is known.
    pub(super) fn is_unreachable(&self) -> bool {
        !self.state().unreachable.is_empty()
    }

    /// A topic takes nothing now, for this reason; or every topic does again.
    pub(super) fn block(&self, reason: Option<String>) {
        self.state().blocked = reason;
    }

    /// What keeps this client from its work, as far as is known.
    pub(super) fn fault(&self) -> Option<String> {
        let state = self.state();
        if state.unreachable.is_empty() {
            return state.blocked.clone();
        }
        let cause = state.last_failure.as_deref().unwrap_or("all brokers are down");
        Some(format!("Kafka cannot be reached: {cause}"))
    }

    /// Why the last connection failed, where one did.
    pub(super) fn cause(&self) -> Option<String> {
        self.state().last_failure.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_begins_once_and_ends_once() {
        let connection = Connection::logged("test");
        let down = KafkaError::Global(RDKafkaErrorCode::AllBrokersDown);
        let transport = KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure);
        connection.trouble(&transport, "connection refused");
        assert!(!connection.is_unreachable(), "one connection is not all of them");
        connection.trouble(&down, "1/1 brokers are down");
        assert!(connection.is_unreachable());
        assert_eq!(connection.cause().as_deref(), Some("connection refused"));
        connection.reached();
        assert!(!connection.is_unreachable());
    }

    #[test]
    fn an_outage_explains_one_thing() {
        let connection = Connection::logged("test");
        assert!(!connection.explains(Duration::MAX), "there was none");
        connection.trouble(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert!(connection.explains(Duration::MAX));
        assert!(!connection.explains(Duration::MAX), "once");
        connection.reached();
        assert!(!connection.explains(Duration::ZERO), "long ago");
    }

    #[test]
    fn a_missing_topic_is_no_outage() {
        let connection = Connection::logged("test");
        let unknown = KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition);
        connection.trouble(&unknown, "hr: unknown topic");
        assert!(!connection.is_unreachable());
    }
}
