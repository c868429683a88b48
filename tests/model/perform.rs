//! What the book wants done, as an edge would do it.

use std::sync::Arc;

use severance::jobs::{Current, Effect};

use crate::{
    action::is_cancelled,
    apply::Wrong,
    fixture,
    setting::{Broken, Setting},
    world::{Catching, Desk, InFlight, Trying, World},
};

impl World {
    /// Does what the book wants done.
    pub fn perform(
        &mut self,
        setting: &Setting,
        at: usize,
        effects: Vec<Effect>,
        fence: Option<u8>,
    ) -> Result<(), Wrong> {
        let watermark = match setting.broken {
            Broken::CommandsUnheard => 0,
            Broken::CommandsWithoutLastStable => self.commands.last_stable(),
            _ => self.commands.high_watermark(),
        };
        for effect in effects {
            let cancelled = |n| is_cancelled(self, n);
            match effect {
                Effect::CatchUp { turn, .. } => {
                    let cancelled_before = self.run_in_hand(at).is_some_and(cancelled);
                    let replica = Arc::make_mut(&mut self.replicas[at]);
                    let fence = replica.generation;
                    replica.catching.push(Catching { turn, watermark, cancelled_before, fence });
                }
                Effect::Attempt(attempt) => {
                    let replica = Arc::make_mut(&mut self.replicas[at]);
                    replica.trying.push(Trying {
                        turn: attempt.turn,
                        n: attempt.job.n,
                        epoch: replica.desk_epoch,
                        stopped: false,
                        cancelled_before: false,
                        fence: fence.unwrap_or(replica.generation),
                        killed: None,
                    });
                }
                Effect::Stop { turn, .. } => {
                    let trying = self.replica(at).trying.iter_mut().filter(|trying| trying.turn == turn);
                    trying.for_each(|trying| trying.stopped = true);
                }
                Effect::Commit(step) => {
                    let replica = Arc::make_mut(&mut self.replicas[at]);
                    let fence = fence.unwrap_or(replica.generation);
                    let step = InFlight { step, fence, txn: None, written: false, fenced: false };
                    replica.steps.push_back(step);
                }
                Effect::Reload => {
                    let replica = Arc::make_mut(&mut self.replicas[at]);
                    if let Desk::Running(book) = &replica.desk {
                        let generation = u8::try_from(book.owner().generation.0).unwrap_or(u8::MAX);
                        replica.drop_book();
                        replica.desk = Desk::Assigned { generation };
                    }
                }
                Effect::Notice(_) => {}
            }
        }
        Ok(())
    }

    fn run_in_hand(&self, at: usize) -> Option<u32> {
        let Desk::Running(book) = &self.replicas[at].desk else { return None };
        match book.entry(fixture::case())?.current() {
            Current::Job(job) => Some(job.n),
            _ => None,
        }
    }
}
