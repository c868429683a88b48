//! Explanations as their readers meet them, by the annotated configuration and its example rules.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::{
    config::WithoutSecrets,
    ingest::{Header, Origin},
};

const CONFIG: &str = include_str!("../../deploy/severance.yaml");
const NOW: &str = "2026-11-25T12:00:00Z";

fn desk(change: impl Fn(String) -> String) -> Desk {
    let text = change(CONFIG.to_owned());
    match Config::parse(&text, Path::new("/nowhere/severance.yaml"), &WithoutSecrets) {
        Ok((config, _)) => Desk::new(config),
        Err(faults) => panic!("{faults}"),
    }
}

fn event(kind: &str, data: Value) -> Value {
    json!({"specversion": "1.0", "id": "01J9", "source": "/siem/acme", "type": format!("io.severance.{kind}"),
        "time": "2026-11-25T09:00:00Z", "datacontenttype": "application/json", "data": data})
}

fn explained(desk: &Desk, events: Vec<Value>, topic: Option<&str>) -> Vec<Explanation> {
    let now: Timestamp = NOW.parse().unwrap();
    let record = |(index, event): (usize, Value)| {
        let origin = match topic {
            None => Origin::Local,
            Some(topic) => Origin::Kafka {
                topic: topic.into(),
                partition: 0,
                offset: i64::try_from(index).unwrap(),
                timestamp: Some(now),
            },
        };
        let name = "content-type".to_owned();
        let headers = vec![Header { name, value: Some(b"application/cloudevents+json".to_vec()) }];
        Record { key: None, value: Some(event.to_string().into_bytes()), headers, origin }
    };
    desk.explain(events.into_iter().enumerate().map(record).collect(), now)
}

fn texts(desk: &Desk, events: Vec<Value>, topic: Option<&str>) -> String {
    let explained = explained(desk, events, topic);
    let texts = explained.iter().enumerate().map(|(index, one)| text(desk, index + 1, one));
    texts.collect::<Vec<_>>().join("\n")
}

fn people(count: usize) -> Value {
    (0..count).map(|index| json!({"user": format!("u{index}"), "db": "admin"})).collect()
}

#[test]
fn a_cut_with_everything_that_led_to_it() {
    let who = json!([{"user": "jsmith", "db": "admin"}, {"user": "svc-backup", "db": "admin"},
        {"user": "CN=severance", "db": "$external"}, {"user": "orders-app", "db": "orders"}]);
    let sure = event("account.compromised.v1", json!({"principals": who, "confidence": 0.97}));
    let unsure = event("account.compromised.v1", json!({"principals": people(1), "confidence": 0.4}));
    let unsure = Value::Object(
        unsure.as_object().unwrap().clone().into_iter().chain([("id".into(), "2".into())]).collect(),
    );
    insta::assert_snapshot!(texts(&desk(|text| text), vec![sure, unsure], Some("security.siem")));
}

#[test]
fn every_no_says_which() {
    let desk = desk(|text| text);
    let old = json!({"principals": people(2), "confidence": 1, "note": "n".repeat(300)});
    let mut old = event("account.compromised.v1", old);
    old["time"] = "2026-11-01T00:00:00Z".into();
    let silent = event("account.compromised.v1", json!({"principals": people(1)}));
    let many = event("account.offboarded.v1", json!({"principals": people(101)}));
    let vault = json!({"principals": [{"user": "a", "db": "monitoring"}], "reason": "drill"});
    let request = event(
        "termination.requested.v1",
        json!({"principals": people(1), "reason": "break-glass over",
        "clusters": ["nowhere"]}),
    );
    let guarded =
        event("account.compromised.v1", json!({"principals": vault["principals"], "confidence": 1}));
    let later = event(
        "account.offboarded.v1",
        json!({"principals": people(1), "effective_at": "2027-01-01T00:00:00Z"}),
    );
    let released = event("account.reinstated.v1", json!({"principals": people(1)}));
    let other = event("nobody.listens.v1", json!({}));
    let bad = event("account.compromised.v1", json!({"principals": []}));
    let events = [old, silent, many, request, guarded, later, released, other, bad];
    let events = events.into_iter().enumerate().map(|(index, mut event)| {
        event["id"] = index.to_string().into();
        event
    });
    insta::assert_snapshot!(texts(&desk, events.collect(), None));
}

#[test]
fn what_a_topic_may_not_say_is_told_and_what_would_come_behind_it() {
    let who = json!({"principals": people(1)});
    let event = event("account.offboarded.v1", who);
    insta::assert_snapshot!(texts(&desk(|text| text), vec![event], Some("security.siem")));
}

#[test]
fn a_program_reads_the_same() {
    let desk = desk(|text| text.replace("\ndry_run: false", "\ndry_run: true"));
    let who = json!([{"user": "jsmith", "db": "admin"}, {"user": "svc-backup", "db": "admin"}]);
    let event = event("account.compromised.v1", json!({"principals": who, "confidence": 0.97}));
    let explained = explained(&desk, vec![event], Some("security.siem"));
    let json = json(&desk, &explained[0], 0);
    assert_eq!(json["decision"], "simulate");
    insta::assert_snapshot!(format!("{json:#}"));
}

#[test]
fn more_people_than_one_command_takes_are_several_and_each_keeps_their_name() {
    let desk = desk(|text| text);
    let event = event("account.compromised.v1", json!({"principals": people(1), "confidence": 1}));
    let decided = explained(&desk, vec![event], None).remove(0).decided;
    let named = (0..20_001).map(|index| Principal::new(format!("u{index}"), "admin").unwrap());
    let kills = kills(&decided, &Principals::new(named).unwrap());
    let lengths: Vec<_> = kills.iter().map(|kill| (kill.patterns.iter().len(), kill.whom.len())).collect();
    assert_eq!(lengths, [(10_000, 10_000), (10_000, 10_000), (1, 1)]);
    assert_eq!(kills[2].whom, ["u20000@admin"]);
}

#[test]
fn nothing_that_a_sender_writes_moves_the_cursor_or_ends_a_line() {
    let who = json!([{"user": "a\n\u{1b}[2Jb\u{2028}c\u{202e}", "db": "admin"}]);
    let mut event = event("account.compromised.v1", json!({"principals": who, "confidence": 1}));
    event["source"] = "/siem/\u{202e}x".into();
    let shown = texts(&desk(|text| text), vec![event], None);
    let bad = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{2028}' | '\u{202e}');
    assert!(!shown.contains(bad), "{shown:?}");
    assert!(shown.contains("TERMINATE 1 principal"), "it can be read, and is shown: {shown}");
}
