//! A member that used up a batch's whole budget is not waited for again until it answers a probe
//! in the background: an outage costs one budget, once.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::{member::Member, retry::Delays};
use crate::telemetry::events::{CircuitClosed, CircuitOpened};

/// The first probe comes soon, in case it was a hiccup; later ones are rarer.
const FIRST_PROBE: Duration = Duration::from_millis(100);
const LONGEST_PROBE: Duration = Duration::from_secs(2);
/// A probe that is not answered within this time counts as failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The members of one cluster that are not waited for.
#[derive(Clone, Debug, Default)]
pub struct Circuits {
    open: Arc<Mutex<HashSet<String>>>,
    cluster: Arc<str>,
    closings: Closings,
}

/// By cluster, how many circuits have closed again.
#[derive(Clone, Debug, Default)]
pub struct Closings(watch::Sender<BTreeMap<Arc<str>, u64>>);

/// Hears in which clusters a circuit has closed.
#[derive(Debug)]
pub struct Closed {
    heard: BTreeMap<Arc<str>, u64>,
    receiver: watch::Receiver<BTreeMap<Arc<str>, u64>>,
}

impl Closings {
    /// Hears of every one that closes from now on.
    pub fn hear(&self) -> Closed {
        let mut receiver = self.0.subscribe();
        let heard = receiver.borrow_and_update().clone();
        Closed { heard, receiver }
    }

    fn say(&self, cluster: &Arc<str>) {
        self.0.send_modify(|closed| *closed.entry(cluster.clone()).or_default() += 1);
    }
}

impl Closed {
    /// The clusters in which a member answers again since this was last asked; waits for one. None
    /// is missed, however late one asks. `None` once nobody is left to say so.
    pub async fn next(&mut self) -> Option<Vec<Arc<str>>> {
        self.receiver.changed().await.ok()?;
        let now = self.receiver.borrow_and_update().clone();
        let is_new = |(cluster, count): &(&Arc<str>, &u64)| self.heard.get(*cluster) != Some(*count);
        let clusters = now.iter().filter(is_new).map(|(cluster, _)| cluster.clone()).collect();
        self.heard = now;
        Some(clusters)
    }
}

impl Circuits {
    /// Of this cluster; says there when one closes.
    pub fn of(cluster: Arc<str>, closings: Closings) -> Self {
        Self { open: Arc::default(), cluster, closings }
    }

    /// Whether the member is not to be waited for.
    pub fn is_open(&self, host: &str) -> bool {
        self.open().contains(host)
    }

    /// Stops waiting for the member until it answers again.
    pub fn trip<M: Member>(&self, member: Arc<M>) {
        if !self.open().insert(member.host().to_owned()) {
            return;
        }
        CircuitOpened { node: member.host() }.emit();
        let circuits = self.clone();
        tokio::spawn(async move {
            let mut delays = Delays::between(FIRST_PROBE, LONGEST_PROBE);
            loop {
                tokio::time::sleep(delays.next_delay()).await;
                if let Ok(Ok(_)) = tokio::time::timeout(PROBE_TIMEOUT, member.hello()).await {
                    circuits.open().remove(member.host());
                    CircuitClosed { node: member.host() }.emit();
                    circuits.closings.say(&circuits.cluster);
                    return;
                }
            }
        });
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        // A set of names is whole whatever panicked while it was held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
