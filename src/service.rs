//! The running responder: batches in, commits out, until told to stop.
//!
//! An offset is stored only when the broker has every outcome of its batch, so whatever happens
//! in between is read again at the next start.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::{
    config::Config,
    edge::{
        http,
        kafka_consumer::{Batches, Consumer, ConsumerError, Offsets},
        kafka_publisher::{PublishError, Publisher},
        mongo_cluster::InvalidCluster,
    },
    health::{self, Health},
    pipeline::Clock,
    report::{Commit, Message},
    responder::Responder,
    telemetry::{
        self,
        events::{BatchDone, BatchTaken, OffsetsDone, OutcomeMade, Published},
        metrics,
    },
};

/// What ends a service other than being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A cluster's configuration cannot be used.
    #[error(transparent)]
    Cluster(#[from] InvalidCluster),
    /// The consumer cannot go on.
    #[error(transparent)]
    Consumer(#[from] ConsumerError),
    /// The publisher cannot go on.
    #[error(transparent)]
    Publisher(#[from] PublishError),
    /// Health and metrics cannot be answered where the configuration says.
    #[error("listen: {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// The drain took longer than `limits.drain`.
    #[error(
        "not drained within limits.drain ({0:?}): what was not published is read again at the next start; \
         look for `publish` above, or raise limits.drain"
    )]
    NotDrained(Duration),
}

/// Runs until `stop` becomes true, and drains: the batch in hand is finished, published and
/// committed, and the group is left.
pub async fn run(config: Config, mut stop: watch::Receiver<bool>) -> Result<(), ServiceError> {
    let health = Arc::new(Health::default());
    health.report(health::RUNNING, None);
    health.report(health::STARTED, Some("the clusters are being looked for".to_owned()));
    let _answering = seen(&config, &health).await?;

    let clock: Clock = Arc::new(Timestamp::now);
    let responder = Responder::new(config, clock).await?;
    // A cluster that is down must not keep the others from being served.
    let warm_up = responder.work.inline_budget;
    let _late = timeout(warm_up, responder.warm_up()).await;
    let publisher = Publisher::start(&responder.kafka)?;
    let (consumer, batches, offsets) =
        Consumer::start(&responder.kafka, responder.work.batch_max_records, Timestamp::now)?;
    health.report(health::STARTED, None);
    health.ask(health::ASSIGNMENT, consumer.fault());
    health.ask(health::PUBLISHING, publisher.fault());
    let mut watching = JoinSet::new();
    for cluster in &responder.clusters {
        watching.spawn(health::watch_nodes(cluster.clone(), health.clone()));
    }
    tracing::info!(
        group = responder.kafka.group,
        topics =
            responder.kafka.topics.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>().join(" "),
        "listening"
    );

    let drain = responder.work.drain;
    let work = serve(&responder, batches, &publisher, &offsets);
    tokio::pin!(work);
    let ended = tokio::select! {
        ended = &mut work => ended,
        () = told(&mut stop) => {
            health.report(health::RUNNING, Some("draining".to_owned()));
            tracing::info!(within = ?drain, "draining: no more records are taken");
            consumer.stop();
            match timeout(drain, &mut work).await {
                Ok(ended) => ended,
                Err(_) => {
                    publisher.stop();
                    Err(ServiceError::NotDrained(drain))
                }
            }
        }
    };
    let closed = timeout(drain, consumer.close()).await;
    ended?;
    closed.map_err(|_| ServiceError::NotDrained(drain))??;
    tracing::info!("drained: everything that was taken is published and committed");
    Ok(())
}

/// What the operator sees from now on, whatever else works.
async fn seen(config: &Config, health: &Arc<Health>) -> Result<Option<http::Server>, ServiceError> {
    telemetry::hash_principals(config.log.hash_principals);
    metrics::build_info(&config.hash);
    let asked = health.clone();
    metrics::watch_readiness(move || {
        asked.look().checks.into_iter().map(|(check, verdict)| (check, verdict.ok)).collect()
    });
    let Some(address) = config.listen else { return Ok(None) };
    let server = http::Server::start(address, health.clone()).await;
    let server = server.map_err(|error| ServiceError::Listen { address, error })?;
    tracing::info!(address = %server.address(), "answering /livez, /readyz and /metrics");
    Ok(Some(server))
}

/// Waits until told to stop. Who can no longer tell us counts as having done so.
async fn told(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

async fn serve(
    responder: &Responder,
    mut batches: Batches,
    publisher: &Publisher,
    offsets: &Offsets,
) -> Result<(), ServiceError> {
    while let Some(batch) = batches.next().await? {
        let taken = Instant::now();
        BatchTaken { batch: batch.id, records: &batch.records }.emit();
        let Commit { batch, messages, offsets: next, mut trace } = responder.pipeline.handle(batch).await;
        for message in &messages {
            if let Message::Outcome(outcome) = message {
                OutcomeMade(&outcome.data).emit();
            }
        }
        let (outcomes, dead_letters) = (&responder.kafka.outcomes, &responder.kafka.dead_letters);
        let (counts, began) = (Published::count(&messages), Instant::now());
        let published = trace.publish(outcomes, messages.len(), publisher.publish(messages)).await;
        let acknowledged = published.is_ok();
        Published { outcomes, dead_letters, counts, took: began.elapsed(), acknowledged }.emit();
        published?;
        for (partition, next) in next {
            offsets.store(&partition, next);
            OffsetsDone { partition: &partition, next }.emit();
        }
        BatchDone { batch, taken }.emit();
    }
    Ok(())
}
