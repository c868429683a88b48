//! As much of Kafka as the protocol rests on: a compacted topic with transactions, and a group
//! that knows generations and not who owns what.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    sync::Arc,
};

use severance::jobs::Filing;

use crate::{explore::Quick, fixture};

/// Names a transaction.
pub type Txn = u8;

/// A record on a topic.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: Arc<str>,
    pub is_tombstone: bool,
    /// As the real code reads it, once.
    pub read: Read,
    /// `None` once it is committed.
    pub txn: Option<Txn>,
    digest: u64,
}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.digest, self.txn).hash(state);
    }
}

/// A record, read.
#[derive(Clone, Debug)]
pub enum Read {
    State(Arc<Filing>),
    Command(Arc<[u8]>),
    Nothing,
}

/// One partition of a topic.
#[derive(Clone, Debug, Default, Hash)]
pub struct Topic {
    records: BTreeMap<i64, Entry>,
    end: i64,
}

/// Which transactions are open. What is decided is told to the topics at once, so that two
/// histories that left the same behind are the same.
#[derive(Clone, Debug, Default, Hash)]
pub struct Coordinator {
    open: BTreeSet<Txn>,
}

impl Coordinator {
    /// A name that no open transaction has.
    pub fn begin(&mut self) -> Txn {
        let name = (0..).find(|name| !self.open.contains(name)).expect("few are open");
        self.open.insert(name);
        name
    }

    /// It is decided.
    pub fn end(&mut self, txn: Txn) {
        self.open.remove(&txn);
    }
}

impl Topic {
    /// Appends a record of the state topic.
    pub fn file(&mut self, key: &str, value: Option<Vec<u8>>, txn: Option<Txn>) {
        let filing = Filing::read(fixture::PARTITION, key.as_bytes(), value.as_deref());
        self.append(key, value, txn, Read::State(Arc::new(filing.expect("a key of ours"))));
    }

    /// Appends a command.
    pub fn command(&mut self, value: Vec<u8>) {
        self.append("command", Some(value.clone()), None, Read::Command(value.into()));
    }

    /// Appends something that nobody will read.
    pub fn pin(&mut self, txn: Txn) {
        self.append("pin", None, Some(txn), Read::Nothing);
    }

    fn append(&mut self, key: &str, value: Option<Vec<u8>>, txn: Option<Txn>, read: Read) {
        let mut hasher = Quick::default();
        (key, &value).hash(&mut hasher);
        let is_tombstone = value.is_none();
        let entry = Entry { key: key.into(), is_tombstone, read, txn, digest: hasher.finish() };
        self.records.insert(self.end, entry);
        self.end += 1;
    }

    /// What a `read_uncommitted` reader takes for the end.
    pub fn high_watermark(&self) -> i64 {
        self.end
    }

    /// Whether `txn` has written here.
    pub fn has(&self, txn: Txn) -> bool {
        self.records.values().any(|entry| entry.txn == Some(txn))
    }

    /// What `txn` has written counts, or is gone; the offsets stay taken.
    pub fn decide(&mut self, txn: Txn, committed: bool) {
        self.records.retain(|_, entry| entry.txn != Some(txn) || committed);
        for entry in self.records.values_mut().filter(|entry| entry.txn == Some(txn)) {
            entry.txn = None;
        }
    }

    /// No transaction is open before it.
    pub fn last_stable(&self) -> i64 {
        let open = self.records.iter().find(|(_, entry)| entry.txn.is_some());
        open.map_or(self.end, |(offset, _)| *offset)
    }

    /// What a `read_committed` reader gets from `from` on.
    pub fn committed(&self, from: i64) -> impl Iterator<Item = (i64, &Entry)> {
        self.records.range(from..self.last_stable()).map(|(offset, entry)| (*offset, entry))
    }

    /// Keeps the last record of each key, tombstones for no longer than that; what is not decided
    /// is left alone.
    pub fn compact(&mut self) {
        let stable = self.last_stable();
        let mut last: BTreeMap<Arc<str>, i64> = BTreeMap::new();
        for (offset, entry) in self.committed(0) {
            last.insert(entry.key.clone(), offset);
        }
        self.records.retain(|offset, entry| {
            *offset >= stable || (last.get(&entry.key) == Some(offset) && !entry.is_tombstone)
        });
    }
}

/// The group of the state topic's one partition.
#[derive(Clone, Debug, Hash)]
pub struct Group {
    pub generation: u8,
    pub owner: usize,
    /// The generation from which on the owner has it without a break.
    pub since: u8,
}

impl Group {
    /// A new generation, in which `owner` has the partition.
    pub fn rebalance(&mut self, owner: usize) {
        self.generation += 1;
        if owner != self.owner {
            self.since = self.generation;
        }
        self.owner = owner;
    }
}
