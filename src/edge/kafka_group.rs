//! The thread of the consumer: what it does in one round, and what it does in a rebalance.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rdkafka::{
    ClientContext, Message, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use tracing::{debug, error, info, warn};

use super::{
    kafka_consumer::ConsumerError,
    kafka_context::{Connection, bridge},
    kafka_handover::{Handover, Phase},
    kafka_record::{Names, record},
};
use crate::ingest::Partition;

/// How long one poll may wait for a record: so long can it take until a stored offset is given
/// to librdkafka, or a stop is seen.
const POLL: Duration = Duration::from_millis(50);

/// How long a full batch may stay before the partitions are paused. A pause throws away what
/// librdkafka has fetched ahead, so it is for a slow cluster, not for every batch of a storm.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a poll waits that only serves rebalances.
const SERVE: Duration = Duration::from_millis(1);

/// How long the question may take that wakes the fetching of resumed partitions.
const WAKE: Duration = Duration::from_millis(50);

/// How often the brokers are asked whether they are back, and for how long.
const PROBE_EVERY: Duration = Duration::from_secs(1);
const PROBE_WAIT: Duration = Duration::from_millis(100);

/// How long the first look at a topic may take. A client that has not seen metadata when it
/// joins waits half a second for nothing.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// How long the commit at the end is tried: longer than a rebalance may take, since that is over
/// at the latest when the session of a dead member is.
const LAST_COMMIT: Duration = Duration::from_secs(10);

/// The callbacks; they run inside `poll`, on the thread of the poller.
pub(super) struct Member {
    handover: Arc<Handover>,
    connection: Arc<Connection>,
    paused: AtomicBool,
}

impl Member {
    pub(super) fn new(handover: Arc<Handover>, connection: Arc<Connection>) -> Self {
        Self { handover, connection, paused: AtomicBool::new(false) }
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        bridge(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.connection.trouble(&error, reason);
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) if list.count() > 0 => {
                info!(partitions = written(list), "partitions assigned");
                self.connection.reached();
                self.connection.forget_refusals();
                self.handover.assigned(partitions(list));
            }
            Rebalance::Revoke(list) if list.count() > 0 => {
                // librdkafka commits what is stored when it lets go of the partitions.
                store(consumer, &self.handover);
                let dropped = self.handover.revoked(&partitions(list).into_iter().collect());
                info!(partitions = written(list), dropped, "partitions revoked");
            }
            Rebalance::Assign(_) | Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => warn!(%error, "a rebalance failed"),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) && self.paused.load(Ordering::Relaxed) {
            pause(consumer);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        match result {
            Ok(()) => self.connection.reached(),
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => self.connection.trouble(&error, "offsets were not committed yet"),
        }
    }
}

/// The thread's own state.
pub(super) struct Poller<Clock> {
    consumer: BaseConsumer<Member>,
    handover: Arc<Handover>,
    topics: Vec<String>,
    clock: Clock,
    names: Names,
    probed: Instant,
}

impl<Clock: Fn() -> Timestamp> Poller<Clock> {
    pub(super) fn new(
        consumer: BaseConsumer<Member>,
        handover: Arc<Handover>,
        topics: Vec<String>,
        clock: Clock,
    ) -> Self {
        Self { consumer, handover, topics, clock, names: Names::default(), probed: Instant::now() }
    }

    /// The thread: polls until it is to close or cannot go on.
    pub(super) fn run(mut self) -> Result<(), ConsumerError> {
        // However this thread ends, a receiver that waits has to hear of it.
        let _ending = Ending(self.handover.clone());
        let outcome = self.poll_until_closing();
        if let Err(failure) = outcome {
            error!(error = %failure, "consumption has ended");
            self.handover.fail(failure.clone());
            return Err(failure);
        }
        store(&self.consumer, &self.handover);
        // Dropping the consumer leaves the group, which takes a round trip to the broker.
        commit(&self.consumer)
    }

    fn poll_until_closing(&mut self) -> Result<(), ConsumerError> {
        self.look_first();
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        self.consumer.subscribe(&topics).map_err(|error| ConsumerError::Fatal(error.to_string()))?;
        loop {
            store(&self.consumer, &self.handover);
            match self.handover.phase() {
                Phase::Running if self.handover.is_full() => self.wait_for_room()?,
                Phase::Running => {
                    self.resume();
                    self.fill()?;
                }
                Phase::Draining => {
                    self.pause();
                    self.handover.end();
                    self.handover.wait_for_room(POLL);
                    self.serve()?;
                }
                Phase::Closing => return Ok(()),
            }
            self.probe();
        }
    }

    /// Takes what is ready: waits for the first record and for none after it.
    fn fill(&mut self) -> Result<(), ConsumerError> {
        let mut wait = POLL;
        let mut filled = false;
        // None is not "empty": it is also what a served rebalance looks like. What is still there
        // is then the beginning of the next round.
        while let Some(polled) = self.consumer.poll(wait) {
            match polled {
                Ok(message) => {
                    let topic = self.names.of(message.topic());
                    filled = true;
                    if !self.handover.push(record(&message, topic)) {
                        break;
                    }
                }
                Err(error) => {
                    self.judge(&error)?;
                    break;
                }
            }
            wait = Duration::ZERO;
        }
        if filled {
            self.handover.filled((self.clock)());
            self.consumer.context().connection.reached();
        }
        Ok(())
    }

    /// The batch is full. Gives whoever takes it a moment, then pauses.
    fn wait_for_room(&mut self) -> Result<(), ConsumerError> {
        if self.consumer.context().paused.load(Ordering::Relaxed) {
            self.handover.wait_for_room(POLL);
            return self.serve();
        }
        self.handover.wait_for_room(PATIENCE);
        if self.handover.is_full() && self.handover.phase() == Phase::Running {
            debug!("the pending batch stays full: partitions are paused");
            self.pause();
        }
        Ok(())
    }

    /// Serves rebalances while the partitions are paused.
    fn serve(&mut self) -> Result<(), ConsumerError> {
        match self.consumer.poll(SERVE) {
            Some(Ok(message)) => {
                // A record that slipped through a pause is kept, or it would be skipped.
                let topic = self.names.of(message.topic());
                self.handover.push(record(&message, topic));
                self.handover.filled((self.clock)());
                Ok(())
            }
            Some(Err(error)) => self.judge(&error),
            None => Ok(()),
        }
    }

    /// Errors were logged by the context, once each; here it is only whether we can go on.
    fn judge(&self, error: &KafkaError) -> Result<(), ConsumerError> {
        let fatal = match (self.consumer.client().fatal_error(), error) {
            (Some(fatal), _) => fatal,
            (None, KafkaError::MessageConsumptionFatal(code)) => (*code, code.to_string()),
            (None, _) => return Ok(()),
        };
        Err(match fatal {
            (RDKafkaErrorCode::FencedInstanceId, reason) => ConsumerError::Fenced(reason),
            (_, reason) => ConsumerError::Fatal(reason),
        })
    }

    fn pause(&self) {
        if !self.consumer.context().paused.swap(true, Ordering::Relaxed) {
            pause(&self.consumer);
        }
    }

    fn resume(&self) {
        if self.consumer.context().paused.swap(false, Ordering::Relaxed) {
            let resumed = self.consumer.assignment().and_then(|list| self.consumer.resume(&list));
            if let Err(error) = resumed {
                // Seen only with partitions that are being taken away: those need no resuming.
                warn!(%error, "partitions could not be resumed");
            }
            // librdkafka's thread of a broker sleeps for up to a second when there is nothing to
            // fetch, and a resume does not wake it. A question to the leaders does.
            let _answer = self.consumer.offsets_for_timestamp((self.clock)().as_millisecond(), WAKE);
        }
    }

    fn look_first(&self) {
        if let Some(topic) = self.topics.first() {
            // Whether it works is said by the context, and is tried for ever from here on.
            let _seen = self.consumer.fetch_metadata(Some(topic), FIRST_LOOK);
        }
    }

    /// While the brokers cannot be reached: whether they are back. librdkafka does not say so,
    /// and on a quiet topic no record would.
    fn probe(&mut self) {
        let connection = &self.consumer.context().connection;
        if connection.is_unreachable() && self.probed.elapsed() >= PROBE_EVERY {
            if let Some(topic) = self.topics.first()
                && self.consumer.fetch_metadata(Some(topic), PROBE_WAIT).is_ok()
            {
                connection.reached();
            }
            self.probed = Instant::now();
        }
    }
}

/// Tells the receiver when the thread ends, also by a panic.
struct Ending(Arc<Handover>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Gives the stored offsets to librdkafka.
fn store(consumer: &BaseConsumer<Member>, handover: &Handover) {
    let stored = handover.stored();
    if stored.is_empty() {
        return;
    }
    let mut list = TopicPartitionList::with_capacity(stored.len());
    for (partition, next) in &stored {
        let added = list.add_partition_offset(&partition.topic, partition.number, Offset::Offset(*next));
        if let Err(error) = added {
            warn!(%error, "an offset cannot be stored");
        }
    }
    if let Err(error) = consumer.store_offsets(&list) {
        // The partitions are being taken away: their new owner reads from what is committed.
        debug!(%error, "offsets of partitions that are no longer ours");
    }
}

/// Commits what is stored and waits for it. A broker takes no commit while it waits for the
/// members of a rebalance, and it waits for us: so we take part in it and try again.
fn commit(consumer: &BaseConsumer<Member>) -> Result<(), ConsumerError> {
    let began = Instant::now();
    loop {
        match consumer.commit_consumer_state(CommitMode::Sync) {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => return Ok(()),
            Err(error) if began.elapsed() > LAST_COMMIT => {
                return Err(ConsumerError::NotCommitted(error.to_string()));
            }
            // A record that comes now is not handed over: it is read again by whoever is next.
            Err(_) => drop(consumer.poll(POLL)),
        }
    }
}

fn pause(consumer: &BaseConsumer<Member>) {
    if let Err(error) = consumer.assignment().and_then(|list| consumer.pause(&list)) {
        warn!(%error, "partitions could not be paused");
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<Partition> {
    let mut names = Names::default();
    list.elements().iter().map(|element| names.partition(element.topic(), element.partition())).collect()
}

/// `hr[0] hr[1] siem[0]`
fn written(list: &TopicPartitionList) -> String {
    let sorted: BTreeSet<Partition> = partitions(list).into_iter().collect();
    sorted.iter().fold(String::new(), |mut text, partition| {
        let gap = if text.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _always = write!(text, "{gap}{}[{}]", partition.topic, partition.number);
        text
    })
}
