//! A responder put together from its configuration: the pipeline on real clusters.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicI32},
    time::Duration,
};

use futures::future::{join_all, try_join_all};
use tokio::sync::watch;

use crate::{
    config::{self, Config},
    decide::{Limits, Policy},
    edge::{
        kafka_client,
        kafka_past::{Beginnings, Past, Reach},
        mongo_cluster::{InvalidCluster, MongoCluster},
    },
    ingest::Trust,
    jobs,
    pipeline::{Clock, Memory, Pipeline, REMEMBERED_CASES},
    report::{Deferring, Speaker},
    terminate::{
        Pace, Terminator,
        member::{Cluster as _, Member as _},
    },
};

/// What is left of a configuration when its pipeline is made of it.
pub struct Responder {
    /// The pipeline.
    pub pipeline: Arc<Pipeline<MongoCluster>>,
    /// Who kills.
    pub terminator: Arc<Terminator<MongoCluster>>,
    /// Who speaks.
    pub speaker: Speaker,
    /// Who tells the time.
    pub clock: Clock,
    /// By what unfinished work is carried on.
    pub jobs: jobs::Limits,
    memory: Memory,
    /// How many partitions `kafka.state` has; zero, and nothing is deferred, until somebody says.
    pub partitions: Arc<AtomicI32>,
    /// Where records come from and go.
    pub kafka: config::Kafka,
    /// How a batch is worked on.
    pub work: config::Work,
    /// The file that pauses everything while it exists.
    pub pause_file: Option<PathBuf>,
    /// The canary, if there is one.
    pub canary: Option<config::Canary>,
    /// The clusters, to be made ready.
    pub clusters: Vec<Arc<MongoCluster>>,
}

/// Longest time that a batch may have been on its way when its transaction commits: kills take
/// seconds, but a broker may be away meanwhile. It only makes marks of what has ended live longer.
const LONGEST_BATCH: Duration = Duration::from_secs(60 * 60);
/// How much earlier than the group gives our partitions away we stop killing: the coordinator is
/// heard of twice a second, and asked for that once a second.
const MARGIN: Duration = Duration::from_secs(2);

fn job_limits(kafka: &config::Kafka, limits: &Limits) -> jobs::Limits {
    let session_timeout = kafka_client::session_timeout(kafka);
    jobs::Limits {
        clock_skew: limits.clock_skew,
        max_event_age: limits.max_event_age.clone(),
        transaction_timeout: kafka_client::TRANSACTION_TIMEOUT,
        longest_batch: LONGEST_BATCH,
        session_timeout,
        margin: MARGIN.min(session_timeout / 3),
        delays: jobs::Delays::default(),
    }
}

impl Responder {
    /// Reads every URI; connects to nothing yet.
    pub async fn new(config: Config, clock: Clock) -> Result<Self, InvalidCluster> {
        Self::with(config, clock, Memory::default(), Arc::default()).await
    }

    /// By a new configuration: rules, guards, limits and clusters are its own, with their passwords and
    /// certificates read again; what was heard is still known. What is read at the start only stays
    /// as it was.
    pub async fn renewed(&self, config: Config) -> Result<Self, InvalidCluster> {
        let renewed =
            Self::with(config, self.clock.clone(), self.memory.clone(), self.partitions.clone()).await?;
        Ok(Self {
            kafka: self.kafka.clone(),
            work: config::Work {
                batch_max_records: self.work.batch_max_records,
                depth: self.work.depth,
                drain: self.work.drain,
                ..renewed.work
            },
            pause_file: self.pause_file.clone(),
            canary: self.canary.clone(),
            ..renewed
        })
    }

    async fn with(
        config: Config,
        clock: Clock,
        memory: Memory,
        partitions: Arc<AtomicI32>,
    ) -> Result<Self, InvalidCluster> {
        let Config {
            kafka,
            clusters,
            protected,
            rules,
            dry_run,
            allow_everyone,
            limits,
            work,
            listen: _,
            log: _,
            pause_file,
            canary,
            hash,
        } = config;
        let clusters: Vec<_> =
            try_join_all(clusters.iter().map(MongoCluster::new)).await?.into_iter().map(Arc::new).collect();
        let pace = Pace {
            inline_budget: work.inline_budget,
            evidence_wait: work.evidence_wait,
            max_items: work.evidence_max_items,
            verify_rounds: work.verify_rounds,
        };
        let policy = Policy {
            trust: Trust::new(kafka.topics.iter().cloned()),
            rules,
            protected,
            limits,
            dry_run,
            allow_everyone,
        };
        let speaker = Speaker {
            source: format!("/severance/{}", kafka.group).into(),
            version: env!("CARGO_PKG_VERSION").into(),
            config_hash: hash,
        };
        let jobs = job_limits(&kafka, &policy.limits);
        let terminator = Arc::new(Terminator::new(clusters.clone(), pace));
        let deferring = kafka.jobs.as_ref().map(|_| Deferring {
            give_up_after: work.give_up_after,
            delays: jobs.delays,
            partitions: partitions.clone(),
        });
        let pipeline =
            Pipeline::new(policy, terminator.clone(), speaker.clone(), clock.clone(), memory.clone());
        Ok(Self {
            pipeline: Arc::new(pipeline.deferring(deferring)),
            terminator,
            speaker,
            clock,
            jobs,
            memory,
            partitions,
            kafka,
            work,
            pause_file,
            canary,
            clusters,
        })
    }

    /// Remembers again which events were heard before each of these beginnings, as far back as any event
    /// may be accepted.
    pub fn past(&self, beginnings: watch::Receiver<Beginnings>) -> Past {
        let pipeline = self.pipeline.clone();
        let reach = Reach { since: self.pipeline.oldest_accepted(), most: REMEMBERED_CASES };
        Past::start(&self.kafka, beginnings, reach, move |records| pipeline.recall(records))
    }

    /// Finds every member and logs in there, so that the first kill need not wait for that. What
    /// fails is said and left to the kills.
    pub async fn warm_up(&self) {
        join_all(self.clusters.iter().map(|cluster| async move {
            match cluster.discover().await {
                Ok(discovery) => {
                    if let Some(error) = discovery.incomplete {
                        tracing::warn!(cluster = %cluster.name(), error = error.message, "members may be missing");
                    }
                    join_all(discovery.members.iter().map(|member| async move {
                        let ready = match member.hello().await {
                            Ok(hello) => member.enforces_authorization(&hello.process).await,
                            Err(error) => Err(error),
                        };
                        match ready {
                            Ok(true) => {}
                            Ok(false) => tracing::error!(
                                node = member.host(),
                                "authorization is off: nobody can be told apart there"
                            ),
                            Err(error) => {
                                tracing::warn!(node = member.host(), error = error.message, "node not ready");
                            }
                        }
                    }))
                    .await;
                    let members: Vec<_> =
                        discovery.members.iter().map(|member| format!("{} {}", member.host(), member.role())).collect();
                    tracing::info!(cluster = %cluster.name(), members = members.join(", "), "cluster found");
                }
                Err(error) => {
                    tracing::warn!(cluster = %cluster.name(), error = error.message, "cluster not reached");
                }
            }
        }))
        .await;
    }
}
