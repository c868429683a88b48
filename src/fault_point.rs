//! Named places at which a test may end the process, as a power cut would: nothing is unwound, nothing
//! is said goodbye to.
//!
//! Only with the feature `fault-points`, which the tests switch on for themselves; without it, as in
//! every binary that is built to be used, there is nothing here.

/// The places, in the order in which a batch, and then a job, comes to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A batch was taken.
    Received,
    /// It is known what is to be done.
    Decided,
    /// A member has acknowledged a kill.
    Killed,
    /// Everything is checked, nothing is published.
    Verified,
    /// Everything was sent, and its transaction or its offsets are not committed.
    Produced,
    /// Everything is committed, and nobody has been told.
    Committed,
    /// An attempt of a job has begun.
    JobTaken,
    /// An attempt of a job has killed what it found, and nothing of it is committed.
    JobDone,
}

/// Ends the process where a test wants that.
#[cfg(feature = "fault-points")]
pub fn reached(place: Place) {
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Which place, as `Debug` writes it.
    const WHERE: &str = "SEVERANCE_FAULT_POINT";
    /// At which time that it is reached, from 1.
    const WHEN: &str = "SEVERANCE_FAULT_POINT_AT";
    static TIMES: AtomicUsize = AtomicUsize::new(0);

    if std::env::var(WHERE).is_ok_and(|wanted| wanted == format!("{place:?}")) {
        let at = std::env::var(WHEN).ok().and_then(|at| at.parse().ok()).unwrap_or(1);
        if TIMES.fetch_add(1, Ordering::Relaxed) + 1 == at {
            std::process::abort();
        }
    }
}

/// Nothing.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub fn reached(_: Place) {}
