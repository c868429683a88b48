//! How far behind we are, by partition of ours: what the broker has less what is done. An upper
//! bound: the mark at the end of a transaction takes an offset too.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::ingest::Partition;

/// Most partitions of which the lag is told; of further ones only their number.
const MOST: usize = 1_000;

/// The partitions of this process.
#[derive(Debug, Default)]
pub struct Lags(Mutex<BTreeMap<Partition, Lag>>);

#[derive(Clone, Copy, Debug, Default)]
struct Lag {
    /// The offset of the next record that will be written there.
    end: Option<i64>,
    /// The offset of the first record that is not done.
    next: Option<i64>,
}

impl Lags {
    /// Partitions that we were given.
    pub fn assigned(&self, partitions: impl IntoIterator<Item = Partition>) {
        self.all().extend(partitions.into_iter().map(|partition| (partition, Lag::default())));
    }

    /// Partitions that were taken from us.
    pub fn revoked<'a>(&self, partitions: impl IntoIterator<Item = &'a Partition>) {
        let mut all = self.all();
        for partition in partitions {
            all.remove(partition);
        }
    }

    /// Where a partition ends at the broker, and where what is not done begins at the latest.
    pub fn seen(&self, partition: &Partition, end: i64, begin: Option<i64>) {
        if let Some(lag) = self.all().get_mut(partition) {
            lag.end = Some(end);
            lag.next = lag.next.max(begin);
        }
    }

    /// Everything before `next` is done.
    pub fn done(&self, partition: &Partition, next: i64) {
        if let Some(lag) = self.all().get_mut(partition) {
            lag.next = lag.next.max(Some(next));
        }
    }

    /// How many partitions are ours.
    pub fn partitions(&self) -> u64 {
        u64::try_from(self.all().len()).unwrap_or(u64::MAX)
    }

    /// How far behind each is.
    pub fn each(&self) -> Vec<(Partition, u64)> {
        let all = self.all();
        let known = all.iter().filter_map(|(partition, lag)| {
            let behind = lag.end? - lag.next.unwrap_or(0);
            Some((partition.clone(), u64::try_from(behind).unwrap_or(0)))
        });
        known.take(MOST).collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Partition, Lag>> {
        // Each entry is written whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32) -> Partition {
        Partition { topic: "hr".into(), number }
    }

    #[test]
    fn lag_is_what_the_broker_has_less_what_is_done() {
        let lags = Lags::default();
        lags.assigned([partition(0), partition(1)]);
        assert_eq!(lags.each(), [], "nothing is known yet");
        lags.seen(&partition(0), 10, Some(4));
        lags.done(&partition(0), 7);
        lags.seen(&partition(0), 12, Some(6));
        lags.seen(&partition(1), 3, None);
        assert_eq!(lags.each(), [(partition(0), 5), (partition(1), 3)]);
    }

    #[test]
    fn a_partition_that_is_no_longer_ours_is_not_told() {
        let lags = Lags::default();
        lags.assigned([partition(0)]);
        lags.revoked([&partition(0)]);
        lags.seen(&partition(0), 10, None);
        lags.done(&partition(0), 5);
        assert_eq!((lags.each(), lags.partitions()), (vec![], 0));
    }
}
