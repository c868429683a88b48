//! A responder put together from its configuration: the pipeline on real clusters.

use std::sync::Arc;

use futures::future::{join_all, try_join_all};
use tokio::sync::watch;

use crate::{
    config::{self, Config},
    decide::Policy,
    edge::{
        kafka_past::{Beginnings, Past, Reach},
        mongo_cluster::{InvalidCluster, MongoCluster},
    },
    ingest::Trust,
    pipeline::{Clock, Pipeline, REMEMBERED_CASES},
    report::Speaker,
    terminate::{
        Pace, Terminator,
        member::{Cluster as _, Member as _},
    },
};

/// What is left of a configuration when its pipeline is made of it.
pub struct Responder {
    /// The pipeline.
    pub pipeline: Arc<Pipeline<MongoCluster>>,
    /// Where records come from and go.
    pub kafka: config::Kafka,
    /// How a batch is worked on.
    pub work: config::Work,
    /// The clusters, to be made ready.
    pub clusters: Vec<Arc<MongoCluster>>,
}

impl Responder {
    /// Reads every URI; connects to nothing yet.
    pub async fn new(config: Config, clock: Clock) -> Result<Self, InvalidCluster> {
        let Config { kafka, clusters, protected, rules, dry_run, limits, work, listen: _, log: _, hash } =
            config;
        let clusters: Vec<_> =
            try_join_all(clusters.iter().map(MongoCluster::new)).await?.into_iter().map(Arc::new).collect();
        let pace = Pace {
            inline_budget: work.inline_budget,
            evidence_wait: work.evidence_wait,
            max_items: work.evidence_max_items,
            verify_rounds: work.verify_rounds,
        };
        let policy =
            Policy { trust: Trust::new(kafka.topics.iter().cloned()), rules, protected, limits, dry_run };
        let speaker = Speaker {
            source: format!("/severance/{}", kafka.group).into(),
            version: env!("CARGO_PKG_VERSION").into(),
            config_hash: hash,
        };
        let terminator = Terminator::new(clusters.clone(), pace);
        Ok(Self {
            pipeline: Arc::new(Pipeline::new(policy, terminator, speaker, clock)),
            kafka,
            work,
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
