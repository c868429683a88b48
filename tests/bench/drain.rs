//! A backlog: 100,000 waiting events about 10,000 people whom nobody knows, each killed for on every
//! member and answered. How long the program takes, and how much memory, with and without transactions.
//!
//! `cargo bench --bench drain`; SEVERANCE_EVENTS says how many events (100000).
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;
use severance::{
    config::Config,
    edge::{
        kafka_reader::{Reader, Start},
        kafka_send::Sender,
    },
    lab::{Guarded, LabDir, Signal},
    report::Encoded,
};
use support::{
    block_on, kafka, replica_set,
    responder::{Nothing, account, event},
};

const PATIENCE: Duration = Duration::from_secs(600);
const PEOPLE: usize = 10_000;
const PARTITIONS: i32 = 4;

fn main() {
    let events: usize =
        std::env::var("SEVERANCE_EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let (set, broker) = (replica_set(), kafka());
    let uri = set.uri(&block_on(account(set, "drain")));
    println!("drain: {events} events about {PEOPLE} people, {} members", set.size());
    println!("{:16} {:>9} {:>12} {:>14} {:>10}", "delivery", "seconds", "events/s", "peak MiB", "CPU s/1000");
    for delivery in ["at-least-once", "exactly-once"] {
        let topic = |name: &str| format!("drain-{delivery}.{name}");
        broker.create_topic(&topic("events"), PARTITIONS, &[]);
        broker.create_topic(&topic("outcomes"), PARTITIONS, &[]);
        broker.create_topic(&topic("dead"), 1, &[]);
        let folder = LabDir::new().expect("a folder");
        fs::write(folder.path().join("uri"), &uri).expect("a file");
        let text = format!(
            "listen: null\nkafka:\n  properties: {{ bootstrap.servers: '{}', group.id: drain-{delivery} }}\n  delivery: \
             {delivery}\n  topics: [{{ name: {} }}]\n  outcomes: {}\n  dead_letters: {}\nclusters: [{{ name: lab, uri: \
             {{ file: uri }} }}]\n",
            broker.bootstrap(),
            topic("events"),
            topic("outcomes"),
            topic("dead"),
        );
        let path = folder.path().join("severance.yaml");
        fs::write(&path, &text).expect("a file");
        let config = match Config::parse(&text, &path, &Nothing) {
            Ok((config, _)) => config,
            Err(faults) => panic!("{faults}"),
        };
        fill(&config.kafka, &topic("events"), events);
        let mut outcomes =
            Reader::open(&config.kafka, &topic("outcomes"), Start::Beginning).expect("the outcomes");
        let mut command = Command::new(env!("CARGO_BIN_EXE_severance"));
        command.args(["run", "--config"]).arg(&path).env("RUST_LOG", "error");
        let began = Instant::now();
        let process = Guarded::start(&command, &folder.path().join("log")).expect("it starts");
        let mut seen = 0;
        while seen < events {
            assert!(began.elapsed() < PATIENCE, "{seen} of {events} in time");
            seen += usize::from(outcomes.next(Duration::from_millis(200)).expect("it reads").is_some());
        }
        let took = began.elapsed().as_secs_f64();
        let (peak, cpu) = usage(process.pid());
        process.signal(Signal::Terminate).expect("it listens");
        process.wait(Duration::from_secs(60)).expect("it ends");
        let thousands = events as f64 / 1_000.0;
        println!(
            "{delivery:16} {took:9.1} {:12.0} {peak:14.0} {:10.2}",
            events as f64 / took,
            cpu / thousands
        );
    }
}

fn fill(kafka: &severance::config::Kafka, topic: &str, events: usize) {
    let sender = Sender::new(kafka).expect("a sender");
    let topic: std::sync::Arc<str> = topic.into();
    for first in (0..events).step_by(5_000) {
        let records: Vec<_> = (first..events.min(first + 5_000))
            .map(|number| {
                let who = format!("drain-{}", number % PEOPLE);
                let event =
                    event("account.compromised", json!({"principals": [{"user": who, "db": "admin"}]}));
                let record = Encoded {
                    key: Some(who.into_bytes()),
                    value: Some(event.to_string().into_bytes()),
                    headers: Vec::new(),
                    partition: None,
                };
                (topic.clone(), record)
            })
            .collect();
        sender.send(&records, PATIENCE).into_iter().for_each(|answer| drop(answer.expect("published")));
    }
}

/// Peak memory in MiB, and the processor's seconds, of a process.
fn usage(pid: u32) -> (f64, f64) {
    let read = |file: &str| {
        fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(file)).expect("a process")
    };
    let status = read("status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: f64 = peak.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    let stat = read("stat");
    let (_, rest) = stat.rsplit_once(") ").expect("a name");
    let ticks =
        |field: usize| rest.split(' ').nth(field).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    // Fields 14 and 15 of the whole line, in hundredths of a second on Linux.
    (peak / 1_024.0, (ticks(11) + ticks(12)) / 100.0)
}
