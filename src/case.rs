//! The case: what one accepted trigger opens, and the identifiers that make a re-run harmless.
//!
//! Identifiers are derived, never drawn: the same event always opens the same case, and the
//! same step of a case always sends the same outcome id, so that a reader can drop repeats.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ingest::Origin, principal::Principal};

/// UUIDv5 of the URL namespace and `https://severance.io/case`; fixed for ever.
fn namespace() -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://severance.io/case")
}

/// Identifies a case; also the Kafka key of all its outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CaseId(Uuid);

impl CaseId {
    /// The case that the event (source, id) opens. The length of the source goes in front, so
    /// that no two pairs can run together into the same bytes.
    pub fn of_event(source: &str, id: &str) -> Self {
        let length = u32::try_from(source.len()).unwrap_or(u32::MAX);
        let name = [&length.to_be_bytes(), source.as_bytes(), id.as_bytes()].concat();
        Self(Uuid::new_v5(&namespace(), &name))
    }

    /// The case of a record that names no event: it is known by where it stands.
    pub fn of_position(origin: &Origin) -> Self {
        Self(Uuid::new_v5(&namespace(), origin.position().as_bytes()))
    }

    /// The id of this case's outcome number `seq`.
    pub fn outcome(&self, seq: u32) -> Uuid {
        Uuid::new_v5(&self.0, seq.to_string().as_bytes())
    }

    /// The partition of the state topic, which has this many, in which a job of this case lives.
    pub fn home(&self, partitions: i32) -> Option<i32> {
        let count = u128::try_from(partitions).ok()?;
        i32::try_from(self.0.as_u128().checked_rem(count)?).ok()
    }

    /// A number as good as drawn, and the same at each run.
    pub fn dice(&self) -> u32 {
        let (high, _, _, _) = self.0.as_fields();
        high
    }

    /// The id of what is said about a late duplicate of this case's event.
    pub fn duplicate_outcome(&self, origin: &Origin) -> Uuid {
        let name = format!("dup\0{}", origin.position());
        Uuid::new_v5(&self.0, name.as_bytes())
    }
}

/// Reads every form of a UUID; whoever wants one spelling compares.
impl std::str::FromStr for CaseId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a case waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parked {
    /// It would go over a cap.
    CapExceeded,
    /// Its rule wants to be asked.
    Approval,
}

impl Parked {
    /// As it is written in outcomes.
    pub fn word(self) -> &'static str {
        match self {
            Self::CapExceeded => "cap_exceeded",
            Self::Approval => "approval",
        }
    }
}

/// What becomes of a case that waited for a person, and nobody came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// Nobody is cut.
    Refuse,
    /// It is carried out as if somebody had approved it.
    Proceed,
}

impl OnExpiry {
    /// Both, with their words in the configuration.
    pub const ALL: [(&str, Self); 2] = [("refuse", Self::Refuse), ("proceed", Self::Proceed)];

    /// For a person.
    pub fn says(self) -> &'static str {
        match self {
            Self::Refuse => "refused",
            Self::Proceed => "carried out",
        }
    }
}

/// What kind of condition a case answers. It sets the defaults: how old an event may be, what
/// is spared, what a reinstatement releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// An account in the hands of somebody else.
    Compromise,
    /// A person who has left.
    Offboarding,
    /// A time-of-day restriction.
    Window,
    /// A session left idle.
    Inactivity,
    /// A playbook or a person who asks for it.
    Request,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 5] =
        [Self::Compromise, Self::Offboarding, Self::Window, Self::Inactivity, Self::Request];

    /// As it is written in events and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compromise => "compromise",
            Self::Offboarding => "offboarding",
            Self::Window => "window",
            Self::Inactivity => "inactivity",
            Self::Request => "request",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a principal who was named is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SparedBecause {
    /// On the protected list, or one of our own accounts.
    Protected,
    /// Reinstated by a later event before this one was acted on.
    Reinstated,
}

/// A named principal who is left alone, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spared {
    /// Who.
    pub principal: Principal,
    /// Why.
    pub because: SparedBecause,
}

/// When the event happened, and whether that can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTime {
    /// The event's own time, or the record's where the event has none or one from the future.
    pub at: Timestamp,
    /// The event's own time was later than the record's by more than five minutes.
    pub suspect: bool,
}
