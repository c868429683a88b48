//! The member of the consumer group: a thread that polls Kafka and waits for nobody.
//!
//! It hands over whatever is ready and goes on polling while that is worked on. When the pending
//! batch is full and stays full, it pauses its partitions; membership, rebalances and the commit
//! of stored offsets go on. Offsets are only ever *stored*, once their outcome is acknowledged;
//! librdkafka commits what is stored every `auto.commit.interval.ms`, when a partition is taken
//! away and at the end.
//!
//! With transactions the offsets are part of them. The group's metadata is then taken before the
//! first record of a batch, and again after a rebalance has dropped records from it.

use std::{collections::BTreeSet, sync::Arc, thread, time::Duration};

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

pub use super::kafka_fault::ConsumerError;
use super::{
    kafka_client,
    kafka_context::Connection,
    kafka_handover::{Handover, Phase},
    kafka_holdings::Holdings,
    kafka_past::Beginnings,
    kafka_poller::Poller,
    kafka_record::expect_odd_names,
};
use crate::{
    config::Kafka,
    ingest::{Batch, Claim, Partition},
};

/// How long one question lasts what we are in the group now; it is asked again.
const RENEWAL: Duration = Duration::from_millis(500);

/// The running consumer. Dropped without [`Consumer::close`], it still commits and leaves, but
/// nobody hears how that went.
pub struct Consumer {
    handover: Arc<Handover>,
    connection: Arc<Connection>,
    closed: Option<oneshot::Receiver<Result<(), ConsumerError>>>,
}

/// Where batches come from.
pub struct Batches {
    handover: Arc<Handover>,
}

/// Where the offsets go of what has been done.
#[derive(Clone)]
pub struct Offsets {
    handover: Arc<Handover>,
}

/// What we hold of the state topic, and whether it still counts.
#[derive(Clone)]
pub struct Tenure {
    handover: Arc<Handover>,
}

impl Tenure {
    /// What we hold, from now on.
    pub fn holdings(&self) -> watch::Receiver<Holdings> {
        self.handover.holdings()
    }

    /// Whether it still is the same holding of the partition.
    pub fn holds(&self, partition: i32, holding: u64) -> bool {
        self.handover.holds(partition, holding)
    }

    /// How long ago the group's coordinator was last heard of.
    pub fn broker_heard_ago(&self) -> Duration {
        self.handover.last_heard.ago()
    }
}

impl Consumer {
    /// Joins the group. Whether the brokers can be reached shows later, in the log and in
    /// [`Consumer::is_reachable`]: it is tried for ever.
    pub fn start(
        kafka: &Kafka,
        batch_max_records: usize,
        clock: impl Fn() -> Timestamp + Send + 'static,
    ) -> Result<(Self, Batches, Offsets), ConsumerError> {
        expect_odd_names();
        let config = kafka_client::consumer(kafka);
        let state_topic = kafka.jobs.as_ref().map(|jobs| jobs.state.clone());
        let handover = Arc::new(Handover::new(batch_max_records, state_topic.clone()));
        handover.count_attempts();
        let connection = Arc::new(Connection::logged("consumer"));
        let triggers = kafka.topics.iter().map(|(name, _)| name.clone());
        let topics = triggers.chain(state_topic).map(|name| name.to_string()).collect();
        let poller = Poller::new(config, handover.clone(), connection.clone(), topics, clock)
            .map_err(|error| ConsumerError::Config(kafka_client::fault(&error, &kafka.properties)))?;
        let (done, closed) = oneshot::channel();
        thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn(move || {
                // The receiver is gone where the consumer was dropped: then nobody asks.
                let _unheard = done.send(poller.run());
            })
            .map_err(|error| ConsumerError::Fatal(format!("no thread for it: {error}")))?;
        let consumer = Self { handover: handover.clone(), connection, closed: Some(closed) };
        Ok((consumer, Batches { handover: handover.clone() }, Offsets { handover }))
    }

    /// Takes no more records. What is pending is still handed over, then [`Batches::next`] says
    /// that there is no more. Partitions are kept, so that nobody else begins the same work.
    pub fn stop(&self) {
        self.handover.advance(Phase::Draining);
    }

    /// Commits the stored offsets and leaves the group; a static member keeps its place.
    pub async fn close(mut self) -> Result<(), ConsumerError> {
        self.handover.advance(Phase::Closing);
        match self.closed.take() {
            Some(closed) => closed.await.unwrap_or(Err(ConsumerError::Gone)),
            None => Err(ConsumerError::Gone),
        }
    }

    /// False while no broker can be reached, as far as is known.
    pub fn is_reachable(&self) -> bool {
        !self.connection.is_unreachable()
    }

    /// Where we begin with the partitions that we hold, from now on.
    pub fn beginnings(&self) -> watch::Receiver<Beginnings> {
        self.handover.beginnings.subscribe()
    }

    /// What we hold of the state topic.
    pub fn tenure(&self) -> Tenure {
        Tenure { handover: self.handover.clone() }
    }

    /// A question, to be asked at any time: what keeps us from having our partitions.
    pub fn fault(&self) -> impl Fn() -> Option<String> + Send + Sync + 'static {
        let (handover, connection) = (self.handover.clone(), self.connection.clone());
        move || {
            let waiting = || (!handover.has_joined()).then(|| "the group has not let us in yet".to_owned());
            connection.fault().or_else(waiting)
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.handover.advance(Phase::Closing);
    }
}

impl Batches {
    /// Waits for the next batch: at once where records are pending. `None` after a drain. Dropping
    /// the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Batch>, ConsumerError> {
        self.handover.take().await
    }

    /// Waits until no more records come; what is pending then is left to whoever is next.
    pub fn ended(&self) -> impl Future<Output = Result<(), ConsumerError>> + use<> {
        let handover = self.handover.clone();
        async move { handover.ended().await }
    }
}

impl Offsets {
    /// Everything of this partition before `next_offset` is done and acknowledged. Does nothing
    /// where the partition is no longer ours: its new owner reads again from what is committed.
    pub fn store(&self, partition: &Partition, next_offset: i64) {
        self.handover.store(partition, next_offset);
    }

    /// The batch of this claim is committed (`done`), or given up: a rebalance need not wait for it.
    pub fn settled(&self, claim: &Claim, done: bool) {
        self.handover.settled(claim, done);
    }

    /// A claim of now for what is left of an older one, and the partitions that were not held
    /// without a break since; `None` while the group has not said what we are in it.
    pub(super) fn renew(&self, claim: &Claim) -> Option<(Claim, BTreeSet<Partition>)> {
        self.handover.renew(claim, RENEWAL)
    }
}
