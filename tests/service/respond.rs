//! `severance respond`: the whole way once, for whoever has an event in a file.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::house::{House, PROGRAM, Plan, SOON, at_home, event, offboarded, outcome, triggers, user};
use crate::support::{
    block_on,
    people::{assert_ended, assert_untouched, query},
    replica_set,
};

fn respond(house: &House<'_>, events: &str, more: &[&str]) -> (i32, Vec<Value>, String) {
    let mut command = Command::new(PROGRAM);
    command.arg("respond").arg("--config").arg(house.config()).args(["--event", "-"]).args(more);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(events.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text");
    let outcomes = text.lines().map(|line| serde_json::from_str(line).expect("an outcome a line")).collect();
    (output.status.code().expect("an exit"), outcomes, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn leaves(id: &str, who: &str) -> Value {
    event("account.offboarded", id, json!({"principals": [{"user": who, "db": "admin"}]}))
}

#[test]
fn an_event_in_a_file_cuts_is_printed_and_published() {
    let set = replica_set();
    let house = House::new("respond", Plan::default());
    let victim = block_on(async {
        let who = user(set, "respond-victim", "admin").await;
        query(set, 0, &who).await
    });
    let event = leaves("respond-1", "respond-victim").to_string();
    let (exit, printed, _) = respond(&house, &event, &["--dry-run"]);
    assert_eq!((exit, printed[0]["data"]["status"].as_str()), (0, Some("simulated")));
    assert_untouched([&victim]);
    let (exit, printed, said) = respond(&house, &event, &["--no-publish"]);
    assert_eq!((exit, printed[0]["data"]["status"].as_str()), (0, Some("terminated")), "{said}");
    block_on(assert_ended(&[victim]));
    let published = house.outcomes().at_least(SOON, 1);
    assert_eq!(published.len(), 1, "only the first was published");
    assert_eq!(outcome(&published[0])["data"]["status"], "simulated");
}

#[test]
fn several_events_are_one_batch_and_the_highest_exit_counts() {
    let house = House::new("respond-many", Plan::default());
    let back = event(
        "account.reinstated",
        "back",
        json!({"principals": [{"user": "respond-gone", "db": "admin"}], "releases": ["offboarding"]}),
    );
    let events = format!("{}\n{back}\n", leaves("gone", "respond-gone"));
    let (exit, printed, _) = respond(&house, &events, &["--no-publish"]);
    let statuses: Vec<_> = printed.iter().map(|one| one["data"]["status"].as_str().unwrap_or("?")).collect();
    assert_eq!((exit, statuses), (0, vec!["superseded", "released"]));
    for (events, wanted) in [
        (leaves("nobody", "respond-nobody").to_string(), 3),
        (event("test.unheard", "unheard", json!({})).to_string(), 3),
        (leaves("internal", "__system").to_string().replace("\"admin\"", "\"local\""), 5),
        ("no json".to_owned(), 7),
    ] {
        let (exit, printed, _) = respond(&house, &events, &["--no-publish"]);
        assert_eq!(exit, wanted, "{events}: {printed:#?}");
    }
}

#[test]
fn without_a_kafka_it_needs_none_and_says_so_where_it_does() {
    let house = House::new("respond-alone", Plan::default());
    let text = fs::read_to_string(house.config()).expect("the configuration");
    fs::write(house.config(), text.replace(&house.kafka.bootstrap(), "127.0.0.1:1")).expect("it is ours");
    let event = leaves("alone", "respond-nobody").to_string();
    assert_eq!(respond(&house, &event, &["--no-publish"]).0, 3);
    let (exit, printed, said) = respond(&house, &event, &[]);
    assert_eq!((exit, printed.len()), (6, 1), "what was done is printed: {said}");
    assert!(said.contains("not published"), "{said}");
}

#[test]
fn beside_a_running_service_of_the_same_name_it_fences_nothing() {
    let house = House::new("respond-beside", at_home(""));
    let service = house.start();
    service.says(&["listening"]);
    house.put(&[offboarded("beside-1", "respond-nobody")]);
    house.outcomes().at_least(SOON, 1);
    let (exit, ..) = respond(&house, &leaves("beside-2", "respond-nobody").to_string(), &[]);
    assert_eq!(exit, 3);
    house.put(&[offboarded("beside-3", "respond-nobody")]);
    let all = house.outcomes().at_least(SOON, 3);
    assert_eq!(triggers(&all), ["beside-1", "beside-2", "beside-3"]);
    let log = service.stop();
    assert!(!log.contains("fenced") && !log.contains("ERROR"), "{log}");
}

#[test]
fn explain_online_counts_what_would_be_cut_on_each_member_and_cuts_nobody() {
    let set = replica_set();
    let house = House::new("explain-online", Plan::default());
    let victim = block_on(async {
        let who = user(set, "explain-victim", "admin").await;
        query(set, 0, &who).await
    });
    let file = house.path().join("event.json");
    fs::write(&file, leaves("explain-1", "explain-victim").to_string()).expect("the folder is ours");
    let run = |more: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.arg("explain").arg("--config").arg(house.config()).arg("--event").arg(&file).args(more);
        let output = command.output().expect("the program starts");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let text = run(&["--online"]);
    let there = format!("online    lab {} ", set.host(0));
    let line =
        text.lines().find(|line| line.contains(&there)).unwrap_or_else(|| panic!("no {there}:\n{text}"));
    assert!(line.contains("1 would be cut"), "{text}");
    assert_eq!(text.matches("  online    lab").count(), set.size(), "{text}");
    let json: Value = serde_json::from_str(&run(&["--online", "--json"])).expect("an object");
    assert_eq!(json["online"][0]["status"], "simulated", "{json:#}");
    assert!(serde_json::from_str::<Value>(&run(&["--json"])).expect("an object").get("online").is_none());
    assert_untouched([&victim]);
}
