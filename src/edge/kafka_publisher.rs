//! Publishes what a batch leaves behind, and answers when the broker has all of it.
//!
//! One thread, one batch at a time, in the order in which they were given. What fails is tried
//! again for ever with a growing delay, since the offsets of a batch are stored only after the
//! answer: while nothing can be published nothing is lost, it only waits. Only what failed is
//! sent again; ids are derived, so a reader drops what it has seen twice.
//!
//! This is the way of `delivery: at-least-once`; `kafka_transactions` is the other.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, Thread},
    time::Duration,
};

use rdkafka::{ClientConfig, error::RDKafkaErrorCode};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::{
    kafka_client,
    kafka_context::Connection,
    kafka_produce::{DeliveryReport, Rounds},
};
use crate::{
    config::{JobTopics, Kafka},
    report::{Encoded, Form, Message},
    telemetry::events::PublishRetried,
};

/// The first and the longest pause before what failed is sent again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long acknowledgements may take before the log says so.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often an idle producer's own messages are served.
const IDLE: Duration = Duration::from_secs(1);

/// Which topic a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `kafka.outcomes`
    Outcomes,
    /// `kafka.dead_letters`
    DeadLetters,
    /// `kafka.state`
    State,
    /// `kafka.commands`
    Commands,
}

/// The topics that are written to.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    /// `kafka.outcomes`, for an idle producer to ask about.
    pub(super) outcomes: Arc<str>,
    dead_letters: Arc<str>,
    jobs: Option<JobTopics>,
}

impl Topics {
    pub(crate) fn of(kafka: &Kafka) -> Self {
        Self {
            outcomes: kafka.outcomes.as_str().into(),
            dead_letters: kafka.dead_letters.as_str().into(),
            jobs: kafka.jobs.clone(),
        }
    }

    /// The topic for this; a record for unfinished work has none where there are no topics for it.
    pub(crate) fn to(&self, destination: Destination) -> Result<&Arc<str>, PublishError> {
        let jobs = || self.jobs.as_ref().ok_or(PublishError::NoTopic);
        match destination {
            Destination::Outcomes => Ok(&self.outcomes),
            Destination::DeadLetters => Ok(&self.dead_letters),
            Destination::State => Ok(&jobs()?.state),
            Destination::Commands => Ok(&jobs()?.commands),
        }
    }
}

/// What the publisher has to know of what it sends.
pub trait Publishable: Send + 'static {
    /// Where it goes.
    fn destination(&self) -> Destination;
    /// As bytes.
    fn encode(&self, form: Form) -> Encoded;
}

impl Publishable for Message {
    fn destination(&self) -> Destination {
        match self {
            Self::Outcome(_) => Destination::Outcomes,
            Self::DeadLetter(_) => Destination::DeadLetters,
            Self::State(_) => Destination::State,
            Self::Command(_) => Destination::Commands,
        }
    }

    fn encode(&self, form: Form) -> Encoded {
        Message::encode(self, form)
    }
}

/// Why something is not known to be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// librdkafka does not take the configuration.
    #[error("kafka.properties: {0}")]
    Config(String),
    /// Unfinished work without topics for it.
    #[error("kafka.state and kafka.commands are not configured, and a record is for one of them")]
    NoTopic,
    /// Told to stop before the broker had answered for all of them.
    #[error("stopped before {unacknowledged} of {total} messages were acknowledged")]
    Stopped {
        /// How many the broker has not answered for.
        unacknowledged: usize,
        /// Of how many.
        total: usize,
    },
    /// A second process bears our transactional id.
    #[error("another process publishes under our name (kafka.instance): {0}")]
    Fenced(String),
    /// The thread is gone; its log line says why.
    #[error("the thread that publishes has ended")]
    Gone,
}

/// The running publisher.
pub struct Publisher<M: Publishable = Message> {
    commands: mpsc::Sender<Command<M>>,
    stop: Arc<AtomicBool>,
    thread: Thread,
    connection: Arc<Connection>,
}

struct Command<M> {
    messages: Vec<M>,
    answer: oneshot::Sender<Result<(), PublishError>>,
}

impl<M: Publishable> Publisher<M> {
    /// Whether the brokers can be reached shows later: it is tried for ever.
    pub fn start(kafka: &Kafka) -> Result<Self, PublishError> {
        let config = kafka_client::producer(kafka);
        let connection = Arc::new(Connection::logged("publisher"));
        let rounds = Rounds::new(&config, connection.clone())
            .map_err(|error| PublishError::Config(kafka_client::fault(&error, &kafka.properties)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (commands, received) = mpsc::channel();
        let worker = Worker {
            config,
            topics: Topics::of(kafka),
            max_bytes: kafka_client::message_max_bytes(kafka),
            connection: connection.clone(),
            rounds,
            stop: stop.clone(),
            failing: BTreeMap::new(),
        };
        let thread = thread::Builder::new()
            .name("kafka-publisher".to_owned())
            .spawn(move || worker.run(&received))
            .map_err(|error| PublishError::Config(format!("no thread for the publisher: {error}")))?;
        Ok(Self { commands, stop, thread: thread.thread().clone(), connection })
    }

    /// Publishes all of them and comes back when the broker has acknowledged each. Dropping the
    /// future does not take anything back.
    pub async fn publish(&self, messages: Vec<M>) -> Result<(), PublishError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command { messages, answer }).map_err(|_| PublishError::Gone)?;
        answered.await.unwrap_or(Err(PublishError::Gone))
    }

    /// Gives up what is not acknowledged, now and from now on.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }

    /// False while no broker can be reached, as far as is known.
    pub fn is_reachable(&self) -> bool {
        !self.connection.is_unreachable()
    }

    /// What troubles there are.
    pub(super) fn connection(&self) -> Arc<Connection> {
        self.connection.clone()
    }
}

/// The thread's own state.
struct Worker {
    config: ClientConfig,
    topics: Topics,
    max_bytes: usize,
    connection: Arc<Connection>,
    rounds: Rounds,
    stop: Arc<AtomicBool>,
    /// By topic why it does not take what we send, as it was logged.
    failing: BTreeMap<String, String>,
}

/// A message that is not acknowledged yet.
struct Waiting {
    topic: Arc<str>,
    encoded: Encoded,
    form: Form,
}

impl Worker {
    fn run<M: Publishable>(mut self, received: &mpsc::Receiver<Command<M>>) {
        loop {
            match received.recv_timeout(IDLE) {
                // Whoever asked may be gone; it is published all the same.
                Ok(Command { messages, answer }) => drop(answer.send(self.publish(&messages))),
                Err(RecvTimeoutError::Timeout) => self.rounds.idle(&self.topics.outcomes),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn publish<M: Publishable>(&mut self, messages: &[M]) -> Result<(), PublishError> {
        let waiting = messages.iter().map(|message| self.waiting(message)).collect::<Result<Vec<_>, _>>()?;
        let mut left: BTreeMap<usize, Waiting> = waiting.into_iter().enumerate().collect();
        let mut pause = PAUSES.0;
        while !left.is_empty() {
            if self.stopped() {
                return Err(PublishError::Stopped { unacknowledged: left.len(), total: messages.len() });
            }
            let failures = self.try_once(messages, &mut left);
            failures.iter().for_each(|(topic, code)| retried(topic, *code));
            self.log(&failures, &left);
            if left.is_empty() || self.stopped() {
                continue;
            }
            self.recover(&failures);
            thread::park_timeout(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
        Ok(())
    }

    /// Sends what is left, takes out what was acknowledged, and says by topic why the rest was not.
    fn try_once<M: Publishable>(
        &self,
        messages: &[M],
        left: &mut BTreeMap<usize, Waiting>,
    ) -> BTreeMap<String, RDKafkaErrorCode> {
        let mut failures = BTreeMap::new();
        let deliveries = self.round(left.iter());
        for (index, delivery) in deliveries {
            let Some(waiting) = left.get_mut(&index) else { continue };
            let delivery = match delivery {
                Err(code) if is_size(code) => self.try_alone(index, &messages[index], waiting),
                delivery => delivery,
            };
            match delivery {
                Ok(_) => drop(left.remove(&index)),
                Err(code) => drop(failures.insert(waiting.topic.to_string(), code)),
            }
        }
        failures
    }

    /// The broker measures what librdkafka packs together. What it finds too large is sent once
    /// more by itself, and only if it still is too large in the form that always fits.
    fn try_alone<M: Publishable>(&self, index: usize, message: &M, waiting: &mut Waiting) -> DeliveryReport {
        let alone = |waiting: &Waiting| {
            let delivered = self.round([(&index, waiting)]).pop();
            delivered.map_or(Err(RDKafkaErrorCode::Fail), |(_, delivery)| delivery)
        };
        match alone(waiting) {
            Err(code) if is_size(code) && waiting.form == Form::Full => {
                warn!(
                    topic = &*waiting.topic,
                    "a message is too large for its topic: sent without its lists"
                );
                waiting.form = Form::Minimal;
                waiting.encoded = message.encode(Form::Minimal);
                alone(waiting)
            }
            delivery => delivery,
        }
    }

    fn round<'a>(
        &self,
        waiting: impl IntoIterator<Item = (&'a usize, &'a Waiting)>,
    ) -> Vec<(usize, DeliveryReport)> {
        let records = waiting.into_iter().map(|(index, waiting)| (*index, &*waiting.topic, &waiting.encoded));
        let mut quiet = true;
        self.rounds.round(records, |elapsed| {
            if quiet && elapsed > PATIENCE {
                quiet = false;
                warn!(
                    seconds = elapsed.as_secs(),
                    "no acknowledgement from Kafka; what is done waits for it"
                );
            }
            !self.stopped()
        })
    }

    /// Says what has changed: a topic that fails, or fails otherwise, or takes records again.
    fn log(&mut self, failures: &BTreeMap<String, RDKafkaErrorCode>, left: &BTreeMap<usize, Waiting>) {
        for (topic, code) in failures {
            let reason = if is_missing(*code) { MISSING.to_owned() } else { code.to_string() };
            if self.failing.get(topic) != Some(&reason) && !self.stopped() {
                let fix = match code {
                    code if is_size(*code) => "raise max.message.bytes of the topic",
                    code if is_missing(*code) => "`severance topics` says more; trying on",
                    _ => "trying on",
                };
                error!(topic, reason, fix, "what is done cannot be published");
                self.failing.insert(topic.clone(), reason);
            }
        }
        self.failing.retain(|topic, _| {
            let again = !left.values().any(|waiting| *waiting.topic == **topic);
            if again {
                info!(topic, "published again");
            }
            !again
        });
        self.connection.block(self.failing.iter().next().map(|(topic, why)| format!("{topic}: {why}")));
        if failures.is_empty() {
            self.connection.reached();
        }
    }

    /// What may help before the next try.
    fn recover(&mut self, failures: &BTreeMap<String, RDKafkaErrorCode>) {
        if let Some(reason) = self.rounds.fatal() {
            match Rounds::new(&self.config, self.connection.clone()) {
                Ok(rounds) => {
                    warn!(reason, "the Kafka producer has failed for good: going on with a new one");
                    self.rounds = rounds;
                }
                Err(error) => error!(%error, reason, "no new Kafka producer; trying on"),
            }
        }
        for (topic, code) in failures {
            if is_missing(*code) {
                self.rounds.look_for(topic);
            }
        }
    }

    fn waiting<M: Publishable>(&self, message: &M) -> Result<Waiting, PublishError> {
        let topic = self.topics.to(message.destination())?.clone();
        let full = message.encode(Form::Full);
        if full.size() <= self.max_bytes {
            return Ok(Waiting { topic, encoded: full, form: Form::Full });
        }
        Ok(Waiting { topic, encoded: message.encode(Form::Minimal), form: Form::Minimal })
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn retried(topic: &str, code: RDKafkaErrorCode) {
    PublishRetried { topic, error: &format!("{code:?}") }.emit();
}

/// How a missing topic is said, whichever of its codes librdkafka has for it at the moment: a new
/// code is no news.
pub(super) const MISSING: &str = "there is no such topic, or we may not see it";

/// Whether a topic is missing, or what was its partition is.
pub(super) fn is_missing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownPartition
    )
}

/// Whether the broker, or librdkafka, found something too large.
fn is_size(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_has_a_topic_and_one_for_unfinished_work_only_where_there_are_topics_for_it() {
        let jobs = JobTopics { state: "s".into(), commands: "c".into() };
        let without = Topics { outcomes: "o".into(), dead_letters: "d".into(), jobs: None };
        let with = Topics { jobs: Some(jobs), ..without.clone() };
        for (destination, topic, is_of_jobs) in [
            (Destination::Outcomes, "o", false),
            (Destination::DeadLetters, "d", false),
            (Destination::State, "s", true),
            (Destination::Commands, "c", true),
        ] {
            assert_eq!(with.to(destination).map(|topic| &**topic), Ok(topic));
            let expected = if is_of_jobs { Err(PublishError::NoTopic) } else { Ok(topic) };
            assert_eq!(without.to(destination).map(|topic| &**topic), expected);
        }
    }
}
