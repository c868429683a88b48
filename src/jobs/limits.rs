//! The numbers that the protocol rests on.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{Delays, Job};
use crate::case::Class;

/// What jobs are run by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How far two clocks may stand apart before their order means something.
    pub clock_skew: Duration,
    /// How old an event may be when it is accepted, by class.
    pub max_event_age: BTreeMap<Class, Duration>,
    /// After it the broker aborts a transaction whose producer is silent.
    pub transaction_timeout: Duration,
    /// Longest time from taking a trigger to asking for its transaction's commit.
    pub longest_batch: Duration,
    /// After it the group gives the partitions of a silent member to others.
    pub session_timeout: Duration,
    /// How much earlier than that we stop killing.
    pub margin: Duration,
    /// How long a job waits between attempts.
    pub delays: Delays,
}

impl Limits {
    /// Until when a trigger of this job might still be accepted and its creation written, so that
    /// the done mark has to be there to beat it. `ended_at` counts too: a record without a time of
    /// its own is as young as its delivery, and by then the job must have ended for as long as an
    /// event of its class may be old.
    pub fn done_until(&self, job: &Job, ended_at: Timestamp) -> Timestamp {
        let age = self.max_event_age.get(&job.facts.class).copied().unwrap_or_default();
        let after = [age, self.clock_skew, self.transaction_timeout, self.longest_batch];
        let base = job.age_from().max(job.facts.received_at).max(ended_at);
        after.into_iter().fold(base, later)
    }

    /// How long from now on a kill may begin, when the broker was last heard of this long ago;
    /// `None` where it may not, since somebody else may own the partition by now.
    pub fn may_kill_for(&self, broker_heard_ago: Duration) -> Option<Duration> {
        let left = self.session_timeout.checked_sub(self.margin)?.checked_sub(broker_heard_ago)?;
        (!left.is_zero()).then_some(left)
    }

    pub(super) fn skew(&self) -> SignedDuration {
        SignedDuration::try_from(self.clock_skew).unwrap_or(SignedDuration::MAX)
    }
}

/// `at` moved by `by`; at the end of time where there is nothing later.
pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
