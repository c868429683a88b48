//! The commands that a process has heard, kept as long as their topic keeps them: one may be
//! read before the job that it concerns exists.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{Cancel, Command, Job, Reinstated, Ruling, Unreadable, Verdict, rules_on, takes_back};
use crate::{case::CaseId, principal::Principal};

/// Most commands that are kept: about 200 MB of reinstatements of one person each. Beyond it the
/// oldest are dropped, and jobs that they might concern wait ([`Heard::may_lack`]).
const MAX_KEPT: usize = 500_000;

/// Every command that was read, by what it may concern.
#[derive(Clone, Debug)]
pub struct Heard {
    read_to: BTreeMap<i32, i64>,
    cancels: HashMap<CaseId, Vec<Arc<Cancel>>>,
    /// Approvals and denials of a case, in the order of their topic.
    rulings: HashMap<CaseId, Vec<Arc<Said>>>,
    reinstated: HashMap<Principal, Vec<Arc<Reinstated>>>,
    /// In the order in which the broker has appended them.
    order: BTreeMap<(Timestamp, u64), Arc<Command>>,
    taken: u64,
    missing_before: Option<Timestamp>,
    unreadable: u64,
    max_kept: usize,
}

impl Default for Heard {
    fn default() -> Self {
        Self::at_most(MAX_KEPT)
    }
}

impl Heard {
    /// Keeps at most this many.
    pub fn at_most(max_kept: usize) -> Self {
        Self {
            read_to: BTreeMap::new(),
            cancels: HashMap::new(),
            rulings: HashMap::new(),
            reinstated: HashMap::new(),
            order: BTreeMap::new(),
            taken: 0,
            missing_before: None,
            unreadable: 0,
            max_kept,
        }
    }

    /// Reads the record at `offset`. One that cannot be read is counted and passed over: it must
    /// not keep every job from running, and in doubt the kill wins.
    pub fn read(
        &mut self,
        partition: i32,
        offset: i64,
        appended_at: Timestamp,
        value: Option<&[u8]>,
    ) -> Result<Option<Arc<Command>>, Unreadable> {
        self.reached(partition, offset.saturating_add(1));
        let Some(value) = value else { return Ok(None) };
        match Command::read(value) {
            Ok(command) => Ok(Some(self.keep(command, appended_at))),
            Err(unreadable) => {
                self.unreadable = self.unreadable.saturating_add(1);
                Err(unreadable)
            }
        }
    }

    /// Everything before `next` has been read, markers of transactions included.
    pub fn reached(&mut self, partition: i32, next: i64) {
        let read_to = self.read_to.entry(partition).or_insert(next);
        *read_to = (*read_to).max(next);
    }

    /// The first partition that has not been read up to the watermark, with how far it was read.
    pub fn short_of(&self, watermark: &BTreeMap<i32, i64>) -> Option<(i32, i64)> {
        watermark.iter().find_map(|(partition, wanted)| {
            let read_to = self.read_to.get(partition).copied().unwrap_or(0);
            (read_to < *wanted).then_some((*partition, read_to))
        })
    }

    fn keep(&mut self, command: Command, appended_at: Timestamp) -> Arc<Command> {
        match &command {
            Command::Cancel(cancel) => {
                self.cancels.entry(cancel.case_id).or_default().push(Arc::new(cancel.clone()));
            }
            Command::Reinstated(reinstated) => {
                let reinstated = Arc::new(reinstated.clone());
                for principal in &reinstated.principals {
                    self.reinstated.entry(principal.clone()).or_default().push(reinstated.clone());
                }
            }
            Command::Approve(ruling) => self.keep_ruling(Said::Yes(Arc::new(ruling.clone()))),
            Command::Deny(ruling) => self.keep_ruling(Said::No(Arc::new(ruling.clone()))),
        }
        let command = Arc::new(command);
        self.order.insert((appended_at, self.taken), command.clone());
        self.taken = self.taken.wrapping_add(1);
        while self.order.len() > self.max_kept
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.drop_from_index(&oldest);
            self.lacks_before(oldest.at());
        }
        command
    }

    fn keep_ruling(&mut self, said: Said) {
        self.rulings.entry(said.ruling().case_id).or_default().push(Arc::new(said));
    }

    /// Drops what the topic has dropped too: what was appended before `cutoff`.
    pub fn forget_before(&mut self, cutoff: Timestamp) {
        let kept = self.order.split_off(&(cutoff, 0));
        for old in std::mem::replace(&mut self.order, kept).into_values() {
            self.drop_from_index(&old);
        }
    }

    fn drop_from_index(&mut self, old: &Command) {
        match old {
            Command::Cancel(cancel) => drop_one(&mut self.cancels, &cancel.case_id, cancel),
            Command::Reinstated(reinstated) => {
                for principal in &reinstated.principals {
                    drop_one(&mut self.reinstated, principal, reinstated);
                }
            }
            Command::Approve(ruling) => {
                drop_one(&mut self.rulings, &ruling.case_id, &Said::Yes(Arc::new(ruling.clone())));
            }
            Command::Deny(ruling) => {
                drop_one(&mut self.rulings, &ruling.case_id, &Said::No(Arc::new(ruling.clone())));
            }
        }
    }

    /// Commands from before `at` may be missing: the log begins later than an owner had applied
    /// them, or there were too many.
    pub fn lacks_before(&mut self, at: Timestamp) {
        self.missing_before = self.missing_before.max(Some(at));
    }

    /// Whether a command that concerns `job` may be missing. Such a job must not kill: it waits
    /// for a person.
    pub fn may_lack(&self, job: &Job, skew: SignedDuration) -> bool {
        self.missing_before.is_some_and(|missing| job.asked_for_at().duration_since(missing) <= skew)
    }

    /// What the commands want of `job`.
    pub fn verdict(&self, job: &Job, skew: SignedDuration) -> Option<Verdict> {
        let mut cancels = self.cancels.get(&job.case_id).into_iter().flatten();
        if let Some(cancel) = cancels.find(|cancel| cancel.n >= job.n) {
            return Some(Verdict::Cancel(cancel.clone()));
        }
        let back: Vec<_> = job
            .principals
            .targets()
            .iter()
            .filter_map(|principal| {
                let of_one = self.reinstated.get(principal)?;
                let by = of_one.iter().find(|one| takes_back(one, principal, job, skew))?;
                Some((principal.clone(), by.case_id))
            })
            .collect();
        if !back.is_empty() {
            return Some(Verdict::Reinstate { back });
        }
        let mut rulings = self.rulings.get(&job.case_id).into_iter().flatten();
        rulings.find(|said| rules_on(said.ruling(), job, skew)).map(|said| match &**said {
            Said::Yes(ruling) => Verdict::Approve(ruling.clone()),
            Said::No(ruling) => Verdict::Deny(ruling.clone()),
        })
    }

    /// How far each partition was read.
    pub fn read_to(&self) -> &BTreeMap<i32, i64> {
        &self.read_to
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many could not be read.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }
}

/// A ruling, and which.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Yes(Arc<Ruling>),
    No(Arc<Ruling>),
}

impl Said {
    fn ruling(&self) -> &Ruling {
        match self {
            Self::Yes(ruling) | Self::No(ruling) => ruling,
        }
    }
}

/// Drops one entry under `key` that is equal to `old`, the first.
fn drop_one<K: Eq + Hash, T: PartialEq>(index: &mut HashMap<K, Vec<Arc<T>>>, key: &K, old: &T) {
    if let Some(of_key) = index.get_mut(key) {
        if let Some(place) = of_key.iter().position(|kept| **kept == *old) {
            of_key.remove(place);
        }
        if of_key.is_empty() {
            index.remove(key);
        }
    }
}
