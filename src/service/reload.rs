//! Another configuration while it runs: what is broken is said loudly, and the last good one goes on.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

use crate::{
    config::{Config, Faults},
    desk::Tools,
    edge::mongo_cluster::MongoCluster,
    health::{self, Health},
    jobs::Bounds,
    responder::Responder,
    telemetry::metrics,
};

/// A configuration that was read again, or what is wrong with it.
pub type Reload = Result<Box<Config>, Faults>;

/// How long the clusters of a new configuration may take to be found before it counts.
const WARM_UP: Duration = Duration::from_secs(5);

/// The responder that counts, for all who work with it.
pub(super) struct Current {
    responder: watch::Sender<Arc<Responder>>,
    tools: watch::Sender<Arc<Tools<MongoCluster>>>,
}

impl Current {
    pub fn new(responder: Arc<Responder>) -> (Self, watch::Receiver<Arc<Responder>>) {
        let (tools, _) = watch::channel(tools(&responder));
        let (sender, receiver) = watch::channel(responder);
        (Self { responder: sender, tools }, receiver)
    }

    /// What jobs are carried on with.
    pub fn tools(&self) -> watch::Receiver<Arc<Tools<MongoCluster>>> {
        self.tools.subscribe()
    }

    fn replace(&self, responder: Arc<Responder>) {
        self.tools.send_replace(tools(&responder));
        self.responder.send_replace(responder);
    }
}

fn tools(responder: &Responder) -> Arc<Tools<MongoCluster>> {
    Arc::new(Tools {
        terminator: responder.terminator.clone(),
        speaker: responder.speaker.clone(),
        clock: responder.clock.clone(),
        limits: responder.jobs.clone(),
        bounds: Bounds::default(),
    })
}

/// A digest of what is read at the start only: another one needs a restart. Of secrets too, so it is
/// shown to nobody.
pub(super) fn start_only(config: &Config) -> [u8; 32] {
    let kafka = &config.kafka;
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update(text.len().to_be_bytes());
        digest.update(text);
    };
    for (name, value) in &kafka.properties {
        add(name);
        add(value.expose_secret());
    }
    kafka.topics.iter().for_each(|(name, _)| add(name));
    add(&format!(
        "{:?}",
        (
            (&kafka.instance, kafka.delivery, &kafka.outcomes, &kafka.dead_letters, &kafka.jobs),
            (config.work.batch_max_records, config.work.depth, config.work.drain),
            (config.listen, &config.log, &config.pause_file, &config.canary),
        )
    ));
    digest.finalize().into()
}

/// Takes what is read again, and watches the members of whichever clusters count, until it is dropped.
pub(super) async fn follow(
    mut reload: mpsc::Receiver<Reload>,
    current: Current,
    start_only: [u8; 32],
    health: Arc<Health>,
) {
    let mut watching = watch_nodes(&current, &health);
    while let Some(read) = reload.recv().await {
        let fault = match read {
            Err(faults) => Some(faults.to_string()),
            Ok(config) => {
                if self::start_only(&config) != start_only {
                    tracing::warn!(
                        "of the new configuration kafka, listen, log, pause_file, canary, limits.batch_max_records, \
                         limits.depth and limits.drain count after a restart only"
                    );
                }
                take(*config, &current).await.err()
            }
        };
        match &fault {
            Some(fault) => tracing::error!(
                fault,
                "the configuration was read again and cannot be used: the last good one goes on"
            ),
            None => {
                watching.abort_all();
                health.forget("cluster ");
                watching = watch_nodes(&current, &health);
            }
        }
        health.report(
            health::CONFIG,
            fault.map(|_| "what was read last cannot be used; see the log".to_owned()),
        );
    }
    // Nobody reads it again; the members are watched as long as we run.
    while watching.join_next().await.is_some() {}
}

async fn take(config: Config, current: &Current) -> Result<(), String> {
    let before = current.responder.borrow().clone();
    let renewed = before.renewed(config).await.map_err(|error| error.to_string())?;
    let _late = timeout(WARM_UP, renewed.warm_up()).await;
    let hash = renewed.speaker.config_hash.clone();
    current.replace(Arc::new(renewed));
    metrics::build_info(&hash);
    tracing::info!(%hash, "the configuration was read again and counts from now on");
    Ok(())
}

fn watch_nodes(current: &Current, health: &Arc<Health>) -> JoinSet<()> {
    let mut watching = JoinSet::new();
    for cluster in &current.responder.borrow().clusters {
        watching.spawn(health::watch_nodes(cluster.clone(), health.clone()));
    }
    watching
}
