//! From an event's publication to the last node's kill acknowledgement, beside what no responder can
//! be faster than: a bare round trip and a bare kill on the same members. One event at a time, all in
//! one run, so that the ratios hold on any machine.
//!
//! `cargo bench --bench event_to_killed`; SEVERANCE_EVENTS says how many events (200).
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use severance::{
    edge::{
        kafka_reader::{Reader, Start},
        kafka_send::Sender,
        mongo_cluster::MongoCluster,
        mongo_lab::{Kind, Work},
    },
    pattern::Patterns,
    principal::{Principal, Principals},
    report::Encoded,
    service,
    terminate::member::{Cluster as _, Comment, Member as _},
};
use support::{
    block_on, kafka, replica_set,
    responder::{account, compromised, config_on},
};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let events: usize = std::env::var("SEVERANCE_EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let (set, broker) = (replica_set(), kafka());
    for topic in ["bench.triggers", "bench.outcomes", "bench.dead"] {
        broker.create_topic(topic, 1, &[]);
    }
    block_on(async {
        let own = account(set, "bench").await;
        let roles = json!([{"role": "readWriteAnyDatabase", "db": "admin"}]);
        let victim = set.create_user("victim", "admin", roles).await.expect("a user");
        let mut work = Vec::new();
        for member in 0..set.size() {
            let kind = Kind::ComesBack { each: Duration::from_secs(5) };
            work.push(set.work(member, &victim, Work::new(kind, "victim")).await.expect("work"));
        }
        let config = || config_on(&broker.bootstrap(), "bench", &set.uri(&own), "");
        let cluster = MongoCluster::new(&config().clusters[0]).await.expect("a cluster");
        let members = cluster.discover().await.expect("members").members;

        let mut pings = Vec::new();
        let mut kills = Vec::new();
        let principals = Principals::new([Principal::new("nobody", "admin").unwrap()]).unwrap();
        let patterns = Patterns::of_principals(&principals).remove(0);
        let comment = Comment { batch: Uuid::now_v7(), cases: Vec::new() };
        for round in 0..events + 20 {
            let ping = timed(join_all(members.iter().map(|member| member.hello()))).await;
            let kill = timed(join_all(members.iter().map(|member| member.kill(&patterns, &comment)))).await;
            if round >= 20 {
                pings.push(ping);
                kills.push(kill);
            }
        }

        let (stop, stopped) = tokio::sync::watch::channel(false);
        let service = tokio::spawn(service::run(config(), tokio::sync::mpsc::channel(1).1, stopped));
        let kafka = config().kafka;
        let mut outcomes = Reader::open(&kafka, "bench.outcomes", Start::Beginning)
            .expect("outcomes")
            .follow()
            .expect("a reader");
        let sender = Sender::new(&kafka).expect("a sender");
        let (mut killed, mut verified, mut published) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..events + 20 {
            let mut event = compromised(&["victim@admin"]);
            let sent = Timestamp::now();
            event["time"] = json!(sent.to_string());
            let encoded = Encoded {
                key: None,
                value: Some(event.to_string().into_bytes()),
                headers: Vec::new(),
                partition: None,
            };
            for answer in sender.send(&[("bench.triggers".into(), encoded)], PATIENCE) {
                answer.expect("published");
            }
            let record =
                tokio::time::timeout(PATIENCE, outcomes.recv()).await.expect("in time").expect("a record");
            let seen = Timestamp::now();
            let outcome: Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
            let nodes = outcome["data"]["clusters"][0]["nodes"].as_array().expect("nodes");
            assert_eq!(nodes.len(), set.size(), "{outcome:#}");
            let last = |key: &str| {
                nodes
                    .iter()
                    .map(|node| node[key].as_str().expect("a time").parse::<Timestamp>().unwrap())
                    .max()
                    .unwrap()
            };
            // The first ones join the group and warm everything up.
            if round >= 20 {
                killed.push(ms(last("killed_at").duration_since(sent).unsigned_abs()));
                verified.push(ms(last("verified_at").duration_since(sent).unsigned_abs()));
                published.push(ms(seen.duration_since(sent).unsigned_abs()));
            }
        }
        stop.send(true).expect("it listens");
        service.await.expect("it ends").expect("it drains");

        let floor = percentile(&mut pings.clone(), 50) + percentile(&mut kills.clone(), 50);
        println!("event to killed: n = {events} single events, {} members, {}", set.size(), machine());
        println!("{:34} {:>8} {:>8} {:>8}", "milliseconds", "p50", "p99", "max");
        for (name, samples) in [
            ("bare round trip, all members", &mut pings),
            ("bare kill, all members", &mut kills),
            ("event to killed", &mut killed),
            ("event to verified", &mut verified),
            ("event to outcome read back", &mut published),
        ] {
            println!(
                "{name:34} {:8.2} {:8.2} {:8.2}",
                percentile(samples, 50),
                percentile(samples, 99),
                percentile(samples, 100)
            );
        }
        println!(
            "p50 event to killed is {:.1} times a bare round trip and kill, one after the other",
            percentile(&mut killed, 50) / floor
        );
    });
}

async fn timed<T>(work: impl Future<Output = Vec<T>>) -> f64 {
    let began = Instant::now();
    work.await;
    ms(began.elapsed())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn percentile(samples: &mut [f64], percent: usize) -> f64 {
    samples.sort_by(f64::total_cmp);
    let index = (samples.len() * percent).div_ceil(100).clamp(1, samples.len()) - 1;
    samples[index]
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores of {}", model.trim_start_matches(['\t', ' ', ':']))
}
