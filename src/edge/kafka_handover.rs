//! What stands between the thread that polls Kafka and the code that works on batches.
//!
//! It is a place, not a queue: as long as nobody takes the pending batch, it grows up to its
//! maximum, and what belongs to a partition that is taken away can still be dropped from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::Notify;
use uuid::Uuid;

use super::kafka_consumer::ConsumerError;
use crate::ingest::{Batch, Partition, Record};

/// How far the consumer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It takes records.
    Running,
    /// It keeps its partitions and takes no more records.
    Draining,
    /// It is to commit and leave.
    Closing,
}

/// The shared place. Nobody holds its lock while waiting for Kafka or MongoDB.
pub(super) struct Handover {
    state: Mutex<State>,
    /// For the receiver: there may be something to take.
    ready: Notify,
    /// For the thread: there may be room, or another phase.
    room: Condvar,
}

struct State {
    pending: Pending,
    phase: Phase,
    /// The thread is adding records one by one; they are taken together.
    filling: bool,
    /// The thread adds no more records.
    ended: bool,
    /// The group has said which partitions are ours, be it none.
    joined: bool,
    failure: Option<ConsumerError>,
}

impl Handover {
    /// For batches of at most `max_records`.
    pub(super) fn new(max_records: usize) -> Self {
        Self {
            state: Mutex::new(State {
                pending: Pending::new(max_records),
                phase: Phase::Running,
                filling: false,
                ended: false,
                joined: false,
                failure: None,
            }),
            ready: Notify::new(),
            room: Condvar::new(),
        }
    }

    /// Waits for the next batch; `None` after a drain. What failed is said once.
    pub(super) async fn take(&self) -> Result<Option<Batch>, ConsumerError> {
        loop {
            // A permit is kept where the thread is quicker than we are.
            let ready = self.ready.notified();
            {
                let mut state = self.state();
                if let Some(failure) = state.failure.take() {
                    return Err(failure);
                }
                if !state.filling {
                    if let Some(batch) = state.pending.take() {
                        self.room.notify_all();
                        return Ok(Some(batch));
                    }
                    if state.ended {
                        return Ok(None);
                    }
                }
            }
            ready.await;
        }
    }

    /// Adds a record; false where there is no room for another.
    pub(super) fn push(&self, record: Record) -> bool {
        let mut state = self.state();
        state.filling = true;
        state.pending.push(record);
        !state.pending.is_full()
    }

    /// What was pushed may be taken.
    pub(super) fn filled(&self, now: Timestamp) {
        let mut state = self.state();
        state.filling = false;
        state.pending.received_at = now;
        self.ready.notify_one();
    }

    /// Whether the pending batch has as many records as it may have.
    pub(super) fn is_full(&self) -> bool {
        self.state().pending.is_full()
    }

    /// Waits until there is room or another phase, at most for `patience`.
    pub(super) fn wait_for_room(&self, patience: Duration) {
        let state = self.state();
        let phase = state.phase;
        let waited = self.room.wait_timeout_while(state, patience, |state| {
            state.phase == phase && state.phase != Phase::Closing && (state.ended || state.pending.is_full())
        });
        drop(waited);
    }

    pub(super) fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Goes on to `phase`; never back. Once it is to close, what is pending belongs to whoever
    /// owns the partitions next.
    pub(super) fn advance(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = state.phase.max(phase);
        if state.phase == Phase::Closing {
            state.pending.clear();
        }
        self.room.notify_all();
    }

    /// No more records come: those that are pending are the last.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.filling = false;
        self.ready.notify_one();
    }

    /// No more records come, and those that are pending must not be worked on.
    pub(super) fn fail(&self, failure: ConsumerError) {
        let mut state = self.state();
        state.pending.clear();
        state.failure = Some(failure);
        drop(state);
        self.end();
    }

    pub(super) fn assigned(&self, partitions: impl IntoIterator<Item = Partition>) {
        let mut state = self.state();
        state.joined = true;
        state.pending.assigned(partitions);
    }

    /// Whether the group has said which partitions are ours, be it none.
    pub(super) fn has_joined(&self) -> bool {
        self.state().joined
    }

    /// Forgets the partitions and whatever is pending of them; says how many records that were.
    pub(super) fn revoked(&self, partitions: &BTreeSet<Partition>) -> usize {
        let dropped = self.state().pending.revoked(partitions);
        self.room.notify_all();
        dropped
    }

    pub(super) fn store(&self, partition: &Partition, next_offset: i64) {
        self.state().pending.store(partition, next_offset);
    }

    /// Offsets that were stored since the last call.
    pub(super) fn stored(&self) -> BTreeMap<Partition, i64> {
        mem::take(&mut self.state().pending.due)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The batch that grows, and what is known of the partitions that we hold.
struct Pending {
    max_records: usize,
    records: Vec<Record>,
    received_at: Timestamp,
    held: BTreeMap<Partition, Held>,
    /// Offsets to be given to librdkafka.
    due: BTreeMap<Partition, i64>,
}

/// A partition since it was assigned.
#[derive(Default)]
struct Held {
    /// The first record of it that was handed over.
    first: Option<i64>,
    /// The highest offset that was stored.
    stored: Option<i64>,
}

impl Pending {
    fn new(max_records: usize) -> Self {
        Self {
            max_records: max_records.max(1),
            records: Vec::new(),
            received_at: Timestamp::UNIX_EPOCH,
            held: BTreeMap::new(),
            due: BTreeMap::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.records.len() >= self.max_records
    }

    fn clear(&mut self) {
        self.records = Vec::new();
    }

    fn push(&mut self, record: Record) {
        if record.origin.partition().is_some_and(|partition| self.held.contains_key(&partition)) {
            self.records.push(record);
        }
    }

    fn take(&mut self) -> Option<Batch> {
        if self.records.is_empty() {
            return None;
        }
        let rest = self.records.split_off(self.records.len().min(self.max_records));
        let records = mem::replace(&mut self.records, rest);
        let mut fresh = BTreeSet::new();
        for record in &records {
            let (Some(partition), Some(offset)) = (record.origin.partition(), record.origin.offset()) else {
                continue;
            };
            if let Some(held) = self.held.get_mut(&partition)
                && held.first.is_none()
            {
                held.first = Some(offset);
                fresh.insert(partition);
            }
        }
        Some(Batch { id: Uuid::now_v7(), records, fresh, received_at: self.received_at })
    }

    fn assigned(&mut self, partitions: impl IntoIterator<Item = Partition>) {
        for partition in partitions {
            self.held.insert(partition, Held::default());
        }
    }

    fn revoked(&mut self, partitions: &BTreeSet<Partition>) -> usize {
        let before = self.records.len();
        self.records.retain(|record| !record.origin.partition().is_some_and(|it| partitions.contains(&it)));
        for partition in partitions {
            self.held.remove(partition);
            self.due.remove(partition);
        }
        before - self.records.len()
    }

    /// An offset counts only for a partition that we hold, and only where it is ahead of what we
    /// were handed or stored since we hold it. A batch from before a revocation may end after
    /// somebody else went further, and its offset would take the group back.
    fn store(&mut self, partition: &Partition, next_offset: i64) {
        let Some(held) = self.held.get_mut(partition) else { return };
        let Some(first) = held.first else { return };
        if next_offset > first && held.stored.is_none_or(|stored| next_offset > stored) {
            held.stored = Some(next_offset);
            self.due.insert(partition.clone(), next_offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Origin;

    fn partition(number: i32) -> Partition {
        Partition { topic: "hr".into(), number }
    }

    fn record(number: i32, offset: i64) -> Record {
        let origin = Origin::Kafka { topic: "hr".into(), partition: number, offset, timestamp: None };
        Record { key: None, value: None, headers: Vec::new(), origin }
    }

    fn pending(partitions: &[i32]) -> Pending {
        let mut pending = Pending::new(3);
        pending.assigned(partitions.iter().copied().map(partition));
        pending
    }

    fn offsets(batch: &Batch) -> Vec<i64> {
        batch.records.iter().filter_map(|record| record.origin.offset()).collect()
    }

    #[test]
    fn the_first_batch_of_a_partition_says_so_and_the_second_does_not() {
        let mut pending = pending(&[0, 1]);
        pending.push(record(0, 7));
        assert_eq!(pending.take().unwrap().fresh, BTreeSet::from([partition(0)]));
        pending.push(record(0, 8));
        pending.push(record(1, 0));
        assert_eq!(pending.take().unwrap().fresh, BTreeSet::from([partition(1)]));
        pending.revoked(&BTreeSet::from([partition(0)]));
        pending.assigned([partition(0)]);
        pending.push(record(0, 8));
        assert_eq!(pending.take().unwrap().fresh, BTreeSet::from([partition(0)]));
    }

    #[test]
    fn a_revoked_partition_takes_its_records_with_it_and_leaves_the_others() {
        let mut pending = pending(&[0, 1]);
        for it in [record(0, 7), record(1, 3), record(0, 8)] {
            pending.push(it);
        }
        assert!(pending.is_full());
        assert_eq!(pending.revoked(&BTreeSet::from([partition(0)])), 2);
        assert_eq!(offsets(&pending.take().unwrap()), [3]);
        pending.push(record(0, 9));
        assert!(pending.take().is_none(), "what comes late from a revoked partition is dropped too");
    }

    #[test]
    fn more_than_the_maximum_is_never_handed_over_at_once() {
        let mut pending = pending(&[0]);
        for offset in 0..4 {
            pending.push(record(0, offset));
        }
        assert_eq!(offsets(&pending.take().unwrap()), [0, 1, 2]);
        assert_eq!(offsets(&pending.take().unwrap()), [3]);
        assert!(pending.take().is_none());
    }

    #[test]
    fn an_offset_from_before_a_revocation_cannot_take_the_group_back() {
        let mut pending = pending(&[0]);
        pending.push(record(0, 5));
        pending.take();
        pending.revoked(&BTreeSet::from([partition(0)]));
        pending.store(&partition(0), 6);
        assert!(pending.due.is_empty(), "no longer ours");
        pending.assigned([partition(0)]);
        pending.store(&partition(0), 6);
        assert!(pending.due.is_empty(), "ours again, but where it stands now is not known yet");
        pending.push(record(0, 30));
        pending.take();
        pending.store(&partition(0), 6);
        assert!(pending.due.is_empty(), "somebody else went further");
        pending.store(&partition(0), 31);
        assert_eq!(pending.due, BTreeMap::from([(partition(0), 31)]));
    }

    #[test]
    fn a_partition_that_comes_back_unworked_takes_the_offset_of_the_batch_before() {
        let mut pending = pending(&[0]);
        pending.push(record(0, 5));
        pending.take();
        pending.revoked(&BTreeSet::from([partition(0)]));
        pending.assigned([partition(0)]);
        pending.push(record(0, 5));
        pending.take();
        pending.store(&partition(0), 6);
        assert_eq!(pending.due, BTreeMap::from([(partition(0), 6)]), "its outcome is out");
    }

    #[test]
    fn offsets_only_go_forward() {
        let mut pending = pending(&[0]);
        pending.push(record(0, 0));
        pending.take();
        pending.store(&partition(0), 2);
        pending.store(&partition(0), 1);
        assert_eq!(pending.due, BTreeMap::from([(partition(0), 2)]));
    }

    #[tokio::test]
    async fn a_drain_hands_over_what_is_pending_and_then_says_that_there_is_no_more() {
        let handover = Handover::new(3);
        handover.assigned([partition(0)]);
        handover.push(record(0, 0));
        handover.filled(Timestamp::UNIX_EPOCH);
        handover.advance(Phase::Draining);
        handover.end();
        assert_eq!(handover.take().await.unwrap().unwrap().records.len(), 1);
        assert!(handover.take().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_failure_takes_what_is_pending_with_it() {
        let handover = Handover::new(3);
        handover.assigned([partition(0)]);
        handover.push(record(0, 0));
        handover.filled(Timestamp::UNIX_EPOCH);
        handover.fail(ConsumerError::Fenced("test".into()));
        assert!(matches!(handover.take().await, Err(ConsumerError::Fenced(_))));
        assert!(handover.take().await.unwrap().is_none());
    }
}
