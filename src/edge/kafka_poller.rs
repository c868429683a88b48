//! The thread of the consumer: what it does in one round.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Message,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tracing::{debug, error, warn};

use super::{
    kafka_context::Connection,
    kafka_fault::ConsumerError,
    kafka_group::{Member, commit, is_paused, pause, resume, store},
    kafka_handover::{Handover, Phase},
    kafka_marks::{Marks, take_all_back},
    kafka_record::{Names, record},
};

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

/// How long after an outage our own leftovers may fence us: a commit of the member that we were
/// before the session ended is answered when the brokers are back and the group has been joined.
const AFTERMATH: Duration = Duration::from_secs(60);

/// The thread's own state.
pub(super) struct Poller<Clock> {
    config: ClientConfig,
    /// Shared with whoever waits for a commit.
    consumer: Arc<BaseConsumer<Member>>,
    handover: Arc<Handover>,
    topics: Vec<String>,
    clock: Clock,
    names: Names,
    marks: Marks,
    probed: Instant,
}

impl<Clock: Fn() -> Timestamp> Poller<Clock> {
    pub(super) fn new(
        config: ClientConfig,
        handover: Arc<Handover>,
        connection: Arc<Connection>,
        topics: Vec<String>,
        clock: Clock,
    ) -> Result<Self, KafkaError> {
        let member = Member::new(handover.clone(), connection);
        let consumer = Arc::new(BaseConsumer::from_config_and_context(&config, member)?);
        let probed = Instant::now();
        Ok(Self {
            config,
            consumer,
            handover,
            topics,
            clock,
            names: Names::default(),
            marks: Marks::new(),
            probed,
        })
    }

    /// The thread: polls until it is to close or cannot go on.
    pub(super) fn run(mut self) -> Result<(), ConsumerError> {
        // However this thread ends, a receiver that waits has to hear of it.
        let _ending = Ending(self.handover.clone());
        let mut outcome = self.poll_until_closing();
        while let Err(ConsumerError::Fenced(reason)) = &outcome
            && self.consumer.context().connection().explains(AFTERMATH)
        {
            warn!(reason, "fenced by what was left of us from before the outage: joining anew");
            outcome = self.renew().and_then(|()| self.poll_until_closing());
        }
        if let Err(failure) = outcome {
            error!(error = %failure, "consumption has ended");
            self.handover.fail(failure.clone());
            return Err(failure);
        }
        store(&self.consumer, &self.handover);
        take_all_back(&self.consumer, &self.handover);
        // Dropping the consumer leaves the group, which takes a round trip to the broker.
        commit(&self.consumer)
    }

    /// Goes on as a new member. Everything that was not handed over comes again.
    fn renew(&mut self) -> Result<(), ConsumerError> {
        let member = Member::new(self.handover.clone(), self.consumer.context().connection().clone());
        let renewed = BaseConsumer::from_config_and_context(&self.config, member);
        // The old one is dropped here; what it still says about its partitions counts no more.
        self.consumer = Arc::new(renewed.map_err(|error| ConsumerError::Fatal(error.to_string()))?);
        self.handover.forget();
        Ok(())
    }

    fn poll_until_closing(&mut self) -> Result<(), ConsumerError> {
        self.look_first();
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        self.consumer.subscribe(&topics).map_err(|error| ConsumerError::Fatal(error.to_string()))?;
        loop {
            store(&self.consumer, &self.handover);
            self.handover.note(self.consumer.group_metadata());
            self.marks.round(&self.consumer, &self.handover);
            match self.handover.phase() {
                Phase::Running if self.handover.is_full() => self.wait_for_room()?,
                Phase::Running => {
                    self.resume();
                    self.fill()?;
                }
                Phase::Draining => {
                    pause(&self.consumer);
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
                // One of those whose partitions are only held, before they were paused.
                Ok(message) if self.handover.is_state_topic(message.topic()) => {}
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
            self.consumer.context().connection().reached();
        }
        Ok(())
    }

    /// The batch is full. Gives whoever takes it a moment, then pauses.
    fn wait_for_room(&mut self) -> Result<(), ConsumerError> {
        if is_paused(&self.consumer) {
            self.handover.wait_for_room(POLL);
            return self.serve();
        }
        self.handover.wait_for_room(PATIENCE);
        if self.handover.is_full() && self.handover.phase() == Phase::Running {
            debug!("the pending batch stays full: partitions are paused");
            pause(&self.consumer);
        }
        Ok(())
    }

    /// Serves rebalances while the partitions are paused.
    fn serve(&mut self) -> Result<(), ConsumerError> {
        match self.consumer.poll(SERVE) {
            Some(Ok(message)) if self.handover.is_state_topic(message.topic()) => Ok(()),
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

    fn resume(&self) {
        if resume(&self.consumer) {
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
        let connection = self.consumer.context().connection();
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
