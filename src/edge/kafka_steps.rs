//! The transactions of unfinished work: each carries an offset of its state partition, by the right
//! that came with the news of the assignment, and is answered as it ended. Nothing is tried again
//! here: whoever owns the work knows whether it still may.
//!
//! One thread, one transaction at a time; steps of one generation that wait are committed together.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{ClientConfig, error::KafkaError, types::RDKafkaErrorCode};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::{
    kafka_client,
    kafka_context::Connection,
    kafka_produce::Rounds,
    kafka_publisher::{MISSING, PublishError, is_missing},
};
use crate::{
    config::{JobTopics, Kafka},
    ingest::{Claim, Partition},
    jobs::{Answer, Generation, Step},
    report::{Encoded, Form, Outcome},
    telemetry::events::{PublishRetried, TransactionEnded},
};

/// Most steps of one transaction: they come together after an outage.
const MOST: usize = 200;
/// The first and the longest pause after a transaction that did not come about.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
/// How often an idle producer's own messages are served.
const IDLE: Duration = Duration::from_secs(1);
/// How long one question to the transaction's coordinator may take.
const ANSWER: Duration = Duration::from_secs(5);

/// A step to be committed.
#[derive(Clone, Debug)]
pub struct StepCommit {
    /// What is written to its state partition, and the offset that fences it.
    pub step: Arc<Step>,
    /// The outcome, where the case has gone on.
    pub outcome: Option<Box<Outcome>>,
    /// The right of the step's generation.
    pub claim: Claim,
}

/// The running thread.
pub struct Steps {
    queue: mpsc::Sender<Queued>,
    stop: Arc<AtomicBool>,
    connection: Arc<Connection>,
}

struct Queued {
    commit: StepCommit,
    form: Form,
    answer: oneshot::Sender<Answer>,
}

impl Steps {
    /// Whether the brokers can be reached shows later: it is tried for ever.
    pub fn start(kafka: &Kafka, topics: &JobTopics) -> Result<Self, PublishError> {
        let config = kafka_client::stepping(kafka);
        let connection = Arc::new(Connection::logged("jobs"));
        let rounds = Rounds::new(&config, connection.clone())
            .map_err(|error| PublishError::Config(kafka_client::fault(&error, &kafka.properties)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (queue, queued) = mpsc::channel();
        let worker = Worker {
            config,
            outcomes: kafka.outcomes.clone(),
            state: topics.state.clone(),
            max_bytes: kafka_client::message_max_bytes(kafka),
            connection: connection.clone(),
            rounds,
            ready: false,
            stop: stop.clone(),
            failing: None,
            pause: PAUSES.0,
        };
        thread::Builder::new()
            .name("kafka-jobs".to_owned())
            .spawn(move || worker.run(&queued))
            .map_err(|error| PublishError::Config(format!("no thread for the jobs: {error}")))?;
        Ok(Self { queue, stop, connection })
    }

    /// Queues it behind those before; the future comes back when it is known how its transaction
    /// ended, or that nobody can say. Dropping the future takes nothing back.
    pub fn commit(&self, commit: StepCommit) -> impl Future<Output = Answer> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        // Where the thread is gone, so is the answer.
        drop(self.queue.send(Queued { commit, form: Form::Full, answer }));
        async move { answered.await.unwrap_or(Answer::Unknown) }
    }

    /// Gives up what is not committed, now and from now on.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// A question, to be asked at any time: what keeps us from committing.
    pub fn fault(&self) -> impl Fn() -> Option<String> + Send + Sync + 'static {
        let connection = self.connection.clone();
        move || connection.fault()
    }
}

/// The thread's own state.
struct Worker {
    config: ClientConfig,
    outcomes: String,
    state: Arc<str>,
    max_bytes: usize,
    connection: Arc<Connection>,
    rounds: Rounds,
    /// The producer is known to the coordinator.
    ready: bool,
    stop: Arc<AtomicBool>,
    /// Why transactions fail, as it was logged.
    failing: Option<String>,
    pause: Duration,
}

/// Why a transaction did not come about; nothing of it is there, unless it says otherwise.
enum Trouble {
    /// Another generation of the group.
    Rejected,
    /// This outcome is too large for its topic: its index among the steps.
    TooLarge(usize),
    /// Try again.
    Again(String),
    /// This client is done for.
    Fatal(String),
    /// The commit was asked for and never answered.
    Unknown(String),
}

impl Worker {
    fn run(mut self, queued: &mpsc::Receiver<Queued>) {
        let mut waiting: VecDeque<Queued> = VecDeque::new();
        loop {
            if waiting.is_empty() {
                match queued.recv_timeout(IDLE) {
                    Ok(one) => waiting.push_back(one),
                    Err(RecvTimeoutError::Timeout) => {
                        self.idle();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            waiting.extend(queued.try_iter());
            let Some(generation) = waiting.front().map(generation_of) else { continue };
            let together =
                waiting.iter().take(MOST).take_while(|one| generation_of(one) == generation).count();
            let mut steps: Vec<Queued> = waiting.drain(..together).collect();
            let answer = self.commit(&mut steps);
            for one in steps {
                // Whoever asked may be gone; it is committed all the same.
                let _unheard = one.answer.send(answer);
            }
        }
    }

    fn idle(&mut self) {
        self.rounds.idle(&self.outcomes);
        if !self.ready && self.prepare().is_ok() {
            self.rounds.idle(&self.outcomes);
            self.succeeded();
        }
    }

    fn commit(&mut self, steps: &mut [Queued]) -> Answer {
        loop {
            if self.stopped() {
                return Answer::Aborted;
            }
            let began = Instant::now();
            let ended = self.transaction(steps);
            let result = match &ended {
                Ok(()) => "committed",
                Err(Trouble::Rejected) => "rejected",
                Err(Trouble::TooLarge(_) | Trouble::Again(_) | Trouble::Fatal(_)) => "aborted",
                Err(Trouble::Unknown(_)) => "unknown",
            };
            TransactionEnded { result, took: began.elapsed() }.emit();
            let trouble = match ended {
                Ok(()) => {
                    self.succeeded();
                    return Answer::Committed;
                }
                Err(trouble) => trouble,
            };
            match trouble {
                Trouble::Rejected => return Answer::Rejected,
                Trouble::TooLarge(index) => {
                    if let Some(one) = steps.get_mut(index) {
                        one.form = Form::Minimal;
                    }
                }
                Trouble::Again(reason) => {
                    self.failed(reason);
                    return Answer::Aborted;
                }
                Trouble::Fatal(reason) => {
                    self.replace(&reason);
                    return Answer::Aborted;
                }
                Trouble::Unknown(reason) => {
                    self.replace(&reason);
                    return Answer::Unknown;
                }
            }
        }
    }

    fn transaction(&mut self, steps: &[Queued]) -> Result<(), Trouble> {
        if !self.ready {
            self.prepare()?;
        }
        self.rounds.begin().map_err(|error| judge(&error))?;
        let filled = self.fill(steps);
        if let Err(Trouble::Again(_) | Trouble::Rejected | Trouble::TooLarge(_)) = &filled {
            self.rounds.abort(ANSWER).map_err(|error| judge(&error))?;
        }
        filled?;
        loop {
            match self.rounds.commit(ANSWER) {
                Ok(()) => return Ok(()),
                // Whether it was committed is not known: asking again gives the same answer.
                Err(KafkaError::Transaction(error)) if error.is_retriable() && !self.stopped() => {}
                Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
                    let trouble = judge(&KafkaError::Transaction(error));
                    self.rounds.abort(ANSWER).map_err(|error| judge(&error))?;
                    return Err(trouble);
                }
                Err(error) => return Err(Trouble::Unknown(error.to_string())),
            }
        }
    }

    fn fill(&self, steps: &[Queued]) -> Result<(), Trouble> {
        let mut records: Vec<(usize, &str, Encoded)> = Vec::new();
        for (index, Queued { commit, form, .. }) in steps.iter().enumerate() {
            for write in &commit.step.writes {
                let encoded = Encoded {
                    key: Some(write.key().to_string().into_bytes()),
                    value: write.value(),
                    headers: Vec::new(),
                    partition: Some(commit.step.partition),
                };
                records.push((index, &self.state, encoded));
            }
            if let Some(outcome) = &commit.outcome {
                let full = outcome.encode(*form);
                let encoded =
                    if full.size() <= self.max_bytes { full } else { outcome.encode(Form::Minimal) };
                records.push((index, &self.outcomes, encoded));
            }
        }
        let numbered =
            records.iter().enumerate().map(|(number, (_, topic, encoded))| (number, *topic, encoded));
        for (number, delivery) in self.rounds.round(numbered, |_| !self.stopped()) {
            let Err(code) = delivery else { continue };
            let Some((index, topic, _)) = records.get(number) else { continue };
            let is_size = matches!(
                code,
                RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge
            );
            if is_size && steps.get(*index).is_some_and(|one| one.form == Form::Full) {
                return Err(Trouble::TooLarge(*index));
            }
            if let Some(reason) = self.rounds.fatal() {
                return Err(Trouble::Fatal(reason));
            }
            if is_missing(code) {
                self.rounds.look_for(topic);
                return Err(Trouble::Again(format!("{topic}: {MISSING}; `severance topics` says more")));
            }
            return Err(Trouble::Again(format!("{topic}: {code}")));
        }
        let mut offsets: BTreeMap<Partition, i64> = BTreeMap::new();
        for Queued { commit, .. } in steps {
            let partition = Partition { topic: self.state.clone(), number: commit.step.partition };
            let offset = offsets.entry(partition).or_insert(commit.step.offset);
            *offset = (*offset).max(commit.step.offset);
        }
        let Some(first) = steps.first() else { return Ok(()) };
        self.rounds.send_offsets(&offsets, &first.commit.claim, ANSWER).map_err(|error| judge(&error))
    }

    /// Makes the producer known; what a former one of our name left open is aborted by that.
    fn prepare(&mut self) -> Result<(), Trouble> {
        self.rounds.init(ANSWER).map_err(|error| judge(&error))?;
        self.ready = true;
        Ok(())
    }

    fn failed(&mut self, reason: String) {
        PublishRetried { topic: &self.state, error: "transaction" }.emit();
        self.connection.block(Some(reason.clone()));
        if self.failing.as_ref() != Some(&reason) && !self.stopped() {
            error!(reason, fix = "trying on", "a step of unfinished work cannot be committed");
            self.failing = Some(reason);
        }
        thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
    }

    fn succeeded(&mut self) {
        self.pause = PAUSES.0;
        self.connection.reached();
        self.connection.block(None);
        if self.failing.take().is_some() {
            info!("steps of unfinished work are committed again");
        }
    }

    /// Goes on with a new producer; what the old one left open is aborted when it is prepared, or
    /// by its timeout.
    fn replace(&mut self, reason: &str) {
        warn!(reason, "the Kafka producer of unfinished work has failed for good: going on with a new one");
        match Rounds::new(&self.config, self.connection.clone()) {
            Ok(rounds) => {
                self.rounds = rounds;
                self.ready = false;
            }
            Err(error) => error!(%error, "no new Kafka producer; trying on"),
        }
        thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn generation_of(queued: &Queued) -> Generation {
    queued.commit.step.generation
}

/// What librdkafka's answer means, by its own flags and not by the code alone.
fn judge(error: &KafkaError) -> Trouble {
    let KafkaError::Transaction(transaction) = error else { return Trouble::Again(error.to_string()) };
    let reason = transaction.string();
    if transaction.is_fatal() {
        return Trouble::Fatal(reason);
    }
    match transaction.code() {
        RDKafkaErrorCode::IllegalGeneration
        | RDKafkaErrorCode::UnknownMemberId
        | RDKafkaErrorCode::FencedInstanceId => Trouble::Rejected,
        _ => Trouble::Again(reason),
    }
}
