//! One round of publishing: everything at once into the producer's queue, then polled until the
//! broker has answered for every record.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig},
};

use super::{
    kafka_context::{Connection, bridge},
    kafka_pending::Right,
};
use crate::{
    ingest::{Claim, Origin, Partition},
    report::Encoded,
};

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
pub(super) type DeliveryReport = Result<Origin, RDKafkaErrorCode>;

/// The callbacks; they run inside `poll`.
struct Delivered {
    connection: Arc<Connection>,
    deliveries: Mutex<Vec<(usize, DeliveryReport)>>,
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
                // Its own clock's, where it says so.
                timestamp: match message.timestamp() {
                    rdkafka::Timestamp::LogAppendTime(at) => Timestamp::from_millisecond(at).ok(),
                    rdkafka::Timestamp::CreateTime(_) | rdkafka::Timestamp::NotAvailable => None,
                },
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
    ) -> Vec<(usize, DeliveryReport)> {
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
        let mut deliveries = self.take_deliveries();
        deliveries.append(&mut rejected);
        deliveries
    }

    /// Serves what librdkafka has to say while nothing is published: all of it, since a poll without
    /// time takes one message, and in an outage there are several a second. While the brokers
    /// cannot be reached, asks whether they are back: librdkafka does not say so, and on a quiet day
    /// nothing is published that would.
    pub(super) fn idle(&self, topic: &str) {
        self.producer.poll(SERVE);
        let connection = &self.producer.context().connection;
        if connection.is_unreachable() && self.producer.client().fetch_metadata(Some(topic), LOOK_FOR).is_ok()
        {
            // What was said before the answer is over with it.
            self.producer.poll(SERVE);
            connection.reached();
        }
    }

    /// Looks for a topic that was missing: librdkafka by itself looks every ten seconds.
    pub(super) fn look_for(&self, topic: &str) {
        // Whether it is there now shows when it is written to.
        let _seen = self.producer.client().fetch_metadata(Some(topic), LOOK_FOR);
    }

    /// Whether librdkafka has given this client up, and why.
    pub(super) fn fatal(&self) -> Option<String> {
        self.producer.client().fatal_error().map(|(_, reason)| reason)
    }

    /// The code of what made librdkafka give this client up.
    pub(super) fn fatal_code(&self) -> Option<RDKafkaErrorCode> {
        self.producer.client().fatal_error().map(|(code, _)| code)
    }

    /// Makes this producer known to the coordinator of its transactional id, and aborts what a
    /// former one left open. Blocks.
    pub(super) fn init(&self, answer: Duration) -> Result<(), KafkaError> {
        // A client that has seen metadata needs 60 ms for it, a fresh one 500.
        let _seen = self.producer.client().fetch_metadata(Some("__consumer_offsets"), LOOK_FOR);
        self.producer.init_transactions(answer)
    }

    /// Begins a transaction.
    pub(super) fn begin(&self) -> Result<(), KafkaError> {
        self.producer.begin_transaction()
    }

    /// Adds the offsets, by the right that the claim gives. A claim without one is of no generation.
    pub(super) fn send_offsets(
        &self,
        offsets: &BTreeMap<Partition, i64>,
        claim: &Claim,
        answer: Duration,
    ) -> Result<(), KafkaError> {
        let metadata = claim.get::<Right>().and_then(|right| right.metadata.as_deref());
        let Some(metadata) = metadata else { return Err(KafkaError::Canceled) };
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, next) in offsets {
            list.add_partition_offset(&partition.topic, partition.number, Offset::Offset(*next))?;
        }
        self.producer.send_offsets_to_transaction(&list, metadata, answer)
    }

    /// Commits the transaction. Blocks.
    pub(super) fn commit(&self, answer: Duration) -> Result<(), KafkaError> {
        self.producer.commit_transaction(answer)
    }

    /// Aborts the transaction, and what is still on its way. Blocks.
    pub(super) fn abort(&self, answer: Duration) -> Result<(), KafkaError> {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(Duration::ZERO);
            thread::sleep(LOOK);
        }
        self.take_deliveries();
        self.producer.abort_transaction(answer)
    }

    fn take_deliveries(&self) -> Vec<(usize, DeliveryReport)> {
        mem::take(&mut *self.producer.context().deliveries.lock().unwrap_or_else(PoisonError::into_inner))
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
        record.partition = encoded.partition;
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
