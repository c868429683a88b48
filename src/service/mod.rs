//! The running responder: batches in, commits out, until told to stop.
//!
//! An offset is committed in one transaction with the outcomes of its batch, or, at least once, when
//! the broker has every one of them: whatever happens in between is read again at the next start.

mod canary;
mod reload;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use futures::future;
use jiff::Timestamp;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::{JoinError, JoinHandle, JoinSet},
    time::{Instant, sleep, timeout, timeout_at},
};

pub use reload::Reload;

use self::reload::Current;
use crate::{
    config::{Config, Kafka},
    desk::{Desk, DeskError, Tools},
    edge::{
        http,
        kafka_commit::Committer,
        kafka_consumer::{Batches, Consumer, ConsumerError},
        kafka_past::Past,
        kafka_publisher::PublishError,
        kafka_send::{SendError, Sender},
        mongo_cluster::{InvalidCluster, MongoCluster},
    },
    fault_point::{self, Place},
    health::{self, Health},
    ingest::Batch,
    lanes::Lanes,
    pause,
    pipeline::Clock,
    report::Commit,
    responder::Responder,
    telemetry::{self, Publication, events::BatchTaken, metrics},
};

/// Leaving the group takes a round trip to the broker, and saves the others from waiting until our
/// session ends.
const GOODBYE: Duration = Duration::from_millis(500);

/// How long a batch waits to learn how many partitions unfinished work has. Where the topic is missing,
/// each does: then nothing can be deferred, which an operator hears of.
const HOMES: Duration = Duration::from_secs(1);

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
    /// Unfinished work cannot be carried on.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The canary cannot be sent.
    #[error(transparent)]
    Canary(#[from] SendError),
    /// A batch, or what carries on unfinished work, crashed; it is done again at the next start.
    #[error("a task crashed: {0}")]
    Crashed(#[from] JoinError),
    /// The drain took longer than `limits.drain`.
    #[error(
        "not drained within limits.drain ({0:?}): what was not published is read again at the next start; \
         look for `cannot be published` above, or raise limits.drain"
    )]
    NotDrained(Duration),
}

/// Runs until `stop` becomes true, and drains: the batch in hand is finished, published and
/// committed, and the group is left.
///
/// What comes from `reload` takes the place of `config`, as far as it is not read at the start only.
pub async fn run(
    config: Config,
    reload: mpsc::Receiver<Reload>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), ServiceError> {
    let health = Arc::new(Health::default());
    health.report(health::RUNNING, None);
    health.report(health::STARTED, Some("the clusters are being looked for".to_owned()));
    let _answering = seen(&config, &health);

    let clock: Clock = Arc::new(Timestamp::now);
    let start_only = reload::start_only(&config);
    let responder = Arc::new(Responder::new(config, clock).await?);
    // A cluster that is down must not keep the others from being served.
    let warm_up = responder.work.inline_budget;
    let _late = timeout(warm_up, responder.warm_up()).await;
    let (consumer, batches, offsets) =
        Consumer::start(&responder.kafka, responder.work.batch_max_records, Timestamp::now)?;
    let committer = Committer::start(&responder.kafka, offsets)?;
    health.report(health::STARTED, None);
    health.ask(health::ASSIGNMENT, consumer.fault());
    health.ask(health::PUBLISHING, committer.fault());
    let (current, responders) = Current::new(responder.clone());
    let desk = desk(&responder, &consumer, current.tools())?;
    if let Some(desk) = &desk {
        health.ask(health::JOBS, desk.faults());
        let (status, clock) = (desk.status(), responder.clock.clone());
        metrics::watch_jobs(move || status.jobs(clock()));
    }
    let paused = pause::watch_file(responder.pause_file.clone(), health.clone()).await;
    let mut watching = JoinSet::new();
    if let Some(singing) = responder.canary.clone() {
        watching.spawn(canary::sing(Sender::new(&responder.kafka)?, singing, paused.clone()));
    }
    watching.spawn(reload::follow(reload, current, start_only, health.clone()));
    tracing::info!(
        group = responder.kafka.group,
        topics =
            responder.kafka.topics.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>().join(" "),
        "listening"
    );

    let drain = responder.work.drain;
    let (end_jobs, jobs_end) = watch::channel(false);
    let mut jobs = desk.map(|desk| tokio::spawn(desk.run(jobs_end, paused.clone())));
    let past = responder.past(consumer.beginnings());
    let work = serve(&responder, responders, batches, past, &committer, paused);
    tokio::pin!(work);
    let (ended, until) = tokio::select! {
        ended = &mut work => (ended, Instant::now() + drain),
        crashed = crashed(&mut jobs) => {
            jobs = None;
            (Err(crashed), Instant::now() + drain)
        }
        () = told(&mut stop) => {
            health.report(health::RUNNING, Some("draining".to_owned()));
            tracing::info!(within = ?drain, "draining: no more records are taken");
            let until = Instant::now() + drain;
            consumer.stop();
            // While batches are finished, so is what is under way of the jobs.
            end_jobs.send_replace(true);
            match timeout_at(until, &mut work).await {
                Ok(ended) => (ended, until),
                Err(_) => {
                    committer.stop();
                    // What is given up in time is no attempt of ours at its records.
                    let _given_up = timeout(GOODBYE, &mut work).await;
                    (Err(ServiceError::NotDrained(drain)), until)
                }
            }
        }
    };
    end_jobs.send_replace(true);
    if let Some(jobs) = &mut jobs
        && timeout_at(until, &mut *jobs).await.is_err()
    {
        // What is not committed is its next owner's to do again.
        tracing::warn!("an attempt of unfinished work was not finished in time");
        jobs.abort();
    }
    // All of it within the limit, but for a moment to say goodbye to the group.
    let closed = timeout_at(until.max(Instant::now() + GOODBYE), consumer.close()).await;
    ended?;
    closed.map_err(|_| ServiceError::NotDrained(drain))??;
    tracing::info!("drained: everything that was taken is published and committed");
    Ok(())
}

/// Waits until the task that carries on unfinished work has crashed: nobody else would say so.
async fn crashed(jobs: &mut Option<JoinHandle<()>>) -> ServiceError {
    if let Some(Err(crash)) = future::OptionFuture::from(jobs.as_mut()).await {
        return ServiceError::Crashed(crash);
    }
    future::pending().await
}

/// Whoever carries on unfinished work, where there are topics for it.
fn desk(
    responder: &Responder,
    consumer: &Consumer,
    tools: watch::Receiver<Arc<Tools<MongoCluster>>>,
) -> Result<Option<Desk<MongoCluster>>, DeskError> {
    let Some(topics) = &responder.kafka.jobs else { return Ok(None) };
    let partitions = responder.partitions.clone();
    Desk::start(&responder.kafka, topics, consumer.tenure(), tools, partitions).map(Some)
}

/// What the operator sees from now on, whatever else works.
fn seen(config: &Config, health: &Arc<Health>) -> Option<http::Server> {
    telemetry::hash_principals(config.log.hash_principals);
    metrics::build_info(&config.hash);
    let asked = health.clone();
    metrics::watch_readiness(move || {
        asked.look().checks.into_iter().map(|(check, verdict)| (check, verdict.ok)).collect()
    });
    config.listen.map(|address| http::Server::start(address, health.clone()))
}

/// Waits until told to stop. Who can no longer tell us counts as having done so.
async fn told(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// A batch that is being carried out, in its place among the commits.
struct InFlight {
    commit: JoinHandle<Commit>,
    /// Given back when it is published: so many batches are in flight, and no more.
    slot: OwnedSemaphorePermit,
}

/// While one batch is checked, reported and published, the next is being killed.
async fn serve(
    responder: &Responder,
    responders: watch::Receiver<Arc<Responder>>,
    batches: Batches,
    past: Past,
    committer: &Committer,
    paused: watch::Receiver<bool>,
) -> Result<(), ServiceError> {
    let (started, in_order) = mpsc::channel(responder.work.depth);
    tokio::try_join!(
        start(responder, responders, batches, past, started, paused),
        finish(in_order, committer, &responder.kafka)
    )?;
    Ok(())
}

/// Decides batch after batch, and begins to carry them out.
async fn start(
    responder: &Responder,
    responders: watch::Receiver<Arc<Responder>>,
    mut batches: Batches,
    mut past: Past,
    started: mpsc::Sender<InFlight>,
    mut paused: watch::Receiver<bool>,
) -> Result<(), ServiceError> {
    let slots = Arc::new(Semaphore::new(responder.work.depth));
    let mut lanes = Lanes::default();
    loop {
        // A batch is taken when there is a place for it: until then it may still grow, or be
        // taken away with its partition. The semaphore is never closed.
        let Ok(slot) = slots.clone().acquire_owned().await else { return Ok(()) };
        let Some(batch) = next(&mut batches, &mut paused).await? else { return Ok(()) };
        BatchTaken { batch: batch.id, records: &batch.records }.emit();
        fault_point::reached(Place::Received);
        past.known(&batch.fresh).await;
        if responder.kafka.jobs.is_some() {
            // Else what the first batches after a start cannot finish could not be handed on.
            let _late = timeout(HOMES, homes(&responder.partitions)).await;
        }
        let pipeline = responders.borrow().pipeline.clone();
        let decided = pipeline.decide(batch).await;
        fault_point::reached(Place::Decided);
        let mut turn = lanes.enter(decided.touches());
        let commit = tokio::spawn(async move {
            turn.wait().await;
            pipeline.carry_out(decided).await
        });
        if started.send(InFlight { commit, slot }).await.is_err() {
            return Ok(());
        }
    }
}

/// Waits until it is known how many partitions unfinished work has.
async fn homes(partitions: &AtomicI32) {
    while partitions.load(Ordering::Relaxed) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
}

/// The next batch that is there while there is no pause. Told to stop, a pause is no reason to take
/// what it has kept waiting.
async fn next(
    batches: &mut Batches,
    paused: &mut watch::Receiver<bool>,
) -> Result<Option<Batch>, ConsumerError> {
    loop {
        let is_paused = *paused.borrow_and_update();
        let ended = batches.ended();
        tokio::select! {
            ended = ended, if is_paused => return ended.map(|()| None),
            batch = batches.next(), if !is_paused => return batch,
            changed = paused.changed() => {
                if changed.is_err() {
                    return batches.next().await;
                }
            }
        }
    }
}

/// Publishes what batches leave behind, in their order.
async fn finish(
    mut in_order: mpsc::Receiver<InFlight>,
    committer: &Committer,
    kafka: &Kafka,
) -> Result<(), ServiceError> {
    while let Some(InFlight { commit, slot }) = in_order.recv().await {
        let mut commit = commit.await?;
        let publication = Publication::of(&mut commit, &kafka.outcomes, &kafka.dead_letters);
        publication.around(committer.commit(commit)).await?;
        drop(slot);
    }
    Ok(())
}
