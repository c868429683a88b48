//! What each thing that happens does, outside the book.

use std::sync::Arc;

use severance::jobs::{Answer, Heard, Said};

use crate::{
    action::Action,
    fixture,
    setting::{Broken, Setting},
    world::{Assignment, Creator, Desk, InFlight, Published, Replica, World},
};

/// An invariant that is broken, in words.
pub type Wrong = String;

/// `world` after `action`.
pub fn apply(setting: &Setting, world: &World, action: Action) -> Result<World, Wrong> {
    let mut next = world.clone();
    match action {
        Action::Deliver { n } => {
            next.left.deliveries -= 1;
            next.creators.push(Creator { txn: None, n, clock: next.clock });
        }
        Action::Create { index } => next.create(index),
        Action::DeliveryEnds { index, committed } => {
            let creator = next.creators.remove(index);
            if let Some(txn) = creator.txn {
                next.decide(txn, committed);
            }
        }
        Action::Cancel { n } => {
            next.left.cancels -= 1;
            Arc::make_mut(&mut next.commands).command(fixture::cancel(n));
            next.cancelled = next.cancelled.max(Some(n));
        }
        Action::Rule { yes } => {
            let left = if yes { &mut next.left.approvals } else { &mut next.left.denials };
            *left -= 1;
            Arc::make_mut(&mut next.commands).command(fixture::ruling(yes));
            next.ruled = next.ruled.or(Some(yes));
        }
        Action::Pin => {
            next.left.pins -= 1;
            let txn = next.coordinator.begin();
            Arc::make_mut(&mut next.commands).pin(txn);
            next.pin = Some(txn);
        }
        Action::Unpin => {
            if let Some(txn) = next.pin.take() {
                next.decide(txn, false);
            }
        }
        Action::Later => {
            next.left.clock -= 1;
            next.clock += 1;
        }
        Action::Compact => {
            next.left.compactions -= 1;
            Arc::make_mut(&mut next.state).compact();
        }
        Action::Silence { replica } => {
            next.left.silences -= 1;
            let replica = next.replica(replica);
            replica.lease = false;
            replica.silent = true;
        }
        Action::Poll { replica } => next.poll(setting, replica),
        Action::Move { to } => {
            next.left.rebalances -= 1;
            let from = next.group.owner;
            next.group.rebalance(to);
            let generation = next.group.generation;
            let owner = next.replica(from);
            owner.lose();
            owner.generation = generation;
        }
        Action::Expire { to } => next.group.rebalance(to),
        Action::Shuffle => {
            next.left.rebalances -= 1;
            let owner = next.group.owner;
            next.group.rebalance(owner);
        }
        Action::Crash { replica } => {
            next.left.crashes -= 1;
            let load = next.replicas[replica].load;
            let new = Replica { load, alive: false, ..Replica::new() };
            let dead = std::mem::replace(next.replica(replica), new);
            next.orphans.extend(dead.steps.iter().filter_map(|step| step.txn));
        }
        Action::Restart { replica } => next.replica(replica).alive = true,
        Action::OrphanEnds { index } => {
            let txn = next.orphans.remove(index);
            next.decide(txn, false);
        }
        Action::Write { replica } => next.write(setting, replica)?,
        Action::Fence { replica } => return next.fence(setting, replica),
        Action::Commit { replica, heard } => return next.commit(setting, replica, heard),
        Action::Abort { replica } => return next.abort(setting, replica),
        Action::Hear { replica }
        | Action::BeginLoad { replica }
        | Action::FinishLoad { replica }
        | Action::Read { replica }
        | Action::Listen { replica }
        | Action::Tick { replica }
        | Action::CaughtUp { replica, .. }
        | Action::Kill { replica, .. }
        | Action::Return { replica, .. } => return next.at_the_desk(setting, replica, action),
    }
    Ok(next)
}

impl World {
    fn create(&mut self, index: usize) {
        let n = self.creators[index].n;
        let txn = self.coordinator.begin();
        // The trigger's own outcome says deferred; a redrive's counts on from the final before it.
        let before = self.committed().filter(|one| one.is_final && one.n + 1 == n).map(|one| one.seq).max();
        let seq = before.unwrap_or(0) + 1;
        let key = format!("{}/create/{n}", fixture::case());
        Arc::make_mut(&mut self.state).file(
            &key,
            Some(fixture::creation(n, seq, self.left.parked)),
            Some(txn),
        );
        self.outcomes.push(Published { n, seq, is_final: false, by_trigger: true, txn: Some(txn) });
        self.creators[index].txn = Some(txn);
    }

    fn poll(&mut self, setting: &Setting, at: usize) {
        let owns = self.group.owner == at;
        let generation = self.group.generation;
        let replica = Arc::make_mut(&mut self.replicas[at]);
        let kept = replica.holds && owns && self.group.since <= replica.generation;
        let newer = generation > replica.generation;
        if setting.broken == Broken::PublishedAgainAfterABreak && !matches!(replica.desk, Desk::Closed) {
            if owns && newer {
                replica.notices.push_back(Assignment::Kept { generation });
            }
            replica.holds = owns;
        } else if kept {
            if newer {
                replica.notices.push_back(Assignment::Kept { generation });
            }
        } else {
            if replica.holds {
                replica.lose();
            }
            if owns {
                replica.holds = true;
                let epoch = replica.epoch;
                replica.notices.push_back(Assignment::Assigned { generation, epoch });
            }
        }
        replica.generation = generation;
        replica.lease = true;
        replica.silent = false;
    }

    fn write(&mut self, setting: &Setting, at: usize) -> Result<(), Wrong> {
        let Some(first) = Arc::make_mut(&mut self.replicas[at]).steps.front_mut() else { return Ok(()) };
        let txn = *first.txn.get_or_insert_with(|| self.coordinator.begin());
        first.written = true;
        let step = first.step.clone();
        for write in &step.writes {
            let value = write.value().filter(|value| {
                let is_done = String::from_utf8_lossy(value).contains(r#""record":"done""#);
                !(is_done && setting.broken == Broken::NoDoneMark)
            });
            Arc::make_mut(&mut self.state).file(&write.key().to_string(), value, Some(txn));
        }
        if let Some(said) = &step.outcome {
            let at_once = said_before(setting, said);
            if at_once {
                self.may_say(said.job.n, said.seq, said.is_final())?;
            }
            self.outcomes.push(Published {
                n: said.job.n,
                seq: said.seq,
                is_final: said.is_final(),
                by_trigger: false,
                txn: (!at_once).then_some(txn),
            });
        }
        Ok(())
    }

    /// The group looks at the generation, and at nothing else.
    fn fence(mut self, setting: &Setting, at: usize) -> Result<Self, Wrong> {
        let now = self.group.generation;
        let replica = Arc::make_mut(&mut self.replicas[at]);
        let fresh = replica.generation;
        let Some(first) = replica.steps.front_mut() else { return Ok(self) };
        let carried = match setting.broken {
            Broken::FreshMetadata => fresh,
            Broken::MetadataOfTheStepsBeginning => first.fence,
            Broken::NotFenced => now,
            _ => u8::try_from(first.step.generation.0).unwrap_or(u8::MAX),
        };
        if carried == now {
            first.txn.get_or_insert_with(|| self.coordinator.begin());
            first.fenced = true;
            return Ok(self);
        }
        let Some(InFlight { step, txn, .. }) = replica.steps.pop_front() else { return Ok(self) };
        if let Some(txn) = txn {
            self.decide(txn, false);
        }
        self.answer(setting, at, &step, Answer::Rejected)
    }

    fn commit(mut self, setting: &Setting, at: usize, heard: bool) -> Result<Self, Wrong> {
        let Some(InFlight { step, txn: Some(txn), .. }) = self.replica(at).steps.pop_front() else {
            return Ok(self);
        };
        if let Some(said) = step.outcome.as_ref().filter(|said| !said_before(setting, said)) {
            self.may_say(said.job.n, said.seq, said.is_final())?;
        }
        self.decide(txn, true);
        let answer = match (heard, setting.broken) {
            (true, _) => Answer::Committed,
            (false, Broken::UnknownTakenForAborted) => Answer::Aborted,
            (false, _) => Answer::Unknown,
        };
        self.left.unknowns -= u8::from(!heard);
        self.answer(setting, at, &step, answer)
    }

    fn abort(mut self, setting: &Setting, at: usize) -> Result<Self, Wrong> {
        self.left.timeouts -= 1;
        let Some(InFlight { step, txn, .. }) = self.replica(at).steps.pop_front() else { return Ok(self) };
        if let Some(txn) = txn {
            self.decide(txn, false);
        }
        self.answer(setting, at, &step, Answer::Aborted)
    }

    /// The invariants of what is said, at the moment from which on it counts.
    fn may_say(&self, n: u32, seq: u32, is_final: bool) -> Result<(), Wrong> {
        if self.has_final(n) {
            return Err(match is_final {
                true => format!("a second final outcome of run {n}"),
                false => format!("an outcome of run {n} after its final one: a job came back"),
            });
        }
        let last = self.committed().map(|one| one.seq).max().unwrap_or(0);
        match seq == last + 1 {
            true => Ok(()),
            false => Err(format!("outcome {seq} of run {n} after outcome {last}: a gap or a repeat")),
        }
    }
}

/// Whether it counts before its transaction does.
fn said_before(setting: &Setting, said: &Said) -> bool {
    setting.broken == Broken::EndInTwoTransactions && said.is_final()
}

impl Replica {
    /// The polling thread hears that the partition is no longer ours.
    fn lose(&mut self) {
        self.holds = false;
        self.epoch = self.epoch.wrapping_add(1);
        self.notices.push_back(Assignment::Revoked);
    }

    /// What was heard, without what was said.
    pub fn forget_commands(&mut self) {
        let mut heard = Heard::default();
        heard.reached(fixture::PARTITION, self.heard_to);
        self.heard = Arc::new(heard);
    }

    /// Nothing more is begun for the book; a transaction that is open stands as it is.
    pub fn drop_book(&mut self) {
        self.desk = Desk::Closed;
        self.catching.clear();
        self.steps.retain(|step| step.txn.is_some());
    }
}
