//! One case's whole life as one pure function: [`step`] takes how it stands and what happened,
//! and gives how it stands now and what is to be done.
//!
//! ```text
//!            due                      heard, may kill           came back
//!   idle ----------> catching up -------------------> attempting ---------> committing
//!    ^ \________________________________________________________________________^   |
//!    |    cancelled, reinstated, approved, denied, expired, a beaten creation,       |
//!    |    a mark to forget                                                          |
//!    |______________________________________________________________________________|
//!                  committed (rejected: once more, when the partition is known to be kept)
//! ```

mod answered;
mod attempt;
mod read;

use std::sync::Arc;

use super::{
    Context, Current, Done, Effect, Ended, Entry, Given, Illegal, Input, Job, Notice, Owner, Phase, Ruling,
    Turn, Verdict,
    steps::{self, Fence},
};

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
        Input::Wake => {
            if let Current::Job(job) = life.entry.current()
                && job.parked().is_none()
            {
                life.entry.due = Some(context.now);
            }
        }
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
            Some(Verdict::Approve(ruling)) => {
                let Ruling { by, reason, at, .. } = (*ruling).clone();
                let step = steps::release(&fence, job, Given { by, reason, at, expired: false });
                self.commit(step);
            }
            Some(Verdict::Deny(ruling)) => {
                let step = steps::end(&fence, job, Ended::Denied(ruling));
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
