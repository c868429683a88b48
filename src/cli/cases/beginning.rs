//! How a case is named on the command line.

use std::{collections::BTreeSet, fmt, str::FromStr};

use super::Exit;
use crate::case::CaseId;

/// Fewer characters are too easily another case's.
const SHORTEST: usize = 8;
/// All of an identifier.
const LONGEST: usize = 36;

/// A case's identifier, or how it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning(String);

/// What cannot be how a case begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a case: its id, or the first {SHORTEST} characters of it or more, as `cases list` shows it")]
pub struct NoCase;

impl Beginning {
    /// Whether this may be the case that is meant.
    pub fn fits(&self, case: CaseId) -> bool {
        case.to_string().starts_with(&self.0)
    }

    /// The one case of these that is meant.
    pub fn choose(&self, cases: impl IntoIterator<Item = CaseId>) -> Result<CaseId, Unchosen> {
        let fitting: BTreeSet<CaseId> = cases.into_iter().filter(|case| self.fits(*case)).collect();
        let mut fitting = fitting.into_iter();
        match (fitting.next(), fitting.next()) {
            (None, _) => Err(Unchosen::None),
            (Some(case), None) => Ok(case),
            (Some(one), Some(other)) => Err(Unchosen::Several(one, other)),
        }
    }
}

/// Why no case was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchosen {
    /// None begins like that.
    None,
    /// More than one does; these are two of them.
    Several(CaseId, CaseId),
}

impl Unchosen {
    /// Says it, and how the command ends. `none`: what it means that there is none.
    pub fn said(self, wanted: &Beginning, none: &str) -> Exit {
        match self {
            Self::None => {
                eprintln!("severance: {wanted}: {none}");
                Exit::NothingFound
            }
            Self::Several(one, other) => {
                eprintln!(
                    "severance: {wanted} is how several cases begin ({one}, {other}): write more of it"
                );
                Exit::Usage
            }
        }
    }
}

impl FromStr for Beginning {
    type Err = NoCase;

    fn from_str(text: &str) -> Result<Self, NoCase> {
        let is_of_one = |c: char| c.is_ascii_hexdigit() || c == '-';
        match (SHORTEST..=LONGEST).contains(&text.len()) && text.chars().all(is_of_one) {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(NoCase),
        }
    }
}

impl fmt::Display for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
