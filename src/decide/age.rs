//! How old an event is, and by whose clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Case, Limits};
use crate::{
    case::{Class, EventTime},
    decode::Body,
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

/// From what an event's age counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// From when it happened.
    EventTime,
    /// From when it takes effect, as its data say.
    EffectiveAt,
    /// From when its record was given another chance.
    Redrive,
}

/// From when the event of this case counts, and why from there.
pub(super) fn counts_from(case: &Case, body: &Body, now: Timestamp) -> (Timestamp, Since) {
    let dated = match body {
        Body::Offboarded { effective_at, .. } => *effective_at,
        Body::Compromised { .. }
        | Body::Reinstated { .. }
        | Body::WindowClosed { .. }
        | Body::SessionInactive { .. }
        | Body::TerminationRequested { .. }
        | Body::EveryoneRequested { .. }
        | Body::Approved { .. }
        | Body::Denied { .. }
        | Body::Other => None,
    };
    match (dated, case.redriven_at()) {
        (Some(dated), redriven) if redriven.is_none() || dated > now => (dated, Since::EffectiveAt),
        (_, Some(redriven)) => (redriven, Since::Redrive),
        (_, None) => (case.event_time.at, Since::EventTime),
    }
}

/// How old an event of this class may be.
pub(super) fn allowed(class: Class, limits: &Limits) -> Duration {
    limits.max_event_age.get(&class).copied().unwrap_or(Duration::ZERO)
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
    let allowed = allowed(class, limits);
    if age > SignedDuration::try_from(allowed).unwrap_or(SignedDuration::MAX) {
        return Err(Untimely::Expired(format!(
            "{age:#} old, limits.max_event_age.{class} is {:#}",
            SignedDuration::try_from(allowed).unwrap_or(SignedDuration::MAX)
        )));
    }
    Ok(())
}
