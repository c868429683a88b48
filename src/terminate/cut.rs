//! How a kill runs on one member: look, kill, end what has no session, check, and again.
//!
//! The look never delays the kill by more than `evidence_wait`. Only what the check shows counts:
//! the server's "ok" to a kill says nothing about what was killed.

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    ErrorClass, NodeError,
    circuit::Circuits,
    member::Member,
    node::{NodeRun, check_authorization},
    order::Order,
    pace::{Pace, Tries, pause},
    retry::Delays,
    survey::Identity,
    watch::{Next, needs_kill_op},
};
use crate::{
    fault_point::{self, Place},
    pattern::Patterns,
    telemetry::step,
};

/// After a clean check that followed a cut, look once more: a client that comes back needs a
/// round trip or two, and is cut again while we are here. Where our own look took long, so do
/// theirs: machine or network are busy.
const SETTLE: Duration = Duration::from_millis(10);
const SETTLE_LOOKS: u32 = 8;
const LONGEST_SETTLE: Duration = Duration::from_millis(250);
/// A killed operation ends within 2 to 3 ms, under load within 300 (measured).
pub(super) const FIRST_LOOK_AGAIN: Duration = Duration::from_millis(2);
pub(super) const LONGEST_LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Cuts on one member whatever the order names, with retries, within the budget.
pub async fn cut<M: Member>(member: &Arc<M>, order: &Order, pace: &Pace, circuits: &Circuits) -> NodeRun {
    run(member, order, pace, circuits, false).await
}

/// Looks at what the order names, and does nothing.
pub async fn look<M: Member>(member: &Arc<M>, order: &Order, pace: &Pace, circuits: &Circuits) -> NodeRun {
    run(member, order, pace, circuits, true).await
}

async fn run<M: Member>(
    member: &Arc<M>,
    order: &Order,
    pace: &Pace,
    circuits: &Circuits,
    simulated: bool,
) -> NodeRun {
    let mut run = NodeRun::new(&**member, simulated);
    if circuits.is_open(member.host()) {
        run.note_not_asked();
        return run;
    }
    let mut tries = Tries::within(pace.inline_budget);
    loop {
        let mut attempt = Attempt { member: &**member, order, pace, deadline: tries.deadline, run: &mut run };
        let ended = if simulated {
            timeout_at(tries.deadline, attempt.look_only()).await
        } else {
            timeout_at(tries.deadline, attempt.cut()).await
        };
        if tries.are_over(ended, member, &mut run, circuits).await {
            break;
        }
    }
    run.role = member.role();
    run
}

/// One try on one member. What it learns stays in the run, however it ends.
struct Attempt<'a, M> {
    member: &'a M,
    order: &'a Order,
    pace: &'a Pace,
    deadline: Instant,
    run: &'a mut NodeRun,
}

impl<M: Member> Attempt<'_, M> {
    async fn look_only(&mut self) -> Result<(), NodeError> {
        let (hello, survey) =
            tokio::join!(self.member.hello(), self.member.survey(self.order.principals(), true));
        let hello = hello?;
        let survey = survey?;
        check_authorization(self.member, &hello).await?;
        self.run.watch.before(self.order, survey);
        self.run.before_at = Some(Timestamp::now());
        self.run.verified = true;
        Ok(())
    }

    async fn cut(&mut self) -> Result<(), NodeError> {
        self.look_before().await;
        self.kill_sessions().await?;
        let sessionless = self.run.watch.sessionless_before(self.order);
        self.kill_operations(sessionless).await?;
        step::verify(self.member.host(), self.verify()).await
    }

    /// Never in the way of the kill: what fails or is late is left out.
    async fn look_before(&mut self) {
        let wait = self.pace.evidence_wait;
        let (hello, survey) = tokio::join!(
            timeout(wait, self.member.hello()),
            timeout(wait, async {
                match self.run.watch.has_before() {
                    true => None,
                    false => Some(
                        step::survey(self.member.host(), self.member.survey(self.order.principals(), false))
                            .await,
                    ),
                }
            })
        );
        if let Ok(Ok(hello)) = hello {
            self.run.meet(&hello);
        }
        match survey {
            Ok(Some(Ok(survey))) if self.run.killed_at.is_none() => {
                self.run.watch.before(self.order, survey);
                self.run.before_at = Some(Timestamp::now());
            }
            Ok(Some(Err(error))) => self.run.note(error),
            Ok(_) => {}
            Err(_) => tracing::debug!(node = self.run.host, "the look before the kill was not back in time"),
        }
    }

    /// One command for everybody; if that fails for good, one a case, so that the failure is laid
    /// at the door of the case that caused it. What failed for good is not tried again.
    async fn kill_sessions(&mut self) -> Result<(), NodeError> {
        let parts = self.order.others(|index| self.run.blamed.contains_key(&index));
        if parts.is_empty() {
            return Ok(());
        }
        self.run.attempts += 1;
        let merged = if parts.len() == self.order.parts().len() {
            self.kill_all(&self.order.patterns(), &self.order.comment()).await
        } else {
            let (patterns, comment) = self.order.only(&parts);
            self.kill_all(&patterns, &comment).await
        };
        let error = match merged {
            Ok(()) => {
                self.run.killed_at.get_or_insert_with(Timestamp::now);
                fault_point::reached(Place::Killed);
                return Ok(());
            }
            Err(error) if error.class == ErrorClass::Transient => return Err(error),
            Err(error) => error,
        };
        if let [(index, _)] = parts[..] {
            self.run.blame(index, error);
            return Ok(());
        }
        tracing::warn!(
            node = self.run.host,
            code = error.code,
            cases = parts.len(),
            "the merged kill failed for good: asking once a case"
        );
        for (index, part) in parts {
            let alone = Patterns::of_principals(&part.principals);
            match self.kill_all(&alone, &self.order.comment_for(part)).await {
                Ok(()) => {
                    self.run.killed_at.get_or_insert_with(Timestamp::now);
                }
                Err(error) if error.class == ErrorClass::Transient => return Err(error),
                Err(error) => self.run.blame(index, error),
            }
        }
        Ok(())
    }

    async fn kill_all(
        &self,
        commands: &[Patterns],
        comment: &super::member::Comment,
    ) -> Result<(), NodeError> {
        for patterns in commands {
            step::kill(self.member.host(), self.member.kill(patterns, comment)).await?;
        }
        Ok(())
    }

    /// Ends operations that no session pattern reaches. Each is read again just before: numbers
    /// are used again, and a connection may carry somebody else by now.
    async fn kill_operations(&mut self, candidates: HashSet<Identity>) -> Result<(), NodeError> {
        if candidates.is_empty() {
            return Ok(());
        }
        let survey = self.member.survey(self.order.principals(), false).await?;
        for seen in survey.seen.iter().filter(|seen| candidates.contains(&seen.identity)) {
            let Identity::Operation { opid, .. } = &seen.identity else { continue };
            if !needs_kill_op(self.order, seen) {
                continue;
            }
            let comment = self.order.comment();
            match step::kill_operation(self.member.host(), self.member.kill_operation(opid, &comment)).await {
                Ok(()) => {
                    self.run.killed_at.get_or_insert_with(Timestamp::now);
                }
                Err(error) if error.class == ErrorClass::Transient => return Err(error),
                Err(error) => {
                    self.run.beyond_us.insert(seen.identity.clone());
                    self.run.note(error);
                }
            }
        }
        Ok(())
    }

    /// Looks until nothing is left, cutting again what runs, for at most `verify_rounds`.
    async fn verify(&mut self) -> Result<(), NodeError> {
        let mut rounds = 0;
        let mut settled = false;
        let mut delays = Delays::between(FIRST_LOOK_AGAIN, LONGEST_LOOK_AGAIN);
        loop {
            let asked = Instant::now();
            let next = self.look_after().await?;
            let settle = (asked.elapsed() * SETTLE_LOOKS).clamp(SETTLE, LONGEST_SETTLE);
            let hopeless = self.run.unsupported || self.run.blamed.len() == self.order.parts().len();
            match next {
                _ if hopeless => return Ok(()),
                Next::Nothing | Next::Ending if settled || !self.run.watch.found_anything() => return Ok(()),
                Next::Nothing | Next::Ending => {
                    settled = true;
                    if !pause(settle, self.deadline).await {
                        return Ok(());
                    }
                }
                Next::Kill if rounds < self.pace.verify_rounds => {
                    rounds += 1;
                    self.kill_sessions().await?;
                    let sessionless = self.run.watch.sessionless_now(self.order);
                    self.kill_operations(sessionless).await?;
                }
                Next::Kill if self.run.watch.left().is_empty() => return Ok(()),
                Next::Kill | Next::Wait => {
                    if !pause(delays.next_delay(), self.deadline).await {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn look_after(&mut self) -> Result<Next, NodeError> {
        self.run.verified = false;
        let (hello, survey) =
            tokio::join!(self.member.hello(), self.member.survey(self.order.principals(), true));
        let hello = hello?;
        self.run.meet(&hello);
        let survey = survey?;
        check_authorization(self.member, &hello).await?;
        if let Some(killed_at) = self.run.killed_at {
            self.run.watch.acknowledged(hello.at_latest(killed_at));
        }
        self.run.watch.after(self.order, survey);
        self.run.verified = true;
        self.run.verified_at = Some(Timestamp::now());
        Ok(self.run.next(self.order))
    }
}
