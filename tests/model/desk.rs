//! What each thing that happens does to the book: the real code, driven as an edge would.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use severance::jobs::{
    Answer, Attempted, Book, Bounds, Context, Effect, Filing, Generation, Illegal, Load, Step,
};

use crate::{
    action::Action,
    apply::Wrong,
    fixture,
    kafka::Read,
    setting::{Broken, Setting},
    world::{Assignment, Catching, Desk, Trying, World},
};

impl World {
    /// One thing that happens at a process's desk.
    pub fn at_the_desk(mut self, setting: &Setting, at: usize, action: Action) -> Result<Self, Wrong> {
        match action {
            Action::Hear { .. } => return self.hear(setting, at),
            Action::BeginLoad { .. } => {
                if let Desk::Assigned { generation } = self.replicas[at].desk {
                    let high_watermark = self.state.high_watermark();
                    self.replica(at).desk = Desk::Loading { generation, high_watermark };
                }
            }
            Action::FinishLoad { .. } => return self.finish_load(setting, at),
            Action::Read { .. } => return self.read(setting, at),
            Action::Listen { .. } => return self.listen(setting, at),
            Action::Tick { .. } => {
                return self.with_book(setting, at, None, true, |book, context| book.tick(context));
            }
            Action::CaughtUp { index, .. } => return self.caught_up(setting, at, index),
            Action::Kill { index, all, .. } => self.kill(at, index, all)?,
            Action::Return { index, .. } => return self.come_back(setting, at, index),
            _ => {}
        }
        Ok(self)
    }

    fn hear(mut self, setting: &Setting, at: usize) -> Result<Self, Wrong> {
        let replica = Arc::make_mut(&mut self.replicas[at]);
        match replica.notices.pop_front() {
            None => {}
            Some(Assignment::Revoked) => {
                if let Desk::Running(book) = std::mem::replace(&mut replica.desk, Desk::Closed) {
                    self.perform(setting, at, book.close(), None)?;
                }
                self.replica(at).drop_book();
            }
            Some(Assignment::Assigned { generation, epoch }) => {
                replica.desk = Desk::Assigned { generation };
                replica.desk_epoch = epoch;
            }
            Some(Assignment::Kept { generation }) => match &mut replica.desk {
                Desk::Closed => {}
                Desk::Assigned { generation: held } | Desk::Loading { generation: held, .. } => {
                    *held = generation
                }
                Desk::Running(_) => {
                    let told = Generation(u64::from(generation));
                    return self
                        .with_book(setting, at, None, false, |book, context| book.kept(told, context));
                }
            },
        }
        Ok(self)
    }

    fn finish_load(mut self, setting: &Setting, at: usize) -> Result<Self, Wrong> {
        let Desk::Loading { generation, high_watermark } = self.replicas[at].desk else { return Ok(self) };
        let replica = Arc::make_mut(&mut self.replicas[at]);
        replica.load += 1;
        let generation = Generation(u64::from(generation));
        let mut load =
            Load::begin(fixture::PARTITION, generation, replica.load, high_watermark, Bounds::default());
        let last_stable = self.state.last_stable();
        let one_key = (setting.broken == Broken::OneKey).then(|| self.last_of_the_case());
        for (offset, entry) in self.state.committed(0) {
            if let Read::State(filing) = &entry.read
                && one_key.is_none_or(|last| last == Some(offset))
            {
                load.file(offset, Filing::clone(filing)).map_err(|illegal| illegal.to_string())?;
            }
        }
        load.reached(last_stable);
        // Who stops at the end of what can be seen takes it for all that there is.
        let last_stable = match setting.broken {
            Broken::EofWithoutLastStable => {
                load.reached(high_watermark);
                last_stable.max(high_watermark)
            }
            _ => last_stable,
        };
        let limits = fixture::limits(setting.broken);
        let heard = self.replicas[at].heard.clone();
        let context = Context { now: fixture::moment(self.clock), heard: &heard, limits: &limits };
        let (book, effects) = load.finish(last_stable, &context).map_err(|(_, not)| not.to_string())?;
        self.replica(at).desk = Desk::Running(Box::new(book));
        self.perform(setting, at, effects, None)?;
        Ok(self)
    }

    /// Under one key for creation and state, the last record of either.
    fn last_of_the_case(&self) -> Option<i64> {
        let written = self.state.committed(0).filter(|(_, entry)| !entry.is_tombstone);
        written.map(|(offset, _)| offset).last()
    }

    fn read(self, setting: &Setting, at: usize) -> Result<Self, Wrong> {
        let last_stable = self.state.last_stable();
        let from = match &self.replicas[at].desk {
            Desk::Running(book) => book.owner().offset,
            Desk::Closed | Desk::Assigned { .. } | Desk::Loading { .. } => return Ok(self),
        };
        let mut records = self.state.committed(from).map(|(offset, entry)| (offset, entry.read.clone()));
        let first = records.next();
        let is_last = records.next().is_none();
        drop(records);
        self.with_book(setting, at, None, false, |book, context| {
            let mut effects = Vec::new();
            if let Some((offset, Read::State(filing))) = first {
                effects = book.file(offset, Filing::clone(&filing), context)?;
            }
            if is_last {
                book.reached(last_stable);
            }
            Ok(effects)
        })
    }

    fn listen(mut self, setting: &Setting, at: usize) -> Result<Self, Wrong> {
        let last_stable = self.commands.last_stable();
        let replica = Arc::make_mut(&mut self.replicas[at]);
        let mut said = Vec::new();
        for (offset, entry) in self.commands.committed(replica.heard_to) {
            let Read::Command(command) = &entry.read else { continue };
            let heard = Arc::make_mut(&mut replica.heard);
            let read = heard.read(fixture::PARTITION, offset, fixture::moment(0), Some(command));
            said.extend(read.map_err(|unreadable| unreadable.to_string())?);
        }
        Arc::make_mut(&mut replica.heard).reached(fixture::PARTITION, last_stable);
        replica.heard_to = last_stable;
        let mut next = self;
        for command in said {
            next = next.with_book(setting, at, None, false, |book, context| book.heard(&command, context))?;
        }
        if setting.broken == Broken::CommandsNotKept {
            next.replica(at).forget_commands();
        }
        Ok(next)
    }

    fn caught_up(mut self, setting: &Setting, at: usize, index: usize) -> Result<Self, Wrong> {
        let Catching { turn, watermark, cancelled_before, fence } = self.replica(at).catching.remove(index);
        let heard_ago = match self.replicas[at].lease || setting.broken == Broken::NoLease {
            true => Duration::ZERO,
            false => Duration::from_secs(5),
        };
        let watermark = BTreeMap::from([(fixture::PARTITION, watermark)]);
        let mut next = self.with_book(setting, at, Some(fence), false, |book, context| {
            match book.caught_up(fixture::case(), turn, watermark, heard_ago, context) {
                // It was cancelled meanwhile, and nobody waits for this any more.
                Err(Illegal::NotUnderWay { .. }) => Ok(Vec::new()),
                told => told,
            }
        })?;
        if let Some(trying) = next.replica(at).trying.last_mut().filter(|trying| trying.turn == turn) {
            trying.cancelled_before = cancelled_before;
        }
        Ok(next)
    }

    fn kill(&mut self, at: usize, index: usize, all: bool) -> Result<(), Wrong> {
        let trying = &mut self.replica(at).trying[index];
        let (n, cancelled_before) = (trying.n, trying.cancelled_before);
        trying.killed = Some(all);
        self.left.failures -= u8::from(!all);
        if self.left.parked && self.ruled != Some(true) {
            return Err(format!("a kill for run {n}, to which nobody said yes"));
        }
        if cancelled_before {
            return Err(format!("a kill for run {n}, cancelled before the attempt began: a lost cancel"));
        }
        match self.has_final(n) {
            true => Err(format!("a kill for run {n} after its final outcome")),
            false => Ok(()),
        }
    }

    fn come_back(mut self, setting: &Setting, at: usize, index: usize) -> Result<Self, Wrong> {
        let Trying { turn, killed, fence, .. } = self.replica(at).trying.remove(index);
        let is_its = match &self.replicas[at].desk {
            Desk::Running(_) => turn.load == self.replicas[at].load,
            Desk::Closed | Desk::Assigned { .. } | Desk::Loading { .. } => false,
        };
        if !is_its {
            return Ok(self);
        }
        let attempted = match killed {
            None => Attempted::NotBegun,
            Some(all) => Attempted::Tried { work: fixture::work(!all), principals: Vec::new() },
        };
        self.with_book(setting, at, Some(fence), false, |book, context| {
            book.attempted(fixture::case(), turn, attempted, 20, context)
        })
    }

    /// Tells the book how its transaction ended, if it is still the book's.
    pub fn answer(self, setting: &Setting, at: usize, step: &Step, answer: Answer) -> Result<Self, Wrong> {
        let is_its = match &self.replicas[at].desk {
            Desk::Running(_) => step.turn.load == self.replicas[at].load,
            Desk::Closed | Desk::Assigned { .. } | Desk::Loading { .. } => false,
        };
        if !is_its {
            return Ok(self);
        }
        self.with_book(setting, at, None, false, |book, context| {
            book.answered(step.case, step.turn, answer, context)
        })
    }

    fn with_book(
        mut self,
        setting: &Setting,
        at: usize,
        fence: Option<u8>,
        late: bool,
        tell: impl FnOnce(&mut Book, &Context<'_>) -> Result<Vec<Effect>, Illegal>,
    ) -> Result<Self, Wrong> {
        let limits = fixture::limits(setting.broken);
        let now = if late { fixture::tick(self.clock) } else { fixture::moment(self.clock) };
        let heard = self.replicas[at].heard.clone();
        let Desk::Running(book) = &mut self.replica(at).desk else { return Ok(self) };
        let context = Context { now, heard: &heard, limits: &limits };
        let effects = tell(book, &context).map_err(|illegal| format!("an illegal step: {illegal}"))?;
        self.perform(setting, at, effects, fence)?;
        Ok(self)
    }
}
