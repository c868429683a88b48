//! The one case of the model, as records of the real code.

use std::{collections::BTreeMap, sync::Arc, sync::OnceLock, time::Duration};

use jiff::Timestamp;
use severance::{
    case::{CaseId, Class, OnExpiry, Parked},
    ingest::Origin,
    jobs::{
        Approval, Cancel, ClusterWork, Command, Delays, Facts, Job, Kind, Left, Limits, Named, NodeWork,
        Ruling, Work,
    },
    terminate::{Known, NodeReport, NodeStatus, PrincipalReport},
};

use crate::setting::Broken;

pub const PARTITION: i32 = 0;

pub fn case() -> CaseId {
    CaseId::of_event("/model", "1")
}

/// The moments of the model's clock: triggers are accepted, no more, their transactions are over.
pub fn moment(clock: u8) -> Timestamp {
    let second = [0, 150, 1_000][usize::from(clock)];
    Timestamp::from_second(1_000_000 + second).expect("a moment")
}

/// A little later than whatever else happens at that time of the model's clock.
pub fn tick(clock: u8) -> Timestamp {
    moment(clock) + Duration::from_secs(2)
}

/// Made once a model.
pub fn limits(broken: Broken) -> Limits {
    let seconds = |seconds: u64| match broken {
        Broken::ForgottenAtOnce => Duration::ZERO,
        _ => Duration::from_secs(seconds),
    };
    let of_transactions = match broken {
        Broken::ForgottenBeforeTransactionsEnd => Duration::ZERO,
        _ => seconds(30),
    };
    Limits {
        clock_skew: seconds(30),
        max_event_age: BTreeMap::from([(Class::Compromise, seconds(100))]),
        transaction_timeout: of_transactions,
        longest_batch: of_transactions,
        session_timeout: Duration::from_secs(6),
        margin: Duration::from_secs(2),
        delays: Delays { first: Duration::ZERO, longest: Duration::ZERO },
    }
}

pub fn work(left: bool) -> Work {
    let left = left.then(|| Left {
        process: None,
        killed_at: Some(moment(0)),
        leftovers: Vec::new(),
        truncated: false,
    });
    let report = NodeReport {
        host: "m1:27017".into(),
        role: "primary".into(),
        status: Some(if left.is_some() { NodeStatus::Leftover } else { NodeStatus::Clean }),
        found: Some(1),
        killed: Some(1),
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
    };
    Work(vec![ClusterWork {
        name: "c".into(),
        complete: true,
        asked_at: moment(0),
        nodes: vec![NodeWork { report, left }],
        errors: Vec::new(),
    }])
}

/// Every creation of one `n` says the same, so each is made once.
pub fn creation(n: u32, seq: u32, parked: bool) -> Vec<u8> {
    static FACTS: OnceLock<Arc<Facts>> = OnceLock::new();
    let facts = FACTS.get_or_init(|| {
        Arc::new(Facts {
            origin: Origin::Local,
            trigger: None,
            rule: None,
            class: Class::Compromise,
            event_time: moment(0),
            clock_suspect: false,
            effective_at: None,
            redriven_at: None,
            received_at: moment(0),
            decided_at: moment(0),
            incident: None,
            ticket: None,
            initiator: None,
            severity: None,
            traceparent: None,
            tracestate: None,
        })
    });
    let alice = PrincipalReport {
        user: "alice".into(),
        db: "admin".into(),
        known: Known::Yes,
        near: Vec::new(),
        spared: false,
        spared_because: None,
    };
    let job = Job {
        case_id: case(),
        n,
        seq,
        kind: Kind::Deferred,
        partition: PARTITION,
        due: moment(0),
        attempts: 1,
        give_up_at: moment(1),
        facts: facts.clone(),
        principals: Named::new(vec![alice]).expect("somebody"),
        work: work(true),
        approval: None,
    };
    let parked_job = || Job {
        kind: Kind::Approval,
        due: moment(1),
        attempts: 0,
        give_up_at: moment(2),
        work: Work::untried(["c".into()], moment(0)),
        approval: Some(Approval::wanted(Parked::Approval, "", OnExpiry::Refuse)),
        ..job.clone()
    };
    if parked { parked_job() } else { job.clone() }.creation().expect("a short record")
}

pub fn ruling(yes: bool) -> Vec<u8> {
    let ruling = Ruling { case_id: case(), n: None, at: moment(0), by: None, reason: None };
    let command = if yes { Command::Approve(ruling) } else { Command::Deny(ruling) };
    command.encode().expect("a short command")
}

pub fn cancel(n: u32) -> Vec<u8> {
    let cancel = Cancel { case_id: case(), n, at: moment(0), by: None, reason: None };
    Command::Cancel(cancel).encode().expect("a short command")
}
