//! The state topic as somebody sees it who only looks: what is filed under every case.

use std::collections::BTreeMap;

use super::{Current, Filing, NotFiled, Shelf};
use crate::case::CaseId;

/// All cases of all partitions.
#[derive(Clone, Debug, Default)]
pub struct Shelves {
    /// By partition too: a case that stands in two of them is to be seen twice.
    shelves: BTreeMap<(CaseId, i32), Shelf>,
    not_filed: BTreeMap<Vec<u8>, NotFiled>,
}

impl Shelves {
    /// Files the next record of a partition.
    pub fn put(&mut self, partition: i32, key: &[u8], value: Option<&[u8]>) {
        match Filing::read(partition, key, value) {
            Ok(filing) => {
                let place = (filing.case(), partition);
                let shelf = self.shelves.entry(place).or_default();
                filing.put_on(shelf);
                if shelf.is_empty() {
                    self.shelves.remove(&place);
                }
            }
            Err(why) if value.is_some() => drop(self.not_filed.insert(key.to_vec(), why)),
            Err(_) => drop(self.not_filed.remove(key)),
        }
    }

    /// Every case with its partition and how it stands.
    pub fn iter(&self) -> impl Iterator<Item = (CaseId, i32, Current)> {
        self.shelves.iter().map(|((case, partition), shelf)| (*case, *partition, shelf.current(None)))
    }

    /// How many records are about no case that this version knows of.
    pub fn not_filed(&self) -> usize {
        self.not_filed.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::{Done, State};

    fn case() -> CaseId {
        CaseId::of_event("/siem", "1")
    }

    fn done() -> Vec<u8> {
        let at = jiff::Timestamp::UNIX_EPOCH;
        State::Done(Done { case_id: case(), n: 0, seq: 2, ended_at: at, until: at }).encode()
    }

    #[test]
    fn the_last_record_of_a_key_counts_and_a_tombstone_takes_it_away() {
        let (mut shelves, key) = (Shelves::default(), format!("{}/state", case()));
        shelves.put(1, key.as_bytes(), Some(b"not ours"));
        assert!(matches!(shelves.iter().next(), Some((_, 1, Current::Blocked(_)))));
        shelves.put(1, key.as_bytes(), Some(&done()));
        assert!(matches!(shelves.iter().next(), Some((_, 1, Current::Ended(_)))));
        shelves.put(1, key.as_bytes(), None);
        assert_eq!(shelves.iter().count(), 0);
    }

    #[test]
    fn a_case_in_two_partitions_is_seen_twice() {
        let (mut shelves, key) = (Shelves::default(), format!("{}/state", case()));
        shelves.put(0, key.as_bytes(), Some(&done()));
        shelves.put(2, key.as_bytes(), Some(&done()));
        assert_eq!(shelves.iter().map(|(_, partition, _)| partition).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn what_is_about_no_case_is_counted_while_it_is_there() {
        let mut shelves = Shelves::default();
        shelves.put(0, b"window/night", Some(b"{}"));
        shelves.put(0, b"nonsense", Some(b"{}"));
        assert_eq!(shelves.not_filed(), 2);
        shelves.put(0, b"nonsense", None);
        assert_eq!((shelves.not_filed(), shelves.iter().count()), (1, 0));
    }
}
