//! An attempt: the commands first, then the kill, then what came of it.

use std::time::Duration;

use super::Life;
use crate::{
    case::OnExpiry,
    jobs::{
        Attempt, Attempted, Current, Effect, Ended, Generation, Given, Illegal, Job, Notice, Phase, Turn,
        Verdict, Work,
        limits::later,
        steps::{self, Fence},
    },
    terminate::PrincipalReport,
};

/// How long a job waits that may not kill because the broker has not been heard of.
const BROKER_UNHEARD: Duration = Duration::from_secs(1);

impl Life<'_> {
    pub(super) fn is_catching_up(&self, told: Turn) -> Result<(), Illegal> {
        match &self.entry.phase {
            Phase::CatchingUp { turn, .. } if *turn == told => Ok(()),
            Phase::Idle
            | Phase::CatchingUp { .. }
            | Phase::Attempting { .. }
            | Phase::Committing { .. }
            | Phase::Rejected { .. } => Err(self.not_under_way(told)),
        }
    }

    pub(super) fn caught_up(&mut self, broker_heard_ago: Duration) {
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
        if let Some(approval) = job.parked() {
            return self.expired(generation, &job, approval.on_expiry);
        }
        match self.context.limits.may_kill_for(broker_heard_ago) {
            None => self.postpone(BROKER_UNHEARD),
            Some(kill_within) => {
                self.entry.phase = Phase::Attempting { turn, generation, job: job.clone(), stopping: false };
                self.effects.push(Effect::Attempt(Box::new(Attempt { turn, job, kill_within })));
            }
        }
    }

    /// Nobody has said anything until now. Nothing is killed in this step, so nobody has to be asked
    /// whether somebody else owns the partition: its transaction is fenced.
    fn expired(&mut self, generation: Generation, job: &Job, on_expiry: OnExpiry) {
        let now = self.context.now;
        if now < job.due {
            return self.entry.due = None;
        }
        let fence = Fence { generation, ..self.fence() };
        let step = match on_expiry {
            OnExpiry::Refuse => steps::end(&fence, job, Ended::Expired),
            OnExpiry::Proceed => {
                steps::release(&fence, job, Given { by: None, reason: None, at: now, expired: true })
            }
        };
        self.commit(step);
    }

    pub(super) fn postpone(&mut self, by: Duration) {
        self.entry.due = Some(later(self.context.now, by));
    }

    pub(super) fn attempted(&mut self, told: Turn, attempted: Attempted, dice: u32) -> Result<(), Illegal> {
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
            Attempted::NotAsked if self.context.now >= job.give_up_at && self.verdict(&job).is_none() => {
                let fence = Fence { generation, ..self.fence() };
                let step = steps::end(&fence, &job, Ended::GaveUp);
                self.commit(step);
            }
            Attempted::NotBegun | Attempted::NotAsked => {
                let again = later(self.context.now, self.context.limits.delays.after(job.attempts, dice));
                let last = job.give_up_at.max(self.context.now);
                self.entry.due = Some(again.min(last));
                self.consider(false);
            }
            Attempted::Tried { work, principals } => {
                self.tried(generation, &job, work, &principals, dice);
            }
        }
        Ok(())
    }

    pub(super) fn tried(
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
        let step = if job.work.is_done() {
            steps::end(&fence, &job, Ended::Done)
        } else {
            match self.verdict(&job) {
                Some(Verdict::Cancel(cancel)) => steps::end(&fence, &job, Ended::Cancelled(cancel)),
                // What was done is published; who is reinstated is taken out in the next step, and
                // those who are not have their last attempt after it.
                Some(Verdict::Reinstate { .. }) => {
                    job.due = now;
                    steps::defer(&fence, &job)
                }
                // No ruling is about a job that is tried.
                None | Some(Verdict::Approve(_) | Verdict::Deny(_)) if now >= job.give_up_at => {
                    steps::end(&fence, &job, Ended::GaveUp)
                }
                None | Some(Verdict::Approve(_) | Verdict::Deny(_)) => {
                    let delay = self.context.limits.delays.after(job.attempts, dice);
                    job.due = later(now, delay).min(job.give_up_at);
                    steps::defer(&fence, &job)
                }
            }
        };
        self.commit(step);
    }
}
