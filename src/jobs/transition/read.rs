//! What a case makes of a record of its own, and of a command.

use super::Life;
use crate::jobs::{Current, Effect, Filed, Job, Notice, Phase, State, Write};

impl Life<'_> {
    pub(super) fn creation(&mut self, n: u32, filed: Filed<Job>) {
        self.entry.shelf.creations.insert(n, filed);
        if let Current::Blocked(why) = self.entry.current() {
            self.notice(Notice::Blocked { case: self.entry.case, why });
        }
        self.consider(false);
    }

    /// Our own, long known; or somebody else's, who must not.
    pub(super) fn creation_gone(&mut self, n: u32) {
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
    pub(super) fn state(&mut self, filed: &Filed<State>) {
        let known = match filed {
            Filed::Unreadable(_) => false,
            Filed::Read(state) => self.is_ours(state),
        };
        if !known {
            self.foreign();
        }
    }

    pub(super) fn is_ours(&self, state: &State) -> bool {
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
        let forgotten = self.entry.forgotten.as_ref();
        let progress = kept.map(State::progress).max(forgotten.map(|done| (done.n, done.seq)));
        written == Some(state)
            || kept == Some(state)
            || (forgotten.is_some() && forgotten == state.done())
            || progress > Some(state.progress())
    }

    pub(super) fn state_gone(&mut self) {
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

    pub(super) fn foreign(&mut self) {
        self.notice(Notice::Foreign { case: self.entry.case });
        self.effects.push(Effect::Reload);
    }

    pub(super) fn heard(&mut self) {
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
}
