//! How often the next record of a partition was begun and nothing came of it: counted across
//! restarts, in the metadata of the committed offset.
//!
//! Before the first records of a partition are handed over, the offset of the first of them is
//! committed with `attempts=n+1`; the first real commit carries no metadata and so forgets it. A
//! partition that has nothing to be worked on is not marked: it cannot be to blame.
//!
//! After two attempts that ended nowhere the partition's records go alone: one in a batch, one such
//! batch at a time, nothing else beside it, each with a mark of its own. So the third crash has a
//! culprit, who inherits the two before. After five it is not tried again. A partition is itself
//! again after as many records as one batch may have: no more were in the batch that crashed.
//!
//! What was given up cleanly, by a stop or a rebalance, is no attempt: the mark is taken back to what
//! it was. So is one of our own that we find again, since we are alive: a lost session is no crash.

use std::collections::{BTreeMap, BTreeSet};

use super::{kafka_handover::Handover, kafka_past::Beginning};
use crate::ingest::Partition;

/// After so many attempts that ended nowhere records go alone. One may be bad luck.
const ALONE_AFTER: u32 = 2;

/// After so many a record that was alone is not tried again: two in full batches, then three alone, so
/// that two crashes from outside (a machine that is out of memory) do not cost a record its outcome.
const GIVE_UP_AFTER: u32 = 5;

/// What stands before the number in the metadata.
const WORD: &str = "attempts=";

/// How often the next record of a partition that we hold was begun.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Those before this one; `None` until the group has said.
    before: Option<u32>,
    mark: Mark,
    /// So many records are still handed over one by one.
    alone: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// To be set before the next record is handed over.
    Due,
    /// On its way, at this offset.
    Asked(i64),
    /// There, at this offset.
    Set(i64),
    /// None is there, and none is needed.
    Over,
}

impl Attempts {
    /// The group is still to be asked.
    pub(super) fn unknown() -> Self {
        Self { before: None, mark: Mark::Due, alone: 0 }
    }

    /// Nobody counts them.
    pub(super) fn uncounted() -> Self {
        Self { before: Some(0), mark: Mark::Over, alone: 0 }
    }

    /// Whether the next record may be handed over.
    pub(super) fn is_ready(&self) -> bool {
        self.before.is_some() && matches!(self.mark, Mark::Set(_) | Mark::Over)
    }

    /// Whether the next record has to be the only one that is worked on.
    pub(super) fn goes_alone(&self) -> bool {
        self.alone > 0
    }

    /// A batch with records of it is handed over; what it says is how often its only record has
    /// crashed, where it is not to be tried again.
    pub(super) fn handed_over(&mut self) -> Option<u32> {
        if self.alone == 0 {
            return None;
        }
        self.alone -= 1;
        self.before.filter(|before| *before >= GIVE_UP_AFTER)
    }

    fn finished(&mut self) {
        if self.alone > 0 {
            self.before = Some(ALONE_AFTER);
            self.mark = Mark::Due;
        } else {
            self.mark = Mark::Over;
        }
    }
}

/// What the group says of a partition's committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Committed {
    /// `None` where nothing is committed yet.
    pub(super) offset: Option<i64>,
    pub(super) metadata: String,
}

/// A mark of ours of which nothing has come yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Own {
    offset: i64,
    before: u32,
}

/// A mark to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToCommit {
    pub(super) partition: Partition,
    pub(super) offset: i64,
    pub(super) metadata: String,
}

impl ToCommit {
    fn new(partition: &Partition, offset: i64, attempts: u32) -> Self {
        let metadata = if attempts == 0 { String::new() } else { format!("{WORD}{attempts}") };
        Self { partition: partition.clone(), offset, metadata }
    }
}

fn read(metadata: &str) -> u32 {
    metadata.strip_prefix(WORD).and_then(|attempts| attempts.parse().ok()).unwrap_or(0)
}

/// What became of a mark that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    Done,
    /// The group does not take it: this attempt is not counted.
    Refused,
    /// It may be there or not.
    Unknown,
}

impl Handover {
    /// Partitions of which the group is still to be asked.
    pub(super) fn unasked(&self) -> Vec<Partition> {
        let state = self.state();
        let unasked = state.pending.held.iter().filter(|(partition, held)| {
            held.attempts.before.is_none() && !self.is_state_topic(&partition.topic)
        });
        unasked.map(|(partition, _)| partition.clone()).collect()
    }

    /// What the group has said of the partition; `None` where it did not say in time.
    pub(super) fn told(&self, partition: &Partition, committed: Option<&Committed>) {
        let mut state = self.state();
        let pending = &mut state.pending;
        let own = pending.marks.remove(partition);
        let max_records = pending.max_records;
        let Some(held) = pending.held.get_mut(partition) else { return };
        let Some(committed) = committed else {
            held.attempts = Attempts::uncounted();
            drop(state);
            self.ready.notify_one();
            return;
        };
        let attempts = read(&committed.metadata);
        let before = match own {
            Some(own) if committed.offset == Some(own.offset) && attempts == own.before + 1 => own.before,
            Some(_) | None => attempts,
        };
        held.attempts.before = Some(before);
        held.attempts.alone = if before >= ALONE_AFTER { max_records } else { 0 };
        let epoch = held.epoch;
        drop(state);
        if let Some(offset) = committed.offset {
            self.beginnings.send_modify(|beginnings| {
                beginnings.insert(partition.clone(), Beginning { epoch, offset });
            });
        }
    }

    /// The marks without which the next batch cannot be handed over.
    pub(super) fn marks_due(&self) -> Vec<ToCommit> {
        let mut state = self.state();
        let pending = &mut state.pending;
        let count = pending.next_count();
        let mut due = BTreeMap::new();
        for record in pending.records.iter().take(count) {
            if let (Some(partition), Some(offset)) = (record.origin.partition(), record.origin.offset()) {
                due.entry(partition).or_insert(offset);
            }
        }
        let mut marks = Vec::new();
        for (partition, offset) in due {
            if let Some(held) = pending.held.get_mut(&partition)
                && held.attempts.mark == Mark::Due
                && let Some(before) = held.attempts.before
            {
                held.attempts.mark = Mark::Asked(offset);
                marks.push(ToCommit::new(&partition, offset, before + 1));
                pending.marks.insert(partition, Own { offset, before });
            }
        }
        marks
    }

    /// What became of the mark at this offset; false where none was on its way there.
    pub(super) fn marked(&self, partition: &Partition, offset: i64, marked: Marked) -> bool {
        let mut state = self.state();
        let Some(held) = state.pending.held.get_mut(partition) else { return false };
        if held.attempts.mark != Mark::Asked(offset) {
            return false;
        }
        held.attempts.mark = match marked {
            Marked::Done => Mark::Set(offset),
            Marked::Refused => Mark::Over,
            Marked::Unknown => Mark::Due,
        };
        drop(state);
        self.ready.notify_one();
        true
    }

    /// What takes back the marks of these partitions, or of all, of which nothing has come. Not of
    /// those with a batch in flight: its offset may be committed before ours, which would take the
    /// group back.
    pub(super) fn take_marks_back(&self, partitions: Option<&BTreeSet<Partition>>) -> Vec<ToCommit> {
        let mut state = self.state();
        let state = &mut *state;
        let mut back = Vec::new();
        for (partition, held) in &mut state.pending.held {
            let is_meant = partitions.is_none_or(|partitions| partitions.contains(partition));
            if !is_meant || state.in_flight.contains_key(partition) {
                continue;
            }
            let (Mark::Asked(offset) | Mark::Set(offset), Some(before)) =
                (held.attempts.mark, held.attempts.before)
            else {
                continue;
            };
            held.attempts.mark = Mark::Asked(offset);
            state.pending.marks.remove(partition);
            back.push(ToCommit::new(partition, offset, before));
        }
        back
    }

    /// Whether a mark is on its way.
    pub(super) fn is_marking(&self) -> bool {
        let state = self.state();
        state.pending.held.values().any(|held| matches!(held.attempts.mark, Mark::Asked(_)))
    }

    /// Everything of these assignments that was handed over is committed.
    pub(super) fn worked_on(&self, assignments: &BTreeMap<Partition, u64>) {
        let mut state = self.state();
        let pending = &mut state.pending;
        for (partition, epoch) in assignments {
            if let Some(held) = pending.held.get_mut(partition)
                && held.epoch == *epoch
            {
                held.attempts.finished();
                pending.marks.remove(partition);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ingest::{Batch, Origin, Record};

    fn partition(number: i32) -> Partition {
        Partition { topic: "hr".into(), number }
    }

    fn record(number: i32, offset: i64) -> Record {
        let origin = Origin::Kafka { topic: "hr".into(), partition: number, offset, timestamp: None };
        Record { key: None, value: None, headers: Vec::new(), origin }
    }

    /// Assigned, asked and answered: by partition the attempts of which nothing has come, at offset 0.
    fn handover<const N: usize>(attempts: [u32; N]) -> Handover {
        let handover = Handover::new(3, None);
        handover.count_attempts();
        let partitions: Vec<_> = (0..).map(partition).take(N).collect();
        handover.assigned(partitions.clone());
        assert_eq!(handover.unasked(), partitions);
        for (partition, attempts) in partitions.iter().zip(attempts) {
            handover.told(partition, Some(&committed(0, attempts)));
        }
        handover
    }

    fn committed(offset: i64, attempts: u32) -> Committed {
        let metadata = ToCommit::new(&partition(0), offset, attempts).metadata;
        Committed { offset: Some(offset), metadata }
    }

    fn put(handover: &Handover, records: &[(i32, i64)]) {
        for (number, offset) in records {
            handover.push(record(*number, *offset));
        }
        handover.filled(Timestamp::UNIX_EPOCH);
    }

    /// Marks whatever is due, as the thread does, and says what that was.
    fn mark(handover: &Handover) -> Vec<(i32, i64, String)> {
        let due = handover.marks_due();
        for ToCommit { partition, offset, .. } in &due {
            assert!(handover.marked(partition, *offset, Marked::Done));
        }
        due.into_iter().map(|mark| (mark.partition.number, mark.offset, mark.metadata)).collect()
    }

    fn take(handover: &Handover) -> Option<Batch> {
        let taken = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        taken.block_on(async {
            tokio::select! {
                biased;
                batch = handover.take() => batch.unwrap(),
                () = std::future::ready(()) => None,
            }
        })
    }

    fn offsets(batch: &Batch) -> Vec<i64> {
        batch.records.iter().filter_map(|record| record.origin.offset()).collect()
    }

    fn attempts(number: u32) -> String {
        format!("attempts={number}")
    }

    #[test]
    fn nothing_is_handed_over_before_the_attempt_is_noted() {
        let handover = handover([0]);
        put(&handover, &[(0, 4), (0, 5)]);
        assert!(take(&handover).is_none());
        let due = handover.marks_due();
        assert_eq!(due, [ToCommit::new(&partition(0), 4, 1)]);
        assert!(take(&handover).is_none());
        assert!(handover.marked(&partition(0), 4, Marked::Done));
        let batch = take(&handover).unwrap();
        assert_eq!((offsets(&batch), batch.crashed), (vec![4, 5], None));
    }

    #[test]
    fn a_partition_without_records_is_not_marked_and_one_that_is_done_not_again() {
        let handover = handover([0, 0]);
        put(&handover, &[(0, 0)]);
        assert_eq!(mark(&handover), [(0, 0, attempts(1))]);
        let batch = take(&handover).unwrap();
        handover.settled(&batch.claim, true);
        assert!(handover.take_marks_back(None).is_empty(), "the real commit has no metadata");
        put(&handover, &[(0, 1)]);
        assert!(mark(&handover).is_empty());
        assert!(take(&handover).is_some());
    }

    #[test]
    fn after_two_attempts_records_go_alone_and_each_inherits_them() {
        let handover = handover([2, 0]);
        put(&handover, &[(0, 0), (0, 1), (1, 0)]);
        assert_eq!(mark(&handover), [(0, 0, attempts(3))]);
        let batch = take(&handover).unwrap();
        assert_eq!((offsets(&batch), batch.crashed), (vec![0], None));
        assert!(mark(&handover).is_empty());
        assert!(take(&handover).is_none(), "nothing beside it");
        handover.settled(&batch.claim, true);
        assert_eq!(mark(&handover), [(0, 1, attempts(3))]);
        let batch = take(&handover).unwrap();
        assert_eq!(offsets(&batch), [1]);
        handover.settled(&batch.claim, true);
        put(&handover, &[(0, 2), (0, 3), (0, 4)]);
        assert_eq!(mark(&handover), [(1, 0, attempts(1))]);
        let batch = take(&handover).unwrap();
        assert_eq!(offsets(&batch), [0], "of the other partition, up to the next that goes alone");
        assert!(take(&handover).is_none(), "alone means that nothing else is worked on");
        handover.settled(&batch.claim, true);
        assert_eq!(mark(&handover), [(0, 2, attempts(3))]);
        let batch = take(&handover).unwrap();
        handover.settled(&batch.claim, true);
        assert!(mark(&handover).is_empty(), "as many as a batch has have gone alone");
        assert_eq!(offsets(&take(&handover).unwrap()), [3, 4]);
    }

    #[test]
    fn a_record_that_was_alone_and_has_crashed_five_times_is_not_tried_again_and_the_next_one_is() {
        let handover = handover([5]);
        put(&handover, &[(0, 0), (0, 1)]);
        mark(&handover);
        let batch = take(&handover).unwrap();
        assert_eq!((offsets(&batch), batch.crashed), (vec![0], Some(5)));
        handover.settled(&batch.claim, true);
        mark(&handover);
        assert_eq!(take(&handover).unwrap().crashed, None);
    }

    #[test]
    fn what_is_given_up_cleanly_takes_its_mark_back_and_what_is_in_flight_does_not() {
        let handover = handover([1, 0]);
        put(&handover, &[(0, 7)]);
        mark(&handover);
        let batch = take(&handover).unwrap();
        assert!(handover.take_marks_back(None).is_empty(), "its offset may be committed at any moment");
        handover.settled(&batch.claim, false);
        assert_eq!(handover.take_marks_back(None), [ToCommit::new(&partition(0), 7, 1)]);
        assert!(handover.is_marking());
    }

    #[test]
    fn who_loses_a_partition_and_lives_has_not_crashed() {
        let handover = handover([1]);
        put(&handover, &[(0, 0)]);
        assert_eq!(mark(&handover), [(0, 0, attempts(2))]);
        handover.forget();
        handover.assigned([partition(0)]);
        handover.told(&partition(0), Some(&committed(0, 2)));
        put(&handover, &[(0, 0)]);
        assert_eq!(mark(&handover), [(0, 0, attempts(2))], "our own mark, once");
    }

    #[test]
    fn a_mark_that_is_refused_is_done_without_and_one_that_may_be_there_is_set_again() {
        let handover = handover([0, 0]);
        put(&handover, &[(0, 0), (1, 0)]);
        assert_eq!(handover.marks_due().len(), 2);
        handover.marked(&partition(0), 0, Marked::Refused);
        handover.marked(&partition(1), 0, Marked::Unknown);
        assert_eq!(mark(&handover), [(1, 0, attempts(1))]);
        assert!(take(&handover).is_some());
    }

    #[test]
    fn where_the_group_does_not_answer_work_goes_on_uncounted() {
        let handover = Handover::new(3, None);
        handover.count_attempts();
        handover.assigned([partition(0)]);
        put(&handover, &[(0, 0)]);
        assert!(take(&handover).is_none());
        handover.told(&partition(0), None);
        assert!(handover.marks_due().is_empty());
        assert!(take(&handover).is_some());
    }

    #[test]
    fn what_somebody_else_has_noted_is_no_number_of_ours() {
        let metadata = ["", "attempts=", "attempts=-1", "attempts=4294967296", "attempts = 3", "a note"];
        assert_eq!(metadata.map(read), [0; 6]);
        assert_eq!(read("attempts=3"), 3);
    }
}
