//! How a kill runs on one member: look, kill, end what has no session, check, and again.
//!
//! The look never delays the kill by more than `evidence_wait`. Only what the check shows counts:
//! the server's "ok" to a kill says nothing about what was killed.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    ErrorClass, NodeError,
    circuit::Circuits,
    member::{Hello, Member, ProcessId},
    order::Order,
    retry::Delays,
    survey::Identity,
    watch::{Next, Watch, needs_kill_op},
};
use crate::{
    fault_point::{self, Place},
    pattern::Patterns,
    telemetry::{events::KillRetried, step},
};

/// After a clean check that followed a cut, look once more: a client that comes back needs a
/// round trip or two, and is cut again while we are here. Where our own look took long, so do
/// theirs: machine or network are busy.
const SETTLE: Duration = Duration::from_millis(10);
const SETTLE_LOOKS: u32 = 8;
const LONGEST_SETTLE: Duration = Duration::from_millis(250);
/// A killed operation ends within 2 to 3 ms, under load within 300 (measured).
const FIRST_LOOK_AGAIN: Duration = Duration::from_millis(2);
const LONGEST_LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Between two attempts on a member that did not answer.
const FIRST_RETRY: Duration = Duration::from_millis(10);
const LONGEST_RETRY: Duration = Duration::from_millis(300);
/// Most errors that are kept of one member.
const MAX_ERRORS: usize = 10;

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

/// What happened on one member.
#[derive(Debug)]
pub struct NodeRun {
    /// As the replica set's configuration names it.
    pub host: String,
    /// Its role, in the outcome's words.
    pub role: String,
    /// What the looks showed.
    pub watch: Watch,
    /// Only looked at, by intention.
    pub simulated: bool,
    /// The last look is later than everything that was done.
    pub verified: bool,
    /// It does not show everything that has to be seen.
    pub sees_all: bool,
    /// Another process answered than at first.
    pub restarted: bool,
    /// It cannot do this.
    pub unsupported: bool,
    /// By index of the order's parts why the kill failed for them.
    pub blamed: HashMap<usize, NodeError>,
    /// How often it was asked to kill.
    pub attempts: u32,
    /// What went wrong, in order.
    pub errors: Vec<NodeError>,
    /// When the look before the kill was back.
    pub before_at: Option<Timestamp>,
    /// When the first kill was acknowledged.
    pub killed_at: Option<Timestamp>,
    /// When the last look was back.
    pub verified_at: Option<Timestamp>,
    process: Option<ProcessId>,
    /// Operations that we may not end; asking again would end the same.
    beyond_us: HashSet<Identity>,
}

impl NodeRun {
    fn new<M: Member>(member: &M, simulated: bool) -> Self {
        Self {
            host: member.host().to_owned(),
            role: member.role(),
            watch: Watch::default(),
            simulated,
            verified: false,
            sees_all: member.sees_all(),
            restarted: false,
            unsupported: false,
            blamed: HashMap::new(),
            attempts: 0,
            errors: Vec::new(),
            before_at: None,
            killed_at: None,
            verified_at: None,
            process: None,
            beyond_us: HashSet::new(),
        }
    }

    /// Neither a kill nor a check came back from it.
    pub fn was_not_reached(&self) -> bool {
        !self.verified && self.killed_at.is_none() && self.blamed.is_empty() && !self.unsupported
    }

    fn note(&mut self, error: NodeError) {
        self.unsupported |= error.class == ErrorClass::Unsupported;
        if self.errors.len() < MAX_ERRORS && !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    fn blame(&mut self, index: usize, error: NodeError) {
        self.unsupported |= error.class == ErrorClass::Unsupported;
        self.blamed.insert(index, error);
    }

    /// What the last look asks for, beside what failed for good.
    fn next(&self, order: &Order) -> Next {
        self.watch.next(|seen| {
            !self.beyond_us.contains(&seen.identity)
                && (self.blamed.is_empty()
                    || order.owners(seen).iter().any(|index| !self.blamed.contains_key(index)))
        })
    }

    /// Another process than before: what ran there is gone.
    fn meet(&mut self, hello: &Hello) {
        match &self.process {
            Some(known) if *known != hello.process => {
                tracing::warn!(node = self.host, "node restarted in the middle of a kill");
                self.restarted = true;
                self.watch.restarted();
            }
            Some(_) | None => {}
        }
        self.process = Some(hello.process.clone());
    }
}

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
        run.note(transient(&run.host, "not asked: it used up an earlier budget and has not answered since"));
        return run;
    }
    let deadline = Instant::now() + pace.inline_budget;
    let mut delays = Delays::between(FIRST_RETRY, LONGEST_RETRY);
    loop {
        let mut attempt = Attempt { member: &**member, order, pace, deadline, run: &mut run };
        let ended = if simulated {
            timeout_at(deadline, attempt.look_only()).await
        } else {
            timeout_at(deadline, attempt.cut()).await
        };
        let again_at = Instant::now() + delays.next_delay();
        match ended {
            Ok(Ok(())) => break,
            Ok(Err(error)) => {
                let class = error.class;
                run.note(error);
                if class != ErrorClass::Transient {
                    break;
                }
            }
            Err(_) => run.note(transient(&run.host, "no answer within limits.inline_budget")),
        }
        if again_at >= deadline {
            circuits.trip(member.clone());
            break;
        }
        tokio::time::sleep_until(again_at).await;
        KillRetried { node: member.host() }.emit();
    }
    run.role = member.role();
    run
}

fn transient(host: &str, message: &str) -> NodeError {
    NodeError { class: ErrorClass::Transient, code: None, node: host.to_owned(), message: message.to_owned() }
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
        self.check_authorization(&hello).await?;
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
                    if !self.pause(settle).await {
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
                    if !self.pause(delays.next_delay()).await {
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
        self.check_authorization(&hello).await?;
        if let Some(killed_at) = self.run.killed_at {
            self.run.watch.acknowledged(hello.at_latest(killed_at));
        }
        self.run.watch.after(self.order, survey);
        self.run.verified = true;
        self.run.verified_at = Some(Timestamp::now());
        Ok(self.run.next(self.order))
    }

    async fn check_authorization(&mut self, hello: &Hello) -> Result<(), NodeError> {
        if self.member.enforces_authorization(&hello.process).await? {
            return Ok(());
        }
        Err(NodeError {
            class: ErrorClass::Unsupported,
            code: None,
            node: self.run.host.clone(),
            message:
                "authorization is off: every session there has the same owner, so nobody can be told apart; \
                      start mongod with --auth or a keyfile"
                    .to_owned(),
        })
    }

    /// Waits, unless the budget would be over by then.
    async fn pause(&self, delay: Duration) -> bool {
        /// What is kept of the budget for one more look.
        const RESERVE: Duration = Duration::from_millis(50);
        if Instant::now() + delay + RESERVE >= self.deadline {
            return false;
        }
        sleep(delay).await;
        true
    }
}
