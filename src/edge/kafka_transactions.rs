//! One Kafka transaction a batch: what it leaves behind and the offsets of its records, together.
//!
//! The broker does not check who owns a partition, only whether the group's metadata is of the
//! current generation. It was taken before the batch was filled and travels with it in its
//! claim, so what a former owner sends is rejected. After a rejection, what belongs to partitions
//! held without a break is sent again with fresh metadata and without a second kill; the rest is
//! dropped, since its new owner reads it again from what is committed.
//!
//! Everything else that goes wrong is tried again for ever: aborted, and sent anew. A producer
//! that is fenced after our own transaction outlived its timeout is replaced; one that is fenced
//! out of the blue has met a second process of its name, which ends this one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use rdkafka::{ClientConfig, error::KafkaError, types::RDKafkaErrorCode};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::{
    kafka_client,
    kafka_consumer::Offsets,
    kafka_context::Connection,
    kafka_pending::Right,
    kafka_produce::Rounds,
    kafka_publisher::{MISSING, PublishError, Publishable, Topics, is_missing},
};
use crate::{
    config::Kafka,
    fault_point::{self, Place},
    ingest::{Claim, Partition},
    report::{Commit, Encoded, Form, Message},
    telemetry::events::{PublishRetried, TransactionEnded},
};

/// The first and the longest pause before a transaction is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
/// How often an idle producer's own messages are served.
const IDLE: Duration = Duration::from_secs(1);
/// How long one question to the transaction's coordinator may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Less than `transaction.timeout.ms`: a fence earlier than this was not our own timeout.
const OWN_TIMEOUT: Duration = Duration::from_secs(9);

/// The running thread.
pub(super) struct Transactions {
    commands: mpsc::Sender<Command>,
    stop: Arc<AtomicBool>,
    thread: Thread,
    connection: Arc<Connection>,
}

struct Command {
    commit: Commit,
    answer: oneshot::Sender<Result<(), PublishError>>,
}

impl Transactions {
    pub(super) fn start(kafka: &Kafka, offsets: Offsets) -> Result<Self, PublishError> {
        let config = kafka_client::transactional(kafka);
        let connection = Arc::new(Connection::logged("publisher"));
        let rounds = Rounds::new(&config, connection.clone())
            .map_err(|error| PublishError::Config(kafka_client::fault(&error, &kafka.properties)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (commands, received) = mpsc::channel();
        let worker = Worker {
            config,
            named: kafka.instance.is_some(),
            topics: Topics::of(kafka),
            max_bytes: kafka_client::message_max_bytes(kafka),
            connection: connection.clone(),
            rounds,
            alone: false,
            ready: false,
            offsets,
            stop: stop.clone(),
            failing: None,
        };
        let thread = thread::Builder::new()
            .name("kafka-transactions".to_owned())
            .spawn(move || worker.run(&received))
            .map_err(|error| PublishError::Config(format!("no thread for the publisher: {error}")))?;
        Ok(Self { commands, stop, thread: thread.thread().clone(), connection })
    }

    pub(super) async fn commit(&self, commit: Commit) -> Result<(), PublishError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command { commit, answer }).map_err(|_| PublishError::Gone)?;
        answered.await.unwrap_or(Err(PublishError::Gone))
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }

    /// What troubles there are.
    pub(super) fn connection(&self) -> Arc<Connection> {
        self.connection.clone()
    }

    pub(super) fn is_reachable(&self) -> bool {
        !self.connection.is_unreachable()
    }
}

/// The thread's own state.
struct Worker {
    config: ClientConfig,
    /// Whether another process could bear our transactional id.
    named: bool,
    topics: Topics,
    max_bytes: usize,
    connection: Arc<Connection>,
    rounds: Rounds,
    /// A topic has refused what was packed together: each message goes by itself from then on.
    alone: bool,
    /// The producer is known to the coordinator.
    ready: bool,
    offsets: Offsets,
    stop: Arc<AtomicBool>,
    /// Why transactions fail, as it was logged.
    failing: Option<String>,
}

/// A message on its way.
struct Outgoing {
    topic: Arc<str>,
    message: Message,
    form: Form,
}

/// What is still to be committed of a batch.
struct Left {
    messages: Vec<Outgoing>,
    offsets: BTreeMap<Partition, i64>,
    claim: Claim,
}

impl Left {
    /// Leaves out the lists of these messages, and of those that are at least as large: they would
    /// be refused one after the other.
    fn shorten(&mut self, indices: &[usize]) {
        let size = |message: &Message| message.encode(Form::Full).size();
        let refused = indices.iter().filter_map(|index| self.messages.get(*index));
        let Some(limit) = refused.map(|refused| size(&refused.message)).min() else { return };
        for Outgoing { message, form, .. } in &mut self.messages {
            if *form == Form::Full && size(message) >= limit {
                warn!(origin = %message.origin(), "too large for its topic: sent without its lists");
                *form = Form::Minimal;
            }
        }
    }
}

/// Why a transaction did not come about.
enum Trouble {
    /// Another generation of the group: partitions may have been taken away.
    Rejected,
    /// These messages are too large for their topic.
    TooLarge(Vec<usize>),
    /// This client is done for.
    Fatal(String),
    /// A second process bears our name.
    Fenced(String),
    /// Try again.
    Again(String),
}

impl Worker {
    fn run(mut self, received: &mpsc::Receiver<Command>) {
        loop {
            match received.recv_timeout(IDLE) {
                // Whoever asked may be gone; it is committed all the same.
                Ok(Command { commit, answer }) => drop(answer.send(self.commit(commit))),
                Err(RecvTimeoutError::Timeout) => {
                    self.rounds.idle(&self.topics.outcomes);
                    if !self.ready {
                        // On a quiet day nothing else would say that the trouble is over.
                        match self.prepare() {
                            Ok(()) => {
                                // What librdkafka said meanwhile is over with it.
                                self.rounds.idle(&self.topics.outcomes);
                                self.log_success();
                            }
                            Err(trouble) => self.recover(trouble),
                        }
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn commit(&mut self, commit: Commit) -> Result<(), PublishError> {
        let Commit { messages, offsets, claim, .. } = commit;
        let total = messages.len();
        let messages: Result<_, PublishError> =
            messages.into_iter().map(|message| self.outgoing(message)).collect();
        let messages = messages?;
        let mut left = Left { messages, offsets, claim };
        let mut pause = PAUSES.0;
        loop {
            if self.stopped() {
                return Err(PublishError::Stopped { unacknowledged: left.messages.len(), total });
            }
            let began = Instant::now();
            let ended = self.transaction(&left, began);
            let result = match &ended {
                Ok(()) => "committed",
                Err(Trouble::Rejected) => "rejected",
                Err(Trouble::TooLarge(_) | Trouble::Again(_) | Trouble::Fatal(_) | Trouble::Fenced(_)) => {
                    "aborted"
                }
            };
            TransactionEnded { result, took: began.elapsed() }.emit();
            match ended {
                Ok(()) => {
                    self.log_success();
                    return Ok(());
                }
                Err(Trouble::TooLarge(indices)) => {
                    // The broker measures what librdkafka packs together: only of a message that
                    // went by itself it is known to be too large.
                    if self.alone {
                        left.shorten(&indices);
                    }
                    self.alone = true;
                    self.config.set("batch.num.messages", "1");
                    self.replace();
                    continue;
                }
                Err(Trouble::Rejected) => {
                    if !self.keep_what_is_ours(&mut left) {
                        return Ok(());
                    }
                    continue;
                }
                Err(Trouble::Fenced(reason)) => return Err(PublishError::Fenced(reason)),
                Err(trouble) => self.recover(trouble),
            }
            thread::park_timeout(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Drops what belongs to partitions that were taken away; whether anything is left.
    fn keep_what_is_ours(&self, left: &mut Left) -> bool {
        let lost: BTreeSet<Partition> = loop {
            if let Some((claim, lost)) = self.offsets.renew(&left.claim) {
                left.claim = claim;
                break lost;
            }
            if self.stopped() {
                return true;
            }
        };
        left.offsets.retain(|partition, _| !lost.contains(partition));
        let before = left.messages.len();
        left.messages.retain(|Outgoing { message, .. }| {
            message.origin().partition().is_none_or(|partition| !lost.contains(&partition))
        });
        let dropped = before - left.messages.len();
        if dropped > 0 {
            info!(dropped, "outcomes of partitions that were taken away: their new owner says them");
        }
        !left.messages.is_empty() || !left.offsets.is_empty()
    }

    fn transaction(&mut self, left: &Left, began: Instant) -> Result<(), Trouble> {
        if !self.ready {
            self.prepare()?;
        }
        if left.claim.get::<Right>().is_none_or(|right| right.metadata.is_none()) {
            return Err(Trouble::Rejected);
        }
        self.rounds.begin().map_err(|error| self.judge(&error, began))?;
        let done = self.fill_and_commit(left, began);
        // After a message that is too large nothing helps but another producer: librdkafka's next
        // transaction would stall until the coordinator ends it.
        if let Err(Trouble::Again(_) | Trouble::Rejected) = &done
            && let Err(error) = self.rounds.abort(ANSWER)
        {
            return Err(self.judge(&error, began));
        }
        done
    }

    fn fill_and_commit(&self, left: &Left, began: Instant) -> Result<(), Trouble> {
        let encoded: Vec<(&str, Encoded)> = left
            .messages
            .iter()
            .map(|Outgoing { topic, message, form }| (&**topic, message.encode(*form)))
            .collect();
        let records = encoded.iter().enumerate().map(|(index, (topic, encoded))| (index, *topic, encoded));
        let mut too_large = Vec::new();
        let mut failed = None;
        for (index, delivery) in self.rounds.round(records, |_| !self.stopped()) {
            match delivery {
                Ok(_) => {}
                Err(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge)
                    if left.messages.get(index).is_some_and(|one| one.form == Form::Full) =>
                {
                    too_large.push(index);
                }
                Err(code) => {
                    let topic = encoded.get(index).map_or("?", |(topic, _)| topic);
                    if is_missing(code) {
                        failed.get_or_insert_with(|| {
                            format!("{topic}: {MISSING}; `severance topics` says more")
                        });
                        self.rounds.look_for(topic);
                    } else {
                        failed.get_or_insert_with(|| format!("{topic}: {code}"));
                    }
                }
            }
        }
        if !too_large.is_empty() {
            return Err(Trouble::TooLarge(too_large));
        }
        if let Some(reason) = failed {
            return Err(match self.rounds.fatal() {
                Some(reason) => self.fatal(reason, began),
                None => Trouble::Again(reason),
            });
        }
        if !left.offsets.is_empty() {
            self.rounds
                .send_offsets(&left.offsets, &left.claim, ANSWER)
                .map_err(|error| self.judge(&error, began))?;
        }
        fault_point::reached(Place::Produced);
        loop {
            match self.rounds.commit(ANSWER) {
                Ok(()) => return Ok(()),
                // Whether it was committed is not known: asking again gives the same answer.
                Err(KafkaError::Transaction(error)) if error.is_retriable() && !self.stopped() => {}
                Err(error) => return Err(self.judge(&error, began)),
            }
        }
    }

    /// What librdkafka's answer means, by its own flags and not by the code alone.
    fn judge(&self, error: &KafkaError, began: Instant) -> Trouble {
        let KafkaError::Transaction(transaction) = error else { return Trouble::Again(error.to_string()) };
        let reason = transaction.string();
        if transaction.is_fatal() {
            return self.fatal(reason, began);
        }
        match transaction.code() {
            RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::FencedInstanceId => Trouble::Rejected,
            _ => Trouble::Again(reason),
        }
    }

    fn fatal(&self, reason: String, began: Instant) -> Trouble {
        let fenced = self.rounds.fatal_code() == Some(RDKafkaErrorCode::Fenced);
        match fenced && self.named && began.elapsed() < OWN_TIMEOUT {
            true => Trouble::Fenced(reason),
            false => Trouble::Fatal(reason),
        }
    }

    /// Makes the producer known; what a former one of our name left open is aborted by that.
    fn prepare(&mut self) -> Result<(), Trouble> {
        let began = Instant::now();
        self.rounds.init(ANSWER).map_err(|error| self.judge(&error, began))?;
        self.ready = true;
        Ok(())
    }

    fn recover(&mut self, trouble: Trouble) {
        let reason = match trouble {
            Trouble::Fatal(reason) => {
                warn!(reason, "the Kafka producer has failed for good: going on with a new one");
                self.replace();
                return;
            }
            Trouble::Again(reason) | Trouble::Fenced(reason) => reason,
            Trouble::Rejected | Trouble::TooLarge(_) => return,
        };
        PublishRetried { topic: &self.topics.outcomes, error: "transaction" }.emit();
        self.connection.block(Some(reason.clone()));
        if self.failing.as_ref() != Some(&reason) && !self.stopped() {
            error!(reason, fix = "trying on", "what is done cannot be published");
            self.failing = Some(reason);
        }
    }

    /// Goes on with a new producer; what the old one left open is aborted when it is prepared.
    fn replace(&mut self) {
        match Rounds::new(&self.config, self.connection.clone()) {
            Ok(rounds) => {
                self.rounds = rounds;
                self.ready = false;
            }
            Err(error) => error!(%error, "no new Kafka producer; trying on"),
        }
    }

    fn log_success(&mut self) {
        self.connection.reached();
        self.connection.block(None);
        if self.failing.take().is_some() {
            info!("published again");
        }
    }

    fn outgoing(&self, message: Message) -> Result<Outgoing, PublishError> {
        let form = match message.encode(Form::Full).size() <= self.max_bytes {
            true => Form::Full,
            false => Form::Minimal,
        };
        Ok(Outgoing { topic: self.topics.to(message.destination())?.clone(), message, form })
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
