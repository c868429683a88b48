//! A member that used up a batch's whole budget is not waited for again until it answers a probe
//! in the background: an outage costs one budget, once.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{member::Member, retry::Delays};
use crate::telemetry::events::{CircuitClosed, CircuitOpened};

/// The first probe comes soon, in case it was a hiccup; later ones are rarer.
const FIRST_PROBE: Duration = Duration::from_millis(100);
const LONGEST_PROBE: Duration = Duration::from_secs(2);
/// A probe that is not answered within this time counts as failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The members of one cluster that are not waited for.
#[derive(Clone, Debug, Default)]
pub struct Circuits(Arc<Mutex<HashSet<String>>>);

impl Circuits {
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
                    return;
                }
            }
        });
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        // A set of names is whole whatever panicked while it was held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
