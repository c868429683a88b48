//! The CloudEvent that says what came of a case.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{Encoded, Form};
use crate::{
    case::{CaseId, Class},
    ingest::Origin,
    terminate::{ClusterReport, PrincipalReport},
};

/// How a case stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Terminated,
    NothingFound,
    Partial,
    Deferred,
    Holding,
    AwaitingApproval,
    Simulated,
    Refused,
    Expired,
    Duplicate,
    Superseded,
    Cancelled,
    Released,
    Acknowledged,
    NoRule,
    Undecodable,
    Unsupported,
    Failed,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    pub id: Uuid,
}

impl Outcome {
    /// As bytes.
    pub fn encode(&self, _form: Form) -> Encoded {
        todo!()
    }
}
