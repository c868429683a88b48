//! How leftovers are hunted on one member: who answers, what is there, end what is left, and look
//! again until it is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::{
    NodeHunt,
    means::{Means, means},
};
use crate::{
    pattern::Patterns,
    telemetry::step,
    terminate::{
        ErrorClass, NodeError, Pace,
        circuit::Circuits,
        cut::{FIRST_LOOK_AGAIN, LONGEST_LOOK_AGAIN},
        member::{Hello, Member},
        node::{NodeRun, check_authorization},
        order::Order,
        pace::{Tries, pause},
        retry::Delays,
        survey::{Identity, Seen, Survey},
        watch::{Next, Unsaid, Watch},
    },
};

/// What happened on one member.
pub(super) struct Chased {
    pub(super) node: NodeHunt,
    pub(super) run: NodeRun,
    /// Every leftover that some look showed.
    pub(super) met: BTreeMap<Identity, Seen>,
    /// Some look was back, or none was needed: what was left is told.
    pub(super) looked: bool,
    pub(super) stopped: bool,
}

pub(super) async fn run<M: Member>(
    member: &Arc<M>,
    node: &NodeHunt,
    asked_at: Timestamp,
    order: &Order,
    pace: &Pace,
    circuits: &Circuits,
    may_kill: &(impl Fn() -> bool + Sync),
) -> Chased {
    let mut chased = Chased::new(&**member, node);
    if circuits.is_open(member.host()) {
        chased.run.note_not_asked();
        return chased;
    }
    let mut tries = Tries::within(pace.inline_budget);
    loop {
        let deadline = tries.deadline;
        let mut chase = Chase {
            member: &**member,
            asked_at,
            order,
            pace,
            deadline,
            may_kill,
            asked: false,
            chased: &mut chased,
        };
        let ended = timeout_at(deadline, chase.hunt()).await;
        if tries.are_over(ended, member, &mut chased.run, circuits).await {
            break;
        }
    }
    chased.run.role = member.role();
    chased
}

impl Chased {
    fn new<M: Member>(member: &M, node: &NodeHunt) -> Self {
        let mut run = NodeRun::new(member, false);
        // Where the node has acknowledged a kill, and all that was left is known by identity,
        // what does not say when it began is not of then.
        let unsaid = match &node.remains {
            Some(remains) if remains.killed_at.is_some() && !remains.truncated => Unsaid::Returned,
            Some(_) | None => Unsaid::Left,
        };
        run.watch = Watch::resumed(node.leftovers(), unsaid);
        run.first_process = node.remains.as_ref().and_then(|remains| remains.process.clone());
        Self { node: node.clone(), run, met: BTreeMap::new(), looked: false, stopped: false }
    }

    /// What began later has returned, by the member's own clock. Learned from the first answer.
    fn divide(&mut self, hello: &Hello, asked_at: Timestamp) {
        let killed_at = self.node.remains.as_ref().and_then(|remains| remains.killed_at);
        self.run.watch.acknowledged(killed_at.unwrap_or_else(|| hello.at_latest(asked_at)));
    }
}

/// One try on one member. What it learns stays, however it ends.
struct Chase<'a, M, F> {
    member: &'a M,
    asked_at: Timestamp,
    order: &'a Order,
    pace: &'a Pace,
    deadline: Instant,
    may_kill: &'a F,
    /// A command that kills was sent in this round.
    asked: bool,
    chased: &'a mut Chased,
}

impl<M: Member, F: Fn() -> bool + Sync> Chase<'_, M, F> {
    async fn hunt(&mut self) -> Result<(), NodeError> {
        let mut kills = 0;
        let mut delays = Delays::between(FIRST_LOOK_AGAIN, LONGEST_LOOK_AGAIN);
        loop {
            match self.look().await? {
                Next::Nothing | Next::Ending => return Ok(()),
                Next::Kill if kills <= self.pace.verify_rounds => {
                    kills += 1;
                    self.asked = false;
                    self.kill_operations().await?;
                    self.kill_sessions().await?;
                    if self.chased.stopped {
                        return match self.asked {
                            true => self.look().await.map(drop),
                            false => Ok(()),
                        };
                    }
                }
                Next::Kill | Next::Wait => {
                    if !pause(delays.next_delay(), self.deadline).await {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// A look by another process than before shows nothing that is left: nothing can be.
    async fn look(&mut self) -> Result<Next, NodeError> {
        self.chased.run.verified = false;
        let survey = step::survey(self.member.host(), self.member.survey(self.order.principals(), true));
        let (hello, survey) = tokio::join!(self.member.hello(), survey);
        let hello = hello?;
        if self.meets_another(&hello) {
            self.chased.run.watch.after(self.order, survey.unwrap_or_default());
            self.seen();
            return Ok(Next::Nothing);
        }
        let survey = self.for_good(survey)?;
        check_authorization(self.member, &hello).await?;
        let Some(survey) = survey else { return Ok(Next::Nothing) };
        self.chased.divide(&hello, self.asked_at);
        self.chased.run.watch.after(self.order, survey);
        self.seen();
        let run = &self.chased.run;
        Ok(run.watch.next_of_left(|seen| {
            seen.pending || means(self.order, seen, run.beyond_us.contains(&seen.identity)).is_some()
        }))
    }

    fn meets_another(&mut self, hello: &Hello) -> bool {
        let run = &mut self.chased.run;
        let known = run.first_process.get_or_insert_with(|| hello.process.clone());
        if *known != hello.process && !run.restarted {
            tracing::info!(node = run.host, "node restarted since: what was left there is gone");
            run.restarted = true;
        }
        run.hello = Some(hello.clone());
        if run.restarted {
            run.watch = Watch::resumed([], Unsaid::Returned);
            run.watch.restarted();
        }
        run.restarted
    }

    fn seen(&mut self) {
        let run = &mut self.chased.run;
        run.verified = true;
        run.before_at.get_or_insert_with(Timestamp::now);
        run.verified_at = Some(Timestamp::now());
        self.chased.looked = true;
        for seen in run.watch.left() {
            self.chased.met.entry(seen.whole().clone()).or_insert_with(|| seen.clone());
        }
    }

    /// What fails for good is not tried again in this attempt, and the node is `unverified` by it.
    fn for_good<T>(&mut self, done: Result<T, NodeError>) -> Result<Option<T>, NodeError> {
        match done {
            Ok(value) => Ok(Some(value)),
            Err(error) => match error.class {
                ErrorClass::Transient | ErrorClass::Unsupported => Err(error),
                ErrorClass::Permanent => {
                    self.chased.run.blame(0, error);
                    Ok(None)
                }
            },
        }
    }

    /// Asked right before each command that kills.
    fn may_kill(&mut self) -> bool {
        if !(self.may_kill)() {
            self.chased.stopped = true;
            return false;
        }
        self.chased.run.attempts += u32::from(!self.asked);
        self.asked = true;
        true
    }

    /// Each is read again just before: numbers are used again, and a connection may carry somebody
    /// else by now.
    async fn kill_operations(&mut self) -> Result<(), NodeError> {
        let left: BTreeSet<Identity> = self
            .left()
            .filter(|(_, means)| matches!(means, Means::Operation(_)))
            .map(|(seen, _)| seen.identity.clone())
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        let Survey { seen: now, .. } = self.member.survey(self.order.principals(), false).await?;
        for seen in now.iter().filter(|seen| left.contains(&seen.identity)) {
            let Some(Means::Operation(opid)) = means(self.order, seen, false) else { continue };
            if !self.may_kill() {
                return Ok(());
            }
            let comment = self.order.comment();
            match step::kill_operation(self.member.host(), self.member.kill_operation(opid, &comment)).await {
                Ok(()) => self.acknowledged(),
                Err(error) => {
                    let class = error.class;
                    if class == ErrorClass::Transient {
                        return Err(error);
                    }
                    self.chased.run.beyond_us.insert(seen.identity.clone());
                    self.chased.run.note(error);
                }
            }
        }
        Ok(())
    }

    async fn kill_sessions(&mut self) -> Result<(), NodeError> {
        let sessions: BTreeSet<_> = self
            .left()
            .filter_map(|(_, means)| match means {
                Means::Session(session) => Some(session),
                Means::Operation(_) => None,
            })
            .collect();
        for patterns in Patterns::of_sessions(sessions) {
            if self.chased.stopped || self.chased.run.blamed.contains_key(&0) || !self.may_kill() {
                return Ok(());
            }
            let comment = self.order.comment();
            let done = step::kill(self.member.host(), self.member.kill(&patterns, &comment)).await;
            if self.for_good(done)?.is_some() {
                self.acknowledged();
            }
        }
        Ok(())
    }

    fn acknowledged(&mut self) {
        self.chased.run.killed_at.get_or_insert_with(Timestamp::now);
    }

    /// What the last look showed to be left and can be ended, and by which means.
    fn left(&self) -> impl Iterator<Item = (&Seen, Means<'_>)> {
        let run = &self.chased.run;
        run.watch.left().iter().filter_map(move |seen| {
            let refused = run.beyond_us.contains(&seen.identity);
            means(self.order, seen, refused).map(|means| (seen, means))
        })
    }
}
