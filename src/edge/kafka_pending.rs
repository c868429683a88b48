//! The batch that grows until somebody takes it, and the partitions that we hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use jiff::Timestamp;
use rdkafka::consumer::ConsumerGroupMetadata;
use uuid::Uuid;

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
    max_records: usize,
    pub(super) records: Vec<Record>,
    /// What the group said of us before the first of the records.
    pub(super) metadata: Option<Arc<ConsumerGroupMetadata>>,
    /// Counts assignments.
    pub(super) epoch: u64,
    pub(super) received_at: Timestamp,
    pub(super) held: BTreeMap<Partition, Held>,
    /// Offsets to be given to librdkafka.
    pub(super) due: BTreeMap<Partition, i64>,
}

/// A partition since it was assigned.
#[derive(Default)]
pub(super) struct Held {
    /// Which assignment that was.
    pub(super) epoch: u64,
    /// The first record of it that was handed over.
    first: Option<i64>,
    /// The highest offset that was stored.
    stored: Option<i64>,
}

impl Pending {
    pub(super) fn new(max_records: usize) -> Self {
        Self {
            max_records: max_records.max(1),
            records: Vec::new(),
            metadata: None,
            epoch: 0,
            received_at: Timestamp::UNIX_EPOCH,
            held: BTreeMap::new(),
            due: BTreeMap::new(),
        }
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
        let claim = self.claim(&records);
        Some(Batch { id: Uuid::now_v7(), records, fresh, received_at: self.received_at, claim })
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
            self.held.insert(partition, Held { epoch: self.epoch, ..Held::default() });
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
