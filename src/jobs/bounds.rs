//! How much an owner holds in memory, whatever stands on the topic.

use super::{Current, Entry, Phase};

/// How much of a partition is in hand at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most jobs. What is beyond stays on the topic until some have ended.
    pub jobs: usize,
    /// Most marks of cases that have ended, about 200 bytes each.
    pub marks: usize,
    /// Most bytes of jobs, by estimate.
    pub bytes: usize,
    /// Most attempts at once.
    pub attempts: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { jobs: 20_000, marks: 500_000, bytes: 256 << 20, attempts: 100 }
    }
}

/// What counts against the bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    pub jobs: usize,
    pub marks: usize,
    pub bytes: usize,
    pub attempts: usize,
}

impl Weight {
    pub fn of(entry: &Entry) -> Self {
        let attempts = usize::from(match entry.phase {
            Phase::CatchingUp { .. } | Phase::Attempting { .. } => true,
            Phase::Idle | Phase::Committing { .. } | Phase::Rejected { .. } => false,
        });
        match entry.current() {
            Current::Job(job) => Self { jobs: 1, marks: 0, bytes: job.weight(), attempts },
            Current::Blocked(_) => Self { jobs: 1, attempts, ..Self::default() },
            Current::Ended(_) | Current::Nothing => Self { marks: 1, attempts, ..Self::default() },
        }
    }

    pub fn add(&mut self, other: Self) {
        self.jobs += other.jobs;
        self.marks += other.marks;
        self.bytes += other.bytes;
        self.attempts += other.attempts;
    }

    pub fn take(&mut self, other: Self) {
        self.jobs = self.jobs.saturating_sub(other.jobs);
        self.marks = self.marks.saturating_sub(other.marks);
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.attempts = self.attempts.saturating_sub(other.attempts);
    }

    /// Whether this part of a bound is used: 1 for all of it, 2 for half.
    pub fn crowds(&self, bounds: &Bounds, part: usize) -> bool {
        self.jobs >= bounds.jobs / part
            || self.marks >= bounds.marks / part
            || self.bytes >= bounds.bytes / part
    }
}
