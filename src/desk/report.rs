//! How the desk stands, for health and metrics: looked at now and then, asked at any time.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::place::{Place, Stand};
use crate::{
    jobs::{Book, Current},
    telemetry::metrics::Jobs,
};

/// How it stood when it was last looked at.
#[derive(Debug, Default)]
pub struct Status(Mutex<Figures>);

/// In figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Jobs that are open in the partitions that we hold.
    pub open: u64,
    /// When the oldest of them was asked for.
    pub oldest: Option<Timestamp>,
    /// Cases that are not run, since their records cannot be read.
    pub blocked: u64,
    /// Partitions that we hold, and how many of them are loaded.
    pub partitions: u64,
    /// How many of them are loaded.
    pub loaded: u64,
}

impl Status {
    /// The figures.
    pub fn figures(&self) -> Figures {
        *self.lock()
    }

    /// Why jobs are not run as they should be, as far as the books say.
    pub fn fault(&self) -> Option<String> {
        let Figures { partitions, loaded, blocked, .. } = self.figures();
        if loaded < partitions {
            return Some(format!("{loaded} of {partitions} state partitions are loaded"));
        }
        (blocked > 0)
            .then(|| format!("{blocked} cases are not run: their records cannot be read; see the log"))
    }

    /// As the metrics have them.
    pub fn jobs(&self, now: Timestamp) -> Jobs {
        let Figures { open, oldest, blocked, .. } = self.figures();
        let oldest = oldest.and_then(|oldest| Duration::try_from(now.duration_since(oldest)).ok());
        Jobs { open, oldest: oldest.unwrap_or_default(), blocked }
    }

    pub(super) fn look<'a>(
        &self,
        books: impl Iterator<Item = (i32, &'a Book)>,
        places: impl Iterator<Item = &'a Place>,
    ) {
        let mut figures = Figures::default();
        for entry in books.flat_map(|(_, book)| book.entries()) {
            match entry.current() {
                Current::Job(job) => {
                    figures.open += 1;
                    let asked = job.asked_for_at();
                    figures.oldest = Some(figures.oldest.map_or(asked, |oldest| oldest.min(asked)));
                }
                Current::Blocked(_) => figures.blocked += 1,
                Current::Ended(_) | Current::Nothing => {}
            }
        }
        for place in places {
            figures.partitions += 1;
            figures.loaded += u64::from(matches!(place.stand, Stand::Running(_)));
        }
        *self.lock() = figures;
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        // Figures are replaced whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
