//! A job: what whoever creates it knows of a case, and what is left to do.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Approval, Key, Named, Unreadable, Work,
    key::MAX_REDRIVES,
    wire::{MAX_RECORD, Opened, Tag, TooLarge, encode, open},
};
use crate::{
    case::{CaseId, Class},
    ingest::Origin,
    report::TriggerRef,
};

/// Most leftovers of one node that are kept by name.
const MAX_LEFTOVERS: usize = 1_000;

/// Largest number of an outcome that is read: at one a second, thirty years.
const MAX_SEQ: u32 = 1_000_000_000;

/// What does not change in the life of a case, for its outcomes and its place among commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Where the trigger came from.
    pub origin: Origin,
    /// What names the trigger.
    pub trigger: Option<TriggerRef>,
    /// The rule that matched.
    pub rule: Option<Arc<str>>,
    /// The rule's class.
    pub class: Class,
    /// When the event happened.
    pub event_time: Timestamp,
    /// The event's own time was not believed.
    pub clock_suspect: bool,
    /// From when on a dated event counts.
    pub effective_at: Option<Timestamp>,
    /// When the case was opened again by hand; `null` for its first run.
    pub redriven_at: Option<Timestamp>,
    /// When we took the trigger's record.
    pub received_at: Timestamp,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// The sender's incident.
    pub incident: Option<String>,
    /// The sender's ticket.
    pub ticket: Option<String>,
    /// The sender's initiator.
    pub initiator: Option<String>,
    /// The sender's severity.
    pub severity: Option<String>,
    /// The trigger's trace context.
    pub traceparent: Option<String>,
    /// The trigger's trace state.
    pub tracestate: Option<String>,
}

/// What kind of work is not finished. All kinds are named from the start; a record of one that is
/// not built is refused by name ([`Unreadable::NotBuilt`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A kill that outlived its inline budget.
    Deferred,
    /// A kill that nobody has begun: it waits for a person.
    Approval,
}

/// The kinds that later parts will bring.
const NOT_BUILT: [&str; 3] = ["hold", "lock", "dated"];

/// A job: as it is created, and as it stands after each step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The case.
    pub case_id: CaseId,
    /// How often it was redriven.
    pub n: u32,
    /// The number of its last outcome, whoever published it; 0 before the first.
    pub seq: u32,
    /// What kind of work it is.
    pub kind: Kind,
    /// The partition of the state topic in which it lives.
    pub partition: i32,
    /// When the next attempt is due; of one that waits for a person, when the wait expires.
    pub due: Timestamp,
    /// How many attempts there were, the trigger's own included.
    pub attempts: u32,
    /// The last attempt is the first at or after this.
    pub give_up_at: Timestamp,
    /// What does not change.
    pub facts: Arc<Facts>,
    /// Who was named; at least one is to be cut.
    pub principals: Named,
    /// What is left to do.
    pub work: Work,
    /// Where it waits, or has waited, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
}

impl Job {
    /// When it was last asked for: the event's time, or the redrive's. Commands count from it.
    pub fn asked_for_at(&self) -> Timestamp {
        self.facts.redriven_at.unwrap_or(self.facts.event_time)
    }

    /// From when on its trigger ages.
    pub fn age_from(&self) -> Timestamp {
        self.facts.redriven_at.or(self.facts.effective_at).unwrap_or(self.facts.event_time)
    }

    /// The key under which it is created.
    pub fn creation_key(&self) -> Key {
        Key::Create { case: self.case_id, n: self.n }
    }

    /// Cut so that it can be written: the fewer of a node's leftovers are kept by name, the more
    /// rests on when a thing began. An error where even the shortest is too long; a job like that
    /// is not to be created, and its case ends with what was done.
    pub fn fit(&self) -> Result<Self, TooLarge> {
        let mut job = self.kept(MAX_LEFTOVERS, 1);
        let mut bytes = job.size();
        for leftovers in [100, 10, 0] {
            if bytes <= MAX_RECORD {
                return Ok(job);
            }
            job = self.kept(leftovers, 0);
            job.principals = job.principals.shortened();
            bytes = job.size();
        }
        if bytes <= MAX_RECORD { Ok(job) } else { Err(TooLarge { bytes }) }
    }

    /// About how many bytes it takes in memory.
    pub(super) fn weight(&self) -> usize {
        let nodes = self.work.0.iter().flat_map(|cluster| &cluster.nodes);
        let leftovers = |node: &super::NodeWork| node.left.as_ref().map_or(0, |left| left.leftovers.len());
        let work: usize = nodes.map(|node| 1_000 + 120 * leftovers(node)).sum();
        2_000 + work + 300 * self.principals.everybody().len()
    }

    fn kept(&self, leftovers: usize, errors: usize) -> Self {
        Self { work: self.work.kept(leftovers, errors), ..self.clone() }
    }

    fn size(&self) -> usize {
        encode(Tag::Record("pending"), self).len()
    }

    /// As the value of its creation, cut to fit.
    pub fn creation(&self) -> Result<Vec<u8>, TooLarge> {
        self.fit().map(|fitted| encode(Tag::Record("create"), &fitted))
    }

    /// Reads a creation from under its key.
    pub fn read_creation(case: CaseId, n: u32, bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut opened = open(bytes)?;
        match opened.word("record")?.as_str() {
            "create" => {
                let job = Self::read(opened)?;
                match (job.case_id, job.n) == (case, n) {
                    true => Ok(job),
                    false => Err(Unreadable::invalid("another case or n than its key's")),
                }
            }
            _ => Err(Unreadable::invalid("`record` is not `create`")),
        }
    }

    pub(super) fn read(opened: Opened) -> Result<Self, Unreadable> {
        if let Some(kind) = opened.peek("kind").filter(|kind| NOT_BUILT.contains(kind)) {
            return Err(Unreadable::NotBuilt { what: kind.to_owned() });
        }
        let job: Self = opened.read_exactly()?;
        numbers_have_a_next(job.n, job.seq)?;
        job.waits_as_it_says()?;
        match job.work.can_be() {
            true => Ok(job),
            false => Err(Unreadable::invalid("it hunts a thing that cannot be")),
        }
    }
}

/// A record whose numbers could not be counted on from is none of ours.
pub(super) fn numbers_have_a_next(n: u32, seq: u32) -> Result<(), Unreadable> {
    match n <= MAX_REDRIVES && seq <= MAX_SEQ {
        true => Ok(()),
        false => Err(Unreadable::invalid("`n` or `seq` is larger than any case gets to")),
    }
}

/// By what changes in the life of a case: two jobs of one case and `n` that differ in anything
/// else differ in this too.
impl Hash for Job {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.case_id, self.n, self.seq, self.kind, self.attempts, self.due, self.give_up_at).hash(state);
        self.principals.targets().len().hash(state);
        for cluster in &self.work.0 {
            cluster.complete.hash(state);
            cluster.nodes.iter().for_each(|node| (&node.left, node.report.attempts).hash(state));
        }
    }
}
