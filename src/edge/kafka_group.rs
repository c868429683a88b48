//! The consumer as a member of its group: what it does in a rebalance, and what it does to its
//! partitions and their offsets.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use tracing::{debug, warn};

use super::{
    kafka_context::{Connection, bridge},
    kafka_fault::ConsumerError,
    kafka_handover::Handover,
    kafka_marks,
    kafka_record::Names,
};
use crate::{
    ingest::Partition,
    telemetry::events::{PartitionEnds, PartitionsAssigned, PartitionsRevoked, RebalanceFailed},
};

/// How long the commit at the end is tried again. A rebalance in which everybody takes part needs
/// a second or two.
const LAST_COMMIT: Duration = Duration::from_secs(5);

/// How long what is being worked on may take when its partitions are taken away. What is not
/// published by then is repeated by their new owner.
const LAST_WORK: Duration = Duration::from_secs(3);

/// The name of the group's coordinator in librdkafka's statistics.
const COORDINATOR: &str = "GroupCoordinator";

/// How long a rebalance is waited for between two tries.
const AGAIN: Duration = Duration::from_millis(50);

/// The callbacks; they run inside `poll`, on the thread of the poller.
pub(super) struct Member {
    handover: Arc<Handover>,
    connection: Arc<Connection>,
    paused: AtomicBool,
    /// Why the last commit failed, where it did.
    uncommitted: Mutex<Option<String>>,
}

impl Member {
    pub(super) fn new(handover: Arc<Handover>, connection: Arc<Connection>) -> Self {
        Self { handover, connection, paused: AtomicBool::new(false), uncommitted: Mutex::default() }
    }

    /// What troubles there are.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Of these partitions those of the state topic, or the others.
    fn part(&self, list: &TopicPartitionList, of_state: bool) -> TopicPartitionList {
        let mut part = TopicPartitionList::new();
        for element in list.elements() {
            if self.handover.is_state_topic(element.topic()) == of_state {
                part.add_partition(element.topic(), element.partition());
            }
        }
        part
    }

    fn committed(&self, outcome: Result<(), String>) {
        *self.uncommitted.lock().unwrap_or_else(PoisonError::into_inner) = outcome.err();
    }

    fn uncommitted(&self) -> Option<String> {
        self.uncommitted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        bridge(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.connection.trouble(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        if let Some(coordinator) = statistics.brokers.get(COORDINATOR)
            && let Ok(idle) = u64::try_from(coordinator.rxidle)
        {
            self.handover.last_heard.heard(Duration::from_micros(idle));
        }
        tell_ends(&statistics, |topic| !self.handover.is_state_topic(topic));
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) if list.count() > 0 => {
                PartitionsAssigned { partitions: &partitions(list) }.emit();
                self.connection.reached();
                self.connection.forget_refusals();
                self.handover.assigned(partitions(list));
                // What became of partitions that we once had is their new owner's matter by now.
                self.committed(Ok(()));
            }
            Rebalance::Revoke(list) if list.count() > 0 => {
                let revoked = partitions(list).into_iter().collect();
                let mut dropped = self.handover.drop_pending(&revoked);
                if !consumer.assignment_lost() {
                    // They are still ours, in the generation that takes them away.
                    self.handover.note(consumer.group_metadata());
                    self.handover.wait_until_settled(&revoked, LAST_WORK);
                    kafka_marks::take_back(consumer, &self.handover, &revoked);
                }
                // librdkafka commits what is stored when it lets go of the partitions.
                store(consumer, &self.handover);
                dropped += self.handover.revoked(&revoked);
                PartitionsRevoked { partitions: &partitions(list), dropped }.emit();
            }
            Rebalance::Assign(_) => self.handover.assigned([]),
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => RebalanceFailed { error: &error.to_string() }.emit(),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(_) if self.paused.load(Ordering::Relaxed) => pause_assigned(consumer),
            Rebalance::Assign(list) if list.count() > 0 => {
                // Of the state topic nothing is read here; holding it is what counts.
                if let Err(error) = consumer.pause(&self.part(list, true)) {
                    warn!(%error, "partitions of the state topic could not be paused");
                }
                // A partition that was paused when it was taken away comes back paused.
                if let Err(error) = consumer.resume(&self.part(list, false)) {
                    warn!(%error, "partitions could not be resumed");
                }
            }
            Rebalance::Assign(_) | Rebalance::Revoke(_) | Rebalance::Error(_) => {}
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        match result {
            Ok(()) => {
                self.connection.reached();
                self.committed(Ok(()));
            }
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                self.connection.trouble(&error, "offsets were not committed yet");
                self.committed(Err(error.to_string()));
            }
        }
    }
}

/// Gives the stored offsets to librdkafka.
pub(super) fn store(consumer: &BaseConsumer<Member>, handover: &Handover) {
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

/// Commits what is stored and waits for it. While a rebalance goes on a broker takes no commit, or
/// none of the generation that librdkafka still has, and it waits for us: so we take part in it
/// and try again. Partitions that are taken away meanwhile are committed by librdkafka, which
/// tells the commit callback how that went.
pub(super) fn commit(consumer: &BaseConsumer<Member>) -> Result<(), ConsumerError> {
    let member = consumer.context();
    let began = Instant::now();
    loop {
        let reason = match consumer.commit_consumer_state(CommitMode::Sync) {
            Ok(()) => return Ok(()),
            // Nothing of ours is left to be committed.
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => match member.uncommitted() {
                None => return Ok(()),
                Some(reason) => reason,
            },
            Err(KafkaError::ConsumerCommit(
                code @ (RDKafkaErrorCode::RebalanceInProgress | RDKafkaErrorCode::IllegalGeneration),
            )) => {
                member.committed(Err(code.to_string()));
                code.to_string()
            }
            Err(error) => return Err(ConsumerError::NotCommitted(error.to_string())),
        };
        if began.elapsed() > LAST_COMMIT {
            return Err(ConsumerError::NotCommitted(reason));
        }
        // A record that comes now is not handed over: it is read again by whoever is next.
        drop(consumer.poll(AGAIN));
    }
}

/// Pauses whatever is assigned, now and in rebalances from now on.
pub(super) fn pause(consumer: &BaseConsumer<Member>) {
    if !consumer.context().paused.swap(true, Ordering::Relaxed) {
        pause_assigned(consumer);
    }
}

/// Whether the partitions are paused.
pub(super) fn is_paused(consumer: &BaseConsumer<Member>) -> bool {
    consumer.context().paused.load(Ordering::Relaxed)
}

/// Resumes whatever is assigned; says whether there was anything to resume.
pub(super) fn resume(consumer: &BaseConsumer<Member>) -> bool {
    let was_paused = consumer.context().paused.swap(false, Ordering::Relaxed);
    let triggers = |list: TopicPartitionList| consumer.context().part(&list, false);
    if was_paused && let Err(error) = consumer.assignment().and_then(|list| consumer.resume(&triggers(list)))
    {
        // Seen only with partitions that are being taken away: those need no resuming.
        warn!(%error, "partitions could not be resumed");
    }
    was_paused
}

fn pause_assigned(consumer: &BaseConsumer<Member>) {
    if let Err(error) = consumer.assignment().and_then(|list| consumer.pause(&list)) {
        warn!(%error, "partitions could not be paused");
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<Partition> {
    let mut names = Names::default();
    list.elements().iter().map(|element| names.partition(element.topic(), element.partition())).collect()
}

/// Where the partitions end, as far as librdkafka has heard.
fn tell_ends(statistics: &Statistics, is_trigger: impl Fn(&str) -> bool) {
    let mut names = Names::default();
    for (topic, of_topic) in statistics.topics.iter().filter(|(topic, _)| is_trigger(topic)) {
        for (number, of_partition) in of_topic.partitions.iter().filter(|(number, _)| **number >= 0) {
            // What an open transaction has written is not ours to read yet.
            let end =
                if of_partition.ls_offset >= 0 { of_partition.ls_offset } else { of_partition.hi_offset };
            let begin = [of_partition.committed_offset, of_partition.lo_offset];
            let begin = begin.into_iter().find(|offset| *offset >= 0);
            if end >= 0 {
                PartitionEnds { partition: &names.partition(topic, *number), end, begin }.emit();
            }
        }
    }
}
