//! The running responder: batches in, commits out, until told to stop.
//!
//! An offset is stored only when the broker has every outcome of its batch, so whatever happens
//! in between is read again at the next start.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{sync::watch, time::timeout};

use crate::{
    config::Config,
    edge::{
        kafka_consumer::{Batches, Consumer, ConsumerError, Offsets},
        kafka_publisher::{PublishError, Publisher},
        mongo_cluster::InvalidCluster,
    },
    pipeline::Clock,
    report::{self, Commit, Message},
    responder::Responder,
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
    let clock: Clock = Arc::new(Timestamp::now);
    let responder = Responder::new(config, clock).await?;
    // A cluster that is down must not keep the others from being served.
    let warm_up = responder.work.inline_budget;
    let _late = timeout(warm_up, responder.warm_up()).await;
    let publisher = Publisher::start(&responder.kafka)?;
    let (consumer, batches, offsets) =
        Consumer::start(&responder.kafka, responder.work.batch_max_records, Timestamp::now)?;
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
        let Commit { batch, messages, offsets: next } = responder.pipeline.handle(batch).await;
        tracing::debug!(%batch, messages = messages.len(), "publishing");
        for message in &messages {
            if let Message::Outcome(outcome) = message {
                report::log(&outcome.data);
            }
        }
        publisher.publish(messages).await?;
        for (partition, offset) in next {
            offsets.store(&partition, offset);
        }
    }
    Ok(())
}
