//! Work that is not finished, as `severance cases`, `topics` and `check` see it. The records are put
//! there by hand: who carries the work on is not asked here.

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use severance::jobs::{Cancel, Command, Job, Key, State};

use super::commands::severance;
use super::house::{House, Plan, SOON, case_of};
use crate::support::topic::{self, Raw, Topic};

const SOURCE: &str = "/siem/acme";

fn with_jobs(partitions: i32) -> Plan {
    Plan { jobs: true, partitions, ..Plan::default() }
}

/// A case against this person that waits for a cluster.
fn job(id: &str, user: &str, cluster: &str, partition: i32, minutes_ago: i64) -> Job {
    let now = Timestamp::now();
    let then = now - minutes_ago.minutes();
    let nothing_known = json!({"process": null, "killed_at": null, "leftovers": [], "truncated": false});
    serde_json::from_value(json!({
        "case_id": case_of(SOURCE, id), "n": 0, "seq": 1, "kind": "deferred", "partition": partition,
        "due": now + 1.minute(), "attempts": 3, "give_up_at": now + 23.hours() + 30.minutes(),
        "facts": {
            "origin": {"kafka": {"topic": "security.siem", "partition": 0, "offset": 17, "timestamp": then}},
            "trigger": {"source": SOURCE, "id": id, "type": "io.severance.account.compromised.v1"},
            "rule": "compromise", "class": "compromise", "event_time": then, "clock_suspect": false,
            "effective_at": null, "redriven_at": null, "received_at": then, "decided_at": then,
            "incident": "INC-42", "ticket": null, "initiator": null, "severity": null, "traceparent": null,
            "tracestate": null,
        },
        "principals": [{
            "user": user, "db": "admin", "known": "yes", "near": [], "spared": false, "spared_because": null,
        }],
        "work": [{
            "name": cluster, "complete": true, "asked_at": then, "errors": [],
            "nodes": [{"report": unreachable(), "left": nothing_known}],
        }],
    }))
    .expect("a job")
}

fn unreachable() -> Value {
    let error =
        json!({"class": "transient", "code": null, "node": "m2:27017", "message": "connection refused"});
    json!({
        "host": "m2:27017", "role": "secondary", "status": "unreachable", "found": null, "killed": null, "left": 0,
        "returned": 0, "returned_active": 0, "spared_shared": 0, "unattributable_cursors": 0,
        "idle_connections": 0, "idle_clients": [], "evidence": [], "truncated": false, "attempts": 3,
        "errors": [error], "before_at": null, "killed_at": null, "verified_at": null,
    })
}

fn record(key: &Key, value: Vec<u8>) -> Raw {
    Raw { key: Some(key.to_string().into_bytes()), value: Some(value), headers: Vec::new() }
}

fn created(job: &Job) -> Raw {
    record(&job.creation_key(), job.creation().expect("it fits"))
}

/// As much of an outcome as is shown.
fn outcome(job: &Job, seq: u32, status: &str, is_final: bool) -> Raw {
    let envelope = json!({
        "specversion": "1.0", "time": Timestamp::now(), "data": {
            "case_id": job.case_id, "seq": seq, "final": is_final, "status": status, "reason": null,
            "detail": null, "cumulative": {"found": 4, "killed": 4},
        },
    });
    let mut raw = Raw::new(envelope.to_string(), &[]);
    raw.key = Some(job.case_id.to_string().into_bytes());
    raw
}

impl House<'_> {
    fn file(&self, partition: i32, records: &[Raw]) {
        topic::put(&self.kafka.bootstrap(), &self.state, partition, records);
    }

    fn say(&self, outcome: Raw) {
        topic::put(&self.kafka.bootstrap(), &self.outcomes, 0, &[outcome]);
    }

    fn cases(&self, arguments: &[&str]) -> (i32, String, String) {
        let config = self.config().display().to_string();
        severance(&[&["cases", arguments[0], "--config", &config], &arguments[1..]].concat())
    }

    fn commands(&self) -> Vec<Command> {
        let all = Topic::open(&self.kafka.bootstrap(), &self.commands).all();
        all.iter()
            .map(|raw| Command::read(raw.value.as_deref().expect("a value")).expect("a command"))
            .collect()
    }
}

#[test]
fn open_cases_are_listed_from_every_partition_and_ended_ones_only_when_asked_for() {
    let house = House::new("cases-list", with_jobs(2));
    let (exit, out, err) = house.cases(&["list"]);
    assert_eq!((exit, out.as_str()), (0, "no open cases\n"), "{err}");

    let old = job("old", "mallory", "orders", 1, 50);
    let young = job("young", "olga", "billing", 0, 5);
    let ended = job("ended", "temp", "orders", 0, 90);
    let done = json!({
        "schema_version": 1, "record": "done", "case_id": ended.case_id, "n": 0, "seq": 2,
        "ended_at": Timestamp::now(), "until": Timestamp::now() + 48.hours(),
    });
    let done = record(&Key::State { case: ended.case_id }, done.to_string().into_bytes());
    house.file(0, &[created(&young), created(&ended), done]);
    house.file(1, &[created(&old)]);
    let later = Job { seq: 2, attempts: 4, ..old.clone() };
    house.file(1, &[record(&Key::State { case: old.case_id }, State::Pending(later.into()).encode())]);

    let (exit, out, err) = house.cases(&["list"]);
    assert_eq!(exit, 0, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[1].starts_with(&old.case_id.to_string()[..8]), "the oldest first: {out}");
    let words = |line: &str| line.split_whitespace().skip(4).take(2).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(lines[1]), ["mallory@admin", "4"], "the state beats the creation: {out}");
    assert_eq!(lines[2], "    orders m2:27017: unreachable: connection refused", "{out}");
    assert_eq!(words(lines[3]), ["olga@admin", "3"], "{out}");
    assert_eq!(lines[5], "2 open cases", "{out}");

    for (choice, chosen) in [
        (&["--user", "mallory@admin"][..], vec![old.case_id]),
        (&["--user", "mallory@app"], vec![]),
        (&["--cluster", "billing"], vec![young.case_id]),
        (&[], vec![old.case_id, young.case_id]),
        (&["--all"], vec![old.case_id, young.case_id, ended.case_id]),
    ] {
        let (exit, out, err) = house.cases(&[&["list", "--json"], choice].concat());
        assert_eq!(exit, 0, "{err}");
        let listed: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let listed: Vec<&str> = listed.iter().map(|line| line["case_id"].as_str().expect("an id")).collect();
        assert_eq!(listed, chosen.iter().map(ToString::to_string).collect::<Vec<_>>(), "{choice:?}");
    }
}

#[test]
fn a_case_is_shown_with_its_outcomes_by_how_its_id_begins() {
    let house = House::new("cases-show", with_jobs(1));
    let (job, gone) = (job("shown", "mallory", "orders", 0, 5), job("gone", "olga", "orders", 0, 5));
    house.file(0, &[created(&job)]);
    house.say(outcome(&gone, 1, "terminated", true));
    house.say(outcome(&job, 2, "deferred", false));
    house.say(outcome(&job, 1, "deferred", false));

    let short = &job.case_id.to_string()[..8];
    let (exit, out, err) = house.cases(&["show", short]);
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains(&format!("case        {}", job.case_id)), "{out}");
    assert!(out.contains("principal   mallory@admin, known: yes"), "{out}");
    let (_, outcomes) = out.split_once("outcomes\n").expect("outcomes");
    let numbers: Vec<&str> = outcomes.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(numbers, ["1", "2"], "in their own order: {out}");

    let (exit, out, err) = house.cases(&["show", "--json", short]);
    assert_eq!(exit, 0, "{err}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines.len(), &lines[0]["record"]), (3, &json!("pending")));
    assert_eq!(lines[2]["data"]["seq"], 2);

    let (exit, out, err) = house.cases(&["show", &gone.case_id.to_string()]);
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("not among unfinished work") && out.contains("terminated (final)"), "{out}");
    let (exit, out, err) = house.cases(&["show", "00000000"]);
    assert_eq!((exit, out.as_str()), (3, ""), "{err}");
    assert!(err.contains("nothing is known of such a case"), "{err}");
}

#[test]
fn a_cancel_is_written_for_an_open_case_and_waits_for_the_outcome_that_says_so() {
    let house = House::new("cases-cancel", with_jobs(1));
    let first = Job { n: 2, ..job("first", "mallory", "orders", 0, 5) };
    let (second, id) = (job("second", "olga", "orders", 0, 5), first.case_id.to_string());
    house.file(0, &[created(&first), created(&second)]);

    let (exit, _, err) = house.cases(&["cancel", "00000000"]);
    assert_eq!(exit, 3, "{err}");
    assert!(err.contains("no such open case") && house.commands().is_empty(), "{err}");

    let (exit, out, err) =
        house.cases(&["cancel", &id[..8], "--reason", "a drill", "--by", "mmeier", "--wait", "1s"]);
    assert_eq!(exit, 4, "{out}{err}");
    assert_eq!(out, format!("cancel of {id} written to {}[0]@0\n", house.commands));
    assert!(err.contains("the command stays written"), "{err}");
    let [Command::Cancel(Cancel { case_id, n: 2, at, by, reason })] = &house.commands()[..] else {
        panic!("one cancel of the second redrive: {:?}", house.commands());
    };
    assert_eq!(
        (*case_id, by.as_deref(), reason.as_deref()),
        (first.case_id, Some("mmeier"), Some("a drill"))
    );
    assert!(Timestamp::now().duration_since(*at).as_secs() < 60, "{at}");
    let (_, out, _) = house.cases(&["list"]);
    assert!(out.contains("cancel requested by mmeier") && out.contains("ago: a drill"), "{out}");

    let id = second.case_id.to_string();
    house.say(outcome(&second, 1, "deferred", false));
    let config = house.config().display().to_string();
    std::thread::scope(|scope| {
        let cancel =
            scope.spawn(|| severance(&["cases", "cancel", "--config", &config, &id, "--wait", "40s"]));
        Topic::open(&house.kafka.bootstrap(), &house.commands).at_least(SOON, 2);
        house.say(outcome(&second, 2, "cancelled", true));
        let (exit, out, err) = cancel.join().expect("it ends");
        assert_eq!(exit, 0, "{out}{err}");
        assert!(out.lines().nth(1).is_some_and(|line| line.contains("cancelled (final)")), "{out}");
    });
}

#[test]
fn without_topics_for_unfinished_work_the_fix_is_told() {
    let house = House::new("cases-none", Plan::default());
    for arguments in [&["list"][..], &["show", "00000000"], &["cancel", "00000000"]] {
        let (exit, out, err) = house.cases(arguments);
        assert_eq!((exit, out.as_str()), (2, ""), "{err}");
        assert!(
            err.contains("kafka.state and kafka.commands are not set") && err.contains("--create"),
            "{err}"
        );
    }
}

#[test]
fn topics_makes_both_topics_as_they_have_to_be() {
    let house = House::new("cases-topics", with_jobs(3));
    let config = house.config().display().to_string();
    let topics = |more: &[&str]| severance(&[&["topics", "--config", &config], more].concat());
    let (exit, out, err) = topics(&[]);
    assert_eq!(exit, 0, "{out}{err}");
    house.kafka.delete_topic(&house.state);
    house.kafka.delete_topic(&house.commands);
    let (exit, out, _) = topics(&[]);
    assert_eq!(exit, 6, "{out}");
    let (exit, out, err) = topics(&["--create"]);
    assert_eq!(exit, 0, "{out}{err}");

    let (exit, out, _) = topics(&[]);
    assert_eq!(exit, 0, "{out}");
    let words = |topic: &str| {
        let line = out.lines().find(|line| line.starts_with(topic)).expect("a line for it");
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        words(&house.state),
        ["state", "3", "1", "ok"],
        "as many partitions as the events have: {out}"
    );
    assert_eq!(words(&house.commands), ["commands", "1", "1", "ok"], "{out}");
}

#[test]
fn topics_that_would_lose_unfinished_work_are_wrong() {
    let house = House::new("cases-wrong", with_jobs(1));
    house.kafka.delete_topic(&house.state);
    house.kafka.delete_topic(&house.commands);
    house.kafka.create_topics(&[
        (&house.state, 1, &[("message.timestamp.type", "LogAppendTime")]),
        (&house.commands, 1, &[("message.timestamp.type", "LogAppendTime"), ("retention.ms", "604800000")]),
    ]);
    let (exit, out, err) = severance(&["topics", "--config", &house.config().display().to_string()]);
    assert_eq!(exit, 6, "{out}{err}");
    for fix in [
        format!("--topic {} --add-config cleanup.policy=compact", house.state),
        format!("--topic {} --add-config retention.ms=691200000", house.commands),
    ] {
        assert!(out.contains(&fix), "{fix}: {out}");
    }
    assert_eq!(out.matches("wrong: ").count(), 2, "{out}");
}

#[test]
fn check_refuses_a_state_topic_whose_number_of_partitions_was_changed() {
    let house = House::new("cases-moved", with_jobs(2));
    let config = house.config().display().to_string();
    let home = job("home", "olga", "orders", 1, 5);
    house.file(1, &[created(&home)]);
    let (exit, out, err) = severance(&["check", "--config", &config]);
    assert_eq!(exit, 0, "{out}{err}");
    assert!(out.contains("1 case not finished"), "{out}");

    let moved = job("moved", "mallory", "orders", 5, 5);
    house.file(1, &[created(&moved)]);
    let (exit, out, err) = severance(&["check", "--config", &config]);
    assert_eq!(exit, 6, "{out}{err}");
    assert!(out.contains("stand in another partition") && out.contains("now it is 2"), "{out}");
    assert!(out.contains("at least 6"), "{out}");
    let (_, out, _) = house.cases(&["list"]);
    assert!(out.contains("it lives in partition 5 and stands in 1"), "{out}");
}

#[test]
fn check_asks_the_broker_for_its_clock_by_a_record_that_nobody_reads() {
    let house = House::new("check-clock", with_jobs(1));
    let output = std::process::Command::new(super::house::PROGRAM)
        .args(["check", "--json", "--config"])
        .arg(house.config())
        .output()
        .expect("the program starts");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let sections = report["sections"].as_array().expect("sections").iter();
    let findings: Vec<&Value> =
        sections.flat_map(|section| section["findings"].as_array().expect("findings")).collect();
    let clock = findings.iter().find(|finding| finding["subject"] == "clock");
    assert_eq!(clock.map(|clock| &clock["level"]), Some(&json!("ok")), "{report:#}");
    assert!(Topic::open(&house.kafka.bootstrap(), &house.state).all().is_empty());
}
