//! Whether every member of a cluster answers, asked again and again: without that a member that
//! is down would only show in the next outcome.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Health;
use crate::terminate::member::{Cluster, Member};

/// How often. Asking costs a member less than a millisecond.
const EVERY: Duration = Duration::from_secs(2);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most members that a fault names.
const NAMED: usize = 10;

/// Reports the check `cluster <name>` until it is dropped.
pub async fn watch_nodes<C: Cluster>(cluster: Arc<C>, health: Arc<Health>) {
    let check = format!("cluster {}", cluster.name());
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        health.report(&check, fault(&*cluster).await);
        // Whoever asks nobody still finds it in the log.
        health.look();
    }
}

/// Who does not answer, hidden members included.
async fn fault<C: Cluster>(cluster: &C) -> Option<String> {
    let discovery = match timeout(PATIENCE, cluster.discover()).await {
        Ok(Ok(discovery)) => discovery,
        Ok(Err(error)) => return Some(error.message),
        Err(_) => return Some(format!("no member told who is in the cluster within {PATIENCE:?}")),
    };
    let silent = join_all(discovery.members.iter().map(|member| async move {
        match timeout(PATIENCE, member.hello()).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(format!("{}: {}", member.host(), error.message)),
            Err(_) => Some(format!("{}: no answer within {PATIENCE:?}", member.host())),
        }
    }));
    let incomplete = discovery.incomplete.as_ref().map(|error| error.message.clone());
    let faults: Vec<String> = silent.await.into_iter().flatten().chain(incomplete).take(NAMED).collect();
    (!faults.is_empty()).then(|| faults.join("; "))
}
