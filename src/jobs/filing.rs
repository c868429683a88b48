//! A record of the state topic, read: which case it is filed under, and as what.

use super::{Filed, Input, Job, Key, Notice, Shelf, State, UnknownKey};
use crate::case::CaseId;

/// One record, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Filing {
    case: CaseId,
    record: Record,
}

#[derive(Clone, Debug, PartialEq)]
enum Record {
    Creation { n: u32, filed: Filed<Job> },
    CreationGone { n: u32 },
    State(Filed<State>),
    StateGone,
}

/// A record that is not about a case of this version.
#[derive(Clone, Debug, PartialEq)]
pub enum NotFiled {
    /// Under a key that is none of ours.
    UnknownKey,
    /// A standing job.
    NotBuilt(Key),
}

impl Filing {
    /// Reads a record of this partition.
    pub fn read(partition: i32, key: &[u8], value: Option<&[u8]>) -> Result<Self, NotFiled> {
        let key = Key::from_bytes(key).map_err(|UnknownKey| NotFiled::UnknownKey)?;
        let (case, record) = match (key, value) {
            (key @ (Key::Window { .. } | Key::Sweep { .. }), _) => return Err(NotFiled::NotBuilt(key)),
            (Key::Create { case, n }, None) => (case, Record::CreationGone { n }),
            (Key::Create { case, n }, Some(value)) => {
                (case, Record::Creation { n, filed: Shelf::creation(case, n, partition, value) })
            }
            (Key::State { case }, None) => (case, Record::StateGone),
            (Key::State { case }, Some(value)) => (case, Record::State(Shelf::state(case, partition, value))),
        };
        Ok(Self { case, record })
    }

    /// The case.
    pub fn case(&self) -> CaseId {
        self.case
    }

    pub(super) fn into_input(self) -> (CaseId, Input) {
        let input = match self.record {
            Record::Creation { n, filed } => Input::Creation { n, filed },
            Record::CreationGone { n } => Input::CreationGone { n },
            Record::State(filed) => Input::State(filed),
            Record::StateGone => Input::StateGone,
        };
        (self.case, input)
    }

    /// Files it: the last record of a key is the one that counts.
    pub(super) fn put_on(self, shelf: &mut Shelf) {
        match self.record {
            Record::Creation { n, filed } => drop(shelf.creations.insert(n, filed)),
            Record::CreationGone { n } => drop(shelf.creations.remove(&n)),
            Record::State(filed) => shelf.state = Some(filed),
            Record::StateGone => shelf.state = None,
        }
    }
}

impl NotFiled {
    pub(super) fn at(self, offset: i64) -> Notice {
        match self {
            Self::UnknownKey => Notice::UnknownKey { offset },
            Self::NotBuilt(key) => Notice::NotBuilt { key },
        }
    }
}
