//! One round of publishing: everything at once into the producer's queue, then polled until the
//! broker has answered for every record.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig},
};

use super::kafka_context::{Connection, bridge};
use crate::{ingest::Origin, report::Encoded};

/// How long to sleep between two looks at what was delivered. An acknowledgement takes about
/// 600 us; `flush` would look every 100 ms.
const LOOK: Duration = Duration::from_micros(200);

/// After this long without an end it is an outage, and looking less often saves the processor.
const OUTAGE_AFTER: Duration = Duration::from_millis(500);
const LOOK_IN_OUTAGE: Duration = Duration::from_millis(10);

/// How long a poll lasts that takes all that librdkafka has to say; thousands of messages fit.
const SERVE: Duration = Duration::from_millis(2);

/// How long a look for a missing topic may take.
const LOOK_FOR: Duration = Duration::from_secs(1);

/// A producer whose records are counted.
pub(super) struct Rounds {
    producer: BaseProducer<Delivered>,
}

/// What became of one record: where it is now, or why it is nowhere.
pub(super) type Delivery = Result<Origin, RDKafkaErrorCode>;

/// The callbacks; they run inside `poll`.
struct Delivered {
    connection: Arc<Connection>,
    deliveries: Mutex<Vec<(usize, Delivery)>>,
}

impl ClientContext for Delivered {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        bridge(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.connection.trouble(&error, reason);
    }
}

impl ProducerContext for Delivered {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let delivery = match result {
            Ok(message) => Ok(Origin::Kafka {
                topic: message.topic().into(),
                partition: message.partition(),
                offset: message.offset(),
                timestamp: None,
            }),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        };
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).push((index, delivery));
    }
}

impl Rounds {
    /// A new client; it connects by itself, and goes on trying.
    pub(super) fn new(config: &ClientConfig, connection: Arc<Connection>) -> Result<Self, KafkaError> {
        let context = Delivered { connection, deliveries: Mutex::default() };
        Ok(Self { producer: BaseProducer::from_config_and_context(config, context)? })
    }

    /// Publishes `records` and says by index what became of each. `waiting` is asked now and then,
    /// with the time since the beginning, whether to go on waiting; what is still unanswered when
    /// it says no has failed.
    pub(super) fn round<'a>(
        &self,
        records: impl IntoIterator<Item = (usize, &'a str, &'a Encoded)>,
        mut waiting: impl FnMut(Duration) -> bool,
    ) -> Vec<(usize, Delivery)> {
        let began = Instant::now();
        let mut rejected = Vec::new();
        for (index, topic, encoded) in records {
            loop {
                match self.send(index, topic, encoded) {
                    Ok(()) => break,
                    Err(RDKafkaErrorCode::QueueFull) if waiting(began.elapsed()) => self.look(began),
                    Err(code) => {
                        rejected.push((index, Err(code)));
                        break;
                    }
                }
            }
        }
        while self.producer.in_flight_count() > 0 {
            if !waiting(began.elapsed()) {
                self.producer.purge(PurgeConfig::default().queue().inflight());
                while self.producer.in_flight_count() > 0 {
                    self.look(began);
                }
                break;
            }
            self.look(began);
        }
        // The reports of the last records may still be on their way to us.
        self.producer.poll(Duration::ZERO);
        let mut deliveries = mem::take(
            &mut *self.producer.context().deliveries.lock().unwrap_or_else(PoisonError::into_inner),
        );
        deliveries.append(&mut rejected);
        deliveries
    }

    /// Serves what librdkafka has to say while nothing is published: all of it, since a poll without
    /// time takes one message, and in an outage there are several a second.
    pub(super) fn idle(&self) {
        self.producer.poll(SERVE);
    }

    /// Looks for a topic that was missing: librdkafka by itself looks every ten seconds. Says
    /// whether a broker answered; whether the topic is there now shows when it is written to.
    pub(super) fn look_for(&self, topic: &str) -> bool {
        self.producer.client().fetch_metadata(Some(topic), LOOK_FOR).is_ok()
    }

    /// Whether librdkafka has given this client up, and why.
    pub(super) fn fatal(&self) -> Option<String> {
        self.producer.client().fatal_error().map(|(_, reason)| reason)
    }

    fn look(&self, began: Instant) {
        self.producer.poll(Duration::ZERO);
        if self.producer.in_flight_count() > 0 {
            thread::sleep(if began.elapsed() < OUTAGE_AFTER { LOOK } else { LOOK_IN_OUTAGE });
        }
    }

    fn send(&self, index: usize, topic: &str, encoded: &Encoded) -> Result<(), RDKafkaErrorCode> {
        let mut record = BaseRecord::with_opaque_to(topic, index);
        record.key = encoded.key.as_deref();
        record.payload = encoded.value.as_deref();
        if !encoded.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(encoded.headers.len());
            record.headers = Some(encoded.headers.iter().fold(headers, |headers, header| {
                headers.insert(Header { key: &header.name, value: header.value.as_deref() })
            }));
        }
        self.producer
            .send(record)
            .map_err(|(error, _)| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))
    }
}
