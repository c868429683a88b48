//! What we hold of the state topic, by which right, and whether that still counts: for whoever
//! carries on unfinished work.
//!
//! The thread that polls Kafka takes the group's metadata each time before it polls. A rebalance
//! that takes a partition away is served inside a poll, and the group gives nobody else the
//! partition before it was; so metadata that was taken while a partition is among those we hold
//! is good for it, and the broker rejects it as soon as there is a later generation.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{ingest::Claim, jobs::Generation};

/// What we hold of the state topic.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    /// Counts what the group has said of us.
    pub generation: Generation,
    /// The group's metadata of that generation.
    pub claim: Claim,
    /// By partition which assignment gave it to us: another number is another holding, between
    /// which somebody else may have had it.
    pub partitions: BTreeMap<i32, u64>,
}

/// When the group's coordinator was last heard of.
pub(super) struct LastHeard(Mutex<Option<Heard>>);

/// On two clocks: one that nobody sets, and one that goes on while the machine is suspended.
#[derive(Clone, Copy)]
struct Heard {
    steady: Instant,
    wall: Timestamp,
}

impl LastHeard {
    pub(super) fn never() -> Self {
        Self(Mutex::new(None))
    }

    /// It was heard of this long ago.
    pub(super) fn heard(&self, ago: Duration) {
        let steady = Instant::now().checked_sub(ago);
        let wall = Timestamp::now().checked_sub(ago);
        let (Some(steady), Ok(wall)) = (steady, wall) else { return };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Heard { steady, wall });
    }

    /// How long ago that is, by the clock that says longer: one stands still while the machine
    /// sleeps, the other can be set.
    pub(super) fn ago(&self) -> Duration {
        let heard = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Heard { steady, wall }) = heard else { return Duration::MAX };
        let by_wall = Timestamp::now().duration_since(wall);
        steady.elapsed().max(Duration::try_from(by_wall).unwrap_or(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_never_heard_of_was_heard_of_longer_ago_than_any_lease_lasts() {
        let last = LastHeard::never();
        assert_eq!(last.ago(), Duration::MAX);
        last.heard(Duration::from_secs(3));
        assert!(last.ago() >= Duration::from_secs(3) && last.ago() < Duration::from_secs(60));
    }
}
