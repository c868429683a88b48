//! The batch that grows until somebody takes it, and the partitions that we hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use jiff::Timestamp;
use rdkafka::consumer::ConsumerGroupMetadata;
use uuid::Uuid;

use super::kafka_attempts::{Attempts, Own};
use crate::ingest::{Batch, Claim, Partition, Record};

/// By what right a batch is committed: what the group said of us before it was filled, and which
/// assignment each of its partitions was of.
pub(super) struct Right {
    /// `None` where a rebalance came between the records and the question.
    pub(super) metadata: Option<Arc<ConsumerGroupMetadata>>,
    pub(super) held: BTreeMap<Partition, u64>,
}

/// The batch that grows, and what is known of the partitions that we hold.
pub(super) struct Pending {
    pub(super) max_records: usize,
    /// Whether attempts are counted.
    counting: bool,
    pub(super) records: Vec<Record>,
    /// What the group said of us before the first of the records.
    pub(super) metadata: Option<Arc<ConsumerGroupMetadata>>,
    /// Counts assignments.
    pub(super) epoch: u64,
    pub(super) received_at: Timestamp,
    pub(super) held: BTreeMap<Partition, Held>,
    /// Marks of ours of which nothing has come, also of partitions that we have lost.
    pub(super) marks: BTreeMap<Partition, Own>,
    /// Offsets to be given to librdkafka.
    pub(super) due: BTreeMap<Partition, i64>,
}

/// A partition since it was assigned.
pub(super) struct Held {
    /// Which assignment that was.
    pub(super) epoch: u64,
    pub(super) attempts: Attempts,
    /// The first record of it that was handed over.
    first: Option<i64>,
    /// The highest offset that was stored.
    stored: Option<i64>,
}

impl Pending {
    pub(super) fn new(max_records: usize) -> Self {
        Self {
            max_records: max_records.max(1),
            counting: false,
            records: Vec::new(),
            metadata: None,
            epoch: 0,
            received_at: Timestamp::UNIX_EPOCH,
            held: BTreeMap::new(),
            marks: BTreeMap::new(),
            due: BTreeMap::new(),
        }
    }

    /// From now on attempts are counted: what is assigned waits for the group's answer.
    pub(super) fn count_attempts(&mut self) {
        self.counting = true;
    }

    /// How many of the records come next: all that fit into a batch, up to the first that goes alone.
    pub(super) fn next_count(&self) -> usize {
        let most = self.records.len().min(self.max_records);
        match self.records.iter().take(most).position(|record| self.goes_alone(record)) {
            None => most,
            Some(0) => 1,
            Some(before) => before,
        }
    }

    /// Whether the next record has to be the only one that is worked on.
    pub(super) fn next_goes_alone(&self) -> bool {
        self.records.first().is_some_and(|record| self.goes_alone(record))
    }

    fn goes_alone(&self, record: &Record) -> bool {
        self.held_of(record).is_some_and(|held| held.attempts.goes_alone())
    }

    fn held_of(&self, record: &Record) -> Option<&Held> {
        self.held.get(&record.origin.partition()?)
    }

    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= self.max_records
    }

    pub(super) fn clear(&mut self) {
        self.records = Vec::new();
    }

    pub(super) fn push(&mut self, record: Record) {
        if record.origin.partition().is_some_and(|partition| self.held.contains_key(&partition)) {
            self.records.push(record);
        }
    }

    pub(super) fn take(&mut self) -> Option<Batch> {
        let count = self.next_count();
        let is_ready = |record| self.held_of(record).is_none_or(|held| held.attempts.is_ready());
        if count == 0 || !self.records.iter().take(count).all(is_ready) {
            return None;
        }
        let rest = self.records.split_off(count);
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
        let claim = self.claim(&records);
        let mut crashed = None;
        for partition in claim.get::<Right>().into_iter().flat_map(|right| right.held.keys()) {
            crashed = crashed.or(self.held.get_mut(partition).and_then(|held| held.attempts.handed_over()));
        }
        Some(Batch { id: Uuid::now_v7(), records, fresh, crashed, received_at: self.received_at, claim })
    }

    fn claim(&self, records: &[Record]) -> Claim {
        let partitions: BTreeSet<Partition> =
            records.iter().filter_map(|record| record.origin.partition()).collect();
        let held = partitions
            .into_iter()
            .filter_map(|partition| {
                let epoch = self.held.get(&partition)?.epoch;
                Some((partition, epoch))
            })
            .collect();
        Claim::new(Right { metadata: self.metadata.clone(), held })
    }

    pub(super) fn assigned(&mut self, partitions: impl IntoIterator<Item = Partition>) {
        self.epoch += 1;
        for partition in partitions {
            let attempts = if self.counting { Attempts::unknown() } else { Attempts::uncounted() };
            self.held.insert(partition, Held { epoch: self.epoch, attempts, first: None, stored: None });
        }
    }

    pub(super) fn drop_records(&mut self, partitions: &BTreeSet<Partition>) -> usize {
        let before = self.records.len();
        self.records.retain(|record| !record.origin.partition().is_some_and(|it| partitions.contains(&it)));
        before - self.records.len()
    }

    pub(super) fn revoked(&mut self, partitions: &BTreeSet<Partition>) -> usize {
        for partition in partitions {
            self.held.remove(partition);
            self.due.remove(partition);
        }
        self.drop_records(partitions)
    }

    /// An offset counts only for a partition that we hold, and only where it is ahead of what we
    /// were handed or stored since we hold it. A batch from before a revocation may end after
    /// somebody else went further, and its offset would take the group back.
    pub(super) fn store(&mut self, partition: &Partition, next_offset: i64) {
        let Some(held) = self.held.get_mut(partition) else { return };
        let Some(first) = held.first else { return };
        if next_offset > first && held.stored.is_none_or(|stored| next_offset > stored) {
            held.stored = Some(next_offset);
            self.due.insert(partition.clone(), next_offset);
        }
    }
}
