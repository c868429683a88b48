//! Where a record stands on the `state` topic. Compaction keeps the last record of each key, so
//! who may write a key decides who may overwrite whom.

use std::{fmt, str::FromStr, sync::Arc};

use crate::case::CaseId;

/// Most redrives of one case: forgetting writes a tombstone for each, and nobody redrives this
/// often by hand.
pub const MAX_REDRIVES: u32 = 100;
/// Longest key in bytes that is read; a window's and a cluster's name are operators' words.
const MAX_KEY: usize = 512;

/// A key on the `state` topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// `<case>/create/<n>`: anybody writes it, the owner deletes it.
    Create {
        /// The case.
        case: CaseId,
        /// How often it was redriven.
        n: u32,
    },
    /// `<case>/state`: the owner alone writes it.
    State {
        /// The case.
        case: CaseId,
    },
    /// `window/<name>`: the standing job of an access window; not built yet.
    Window {
        /// The window's name.
        name: Arc<str>,
    },
    /// `sweep/<cluster>`: the standing job of a cluster's sweeps; not built yet.
    Sweep {
        /// The cluster's name.
        cluster: Arc<str>,
    },
}

/// A key that is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error(
    "not a key of the state topic: <case>/create/<n>, <case>/state, window/<name> or sweep/<cluster>, with n \
     from 0 to {MAX_REDRIVES}"
)]
pub struct UnknownKey;

impl Key {
    /// The case that it is about, where it is about one.
    pub fn case(&self) -> Option<CaseId> {
        match self {
            Self::Create { case, .. } | Self::State { case } => Some(*case),
            Self::Window { .. } | Self::Sweep { .. } => None,
        }
    }

    /// A key as it stands on the topic.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, UnknownKey> {
        let text = std::str::from_utf8(bytes).map_err(|_| UnknownKey)?;
        text.parse()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { case, n } => write!(f, "{case}/create/{n}"),
            Self::State { case } => write!(f, "{case}/state"),
            Self::Window { name } => write!(f, "window/{name}"),
            Self::Sweep { cluster } => write!(f, "sweep/{cluster}"),
        }
    }
}

/// Reads exactly what is written: two spellings of one key would be two keys to compaction.
impl FromStr for Key {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        if text.len() > MAX_KEY {
            return Err(UnknownKey);
        }
        let (first, rest) = text.split_once('/').ok_or(UnknownKey)?;
        let key = match first {
            "window" | "sweep" if rest.is_empty() => return Err(UnknownKey),
            "window" => Self::Window { name: rest.into() },
            "sweep" => Self::Sweep { cluster: rest.into() },
            case => {
                let case = CaseId::from_str(case).map_err(|_| UnknownKey)?;
                match rest.split_once('/') {
                    None if rest == "state" => Self::State { case },
                    Some(("create", n)) => {
                        let n = n.parse().ok().filter(|n| *n <= MAX_REDRIVES).ok_or(UnknownKey)?;
                        Self::Create { case, n }
                    }
                    None | Some(_) => return Err(UnknownKey),
                }
            }
        };
        if key.to_string() == text { Ok(key) } else { Err(UnknownKey) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CASE: &str = "2f8a4bd1-6d0c-5d55-9a5e-3c1a0a4f7b21";

    #[test]
    fn a_key_reads_as_it_is_written() {
        for text in [
            format!("{CASE}/create/0"),
            format!("{CASE}/create/100"),
            format!("{CASE}/state"),
            "window/night shift/berlin".to_owned(),
            "sweep/orders".to_owned(),
        ] {
            assert_eq!(text.parse::<Key>().map(|key| key.to_string()), Ok(text));
        }
    }

    #[test]
    fn a_key_has_one_spelling() {
        for text in [
            format!("{}/state", CASE.to_uppercase()),
            format!("{}/state", CASE.replace('-', "")),
            format!("{CASE}/create/00"),
            format!("{CASE}/create/+1"),
            format!("{CASE}/create/101"),
            format!("{CASE}/create/"),
            format!("{CASE}/create/1/2"),
            format!("{CASE}/created/1"),
            format!("{CASE}/"),
            CASE.to_owned(),
            "window/".to_owned(),
            "sweep".to_owned(),
            String::new(),
            format!("window/{}", "x".repeat(600)),
        ] {
            assert_eq!(text.parse::<Key>(), Err(UnknownKey), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_the_same(text in "\\PC*|[0-9a-f-]{36}/(create/[0-9]{1,3}|state)") {
            if let Ok(key) = text.parse::<Key>() {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }
}
