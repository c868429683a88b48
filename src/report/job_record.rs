//! Records that a batch leaves for unfinished work: a job is created, or a reinstatement is told to
//! whoever runs jobs. Pure.

use super::Encoded;
use crate::{
    case::CaseId,
    decide::{Decided, Decision},
    decode::Body,
    ingest::Origin,
    jobs::{Command, Key, Reinstated, Ruling, TooLarge},
};

/// A record for the state topic.
#[derive(Clone, Debug, PartialEq)]
pub struct StateRecord {
    /// Where its job lives: the key alone must not decide, since a job names its partition.
    pub partition: i32,
    /// Its key.
    pub key: Key,
    /// Its value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Where the trigger stands that it is about.
    pub origin: Origin,
}

/// A record for the commands topic.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandRecord {
    /// The case that it ends, or whose word it is.
    pub key: CaseId,
    /// Its value.
    pub value: Vec<u8>,
    /// Where the trigger stands that it is about.
    pub origin: Origin,
}

impl StateRecord {
    /// As bytes.
    pub fn encode(&self) -> Encoded {
        Encoded {
            key: Some(self.key.to_string().into_bytes()),
            value: self.value.clone(),
            headers: Vec::new(),
            partition: Some(self.partition),
        }
    }
}

impl CommandRecord {
    /// As bytes.
    pub fn encode(&self) -> Encoded {
        Encoded {
            key: Some(self.key.to_string().into_bytes()),
            value: Some(self.value.clone()),
            headers: Vec::new(),
            partition: None,
        }
    }
}

/// What is told to those who run jobs: a reinstatement, an approval or a denial may be about any of
/// them. Nothing for everything else that was decided.
pub(super) fn commands(decided: &Decided) -> Result<Vec<CommandRecord>, TooLarge> {
    match &decided.decision {
        Decision::Acknowledge => ruled(decided),
        _ => reinstated(decided),
    }
}

fn ruled(decided: &Decided) -> Result<Vec<CommandRecord>, TooLarge> {
    let Decided { case, .. } = decided;
    let ruling = |waits: CaseId, approver: &str| Ruling {
        case_id: waits,
        n: None,
        at: case.event_time.at,
        by: Some(approver.to_owned()),
        reason: None,
    };
    let command = match case.trigger.as_ref().map(|trigger| &trigger.body) {
        Some(Body::Approved { case: waits, approver }) => Command::Approve(ruling(*waits, approver)),
        Some(Body::Denied { case: waits, approver }) => Command::Deny(ruling(*waits, approver)),
        Some(_) | None => return Ok(Vec::new()),
    };
    let (key, value) = (command.case_id(), command.encode()?);
    Ok(vec![CommandRecord { key, value, origin: case.origin.clone() }])
}

fn reinstated(decided: &Decided) -> Result<Vec<CommandRecord>, TooLarge> {
    let Decided { case, decision } = decided;
    let (Decision::Release { .. }, Some(trigger)) = (decision, &case.trigger) else { return Ok(Vec::new()) };
    let Body::Reinstated { principals, releases } = &trigger.body else { return Ok(Vec::new()) };
    let whole = Reinstated {
        case_id: case.id,
        at: case.event_time.at,
        origin: case.origin.clone(),
        principals: principals.iter().cloned().collect(),
        releases: releases.clone(),
    };
    let record = |part| {
        let value = Command::Reinstated(part).encode()?;
        Ok(CommandRecord { key: case.id, value, origin: case.origin.clone() })
    };
    whole.split().into_iter().map(record).collect()
}
