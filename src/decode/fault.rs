//! What is wrong with a record, before the record is joined to it as a [`Poison`](super::Poison).

use super::PoisonReason;

/// A reason and its explanation. The explanation names attributes, paths and expected forms,
/// all of them our own words; it never quotes what a sender wrote.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) reason: PoisonReason,
    pub(super) detail: String,
}

impl Fault {
    pub(super) fn new(reason: PoisonReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// An attribute of the envelope that is missing, empty or wrong.
    pub(super) fn attribute(detail: impl Into<String>) -> Self {
        Self::new(PoisonReason::InvalidAttribute, detail)
    }
}
