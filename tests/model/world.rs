//! How everything stands: the topics, the group, and every process.

use std::{
    collections::VecDeque,
    hash::{Hash, Hasher},
    sync::Arc,
};

use severance::jobs::{Book, Filed, Heard, Phase, State, Step, Turn};

use crate::{
    kafka::{Coordinator, Group, Topic, Txn},
    setting::Budget,
};

/// Everything.
#[derive(Clone, Debug, Hash)]
pub struct World {
    pub clock: u8,
    pub left: Budget,
    pub coordinator: Coordinator,
    pub group: Group,
    pub state: Arc<Topic>,
    pub commands: Arc<Topic>,
    pub outcomes: Vec<Published>,
    /// Triggers' transactions that are open.
    pub creators: Vec<Creator>,
    /// The latest run that somebody has cancelled.
    pub cancelled: Option<u32>,
    /// The first word on a case that waits: a yes or a no.
    pub ruled: Option<bool>,
    /// A transaction of somebody else on the commands topic.
    pub pin: Option<Txn>,
    /// Transactions whose process has crashed.
    pub orphans: Vec<Txn>,
    pub replicas: Vec<Arc<Replica>>,
}

/// An outcome on its topic.
#[derive(Clone, Debug, Hash)]
pub struct Published {
    pub n: u32,
    pub seq: u32,
    pub is_final: bool,
    /// By a trigger's batch, which says the same each time it is delivered.
    pub by_trigger: bool,
    /// `None` once it counts.
    pub txn: Option<Txn>,
}

/// A batch that creates a job.
#[derive(Clone, Debug, Hash)]
pub struct Creator {
    /// Once it has written.
    pub txn: Option<Txn>,
    pub n: u32,
    /// When its trigger was accepted.
    pub clock: u8,
}

/// One process.
#[derive(Clone, Debug)]
pub struct Replica {
    pub alive: bool,
    /// The broker has been heard of lately.
    pub lease: bool,
    /// It cannot be, until the polling thread comes through again.
    pub silent: bool,
    /// Whether the polling thread holds the partition, and how often it has got it.
    pub holds: bool,
    pub epoch: u8,
    /// The polling thread's generation.
    pub generation: u8,
    /// From the polling thread to whoever keeps the book.
    pub notices: VecDeque<Assignment>,
    pub desk: Desk,
    /// Which holding of the partition the desk works under, as the assignment told.
    pub desk_epoch: u8,
    pub load: u64,
    pub heard: Arc<Heard>,
    pub heard_to: i64,
    pub catching: Vec<Catching>,
    pub trying: Vec<Trying>,
    /// One producer, one transaction at a time.
    pub steps: VecDeque<InFlight>,
}

/// What the polling thread tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignment {
    Revoked,
    Assigned { generation: u8, epoch: u8 },
    Kept { generation: u8 },
}

/// How far a process is with the partition.
#[derive(Clone, Debug)]
pub enum Desk {
    Closed,
    Assigned { generation: u8 },
    Loading { generation: u8, high_watermark: i64 },
    Running(Box<Book>),
}

/// Commands being read for an attempt.
#[derive(Clone, Debug)]
pub struct Catching {
    pub turn: Turn,
    pub watermark: i64,
    pub cancelled_before: bool,
    pub fence: u8,
}

/// An attempt.
#[derive(Clone, Debug)]
pub struct Trying {
    pub turn: Turn,
    pub n: u32,
    pub epoch: u8,
    pub stopped: bool,
    /// A cancellation stood on the topic when it was announced.
    pub cancelled_before: bool,
    pub fence: u8,
    /// Whether it was all.
    pub killed: Option<bool>,
}

/// A step with the producer.
#[derive(Clone, Debug)]
pub struct InFlight {
    pub step: Arc<Step>,
    /// The generation that was asked for when it began.
    pub fence: u8,
    pub txn: Option<Txn>,
    pub written: bool,
    pub fenced: bool,
}

impl World {
    /// Outcomes that count.
    pub fn committed(&self) -> impl Iterator<Item = &Published> {
        self.outcomes.iter().filter(|one| one.txn.is_none())
    }

    /// A transaction is decided, everywhere at once.
    pub fn decide(&mut self, txn: Txn, committed: bool) {
        self.coordinator.end(txn);
        for topic in [&mut self.state, &mut self.commands] {
            if topic.has(txn) {
                Arc::make_mut(topic).decide(txn, committed);
            }
        }
        self.outcomes.retain(|one| one.txn != Some(txn) || committed);
        for one in self.outcomes.iter_mut().filter(|one| one.txn == Some(txn)) {
            one.txn = None;
        }
    }

    /// A process, to be changed.
    pub fn replica(&mut self, at: usize) -> &mut Replica {
        Arc::make_mut(&mut self.replicas[at])
    }

    /// Whether this run of the case has its final outcome.
    pub fn has_final(&self, n: u32) -> bool {
        self.committed().any(|one| one.is_final && one.n == n)
    }
}

impl Replica {
    pub fn new() -> Self {
        Self {
            alive: true,
            lease: false,
            silent: false,
            holds: false,
            epoch: 0,
            generation: 0,
            notices: VecDeque::new(),
            desk: Desk::Closed,
            desk_epoch: 0,
            load: 0,
            heard: Arc::default(),
            heard_to: 0,
            catching: Vec::new(),
            trying: Vec::new(),
            steps: VecDeque::new(),
        }
    }
}

/// Turns only tell what belongs to what, so only that is told apart; they would grow without end.
impl Hash for Replica {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.alive, self.lease, self.silent, self.holds, self.generation, self.heard_to).hash(state);
        (self.desk_epoch == self.epoch).hash(state);
        for notice in &self.notices {
            match notice {
                Assignment::Revoked => 0u8.hash(state),
                Assignment::Assigned { generation, epoch } => {
                    (1u8, generation, *epoch == self.epoch).hash(state);
                }
                Assignment::Kept { generation } => (2u8, generation).hash(state),
            }
        }
        let under_way = match &self.desk {
            Desk::Closed => {
                0u8.hash(state);
                None
            }
            Desk::Assigned { generation } => {
                (1u8, generation).hash(state);
                None
            }
            Desk::Loading { generation, high_watermark } => {
                (2u8, generation, high_watermark).hash(state);
                None
            }
            Desk::Running(book) => {
                (3u8, book.owner().generation, book.owner().offset).hash(state);
                book.entries().next().and_then(|entry| {
                    for (n, filed) in &entry.shelf.creations {
                        match filed {
                            Filed::Read(job) => (n, job.seq).hash(state),
                            Filed::Unreadable(_) => n.hash(state),
                        }
                    }
                    (&entry.forgotten, entry.due.is_some(), entry.fresh).hash(state);
                    match &entry.shelf.state {
                        None => 0u8.hash(state),
                        Some(Filed::Unreadable(_)) => 1u8.hash(state),
                        Some(Filed::Read(filed)) => hash_state(filed, state),
                    }
                    hash_phase(&entry.phase, state)
                })
            }
        };
        for one in &self.catching {
            let Catching { turn, watermark, cancelled_before, fence } = one;
            (under_way == Some(*turn), watermark, cancelled_before, fence).hash(state);
        }
        for one in &self.trying {
            let Trying { turn, n, epoch, stopped, cancelled_before, fence, killed } = one;
            (under_way == Some(*turn), n, *epoch == self.epoch, stopped).hash(state);
            (cancelled_before, fence, killed).hash(state);
        }
        for one in &self.steps {
            let InFlight { step, fence, txn, written, fenced } = one;
            (under_way == Some(step.turn), fence, txn, written, fenced).hash(state);
            hash_step(step, state);
        }
    }
}

fn hash_phase<H: Hasher>(phase: &Phase, state: &mut H) -> Option<Turn> {
    match phase {
        Phase::Idle => {
            0u8.hash(state);
            None
        }
        Phase::CatchingUp { turn, generation } => {
            (1u8, generation).hash(state);
            Some(*turn)
        }
        Phase::Attempting { turn, generation, job, stopping } => {
            (2u8, generation, stopping, job.n, job.seq, job.attempts).hash(state);
            Some(*turn)
        }
        Phase::Committing { step, read_back } => {
            (3u8, read_back).hash(state);
            hash_step(step, state);
            Some(step.turn)
        }
        Phase::Rejected { step } => {
            4u8.hash(state);
            hash_step(step, state);
            None
        }
    }
}

fn hash_step<H: Hasher>(step: &Step, state: &mut H) {
    (step.generation, step.writes.len()).hash(state);
    for write in &step.writes {
        match write {
            severance::jobs::Write::State(written) => hash_state(written, state),
            severance::jobs::Write::Tombstone(key) => key.hash(state),
        }
    }
    step.outcome.as_ref().map(|said| (said.seq, said.is_final(), said.job.n)).hash(state);
}

/// What of a state differs between two behaviours of the model.
fn hash_state<H: Hasher>(written: &State, state: &mut H) {
    match written {
        State::Pending(job) => (0u8, job.n, job.seq, job.attempts, job.due, job.work.is_done()).hash(state),
        State::Done(done) => (1u8, done.n, done.seq, done.until).hash(state),
    }
}
