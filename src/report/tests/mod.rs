//! Claims about outcomes.

mod deferring;
mod ids;
mod minimal;
mod said;
mod steps;
mod words;

use serde_json::{Value, json};

use super::{
    verdict::{cumulative, word_of},
    *,
};
use crate::{
    case::{CaseId, Class, EventTime, Spared, SparedBecause},
    decide::{Plan, RefusalReason, Target},
    decode::{Poison, PoisonReason, Tags, Trigger},
    ingest::{Origin, Record},
    principal::{Principal, Principals},
    terminate::{
        ClusterRemains, ClusterReport, ClusterStatus, ErrorClass, Evidence, IdleClient, Kind, Known, Near,
        NodeError, NodeReport, NodeStatus, PrincipalReport, Remains, Termination,
    },
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-25T01:02:03Z")
}

fn speaker() -> Speaker {
    Speaker {
        source: "/severance/test".into(),
        version: "0.1.0".into(),
        config_hash: "0123456789abcdef".into(),
    }
}

fn origin(offset: i64) -> Origin {
    Origin::Kafka { topic: "security.siem".into(), partition: 3, offset, timestamp: Some(now()) }
}

fn trigger() -> Trigger {
    Trigger {
        id: "01J9".to_owned(),
        source: "/siem/acme".to_owned(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        tracestate: Some("vendor=1".to_owned()),
        tags: Tags { incident: Some("INC-42".to_owned()), ..Tags::default() },
        ..Trigger::without_data("io.severance.account.compromised.v1")
    }
}

fn case() -> Case {
    let trigger = trigger();
    Case {
        id: trigger.case(),
        origin: origin(17),
        trigger: Some(Box::new(trigger)),
        rule: Some("default-compromise".into()),
        class: Some(Class::Compromise),
        dry_run: false,
        spared: Vec::new(),
        remarks: Vec::new(),
        event_time: EventTime { at: now(), suspect: false },
        received_at: now(),
        decided_at: now(),
        maybe_rerun: false,
        redriven: 0,
    }
}

fn alice() -> Principal {
    "alice@admin".parse().unwrap()
}

fn plan() -> Plan {
    let target = Target::Principals(Principals::new([alice()]).unwrap());
    Plan { case: case().id, clusters: vec!["orders".into()], target }
}

fn poison(reason: PoisonReason) -> Poison {
    let record = Record { key: None, value: None, headers: Vec::new(), origin: origin(17) };
    Poison { record: record.into(), reason, detail: "`data`: is missing".to_owned() }
}

/// Every decision once.
fn every_decision() -> Vec<Decision> {
    let other = CaseId::of_event("/s", "other");
    let all = vec![
        Decision::Terminate(plan()),
        Decision::Simulate(plan()),
        Decision::Refuse { reason: RefusalReason::CapExceeded, detail: "4 are named, 3 allowed".to_owned() },
        Decision::Expired { detail: "2h old".to_owned() },
        Decision::Duplicate { first: origin(3) },
        Decision::Superseded { by: other },
        Decision::NoRule,
        Decision::Undecodable(poison(PoisonReason::InvalidData)),
        Decision::Defer { due: now() },
        awaiting(),
        Decision::Release { cancels: vec![other] },
        Decision::Acknowledge,
    ];
    for decision in &all {
        // A new one does not compile until it stands in the list above.
        match decision {
            Decision::Terminate(_)
            | Decision::Simulate(_)
            | Decision::Refuse { .. }
            | Decision::Expired { .. }
            | Decision::Duplicate { .. }
            | Decision::Superseded { .. }
            | Decision::NoRule
            | Decision::Undecodable(_)
            | Decision::Defer { .. }
            | Decision::AwaitApproval { .. }
            | Decision::Release { .. }
            | Decision::Acknowledge => {}
        }
    }
    all
}

fn awaiting() -> Decision {
    Decision::AwaitApproval {
        expires: at("2026-11-25T02:02:03Z"),
        on_expiry: crate::case::OnExpiry::Refuse,
        plan: plan(),
        reason: crate::case::Parked::CapExceeded,
        detail: "4 are named, 3 allowed".to_owned(),
    }
}

fn terminated(decision: Decision, termination: Option<Termination>) -> Terminated {
    Terminated { decided: Decided { case: case(), decision }, termination }
}

/// What one decision leads to; what was to be done is done.
fn outcome_of(decision: Decision) -> Outcome {
    let termination = match &decision {
        Decision::Terminate(_) => Some(termination(ClusterStatus::Terminated, vec![node(NodeStatus::Clean)])),
        Decision::Simulate(_) => Some(termination(
            ClusterStatus::Simulated,
            vec![NodeReport { status: None, ..node(NodeStatus::Clean) }],
        )),
        _ => None,
    };
    outcome(&speaker(), &terminated(decision, termination), now())
}

fn termination(status: ClusterStatus, nodes: Vec<NodeReport>) -> Termination {
    let cluster = ClusterReport { name: "orders".into(), status, nodes, errors: vec![node_error()] };
    let principal = PrincipalReport {
        user: "alice".to_owned(),
        db: "admin".to_owned(),
        known: Known::No,
        near: vec![Near { user: "alice".to_owned(), db: "app".to_owned() }],
        spared: false,
        spared_because: None,
    };
    Termination { clusters: vec![cluster], principals: vec![principal], cut_by: None, remains: Vec::new() }
}

/// One node is done, another was not reached; `left` says whether it is to be tried again.
fn partial(left: bool) -> Termination {
    let away = NodeReport {
        host: "m2:27017".to_owned(),
        found: None,
        killed: None,
        evidence: Vec::new(),
        killed_at: None,
        verified_at: None,
        ..node(NodeStatus::Unreachable)
    };
    let nodes = vec![("m1:27017".to_owned(), None), ("m2:27017".to_owned(), left.then(Remains::default))];
    let remains = ClusterRemains { name: "orders".into(), complete: true, asked_at: now(), nodes };
    Termination {
        remains: vec![remains],
        ..termination(ClusterStatus::Partial, vec![node(NodeStatus::Clean), away])
    }
}

fn node_error() -> NodeError {
    NodeError {
        class: ErrorClass::Transient,
        code: Some(91),
        node: "m1:27017".to_owned(),
        message: "no".to_owned(),
    }
}

/// A node with something in every field.
fn node(status: NodeStatus) -> NodeReport {
    let text = |text: &str| Some(text.to_owned());
    NodeReport {
        host: "m1:27017".to_owned(),
        role: "primary".to_owned(),
        status: Some(status),
        found: Some(1),
        killed: Some(1),
        left: 0,
        returned: 0,
        returned_active: 0,
        spared_shared: 0,
        unattributable_cursors: 0,
        idle_connections: 1,
        idle_clients: vec![IdleClient { address: "10.0.0.1".to_owned(), connections: 1 }],
        evidence: vec![Evidence {
            principal: text("alice@admin"),
            lsid: text("0190f0e0-0000-4000-8000-000000000000"),
            opid: text("7"),
            connection: Some(1),
            client: text("10.0.0.1:5"),
            app: text("app"),
            driver: text("driver 1"),
            namespace: text("shop.orders"),
            command: text("find"),
            ..Evidence::of(Kind::Operation)
        }],
        truncated: false,
        attempts: 1,
        errors: vec![node_error()],
        before_at: Some(now()),
        killed_at: Some(now()),
        verified_at: Some(now()),
    }
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../schemas/termination.v1.schema.json")).unwrap()
}

/// The envelope as it goes on the topic.
fn envelope(outcome: &Outcome, form: Form) -> Value {
    serde_json::from_slice(&outcome.encode(form).value.unwrap()).unwrap()
}

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

#[track_caller]
fn assert_valid(data: &Value) {
    use std::sync::LazyLock;
    static VALIDATOR: LazyLock<jsonschema::Validator> = LazyLock::new(|| validator(&schema()));
    assert_valid_by(&VALIDATOR, data);
}

#[track_caller]
fn assert_valid_by(validator: &jsonschema::Validator, data: &Value) {
    let faults: Vec<String> =
        validator.iter_errors(data).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(faults.is_empty(), "{}\n{data:#}", faults.join("\n"));
}
