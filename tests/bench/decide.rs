//! What deciding costs an event, with 1, 100 and 1,000 rules before the one that matches: rules of
//! other types, which are told by their type alone, and rules of its own type, whose conditions
//! have to be evaluated. Beside it reading the event, in one run.
//!
//! `cargo bench --bench decide`
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::{
    collections::HashMap,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::json;
use severance::{
    config::{Config, Surroundings},
    decide::{Context, Policy, decide},
    decode::{Decoded, decode},
    ingest::{Origin, Record, Trust},
};

struct Nothing;

impl Surroundings for Nothing {
    fn read(&self, _: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

fn policy(rules: usize, kind: &str) -> Policy {
    let others: String = (1..rules)
        .map(|number| {
            format!(
                "  - {{ name: r{number}, class: request, on: ['{kind}'], when: 'event.data.confidence > 1.0', \
                 target: {{ principals: event.data.principals }} }}\n"
            )
        })
        .collect();
    let text = format!(
        "listen: null\nkafka:\n  properties: {{ bootstrap.servers: 'b:1', group.id: g }}\n  topics: [{{ name: t }}]\n  \
         outcomes: o\n  dead_letters: d\nclusters: [{{ name: c, uri: 'mongodb://localhost' }}]\nrules:\n{others}  \
         - {{ name: last, class: compromise, on: ['io.severance.account.compromised.v1'], when: 'event.data.confidence >= 0.8', \
         target: {{ principals: event.data.principals }} }}\ndefault_rules: false\n"
    );
    let config = match Config::parse(&text, Path::new("bench.yaml"), &Nothing) {
        Ok((config, _)) => config,
        Err(faults) => panic!("{faults}"),
    };
    Policy {
        trust: Trust::new(config.kafka.topics),
        rules: config.rules,
        protected: config.protected,
        limits: config.limits,
        dry_run: false,
        allow_everyone: false,
    }
}

fn record() -> Record {
    let event = json!({
        "specversion": "1.0", "id": "01J9", "source": "/siem/acme", "type": "io.severance.account.compromised.v1",
        "time": Timestamp::now().to_string(), "datacontenttype": "application/json",
        "data": {"principals": [{"user": "jsmith", "db": "admin"}], "confidence": 0.97, "incident": "INC-42"},
    });
    let origin =
        Origin::Kafka { topic: "t".into(), partition: 0, offset: 0, timestamp: Some(Timestamp::now()) };
    Record { key: None, value: Some(event.to_string().into_bytes()), headers: Vec::new(), origin }
}

/// Nanoseconds a round, the least of several measurements.
fn best<T>(mut make: impl FnMut() -> T, mut work: impl FnMut(T)) -> f64 {
    const ROUNDS: usize = 2_000;
    (0..7)
        .map(|_| {
            let inputs: Vec<T> = (0..ROUNDS).map(|_| make()).collect();
            let began = Instant::now();
            inputs.into_iter().for_each(&mut work);
            Duration::as_nanos(&began.elapsed()) as f64 / ROUNDS as f64
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    let read = || decode(record(), Timestamp::now(), false);
    println!("{:40} {:>10}", "nanoseconds an event", "least");
    println!(
        "{:40} {:>10.0}",
        "decode",
        best(record, |record| drop(black_box(decode(record, Timestamp::UNIX_EPOCH, false))))
    );
    let context = Context {
        now: Timestamp::now(),
        own_accounts: HashMap::from([("c".into(), Vec::new())]),
        accepted: HashMap::new(),
        found: Default::default(),
        recent: Default::default(),
    };
    for (what, kind) in
        [("of another type", "io.severance.other.v1"), ("of its type", "io.severance.account.*")]
    {
        for rules in [1, 100, 1_000] {
            let policy = policy(rules, kind);
            let took =
                best(read, |decoded: Decoded| drop(black_box(decide(&policy, vec![decoded], &context))));
            println!("{:40} {took:>10.0}", format!("decide, {} rules {what} before", rules - 1));
        }
    }
}
