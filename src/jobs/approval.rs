//! A case that waits for a person: why, what becomes of it if nobody comes, and who came.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Job, Kind, Unreadable};
use crate::case::{OnExpiry, Parked};

/// Longest text about a cap that is kept, in characters.
const MAX_DETAIL: usize = 1_000;

/// The wait of a case. It stays with the job once it is over, for the outcomes that come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Why it waits.
    pub because: Parked,
    /// The same for a person, with the numbers.
    pub detail: String,
    /// What becomes of it when nobody came until it is due.
    pub on_expiry: OnExpiry,
    /// How the wait was ended; `null` while it waits.
    pub given: Option<Given>,
}

/// How a wait was ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// By whom.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Nobody came, and that counts as a yes.
    pub expired: bool,
}

impl Approval {
    /// Of a case that begins to wait.
    pub fn wanted(because: Parked, detail: &str, on_expiry: OnExpiry) -> Self {
        Self { because, detail: detail.chars().take(MAX_DETAIL).collect(), on_expiry, given: None }
    }
}

impl Job {
    /// Whether it waits for a person, and why.
    pub fn parked(&self) -> Option<&Approval> {
        match self.kind {
            Kind::Approval => self.approval.as_ref(),
            Kind::Deferred => None,
        }
    }

    /// Whether nothing was asked of any server yet.
    pub fn is_untried(&self) -> bool {
        self.attempts == 0
    }

    /// As it goes on once its wait is over: the whole kill is due at once, of everything that began
    /// before now, and is tried for as long as it would have been.
    pub(super) fn released(&self, given: Given, now: Timestamp) -> Self {
        let patience = self.give_up_at.duration_since(self.due);
        Self {
            kind: Kind::Deferred,
            due: now,
            give_up_at: now.checked_add(patience).unwrap_or(Timestamp::MAX),
            approval: self.approval.clone().map(|approval| Approval { given: Some(given), ..approval }),
            work: self.work.asked_at(now),
            ..self.clone()
        }
    }

    /// A job that waits says for what, and one that does not was let go.
    pub(super) fn waits_as_it_says(&self) -> Result<(), Unreadable> {
        let is_given = self.approval.as_ref().map(|approval| approval.given.is_some());
        match (self.kind, is_given) {
            (Kind::Approval, Some(false)) | (Kind::Deferred, None | Some(true)) => Ok(()),
            (Kind::Approval, None | Some(true)) | (Kind::Deferred, Some(false)) => {
                Err(Unreadable::invalid("its `kind` and its `approval` do not fit"))
            }
        }
    }
}
