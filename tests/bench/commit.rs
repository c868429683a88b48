//! What a Kafka transaction a batch costs, beside an acknowledged produce with the offsets after it:
//! batches of 1, 10 and 1,000 outcomes, both ways in one run, on a real broker.
//!
//! `cargo bench --bench commit`; SEVERANCE_ROUNDS says how many batches of each (200).
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use severance::{
    config::{Delivery, Kafka},
    edge::{kafka_commit::Committer, kafka_consumer::Consumer, kafka_send::Sender},
    report::Encoded,
};
use support::{
    block_on, kafka, replica_set,
    responder::{account, config_on, event, responder},
};

const PATIENCE: Duration = Duration::from_secs(30);
/// Records of a batch.
const SIZES: [usize; 3] = [1, 10, 1_000];
/// So long a batch grows before it is taken.
const GROW: Duration = Duration::from_millis(40);

fn main() {
    let rounds: usize = std::env::var("SEVERANCE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let (set, broker) = (replica_set(), kafka());
    for name in ["at-least-once", "exactly-once"] {
        for size in SIZES {
            for topic in ["triggers", "outcomes", "dead"] {
                broker.create_topic(&format!("{name}-{size}.{topic}"), 1, &[]);
            }
        }
    }
    block_on(async {
        let uri = set.uri(&account(set, "bench").await);
        let pipeline = responder(&uri, "").await.pipeline;
        println!("commit: {rounds} batches of each size, a tenth of that of 1,000; milliseconds");
        println!("{:16} {:>7} {:>8} {:>8} {:>8}", "delivery", "batch", "p50", "p99", "max");
        for (delivery, name) in
            [(Delivery::AtLeastOnce, "at-least-once"), (Delivery::ExactlyOnce, "exactly-once")]
        {
            for size in SIZES {
                let prefix = format!("{name}-{size}");
                let kafka = Kafka { delivery, ..config_on(&broker.bootstrap(), &prefix, &uri, "").kafka };
                let rounds = if size == 1_000 { rounds.div_ceil(10) } else { rounds };
                let mut took = measure(&kafka, &pipeline, &prefix, size, rounds).await;
                took.sort_by(f64::total_cmp);
                let at = |percent: usize| took[(took.len() * percent).div_ceil(100).clamp(1, took.len()) - 1];
                println!("{name:16} {size:>7} {:8.2} {:8.2} {:8.2}", at(50), at(99), at(100));
            }
        }
    });
}

async fn measure<C: severance::terminate::member::Cluster>(
    kafka: &Kafka,
    pipeline: &severance::pipeline::Pipeline<C>,
    prefix: &str,
    size: usize,
    rounds: usize,
) -> Vec<f64> {
    let (consumer, mut batches, offsets) = Consumer::start(kafka, size, Timestamp::now).expect("a consumer");
    let committer = Committer::start(kafka, offsets).expect("a committer");
    let sender = Sender::new(kafka).expect("a sender");
    let topic: std::sync::Arc<str> = format!("{prefix}.triggers").into();
    let mut took = Vec::new();
    for round in 0..rounds + 5 {
        let records: Vec<_> = (0..size)
            .map(|_| {
                let value = event("test.unheard", json!({})).to_string().into_bytes();
                let record = Encoded { key: None, value: Some(value), headers: Vec::new(), partition: None };
                (topic.clone(), record)
            })
            .collect();
        for answer in sender.send(&records, PATIENCE) {
            answer.expect("published");
        }
        tokio::time::sleep(GROW).await;
        let mut left = size;
        while left > 0 {
            let batch = tokio::time::timeout(PATIENCE, batches.next()).await.expect("in time");
            let batch = batch.expect("it reads").expect("a batch");
            let whole = batch.records.len() == size;
            left -= batch.records.len();
            let commit = pipeline.handle(batch).await;
            let began = Instant::now();
            committer.commit(commit).await.expect("it commits");
            // The first ones join the group and make the producer known.
            if whole && round >= 5 {
                took.push(began.elapsed().as_secs_f64() * 1_000.0);
            }
        }
    }
    committer.stop();
    consumer.close().await.expect("it leaves");
    took
}
