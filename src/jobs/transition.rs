//! One case's whole life as one pure function: [`step`] takes how it stands and what happened,
//! and gives how it stands now and what is to be done.
//!
//! ```text
//!            due                      heard, may kill           came back
//!   idle ----------> catching up -------------------> attempting ---------> committing
//!    ^ \________________________________________________________________________^   |
//!    |    cancelled, reinstated, a beaten creation, a mark to forget                |
//!    |______________________________________________________________________________|
//!                  committed (rejected: once more, when the partition is known to be kept)
//! ```

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    Answer, Attempt, Attempted, Context, Done, Effect, Ended, Filed, Generation, Illegal, Input, Job, Key,
    Notice, Shelf, State, Step, Turn, Verdict, Work, Write,
    limits::later,
    shelf::Current,
    steps::{self, Fence},
};
use crate::{case::CaseId, terminate::PrincipalReport};

/// How long a job waits that may not kill because the broker has not been heard of.
const BROKER_UNHEARD: Duration = Duration::from_secs(1);

/// What an owner holds of one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The case.
    pub case: CaseId,
    /// Its records.
    pub shelf: Shelf,
    /// What is under way.
    pub phase: Phase,
    /// When it is due, where that is not what its record says.
    pub due: Option<Timestamp>,
    /// A done mark whose tombstone is committed and not yet read back.
    pub forgotten: Option<Done>,
    /// Loaded, and nothing published since.
    pub fresh: bool,
}

/// What is under way for one case; one thing at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// Nothing.
    Idle,
    /// The commands are being read for an attempt.
    CatchingUp {
        /// The attempt.
        turn: Turn,
        /// In which the attempt began.
        generation: Generation,
    },
    /// Servers are being asked.
    Attempting {
        /// The attempt.
        turn: Turn,
        /// In which the attempt began.
        generation: Generation,
        /// What it hunts.
        job: Arc<Job>,
        /// It was told to stop.
        stopping: bool,
    },
    /// A transaction is under way.
    Committing {
        /// What is in it.
        step: Arc<Step>,
        /// It forgets a mark, and the tombstone was read back before the answer came.
        read_back: bool,
    },
    /// The group has rejected a step: published again once it is known that nothing came between.
    Rejected {
        /// Which.
        step: Arc<Step>,
    },
}

/// What the owner of the partition lends to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The partition.
    pub partition: i32,
    /// How far it was read.
    pub offset: i64,
    /// The generation in which it is held.
    pub generation: Generation,
    /// The name of whatever begins now.
    pub turn: Turn,
}

impl Entry {
    /// Of which nothing is known yet.
    pub fn new(case: CaseId) -> Self {
        Self { case, shelf: Shelf::default(), phase: Phase::Idle, due: None, forgotten: None, fresh: false }
    }

    /// What is to be done next, going by the records.
    pub fn current(&self) -> Current {
        self.shelf.current(self.forgotten.as_ref())
    }

    /// When there is something to do; `None` while something is under way, or nothing is to be done.
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.phase != Phase::Idle {
            return None;
        }
        match self.current() {
            Current::Job(job) => Some(self.due.unwrap_or(job.due)),
            Current::Ended(done) if self.forgotten.is_none() => Some(done.until),
            Current::Ended(_) | Current::Blocked(_) | Current::Nothing => None,
        }
    }

    /// Whether nothing is left to remember.
    pub fn is_empty(&self) -> bool {
        self.phase == Phase::Idle && self.shelf.is_empty() && self.forgotten.is_none()
    }
}

/// One case, one input.
pub fn step(
    entry: &Entry,
    input: Input,
    context: &Context<'_>,
    owner: &Owner,
) -> Result<(Entry, Vec<Effect>), Illegal> {
    let mut life = Life { entry: entry.clone(), effects: Vec::new(), context, owner };
    match input {
        Input::Creation { n, filed } => life.creation(n, filed),
        Input::CreationGone { n } => life.creation_gone(n),
        Input::State(filed) => life.state(&filed),
        Input::StateGone => life.state_gone(),
        Input::Heard => life.heard(),
        Input::Due => life.consider(true),
        Input::Wake => life.entry.due = Some(context.now),
        Input::CaughtUp { turn, watermark, broker_heard_ago } => {
            life.is_catching_up(turn)?;
            if let Some((partition, read_to)) = context.heard.short_of(&watermark) {
                return Err(Illegal::NotHeard { partition, read_to });
            }
            life.caught_up(broker_heard_ago);
        }
        Input::Attempted { turn, attempted, dice } => life.attempted(turn, attempted, dice)?,
        Input::Answered { turn, answer } => life.answered(turn, answer)?,
        Input::Kept => {
            if let Phase::Rejected { step } = &life.entry.phase {
                life.publish_again(step.clone());
            }
        }
    }
    Ok((life.entry, life.effects))
}

struct Life<'a> {
    entry: Entry,
    effects: Vec<Effect>,
    context: &'a Context<'a>,
    owner: &'a Owner,
}

impl Life<'_> {
    fn creation(&mut self, n: u32, filed: Filed<Job>) {
        if let Filed::Unreadable(why) = &filed {
            self.notice(Notice::Blocked { case: self.entry.case, why: why.clone() });
        }
        self.entry.shelf.creations.insert(n, filed);
        self.consider(false);
    }

    /// Our own, long known; or somebody else's, who must not.
    fn creation_gone(&mut self, n: u32) {
        let before = self.entry.current();
        let removed = self.entry.shelf.creations.remove(&n).is_some();
        let in_hand = matches!(before, Current::Job(job) if job.n == n)
            && !matches!(self.entry.current(), Current::Job(job) if job.n == n);
        if removed && in_hand && !matches!(self.entry.phase, Phase::Committing { .. }) {
            self.notice(Notice::CreationGone { case: self.entry.case, n });
        }
        self.consider(false);
    }

    /// Our own, read back, which says nothing new. Anybody else's means that memory is not to be
    /// trusted.
    fn state(&mut self, filed: &Filed<State>) {
        let known = match filed {
            Filed::Unreadable(_) => false,
            Filed::Read(state) => self.is_ours(state),
        };
        if !known {
            self.foreign();
        }
    }

    fn is_ours(&self, state: &State) -> bool {
        let written = match &self.entry.phase {
            Phase::Committing { step, .. } => step.writes.iter().find_map(|write| match write {
                Write::State(written) => Some(&**written),
                Write::Tombstone(_) => None,
            }),
            Phase::Idle | Phase::CatchingUp { .. } | Phase::Attempting { .. } | Phase::Rejected { .. } => {
                None
            }
        };
        let kept = match &self.entry.shelf.state {
            Some(Filed::Read(kept)) => Some(&**kept),
            Some(Filed::Unreadable(_)) | None => None,
        };
        let forgotten = self.entry.forgotten.as_ref().map(|done| (done.n, done.seq));
        let progress = kept.map(State::progress).max(forgotten);
        written == Some(state) || kept == Some(state) || progress > Some(state.progress())
    }

    fn state_gone(&mut self) {
        if self.entry.forgotten.take().is_some() {
            return self.consider(false);
        }
        if let Phase::Committing { step, read_back } = &mut self.entry.phase
            && step.forgets()
        {
            *read_back = true;
        } else if self.entry.shelf.state.is_some() {
            self.foreign();
        }
    }

    fn foreign(&mut self) {
        self.notice(Notice::Foreign { case: self.entry.case });
        self.effects.push(Effect::Reload);
    }

    fn heard(&mut self) {
        match &mut self.entry.phase {
            Phase::Idle => self.consider(false),
            Phase::CatchingUp { .. } => {
                if let Current::Job(job) = self.entry.current()
                    && self.verdict(&job).is_some()
                {
                    self.entry.phase = Phase::Idle;
                    self.consider(false);
                }
            }
            Phase::Attempting { turn, job, stopping, .. } => {
                let skew = self.context.limits.skew();
                if !*stopping && self.context.heard.verdict(job, skew).is_some() {
                    *stopping = true;
                    self.effects.push(Effect::Stop { case: self.entry.case, turn: *turn });
                }
            }
            // What is under way is finished first; its answer asks again.
            Phase::Committing { .. } | Phase::Rejected { .. } => {}
        }
    }

    fn is_catching_up(&self, told: Turn) -> Result<(), Illegal> {
        match &self.entry.phase {
            Phase::CatchingUp { turn, .. } if *turn == told => Ok(()),
            Phase::Idle
            | Phase::CatchingUp { .. }
            | Phase::Attempting { .. }
            | Phase::Committing { .. }
            | Phase::Rejected { .. } => Err(self.not_under_way(told)),
        }
    }

    fn caught_up(&mut self, broker_heard_ago: Duration) {
        let Phase::CatchingUp { turn, generation } = std::mem::replace(&mut self.entry.phase, Phase::Idle)
        else {
            return;
        };
        let Current::Job(job) = self.entry.current() else { return self.consider(false) };
        if self.verdict(&job).is_some() {
            return self.consider(false);
        }
        if self.context.heard.may_lack(&job, self.context.limits.skew()) {
            self.notice(Notice::MayLackCommands { case: self.entry.case });
            return self.postpone(self.context.limits.delays.longest);
        }
        match self.context.limits.may_kill_for(broker_heard_ago) {
            None => self.postpone(BROKER_UNHEARD),
            Some(kill_within) => {
                self.entry.phase = Phase::Attempting { turn, generation, job: job.clone(), stopping: false };
                self.effects.push(Effect::Attempt(Box::new(Attempt { turn, job, kill_within })));
            }
        }
    }

    fn postpone(&mut self, by: Duration) {
        self.entry.due = Some(later(self.context.now, by));
    }

    fn attempted(&mut self, told: Turn, attempted: Attempted, dice: u32) -> Result<(), Illegal> {
        let (generation, job) = match &self.entry.phase {
            Phase::Attempting { turn, generation, job, .. } if *turn == told => (*generation, job.clone()),
            Phase::Idle
            | Phase::CatchingUp { .. }
            | Phase::Attempting { .. }
            | Phase::Committing { .. }
            | Phase::Rejected { .. } => return Err(self.not_under_way(told)),
        };
        self.entry.phase = Phase::Idle;
        match attempted {
            Attempted::NotBegun => {
                self.postpone(self.context.limits.delays.after(job.attempts, dice));
                self.consider(false);
            }
            Attempted::Tried { work, principals } => {
                self.tried(generation, &job, work, &principals, dice);
            }
        }
        Ok(())
    }

    fn tried(
        &mut self,
        generation: Generation,
        job: &Job,
        attempt: Work,
        principals: &[PrincipalReport],
        dice: u32,
    ) {
        let now = self.context.now;
        let mut job =
            Job { work: job.work.after(attempt), attempts: job.attempts.saturating_add(1), ..job.clone() };
        job.principals.learn(principals);
        let fence = Fence { generation, ..self.fence() };
        let cancel = match self.verdict(&job) {
            Some(Verdict::Cancel(cancel)) => Some(cancel),
            // Some may be left to be cut: published first, reinstated in the next step.
            Some(Verdict::Reinstate { .. }) | None => None,
        };
        let step = if job.work.is_done() {
            steps::end(&fence, &job, Ended::Done)
        } else if let Some(cancel) = cancel {
            steps::end(&fence, &job, Ended::Cancelled(cancel))
        } else if now >= job.give_up_at {
            steps::end(&fence, &job, Ended::GaveUp)
        } else {
            let delay = self.context.limits.delays.after(job.attempts, dice);
            job.due = later(now, delay).min(job.give_up_at);
            steps::defer(&fence, &job)
        };
        self.commit(step);
    }

    fn answered(&mut self, told: Turn, answer: Answer) -> Result<(), Illegal> {
        let (step, read_back) = match &self.entry.phase {
            Phase::Committing { step, read_back } if step.turn == told => (step.clone(), *read_back),
            Phase::Idle
            | Phase::CatchingUp { .. }
            | Phase::Attempting { .. }
            | Phase::Committing { .. }
            | Phase::Rejected { .. } => return Err(self.not_under_way(told)),
        };
        match answer {
            Answer::Committed => self.committed(&step, read_back),
            Answer::Rejected if self.owner.generation > step.generation => self.publish_again(step),
            Answer::Rejected => self.entry.phase = Phase::Rejected { step },
            Answer::Aborted => self.publish_again(step),
            Answer::Unknown => self.effects.push(Effect::Reload),
        }
        Ok(())
    }

    fn committed(&mut self, step: &Step, read_back: bool) {
        let entry = &mut self.entry;
        entry.phase = Phase::Idle;
        entry.due = None;
        entry.fresh &= step.outcome.is_none();
        for write in &step.writes {
            match write {
                Write::State(state) => entry.shelf.state = Some(Filed::Read(state.clone())),
                Write::Tombstone(Key::Create { n, .. }) => drop(entry.shelf.creations.remove(n)),
                Write::Tombstone(_) => {
                    entry.forgotten = match entry.shelf.state.take() {
                        Some(Filed::Read(state)) if !read_back => state.done().cloned(),
                        Some(_) | None => None,
                    };
                }
            }
        }
        self.consider(false);
    }

    /// What is to be done now, where nothing is under way. `due`: an attempt may begin.
    fn consider(&mut self, due: bool) {
        if self.entry.phase != Phase::Idle {
            return;
        }
        match self.entry.current() {
            Current::Job(job) => self.consider_job(&job, due),
            Current::Ended(done) => self.consider_mark(&done, due),
            Current::Blocked(_) | Current::Nothing => {}
        }
    }

    fn consider_job(&mut self, job: &Arc<Job>, due: bool) {
        let fence = self.fence();
        match self.verdict(job) {
            Some(Verdict::Cancel(cancel)) => {
                let step = steps::end(&fence, job, Ended::Cancelled(cancel));
                self.commit(step);
            }
            Some(Verdict::Reinstate { back }) => {
                let step = steps::reinstate(&fence, job, back);
                self.commit(step);
            }
            None if due && self.entry.due.unwrap_or(job.due) <= self.context.now => {
                let turn = self.owner.turn;
                self.entry.phase = Phase::CatchingUp { turn, generation: self.owner.generation };
                self.effects.push(Effect::CatchUp { case: self.entry.case, turn });
            }
            None => {}
        }
    }

    fn consider_mark(&mut self, done: &Done, due: bool) {
        let beaten: Vec<u32> = self.entry.shelf.creations.keys().copied().filter(|n| *n <= done.n).collect();
        if !beaten.is_empty() {
            for n in &beaten {
                self.notice(Notice::Beaten { case: self.entry.case, n: *n });
            }
            let step = steps::delete(&self.fence(), self.entry.case, beaten);
            self.commit(step);
        } else if due && self.entry.forgotten.is_none() && self.context.now > done.until {
            let step = steps::forget(&self.fence(), done);
            self.commit(step);
        }
    }

    fn publish_again(&mut self, step: Arc<Step>) {
        let Owner { generation, turn, offset, .. } = *self.owner;
        self.commit(Step { generation, turn, offset, ..(*step).clone() });
    }

    fn commit(&mut self, step: Step) {
        let step = Arc::new(step);
        self.entry.phase = Phase::Committing { step: step.clone(), read_back: false };
        self.effects.push(Effect::Commit(step));
    }

    fn fence(&self) -> Fence<'_> {
        Fence {
            entry: &self.entry,
            context: self.context,
            owner: self.owner,
            generation: self.owner.generation,
        }
    }

    fn verdict(&self, job: &Job) -> Option<Verdict> {
        self.context.heard.verdict(job, self.context.limits.skew())
    }

    fn notice(&mut self, notice: Notice) {
        self.effects.push(Effect::Notice(notice));
    }

    fn not_under_way(&self, turn: Turn) -> Illegal {
        Illegal::NotUnderWay { case: self.entry.case, turn }
    }
}
