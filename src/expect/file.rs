//! A file of events with what should be decided about them, as it is written.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use crate::{case::Class, principal::Principal};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) at: Option<Timestamp>,
    pub(super) cases: Vec<Spanned<Case>>,
}

/// One event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) topic: Option<String>,
    pub(super) at: Option<Timestamp>,
    pub(super) event: Value,
    pub(super) expect: Expect,
}

/// What should be decided. What is left out is not looked at; `null` means that there is none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) decision: Word,
    #[serde(default, deserialize_with = "said")]
    pub(super) rule: Option<Option<String>>,
    #[serde(default, deserialize_with = "said")]
    pub(super) class: Option<Option<Class>>,
    #[serde(default, deserialize_with = "said")]
    pub(super) reason: Option<Option<String>>,
    pub(super) principals: Option<Vec<Name>>,
    pub(super) clusters: Option<Vec<String>>,
    pub(super) spared: Option<Vec<Name>>,
}

/// `null` is something else than nothing.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A principal as `user@db`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Name(pub(super) Principal);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|invalid| format!("{text:?}: {invalid}"))
    }
}

/// A decision, in its own word or in that of the outcome's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    #[serde(alias = "terminated")]
    Terminate,
    #[serde(alias = "simulated")]
    Simulate,
    #[serde(alias = "refused")]
    Refuse,
    Expired,
    NoRule,
    Undecodable,
    #[serde(alias = "deferred")]
    Defer,
    #[serde(alias = "awaiting_approval")]
    AwaitApproval,
    #[serde(alias = "released")]
    Release,
    #[serde(alias = "acknowledged")]
    Acknowledge,
}

impl Word {
    /// As [`Decision::word`](crate::decide::Decision::word) says it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Terminate => "terminate",
            Self::Simulate => "simulate",
            Self::Refuse => "refuse",
            Self::Expired => "expired",
            Self::NoRule => "no_rule",
            Self::Undecodable => "undecodable",
            Self::Defer => "defer",
            Self::AwaitApproval => "await_approval",
            Self::Release => "release",
            Self::Acknowledge => "acknowledge",
        }
    }
}

/// What keeps a file from being used, with its line and column where they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unusable {
    pub(super) place: Option<(u64, u64)>,
    pub(super) message: String,
}

/// Reads a file.
pub(super) fn read(text: &str) -> Result<File, Unusable> {
    let options = serde_saphyr::options! {
        // `user: no` is a name, not a flag.
        strict_booleans: true,
        with_snippet: false,
    };
    let file: File = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let message = error.to_string();
        let end = message.find(" at line ").unwrap_or(message.len());
        Unusable { place: error.location().and_then(place), message: message[..end].to_owned() }
    })?;
    if file.cases.is_empty() {
        let message = "`cases` is empty: it would test nothing".to_owned();
        return Err(Unusable { place: None, message });
    }
    Ok(file)
}

/// Line and column, from 1.
pub(super) fn place(location: Location) -> Option<(u64, u64)> {
    (location != Location::UNKNOWN).then(|| (location.line(), location.column()))
}
