//! What a transaction's answer means.

use std::sync::Arc;

use super::Life;
use crate::jobs::{Answer, Effect, Filed, Illegal, Key, Owner, Phase, Step, Turn, Write};

impl Life<'_> {
    pub(super) fn answered(&mut self, told: Turn, answer: Answer) -> Result<(), Illegal> {
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

    pub(super) fn committed(&mut self, step: &Step, read_back: bool) {
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

    pub(super) fn publish_again(&mut self, step: Arc<Step>) {
        let Owner { generation, turn, offset, .. } = *self.owner;
        self.commit(Step { generation, turn, offset, ..(*step).clone() });
    }

    pub(super) fn commit(&mut self, step: Step) {
        let step = Arc::new(step);
        self.entry.phase = Phase::Committing { step: step.clone(), read_back: false };
        self.effects.push(Effect::Commit(step));
    }
}
