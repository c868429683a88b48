//! Claims about jobs, by way of a desk at which the test plays clock, topics and servers.

mod approval;
mod book;
mod commands;
mod desk;
mod laws;
mod life;
mod load;
mod records;
mod schemas;
mod table;
mod work;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{Timestamp, ToSpan};

use desk::{Desk, attempt, catch_up, commit, line, loaded, one, since};

use super::*;
use crate::{
    case::{CaseId, Class, OnExpiry, Parked},
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
        approval: None,
    }
}

/// As its trigger's batch has left it: one outcome, no attempt, an hour to wait and then a day.
fn parked() -> Job {
    Job {
        kind: Kind::Approval,
        due: at(3_600),
        attempts: 0,
        give_up_at: at(3_600 + 86_400),
        work: Work::untried(["orders".into()], at(1)),
        approval: Some(Approval::wanted(Parked::CapExceeded, "9 of 3", OnExpiry::Refuse)),
        ..job(0)
    }
}

fn ruling(second: i64) -> Ruling {
    Ruling { case_id: case(), n: None, at: at(second), by: Some("mmeier".into()), reason: None }
}

fn approve(second: i64) -> Command {
    Command::Approve(ruling(second))
}

fn deny(second: i64) -> Command {
    Command::Deny(ruling(second))
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

fn creation(job: &Job) -> (Key, Option<Vec<u8>>) {
    (job.creation_key(), Some(job.creation().unwrap()))
}

fn state(state: &State) -> (Key, Option<Vec<u8>>) {
    (Key::State { case: case() }, Some(state.encode()))
}

fn done(n: u32, seq: u32) -> State {
    State::Done(Done { case_id: case(), n, seq, ended_at: at(8), until: at(90_000) })
}
