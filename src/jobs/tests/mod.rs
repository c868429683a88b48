//! Claims about jobs, by way of a desk at which the test plays clock, topics and servers.

mod book;
mod commands;
mod laws;
mod load;
mod records;
mod schemas;
mod table;
mod work;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{Timestamp, ToSpan};

use super::*;
use crate::{
    case::{CaseId, Class},
    decode::Release,
    ingest::Origin,
    principal::Principal,
    report::TriggerRef,
    terminate::{Known, NodeReport, NodeStatus, PrincipalReport},
};

const PARTITION: i32 = 3;
/// Of the commands topic.
const COMMANDS: i32 = 0;

fn case() -> CaseId {
    CaseId::of_event("/siem/acme", "01J9")
}

/// Seconds after the event.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap() + second.seconds()
}

fn principal(user: &str) -> Principal {
    Principal::new(user, "admin").unwrap()
}

fn report(user: &str) -> PrincipalReport {
    PrincipalReport {
        user: user.into(),
        db: "admin".into(),
        known: Known::Unknown,
        near: Vec::new(),
        spared: false,
        spared_because: None,
    }
}

fn kafka(topic: &str, partition: i32, offset: i64) -> Origin {
    Origin::Kafka { topic: topic.into(), partition, offset, timestamp: Some(at(0)) }
}

fn limits() -> Limits {
    Limits {
        clock_skew: Duration::from_secs(30),
        max_event_age: BTreeMap::from([(Class::Compromise, Duration::from_secs(86_400))]),
        transaction_timeout: Duration::from_secs(10),
        longest_batch: Duration::from_secs(60),
        session_timeout: Duration::from_secs(6),
        margin: Duration::from_secs(2),
        delays: Delays::default(),
    }
}

fn node(host: &str, left: Option<Left>) -> NodeWork {
    let status = if left.is_some() { NodeStatus::Unreachable } else { NodeStatus::Clean };
    NodeWork {
        report: NodeReport {
            host: host.into(),
            role: "secondary".into(),
            status: Some(status),
            found: left.is_none().then_some(2),
            killed: left.is_none().then_some(2),
            left: 0,
            returned: 0,
            returned_active: 0,
            spared_shared: 0,
            unattributable_cursors: 0,
            idle_connections: 0,
            idle_clients: Vec::new(),
            evidence: Vec::new(),
            truncated: false,
            attempts: 1,
            errors: Vec::new(),
            before_at: None,
            killed_at: None,
            verified_at: None,
        },
        left,
    }
}

fn unreached() -> Left {
    Left { process: None, killed_at: None, leftovers: Vec::new(), truncated: false }
}

fn cluster(nodes: Vec<NodeWork>) -> ClusterWork {
    ClusterWork { name: "orders".into(), complete: true, asked_at: at(1), nodes, errors: Vec::new() }
}

/// Two nodes, of which the second is left or not.
fn work(is_left: bool) -> Work {
    Work(vec![cluster(vec![node("m1:27017", None), node("m2:27017", is_left.then(unreached))])])
}

fn facts() -> Facts {
    Facts {
        origin: kafka("security.siem", 0, 17),
        trigger: Some(TriggerRef { source: "/siem/acme".into(), id: "01J9".into(), r#type: "t".into() }),
        rule: Some("siem-compromise".into()),
        class: Class::Compromise,
        event_time: at(0),
        clock_suspect: false,
        effective_at: None,
        redriven_at: None,
        received_at: at(1),
        decided_at: at(1),
        incident: Some("INC-42".into()),
        ticket: None,
        initiator: None,
        severity: None,
        traceparent: None,
        tracestate: None,
    }
}

/// As its trigger's batch has left it: one outcome, one attempt.
fn job(n: u32) -> Job {
    Job {
        case_id: case(),
        n,
        seq: 1,
        kind: Kind::Deferred,
        partition: PARTITION,
        due: at(10),
        attempts: 1,
        give_up_at: at(3_600),
        facts: Arc::new(facts()),
        principals: Named::new(vec![report("alice"), report("bob")]).unwrap(),
        work: work(true),
    }
}

fn cancel(n: u32) -> Command {
    Command::Cancel(Cancel {
        case_id: case(),
        n,
        at: at(5),
        by: Some("mmeier".into()),
        reason: Some("a drill".into()),
    })
}

fn reinstated(users: &[&str], second: i64) -> Command {
    Command::Reinstated(Reinstated {
        case_id: CaseId::of_event("/hr", "9"),
        at: at(second),
        origin: kafka("security.hr", 0, 4),
        principals: users.iter().map(|user| principal(user)).collect(),
        releases: vec![Release::Class(Class::Compromise)],
    })
}

/// A desk with its book.
struct Desk {
    book: Book,
    heard: Heard,
    limits: Limits,
    now: Timestamp,
    log: Vec<(Key, Option<Vec<u8>>)>,
}

impl Desk {
    /// With what stands on the topic.
    fn with(log: &[(Key, Option<Vec<u8>>)]) -> Self {
        let (book, effects) = loaded(log, &Heard::default());
        assert_eq!(effects, []);
        Self { book, heard: Heard::default(), limits: limits(), now: at(10), log: log.to_vec() }
    }

    /// With a job that was created while it was loading.
    fn with_a_job() -> Self {
        Self::with(&[creation(&job(0))])
    }

    fn tell<T>(&mut self, tell: impl FnOnce(&mut Book, &Context<'_>) -> T) -> T {
        let context = Context { now: self.now, heard: &self.heard, limits: &self.limits };
        tell(&mut self.book, &context)
    }

    fn at(&mut self, second: i64) -> &mut Self {
        self.now = at(second);
        self
    }

    fn read(&mut self, record: (Key, Option<Vec<u8>>)) -> Vec<Effect> {
        self.log.push(record.clone());
        let offset = self.book.owner().offset.max(i64::try_from(self.log.len()).unwrap() - 1);
        let (key, value) = record;
        let key = key.to_string();
        self.tell(|book, context| book.read(offset, key.as_bytes(), value.as_deref(), context)).unwrap()
    }

    fn hear(&mut self, command: &Command) -> Vec<Effect> {
        let offset = self.heard.read_to().get(&COMMANDS).copied().unwrap_or(0);
        let heard = self.heard.read(COMMANDS, offset, self.now, Some(&command.encode().unwrap())).unwrap();
        self.tell(|book, context| book.heard(&heard.unwrap(), context)).unwrap()
    }

    fn tick(&mut self) -> Vec<Effect> {
        self.tell(|book, context| book.tick(context)).unwrap()
    }

    fn caught_up(&mut self, turn: Turn) -> Result<Vec<Effect>, Illegal> {
        self.tell(|book, context| {
            book.caught_up(case(), turn, BTreeMap::new(), Duration::from_secs(1), context)
        })
    }

    fn attempted(&mut self, turn: Turn, is_left: bool) -> Vec<Effect> {
        let attempted = Attempted::Tried { work: work(is_left), principals: vec![report("alice")] };
        self.tell(|book, context| book.attempted(case(), turn, attempted, 20, context)).unwrap()
    }

    /// The transaction is committed, and its records stand on the topic.
    fn commit(&mut self, step: &Step) -> Vec<Effect> {
        self.log.extend(step.writes.iter().map(|write| (write.key(), write.value())));
        self.answer(step, Answer::Committed)
    }

    fn answer(&mut self, step: &Step, answer: Answer) -> Vec<Effect> {
        self.tell(|book, context| book.answered(case(), step.turn, answer, context)).unwrap()
    }

    /// Up to where servers are asked.
    fn begin_attempt(&mut self) -> Turn {
        let turn = catch_up(&self.tick());
        attempt(&self.caught_up(turn).unwrap()).turn
    }

    fn entry(&self) -> &Entry {
        self.book.entry(case()).expect("the case is known")
    }
}

fn loaded(log: &[(Key, Option<Vec<u8>>)], heard: &Heard) -> (Book, Vec<Effect>) {
    let end = i64::try_from(log.len()).unwrap();
    let mut load = Load::begin(PARTITION, Generation(1), 1, end, Bounds::default());
    for (offset, (key, value)) in log.iter().enumerate() {
        let offset = i64::try_from(offset).unwrap();
        assert_eq!(load.read(offset, key.to_string().as_bytes(), value.as_deref()), Ok(None));
    }
    let limits = limits();
    load.finish(end, &Context { now: at(10), heard, limits: &limits }).map_err(|(_, not)| not).unwrap()
}

fn creation(job: &Job) -> (Key, Option<Vec<u8>>) {
    (job.creation_key(), Some(job.creation()))
}

fn state(state: &State) -> (Key, Option<Vec<u8>>) {
    (Key::State { case: case() }, Some(state.encode()))
}

fn done(n: u32, seq: u32) -> State {
    State::Done(Done { case_id: case(), n, seq, ended_at: at(8), until: at(90_000) })
}

#[track_caller]
fn one(effects: &[Effect]) -> &Effect {
    match effects {
        [one] => one,
        other => panic!("not one effect: {other:?}"),
    }
}

#[track_caller]
fn catch_up(effects: &[Effect]) -> Turn {
    match one(effects) {
        Effect::CatchUp { turn, .. } => *turn,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn attempt(effects: &[Effect]) -> &Attempt {
    match one(effects) {
        Effect::Attempt(attempt) => attempt,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn commit(effects: &[Effect]) -> Arc<Step> {
    let mut steps = effects.iter().filter_map(|effect| match effect {
        Effect::Commit(step) => Some(step.clone()),
        _ => None,
    });
    match (steps.next(), steps.next()) {
        (Some(step), None) => step,
        _ => panic!("not one commit: {effects:?}"),
    }
}

/// A step in one line.
fn line(step: &Step) -> String {
    let writes = step.writes.iter().map(|write| match write {
        Write::State(state) => match &**state {
            State::Pending(job) => format!("pending n{} seq {} due +{}s", job.n, job.seq, since(job.due)),
            State::Done(done) => format!("done n{} seq {} until +{}s", done.n, done.seq, since(done.until)),
        },
        Write::Tombstone(key) => {
            format!("no {}", key.to_string().trim_start_matches(&case().to_string()).trim_start_matches('/'))
        }
    });
    let said = step.outcome.iter().map(|said| {
        let saying = match &said.saying {
            Saying::Deferred { .. } => "deferred",
            Saying::Final(Ended::Done) => "done",
            Saying::Final(Ended::GaveUp) => "gave up",
            Saying::Final(Ended::TooLarge) => "too large",
            Saying::Final(Ended::Cancelled(_)) => "cancelled",
            Saying::Final(Ended::Reinstated(_)) => "reinstated",
        };
        format!("outcome {} {saying}{}", said.seq, if said.is_final() { ", final" } else { "" })
    });
    let parts: Vec<String> = said.chain(writes).collect();
    format!("[{}] in generation {}", parts.join(" | "), step.generation.0)
}

fn since(at_last: Timestamp) -> i64 {
    at_last.duration_since(at(0)).as_secs()
}
