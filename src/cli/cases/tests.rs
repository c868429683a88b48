//! What is shown of cases, and which case is meant.

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, ToSpan};

use super::{
    beginning::{Beginning, Unchosen},
    list,
    outcomes::Said,
    seen::{Seen, cases},
    show,
    words::{about, plain, until},
};
use crate::{
    case::{CaseId, Class},
    ingest::{Origin, Record},
    jobs::{Cancel, ClusterWork, Command, Done, Facts, Job, Kind, Left, Named, NodeWork, State, Work},
    report::TriggerRef,
    terminate::{Known, NodeReport, NodeStatus, PrincipalReport},
    unfinished::Unfinished,
};

const SKEW: Duration = Duration::from_secs(30);

/// Seconds after the event.
fn at(second: i64) -> Timestamp {
    "2026-11-25T01:02:03Z".parse::<Timestamp>().unwrap() + second.seconds()
}

fn case(id: &str) -> CaseId {
    CaseId::of_event("/siem/acme", id)
}

fn node(host: &str, is_left: bool) -> NodeWork {
    let error = serde_json::json!({
        "class": "transient", "code": null, "node": host, "message": "connection refused",
    });
    NodeWork {
        report: NodeReport {
            host: host.into(),
            role: "secondary".into(),
            status: Some(if is_left { NodeStatus::Unreachable } else { NodeStatus::Clean }),
            found: (!is_left).then_some(2),
            killed: (!is_left).then_some(2),
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
            errors: if is_left { vec![serde_json::from_value(error).unwrap()] } else { Vec::new() },
            before_at: None,
            killed_at: None,
            verified_at: None,
        },
        left: is_left.then(|| Left {
            process: None,
            killed_at: None,
            leftovers: Vec::new(),
            truncated: false,
        }),
    }
}

fn job(id: &str, users: &[&str], opened: i64) -> Job {
    let principal = |user: &&str| PrincipalReport {
        user: (*user).to_owned(),
        db: "admin".into(),
        known: Known::Yes,
        near: Vec::new(),
        spared: false,
        spared_because: None,
    };
    Job {
        case_id: case(id),
        n: 0,
        seq: 1,
        kind: Kind::Deferred,
        partition: 0,
        due: at(opened + 60),
        attempts: 2,
        give_up_at: at(opened + 86_400),
        facts: Arc::new(Facts {
            origin: Origin::Kafka {
                topic: "security.siem".into(),
                partition: 0,
                offset: 17,
                timestamp: Some(at(opened)),
            },
            trigger: Some(TriggerRef { source: "/siem/acme".into(), id: id.into(), r#type: "t".into() }),
            rule: Some("siem-compromise".into()),
            class: Class::Compromise,
            event_time: at(opened),
            clock_suspect: false,
            effective_at: None,
            redriven_at: None,
            received_at: at(opened),
            decided_at: at(opened),
            incident: Some("INC-42".into()),
            ticket: None,
            initiator: None,
            severity: None,
            traceparent: None,
            tracestate: None,
        }),
        principals: Named::new(users.iter().map(principal).collect()).unwrap(),
        work: Work(vec![ClusterWork {
            name: "orders".into(),
            complete: true,
            asked_at: at(opened),
            nodes: vec![node("m1:27017", false), node("m2:27017", true)],
            errors: Vec::new(),
        }]),
        approval: None,
    }
}

/// An old and a young open case, of which the young one is to be cancelled; one of a later version;
/// one that has ended.
fn unfinished() -> Unfinished {
    let mut unfinished = Unfinished::default();
    for job in [job("young", &["alice", "bob", "carol", "dave", "erin"], 500), job("old", &["mallory"], 0)] {
        let key = job.creation_key().to_string();
        unfinished.shelves.put(0, key.as_bytes(), Some(&job.creation().unwrap()));
    }
    let key = |id| format!("{}/state", case(id));
    unfinished.shelves.put(0, key("later").as_bytes(), Some(br#"{"schema_version":2}"#));
    let done = Done { case_id: case("done"), n: 0, seq: 2, ended_at: at(300), until: at(90_000) };
    unfinished.shelves.put(0, key("done").as_bytes(), Some(&State::Done(done).encode()));
    let cancel = Cancel {
        case_id: case("young"),
        n: 0,
        at: at(570),
        by: Some("mmeier".into()),
        reason: Some("a\ndrill".into()),
    };
    let value = Command::Cancel(cancel).encode().unwrap();
    unfinished.heard.read(0, 0, at(570), Some(&value)).unwrap();
    unfinished
}

fn seen() -> Vec<Seen> {
    cases(&unfinished(), SKEW)
}

fn said(seq: u32, is_final: bool, status: &str) -> Said {
    let value = serde_json::json!({
        "specversion": "1.0", "time": at(600), "data": {
            "case_id": case("old"), "seq": seq, "final": is_final, "status": status, "reason": "unreachable_nodes",
            "detail": null, "cumulative": { "found": 2, "killed": null },
        },
    });
    let value = Some(value.to_string().into_bytes());
    Said::read(&Record { key: None, value, headers: Vec::new(), origin: Origin::Local }).unwrap()
}

#[test]
fn the_list_says_what_is_left_where_and_why_with_the_oldest_case_first() {
    insta::assert_snapshot!(list::text(&seen(), at(580)));
}

#[test]
fn no_open_cases_are_said_in_so_many_words() {
    assert_eq!(list::text(&[], at(0)), "no open cases\n");
}

#[test]
fn a_line_for_programs_has_all_of_it() {
    let lines: Vec<serde_json::Value> = seen().iter().map(Seen::json).collect();
    assert_eq!(
        lines.iter().map(|line| line["status"].as_str().unwrap()).collect::<Vec<_>>(),
        ["open", "open", "unreadable", "ended"]
    );
    insta::assert_snapshot!(format!("{:#}", lines[1]));
}

#[test]
fn whoever_asks_for_a_person_or_a_cluster_gets_only_theirs_and_is_told_of_what_cannot_be_read() {
    let about = |user: Option<&str>, cluster| {
        let user = user.map(|user| user.parse().unwrap());
        seen().iter().map(|seen| seen.is_about(user.as_ref(), cluster)).collect::<Vec<_>>()
    };
    assert_eq!(about(Some("mallory@admin"), None), [Some(true), Some(false), None, Some(false)]);
    assert_eq!(about(Some("mallory@app"), None), [Some(false), Some(false), None, Some(false)]);
    assert_eq!(about(None, Some("orders")), [Some(true), Some(true), None, Some(false)]);
    assert_eq!(about(Some("alice@admin"), Some("billing")), [Some(false), Some(false), None, Some(false)]);
    assert_eq!(about(None, None), [Some(true); 4]);
}

#[test]
fn a_case_is_shown_with_what_was_said_of_it() {
    let seen = seen();
    let said = [said(1, false, "deferred"), said(2, true, "terminated")];
    insta::assert_snapshot!(show::text(&seen[..1], &said, at(580)));
    let text = show::text(&[], &[], at(580));
    assert!(
        text.contains("not among unfinished work") && text.contains("no outcome of it is kept"),
        "{text}"
    );
}

#[test]
fn only_a_final_outcome_after_the_last_one_ends_a_case() {
    assert!(said(2, true, "cancelled").ends(case("old"), 1));
    assert!(!said(2, true, "cancelled").ends(case("old"), 2), "that was said before");
    assert!(!said(2, false, "deferred").ends(case("old"), 1));
    assert!(!said(2, true, "cancelled").ends(case("young"), 1));
}

#[test]
fn a_case_is_named_by_how_it_begins_and_only_where_that_is_one_case() {
    let all: CaseId = "2f8a4bd1-6d0c-5d55-9a5e-3c1a0a4f7b21".parse().unwrap();
    let other: CaseId = "2f8a4bd1-6d0d-5d55-9a5e-3c1a0a4f7b21".parse().unwrap();
    let beginning = |text: &str| text.parse::<Beginning>();
    assert!(beginning("2f8a4bd").is_err(), "seven characters");
    assert!(beginning("2f8a4bdx").is_err());
    assert!(beginning(&format!("{all}0")).is_err());
    let short = beginning("2F8A4BD1").unwrap();
    assert_eq!(short.choose([all, all]), Ok(all));
    assert_eq!(short.choose([all, other]), Err(Unchosen::Several(all, other)));
    assert_eq!(beginning(&other.to_string()).unwrap().choose([all, other]), Ok(other));
    assert_eq!(short.choose([]), Err(Unchosen::None));
}

#[test]
fn times_are_told_in_one_unit_and_a_text_from_elsewhere_stays_on_its_line() {
    let told = [5, 119, 120, 7_200, 172_800].map(|seconds| about(Duration::from_secs(seconds)));
    assert_eq!(told, ["5s", "119s", "2m", "2h", "2d"]);
    assert_eq!((until(at(5), at(0)), until(at(0), at(5))), ("in 5s".to_owned(), "now".to_owned()));
    assert_eq!(plain("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
}
