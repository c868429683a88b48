//! How old an event is, and by whose clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Limits;
use crate::{
    case::{Class, EventTime},
    ingest::Origin,
};

/// An event's own time may be this much later than its record's before it is not believed: more
/// than clocks drift, less than anybody plans ahead.
const BELIEVABLE_LEAD: SignedDuration = SignedDuration::from_mins(5);

/// What is wrong with when it happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Untimely {
    /// It takes effect later than now.
    Future,
    /// It is too old, with the numbers for a person.
    Expired(String),
}

/// The event's own time where it has a believable one, else its record's, else when we took it.
pub(super) fn event_time(own: Option<Timestamp>, origin: &Origin, received_at: Timestamp) -> EventTime {
    let record = origin.timestamp().unwrap_or(received_at);
    match own {
        Some(own) if own.duration_since(record) > BELIEVABLE_LEAD => EventTime { at: record, suspect: true },
        Some(own) => EventTime { at: own, suspect: false },
        None => EventTime { at: record, suspect: false },
    }
}

/// Whether an event that counts from `since` may act now.
pub(super) fn judge(
    since: Timestamp,
    dated: bool,
    class: Class,
    limits: &Limits,
    now: Timestamp,
) -> Result<(), Untimely> {
    let age = now.duration_since(since);
    if dated && age < -SignedDuration::try_from(limits.clock_skew).unwrap_or(SignedDuration::MAX) {
        return Err(Untimely::Future);
    }
    let allowed = limits.max_event_age.get(&class).copied().unwrap_or(Duration::ZERO);
    if age > SignedDuration::try_from(allowed).unwrap_or(SignedDuration::MAX) {
        return Err(Untimely::Expired(format!(
            "{age:#} old, limits.max_event_age.{class} is {:#}",
            SignedDuration::try_from(allowed).unwrap_or(SignedDuration::MAX)
        )));
    }
    Ok(())
}
