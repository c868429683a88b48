//! What stands between the thread that polls Kafka and the code that works on batches.
//!
//! It is a place, not a queue: as long as nobody takes the pending batch, it grows up to its
//! maximum, and what belongs to a partition that is taken away can still be dropped from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rdkafka::consumer::ConsumerGroupMetadata;
use tokio::sync::{Notify, watch};

use super::{
    kafka_fault::ConsumerError,
    kafka_holdings::{Holdings, LastHeard},
    kafka_past::Beginnings,
    kafka_pending::{Pending, Right},
};
use crate::{
    ingest::{Batch, Claim, Partition, Record},
    jobs::Generation,
};

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
    /// Where we begin with the partitions that we hold.
    pub(super) beginnings: watch::Sender<Beginnings>,
    /// For the receiver: there may be something to take.
    pub(super) ready: Notify,
    /// For the thread: there may be room, or another phase.
    room: Condvar,
    /// The topic of which no record is taken, and what we hold of it.
    state_topic: Option<Arc<str>>,
    holdings: watch::Sender<Holdings>,
    pub(super) last_heard: LastHeard,
}

pub(super) struct State {
    pub(super) pending: Pending,
    /// What the group says of us now; `None` since a rebalance, until the thread has asked.
    metadata: Option<Arc<ConsumerGroupMetadata>>,
    /// Counts what the group has said of us, and of which of it the holdings were told.
    generation: u64,
    told: u64,
    /// How many batches of each partition are being worked on.
    pub(super) in_flight: BTreeMap<Partition, usize>,
    /// What is in flight is one record that goes alone.
    alone: bool,
    phase: Phase,
    /// The thread is adding records one by one; they are taken together.
    filling: bool,
    /// The thread adds no more records.
    ended: bool,
    /// The group has said which partitions are ours, be it none.
    joined: bool,
    /// Somebody waits for a batch: not while there is a pause.
    wanted: bool,
    failure: Option<ConsumerError>,
}

impl Handover {
    /// For batches of at most `max_records`; the partitions of `state_topic` are held, not read.
    pub(super) fn new(max_records: usize, state_topic: Option<Arc<str>>) -> Self {
        Self {
            state: Mutex::new(State {
                pending: Pending::new(max_records),
                metadata: None,
                generation: 0,
                told: 0,
                in_flight: BTreeMap::new(),
                alone: false,
                phase: Phase::Running,
                filling: false,
                ended: false,
                joined: false,
                wanted: false,
                failure: None,
            }),
            beginnings: watch::Sender::default(),
            ready: Notify::new(),
            room: Condvar::new(),
            state_topic,
            holdings: watch::Sender::default(),
            last_heard: LastHeard::never(),
        }
    }

    /// From now on attempts are counted: nothing is handed over before the group has answered.
    pub(super) fn count_attempts(&self) {
        self.state().pending.count_attempts();
    }

    /// What we hold of the state topic, from now on.
    pub(super) fn holdings(&self) -> watch::Receiver<Holdings> {
        self.holdings.subscribe()
    }

    /// Whether the partition of the state topic is still held by the same assignment.
    pub(super) fn holds(&self, partition: i32, holding: u64) -> bool {
        let Some(topic) = self.state_topic.clone() else { return false };
        let partition = Partition { topic, number: partition };
        self.state().pending.held.get(&partition).is_some_and(|held| held.epoch == holding)
    }

    /// Whether records of this topic are somebody else's to read.
    pub(super) fn is_state_topic(&self, topic: &str) -> bool {
        self.state_topic.as_deref() == Some(topic)
    }

    /// Waits for the next batch; `None` after a drain. What failed is said once.
    pub(super) async fn take(&self) -> Result<Option<Batch>, ConsumerError> {
        let _wanting = Wanting::of(self);
        loop {
            // A permit is kept where the thread is quicker than we are.
            let ready = self.ready.notified();
            {
                let mut state = self.state();
                if let Some(failure) = state.failure.take() {
                    return Err(failure);
                }
                if !state.filling {
                    if let Some(batch) = state.take() {
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

    /// Whether somebody waits for a batch.
    pub(super) fn is_wanted(&self) -> bool {
        self.state().wanted
    }

    /// Waits until no more records come, and takes none.
    pub(super) async fn ended(&self) -> Result<(), ConsumerError> {
        loop {
            let ready = self.ready.notified();
            {
                let mut state = self.state();
                if let Some(failure) = state.failure.take() {
                    return Err(failure);
                }
                if state.ended {
                    return Ok(());
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

    /// What the group says of us, asked before anything is added: by the thread, each time before
    /// it takes records.
    pub(super) fn note(&self, metadata: Option<ConsumerGroupMetadata>) {
        let mut state = self.state();
        state.metadata = metadata.map(Arc::new);
        if state.pending.records.is_empty() || state.pending.metadata.is_none() {
            state.pending.metadata = state.metadata.clone();
        }
        if state.told != state.generation && state.metadata.is_some() {
            state.told = state.generation;
            self.tell_holdings(&state);
        }
        self.room.notify_all();
    }

    pub(super) fn assigned(&self, partitions: impl IntoIterator<Item = Partition>) {
        let mut state = self.state();
        state.joined = true;
        state.pending.assigned(partitions);
        state.another_generation();
    }

    /// Whether the group has said which partitions are ours, be it none.
    pub(super) fn has_joined(&self) -> bool {
        self.state().joined
    }

    /// Forgets what is pending of these partitions, which are about to be taken away; says how
    /// many records that were.
    pub(super) fn drop_pending(&self, partitions: &BTreeSet<Partition>) -> usize {
        let dropped = self.state().pending.drop_records(partitions);
        self.room.notify_all();
        dropped
    }

    /// Waits until no batch of these partitions is being worked on, at most for `patience`.
    pub(super) fn wait_until_settled(&self, partitions: &BTreeSet<Partition>, patience: Duration) {
        let waited = self.room.wait_timeout_while(self.state(), patience, |state| {
            partitions.iter().any(|partition| state.in_flight.contains_key(partition))
        });
        drop(waited);
    }

    /// Forgets the partitions and whatever is pending of them; says how many records that were.
    pub(super) fn revoked(&self, partitions: &BTreeSet<Partition>) -> usize {
        let mut state = self.state();
        let dropped = state.pending.revoked(partitions);
        state.another_generation();
        self.tell_losses(&state);
        self.room.notify_all();
        dropped
    }

    /// The batch of this claim is committed (`done`), or given up, and with it all after it.
    pub(super) fn settled(&self, claim: &Claim, done: bool) {
        let Some(right) = claim.get::<Right>() else { return };
        if done {
            self.worked_on(&right.held);
        }
        let mut state = self.state();
        if !done {
            state.in_flight.clear();
        }
        for partition in right.held.keys() {
            if let Some(count) = state.in_flight.get_mut(partition) {
                *count -= 1;
                if *count == 0 {
                    state.in_flight.remove(partition);
                }
            }
        }
        if state.in_flight.is_empty() {
            state.alone = false;
        }
        // What goes alone, or comes after it, has waited for this.
        self.ready.notify_one();
        self.room.notify_all();
    }

    /// A claim of now for what is left of an older one, and the partitions that were not held
    /// without a break since. `None` where the group has not said yet what we are in it, within
    /// `patience`.
    pub(super) fn renew(&self, claim: &Claim, patience: Duration) -> Option<(Claim, BTreeSet<Partition>)> {
        let state = self.state();
        let (state, _) = self
            .room
            .wait_timeout_while(state, patience, |state| state.metadata.is_none() && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        let empty = BTreeMap::new();
        let before = claim.get::<Right>().map_or(&empty, |right| &right.held);
        let is_kept = |(partition, epoch): &(&Partition, &u64)| {
            state.pending.held.get(*partition).is_some_and(|held| held.epoch == **epoch)
        };
        let (kept, lost): (Vec<_>, Vec<_>) = before.iter().partition(is_kept);
        let metadata = Some(state.metadata.clone()?);
        let held = kept.into_iter().map(|(partition, epoch)| (partition.clone(), *epoch)).collect();
        let lost = lost.into_iter().map(|(partition, _)| partition.clone()).collect();
        Some((Claim::new(Right { metadata, held }), lost))
    }

    /// Forgets every partition and whatever is pending: they are to be assigned anew.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        let held = state.pending.held.keys().cloned().collect();
        state.pending.revoked(&held);
        state.another_generation();
        self.tell_losses(&state);
        self.room.notify_all();
    }

    fn tell_holdings(&self, state: &State) {
        let Some(topic) = &self.state_topic else { return };
        let held: BTreeMap<Partition, u64> = state
            .pending
            .held
            .iter()
            .filter(|(partition, _)| partition.topic == *topic)
            .map(|(partition, held)| (partition.clone(), held.epoch))
            .collect();
        let partitions = held.iter().map(|(partition, epoch)| (partition.number, *epoch)).collect();
        let claim = Claim::new(Right { metadata: state.metadata.clone(), held });
        self.holdings.send_replace(Holdings { generation: Generation(state.generation), claim, partitions });
    }

    /// What was taken away is told at once: what we hold by a new right comes with the metadata.
    fn tell_losses(&self, state: &State) {
        let Some(topic) = &self.state_topic else { return };
        self.holdings.send_if_modified(|holdings| {
            let before = holdings.partitions.len();
            holdings.partitions.retain(|number, _| {
                state.pending.held.contains_key(&Partition { topic: topic.clone(), number: *number })
            });
            holdings.partitions.len() < before
        });
    }

    pub(super) fn store(&self, partition: &Partition, next_offset: i64) {
        self.state().pending.store(partition, next_offset);
    }

    /// Offsets that were stored since the last call.
    pub(super) fn stored(&self) -> BTreeMap<Partition, i64> {
        mem::take(&mut self.state().pending.due)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody waits for a batch, until this is dropped.
struct Wanting<'a>(&'a Handover);

impl<'a> Wanting<'a> {
    fn of(handover: &'a Handover) -> Self {
        handover.state().wanted = true;
        Self(handover)
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.0.state().wanted = false;
    }
}

impl State {
    fn take(&mut self) -> Option<Batch> {
        let goes_alone = self.pending.next_goes_alone();
        if self.alone || goes_alone && !self.in_flight.is_empty() {
            return None;
        }
        let batch = self.pending.take()?;
        for partition in batch.claim.get::<Right>().into_iter().flat_map(|right| right.held.keys()) {
            *self.in_flight.entry(partition.clone()).or_default() += 1;
        }
        self.alone = goes_alone && !self.in_flight.is_empty();
        Some(batch)
    }

    /// What was known of the group is of a generation that is over.
    fn another_generation(&mut self) {
        self.generation += 1;
        self.metadata = None;
        self.pending.metadata = None;
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
        let handover = Handover::new(3, None);
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
        let handover = Handover::new(3, None);
        handover.assigned([partition(0)]);
        handover.push(record(0, 0));
        handover.filled(Timestamp::UNIX_EPOCH);
        handover.fail(ConsumerError::Fenced("test".into()));
        assert!(matches!(handover.take().await, Err(ConsumerError::Fenced(_))));
        assert!(handover.take().await.unwrap().is_none());
    }
}
