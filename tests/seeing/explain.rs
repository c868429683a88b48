//! `severance explain`.

use serde_json::{Value, json};

use super::program::{Folder, annotated, severance, severance_reading};

const AT: &str = "2026-11-25T12:00:00Z";

fn compromised(id: &str, user: &str, data: Value) -> Value {
    let mut data = data;
    data["principals"] = json!([{"user": user, "db": "admin"}]);
    json!({"specversion": "1.0", "id": id, "source": "/siem/acme",
        "type": "io.severance.account.compromised.v1", "time": "2026-11-25T09:00:00Z",
        "datacontenttype": "application/json", "data": data})
}

#[test]
fn it_says_what_would_be_done_without_any_secret_and_without_any_server() {
    let input = compromised("01J9", "jsmith", json!({"confidence": 0.97})).to_string();
    let arguments =
        ["explain", "--config", &annotated(), "--event", "-", "--at", AT, "--topic", "security.siem"];
    let said = severance_reading(&arguments, input.as_bytes());
    assert_eq!((said.exit, said.err.as_str()), (0, ""), "{}", said.out);
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("explain", said.out);
    });
}

#[test]
fn the_highest_exit_code_of_several_events_counts_and_json_is_one_object_an_event() {
    let folder = Folder::new();
    let sure = compromised("1", "a", json!({"confidence": 1}));
    let silent = compromised("2", "b", json!({}));
    let other = json!({"specversion": "1.0", "id": "3", "source": "/s", "type": "other"});
    let explain = |name: &str, events: &[&Value], more: &[&str]| {
        let lines: Vec<_> = events.iter().map(ToString::to_string).collect();
        let file = folder.file(name, lines.join("\n"));
        severance(&[&["explain", "--config", &annotated(), "--event", &file, "--at", AT], more].concat())
    };
    assert_eq!(explain("one", &[&sure], &[]).exit, 0);
    assert_eq!(explain("two", &[&sure, &other], &[]).exit, 3);
    assert_eq!(explain("three", &[&sure, &silent, &other], &[]).exit, 5);
    let all = explain("four", &[&sure, &json!([silent, other]), &json!({"id": 7})], &["--json"]);
    assert_eq!(all.exit, 7, "{}", all.out);
    let decisions: Vec<_> = all
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|one| (one["decision"].as_str().unwrap().to_owned(), one["exit"].as_u64().unwrap()))
        .collect();
    let expected = [("terminate", 0), ("refuse", 5), ("no_rule", 3), ("undecodable", 7)];
    assert_eq!(decisions, expected.map(|(word, exit)| (word.to_owned(), exit)));
}

#[test]
fn a_reinstatement_of_the_same_file_takes_back_what_stands_before_it() {
    let folder = Folder::new();
    let mut back = compromised("2", "a", json!({"releases": ["compromise"]}));
    back["type"] = "io.severance.account.reinstated.v1".into();
    let events = json!([compromised("1", "a", json!({"confidence": 1})), back]);
    let file = folder.file("events.json", events.to_string());
    let said = severance(&["explain", "--config", &annotated(), "--event", &file, "--at", AT]);
    assert_eq!(said.exit, 0, "{}", said.out);
    assert!(said.out.contains("SUPERSEDED: taken back by case"), "{}", said.out);
    assert!(said.out.contains("spared: a@admin, reinstated by a later event"), "{}", said.out);
}

#[test]
fn an_event_is_judged_as_it_is_written() {
    let twice = compromised("1", "a", json!({"confidence": 1})).to_string();
    let twice = twice.replace("\"confidence\":1", "\"confidence\":1,\"confidence\":0");
    let said = severance_reading(
        &["explain", "--config", &annotated(), "--event", "-", "--at", AT],
        twice.as_bytes(),
    );
    assert_eq!(said.exit, 7, "a repeated key is no event: {}", said.out);
}

#[test]
fn a_topic_that_is_not_there_and_a_file_that_is_not_there_are_said() {
    let explain = |more: &[&str]| severance(&[&["explain", "--config", &annotated()], more].concat());
    let said = explain(&["--event", "-", "--topic", "security.seim"]);
    assert_eq!(said.exit, 2, "{}", said.err);
    assert!(said.err.contains("security.siem, security.hr"), "{}", said.err);
    let said = explain(&["--event", "/not/there"]);
    assert_eq!((said.exit, said.out.as_str()), (2, ""), "{}", said.err);
    let said = explain(&["--event", "-", "--at", "yesterday"]);
    assert_eq!(said.exit, 2, "{}", said.err);
}
