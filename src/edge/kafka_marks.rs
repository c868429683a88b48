//! Asks the group how often records were begun, and tells it that they are now: the calls. What
//! they mean stands in `kafka_attempts`.

use std::{
    collections::BTreeSet,
    panic,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    topic_partition_list::TopicPartitionListElem,
};
use tracing::{debug, warn};

use super::{
    kafka_attempts::{Committed, Marked, ToCommit},
    kafka_group::Member,
    kafka_handover::{Handover, Phase},
};
use crate::ingest::Partition;

/// How long the group's answer may take; on one machine it takes a millisecond.
const ANSWER: Duration = Duration::from_secs(1);

/// How long after a question without an answer the next one waits: the first, and each twice as long
/// as the one before. A transaction that a crash left open keeps the group silent for 10 s.
const AGAIN: Duration = Duration::from_secs(1);

/// How often the group is asked before attempts go uncounted.
const QUESTIONS: u32 = 5;

/// How long taking back the marks may hold up the end: less than the service gives us to say goodbye.
const GOODBYE: Duration = Duration::from_millis(300);

/// What the thread of the consumer knows of its questions.
pub(super) struct Marks {
    asked: u32,
    next: Instant,
}

impl Marks {
    pub(super) fn new() -> Self {
        Self { asked: 0, next: Instant::now() }
    }

    /// Once in each round of the thread: does nothing where nothing was assigned or is pending.
    pub(super) fn round(&mut self, consumer: &Arc<BaseConsumer<Member>>, handover: &Arc<Handover>) {
        self.ask(consumer, handover);
        // What nobody waits for is not begun: during a pause an end of the process is no attempt.
        if handover.phase() != Phase::Running || !handover.is_wanted() {
            return;
        }
        send(consumer, handover, handover.marks_due());
    }

    fn ask(&mut self, consumer: &BaseConsumer<Member>, handover: &Handover) {
        if Instant::now() < self.next {
            return;
        }
        let unasked = handover.unasked();
        if unasked.is_empty() {
            self.asked = 0;
            return;
        }
        let mut list = TopicPartitionList::with_capacity(unasked.len());
        for partition in &unasked {
            list.add_partition(&partition.topic, partition.number);
        }
        match consumer.committed_offsets(list, ANSWER) {
            Ok(list) => {
                for partition in &unasked {
                    let found = list.find_partition(&partition.topic, partition.number);
                    handover.told(partition, found.as_ref().map(committed).as_ref());
                }
                self.asked = 0;
            }
            Err(error) => {
                self.asked += 1;
                debug!(%error, "the group does not say yet how often records were begun");
                if self.asked == QUESTIONS {
                    warn!(%error, "the group does not say how often records were begun: this attempt is not counted");
                    unasked.iter().for_each(|partition| handover.told(partition, None));
                    self.asked = 0;
                } else {
                    self.next = Instant::now() + AGAIN * 2_u32.pow(self.asked - 1);
                }
            }
        }
    }
}

fn committed(element: &TopicPartitionListElem<'_>) -> Committed {
    let offset = match element.offset() {
        Offset::Offset(offset) => Some(offset),
        Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => None,
    };
    // rdkafka 0.39 panics on metadata that is not UTF-8; ours is.
    let metadata = panic::catch_unwind(panic::AssertUnwindSafe(|| element.metadata().to_owned()));
    Committed { offset, metadata: metadata.unwrap_or_default() }
}

/// Takes back the marks of partitions that are given up cleanly. In a rebalance nothing else can be
/// waited for.
pub(super) fn take_back(
    consumer: &BaseConsumer<Member>,
    handover: &Handover,
    partitions: &BTreeSet<Partition>,
) {
    let back = handover.take_marks_back(Some(partitions));
    if let Err(error) = commit(consumer, &back) {
        debug!(%error, "what was not begun counts as an attempt");
    }
}

/// Takes back all marks, at the end.
pub(super) fn take_all_back(consumer: &Arc<BaseConsumer<Member>>, handover: &Arc<Handover>) {
    send(consumer, handover, handover.take_marks_back(None));
    let until = Instant::now() + GOODBYE;
    while handover.is_marking() && Instant::now() < until {
        // A record that comes now is not handed over: it is read again by whoever is next.
        drop(consumer.poll(Duration::from_millis(5)));
    }
}

/// On a thread of its own: only a commit that is waited for says how it went, and while Kafka is away
/// that takes a minute, in which rebalances have to be served.
fn send(consumer: &Arc<BaseConsumer<Member>>, handover: &Arc<Handover>, marks: Vec<ToCommit>) {
    if marks.is_empty() {
        return;
    }
    let (to, told, of) = (consumer.clone(), handover.clone(), marks.clone());
    let thread = thread::Builder::new().name("kafka-marks".to_owned()).spawn(move || {
        let marked = commit(&to, &of).map_or_else(|error| judge(&error), |()| Marked::Done);
        settle(&told, &of, marked);
    });
    if let Err(error) = thread {
        warn!(%error, "no thread to note the beginning of an attempt");
        settle(handover, &marks, Marked::Refused);
    }
}

fn commit(consumer: &BaseConsumer<Member>, marks: &[ToCommit]) -> KafkaResult<()> {
    if marks.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::with_capacity(marks.len());
    for ToCommit { partition, offset, metadata } in marks {
        let mut element = list.add_partition(&partition.topic, partition.number);
        element.set_offset(Offset::Offset(*offset))?;
        if !metadata.is_empty() {
            element.set_metadata(metadata);
        }
    }
    consumer.commit(&list, CommitMode::Sync)
}

fn settle(handover: &Handover, marks: &[ToCommit], marked: Marked) {
    for ToCommit { partition, offset, .. } in marks {
        handover.marked(partition, *offset, marked);
    }
}

/// Whether the broker has refused it, or it may have arrived.
fn judge(error: &KafkaError) -> Marked {
    debug!(%error, "the beginning of an attempt could not be noted");
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::WaitingForCoordinator
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::NotCoordinator
            | RDKafkaErrorCode::CoordinatorLoadInProgress
            | RDKafkaErrorCode::CoordinatorNotAvailable
            | RDKafkaErrorCode::NetworkException,
        ) => Marked::Unknown,
        Some(_) | None => Marked::Refused,
    }
}
