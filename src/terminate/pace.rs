//! How long and how often a member is asked.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, error::Elapsed, sleep, sleep_until};

use super::{ErrorClass, NodeError, circuit::Circuits, member::Member, node::NodeRun, retry::Delays};
use crate::telemetry::events::KillRetried;

/// Between two tries on a member that did not answer.
const FIRST_RETRY: Duration = Duration::from_millis(10);
const LONGEST_RETRY: Duration = Duration::from_millis(300);

/// How long a batch may take on a member, and how it looks.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// For everything on one member, retries included.
    pub inline_budget: Duration,
    /// How long the kill waits for the look before it.
    pub evidence_wait: Duration,
    /// Most entries of a list of one member.
    pub max_items: usize,
    /// How often what came back is cut again.
    pub verify_rounds: u32,
}

/// The tries on one member, within one budget.
pub(super) struct Tries {
    pub(super) deadline: Instant,
    delays: Delays,
}

impl Tries {
    pub(super) fn within(budget: Duration) -> Self {
        Self { deadline: Instant::now() + budget, delays: Delays::between(FIRST_RETRY, LONGEST_RETRY) }
    }

    /// Notes how a try ended and, where it is worth another, waits for the time of that. A member
    /// that has used up the budget is not waited for again until it answers.
    pub(super) async fn are_over<M: Member>(
        &mut self,
        ended: Result<Result<(), NodeError>, Elapsed>,
        member: &Arc<M>,
        run: &mut NodeRun,
        circuits: &Circuits,
    ) -> bool {
        let again_at = Instant::now() + self.delays.next_delay();
        match ended {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => {
                let class = error.class;
                run.note(error);
                if class != ErrorClass::Transient {
                    return true;
                }
            }
            Err(_) => run.note_transient("no answer within limits.inline_budget"),
        }
        if again_at >= self.deadline {
            circuits.trip(member.clone());
            return true;
        }
        sleep_until(again_at).await;
        KillRetried { node: member.host() }.emit();
        false
    }
}

/// Waits, unless the budget would be over by then.
pub(super) async fn pause(delay: Duration, deadline: Instant) -> bool {
    /// What is kept of the budget for one more look.
    const RESERVE: Duration = Duration::from_millis(50);
    if Instant::now() + delay + RESERVE >= deadline {
        return false;
    }
    sleep(delay).await;
    true
}
