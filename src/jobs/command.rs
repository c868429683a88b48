//! What somebody elsewhere wants of a job: records on the `commands` topic.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    Unreadable,
    key::MAX_REDRIVES,
    wire::{MAX_RECORD, Opened, Tag, TooLarge, encode, open},
};
use crate::{
    case::{CaseId, Class},
    decode::Release,
    ingest::Origin,
    principal::Principal,
};

/// What is wanted. The commands of later parts have their names already (redate, release, unlock)
/// and are refused by them.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// End a case.
    Cancel(Cancel),
    /// Some people may work again.
    Reinstated(Reinstated),
    /// Carry out a case that waits for it.
    Approve(Ruling),
    /// Do not carry it out.
    Deny(Ruling),
}

/// Ends a case whatever the clocks say: whoever writes it has named the case and the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Which case.
    pub case_id: CaseId,
    /// The redrive that it ends, and all before it. A later one is not ended: whoever redrove the
    /// case wanted it to run.
    pub n: u32,
    /// When it was wanted.
    pub at: Timestamp,
    /// By whom.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Somebody's word on a case that waits for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruling {
    /// Which case.
    pub case_id: CaseId,
    /// The run that is meant. `null` where whoever said it does not count runs: the one that waits,
    /// if it was decided before.
    pub n: Option<u32>,
    /// When it was said.
    pub at: Timestamp,
    /// By whom.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Takes back what is pending against some people, as far as it releases it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reinstated {
    /// The reinstatement's own case.
    pub case_id: CaseId,
    /// Its event's time.
    pub at: Timestamp,
    /// Where its event stands.
    pub origin: Origin,
    /// Who.
    pub principals: Vec<Principal>,
    /// What is released.
    #[serde(serialize_with = "write_releases", deserialize_with = "read_releases")]
    pub releases: Vec<Release>,
}

/// Most releases of one command: a case's takes 39 bytes, so they leave a third of a record to the
/// people's half and the rest.
const MAX_RELEASES: usize = 5_000;

/// Commands that later parts will bring.
pub const NOT_BUILT: [&str; 3] = ["redate", "release", "unlock"];

impl Command {
    /// When it was wanted.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Cancel(cancel) => cancel.at,
            Self::Reinstated(reinstated) => reinstated.at,
            Self::Approve(ruling) | Self::Deny(ruling) => ruling.at,
        }
    }

    /// The case that it ends, or whose word it is: the record's key.
    pub fn case_id(&self) -> CaseId {
        match self {
            Self::Cancel(cancel) => cancel.case_id,
            Self::Reinstated(reinstated) => reinstated.case_id,
            Self::Approve(ruling) | Self::Deny(ruling) => ruling.case_id,
        }
    }

    /// As the value of its record.
    pub fn encode(&self) -> Result<Vec<u8>, TooLarge> {
        let bytes = match self {
            Self::Cancel(cancel) => encode(Tag::Command("cancel"), cancel),
            Self::Reinstated(reinstated) => encode(Tag::Command("reinstated"), reinstated),
            Self::Approve(ruling) => encode(Tag::Command("approve"), ruling),
            Self::Deny(ruling) => encode(Tag::Command("deny"), ruling),
        };
        if bytes.len() <= MAX_RECORD { Ok(bytes) } else { Err(TooLarge { bytes: bytes.len() }) }
    }

    /// Reads a command.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut opened = open(bytes)?;
        match opened.word("command")?.as_str() {
            "cancel" => {
                let cancel: Cancel = opened.read()?;
                match cancel.n <= MAX_REDRIVES {
                    true => Ok(Self::Cancel(cancel)),
                    false => Err(Unreadable::invalid("`n` is larger than anybody redrives")),
                }
            }
            "reinstated" => {
                let reinstated: Reinstated = opened.read()?;
                match reinstated.principals.is_empty() || reinstated.releases.is_empty() {
                    true => Err(Unreadable::invalid("a reinstatement of nobody or of nothing")),
                    false => Ok(Self::Reinstated(reinstated)),
                }
            }
            "approve" => Ruling::read(opened).map(Self::Approve),
            "deny" => Ruling::read(opened).map(Self::Deny),
            later if NOT_BUILT.contains(&later) => Err(Unreadable::NotBuilt { what: later.to_owned() }),
            _ => Err(Unreadable::invalid("an unknown `command`")),
        }
    }
}

impl Ruling {
    fn read(opened: Opened) -> Result<Self, Unreadable> {
        let ruling: Self = opened.read()?;
        match ruling.n.is_none_or(|n| n <= MAX_REDRIVES) {
            true => Ok(ruling),
            false => Err(Unreadable::invalid("`n` is larger than anybody redrives")),
        }
    }
}

impl Reinstated {
    /// As many commands as are needed for each to fit into a record; together they release the same
    /// people from the same.
    pub fn split(self) -> Vec<Self> {
        let of = |releases: &[Release]| Self { releases: releases.to_vec(), ..self.clone() };
        self.releases.chunks(MAX_RELEASES).flat_map(|releases| of(releases).split_principals()).collect()
    }

    fn split_principals(self) -> Vec<Self> {
        // A name is counted twice over, since JSON may write a character as an escape of six.
        let weight = |principal: &Principal| 6 * (principal.user().len() + principal.db().len()) + 32;
        let mut parts: Vec<Vec<Principal>> = Vec::new();
        let mut filled = usize::MAX;
        for principal in &self.principals {
            let more = weight(principal);
            match parts.last_mut().filter(|_| filled.saturating_add(more) <= MAX_RECORD / 2) {
                Some(part) => {
                    part.push(principal.clone());
                    filled += more;
                }
                None => {
                    parts.push(vec![principal.clone()]);
                    filled = more;
                }
            }
        }
        parts.into_iter().map(|principals| Self { principals, ..self.clone() }).collect()
    }
}

fn write_releases<S: Serializer>(releases: &[Release], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(releases.iter().map(|release| match release {
        Release::Class(class) => class.to_string(),
        Release::Case(case) => case.to_string(),
    }))
}

fn read_releases<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Release>, D::Error> {
    let read = |word: String| match Class::ALL.into_iter().find(|class| class.name() == word) {
        Some(class) => Ok(Release::Class(class)),
        None if word.len() == uuid::fmt::Hyphenated::LENGTH => {
            word.parse().map(Release::Case).map_err(|_| D::Error::custom("neither a class nor a case"))
        }
        None => Err(D::Error::custom("neither a class nor a case")),
    };
    Vec::<String>::deserialize(deserializer)?.into_iter().map(read).collect()
}
