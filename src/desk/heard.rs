//! The commands that were heard, and what may be missing of them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::jobs::{Command, Heard, Limits};

/// What is kept beyond the oldest event that is accepted.
const MARGIN: Duration = Duration::from_secs(60 * 60);

/// How long a command may still concern a job that appears: as long as its trigger is accepted. What
/// concerned a job that was there has ended it when it was read.
pub(super) fn kept_for(limits: &Limits) -> Duration {
    let oldest = limits.max_event_age.values().max().copied().unwrap_or_default();
    oldest.saturating_add(limits.clock_skew).saturating_add(MARGIN)
}

/// The commands of this process.
pub(super) struct Commands {
    heard: Heard,
    kept_for: Duration,
    /// Partitions that do not begin at their beginning any more, until it is known when what they
    /// still have was said.
    cut: BTreeSet<i32>,
}

impl Commands {
    pub fn new(kept_for: Duration) -> Self {
        Self { heard: Heard::default(), kept_for, cut: BTreeSet::new() }
    }

    /// All of them.
    pub fn all(&self) -> &Heard {
        &self.heard
    }

    /// A partition is read from `low` on.
    pub fn begun(&mut self, partition: i32, low: i64) {
        if low > 0 {
            self.cut.insert(partition);
        }
    }

    /// Reads a record; the command, where it is one.
    pub fn read(
        &mut self,
        partition: i32,
        offset: i64,
        appended_at: Timestamp,
        value: Option<&[u8]>,
        now: Timestamp,
    ) -> Option<Arc<Command>> {
        if self.cut.remove(&partition) {
            // What was said before it is gone.
            self.heard.lacks_before(appended_at.min(now));
        }
        match self.heard.read(partition, offset, appended_at, value) {
            Ok(command) => command,
            Err(unreadable) => {
                tracing::error!(
                    partition, offset, %unreadable,
                    "a command cannot be read and is passed over: in doubt the kill wins"
                );
                None
            }
        }
    }

    /// Everything before `next` was read.
    pub fn reached(&mut self, partition: i32, next: i64, now: Timestamp) {
        self.heard.reached(partition, next);
        if self.cut.remove(&partition) {
            // Nothing is left of it, so all of it is older than what the topic keeps.
            self.heard.lacks_before(before(now, self.kept_for));
        }
    }

    /// Forgets what can concern no job any more.
    pub fn forget_old(&mut self, now: Timestamp) {
        self.heard.forget_before(before(now, self.kept_for));
    }
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_sub(by).unwrap_or(Timestamp::MIN)
}
