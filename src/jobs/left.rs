//! What tells leftovers from what returned, on one node, between attempts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    pattern::SessionId,
    principal::Digest,
    terminate::{Remains, member::ProcessId, survey::Identity},
};

/// What tells leftovers from what returned, on one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// Which server process it was; if another answers, whatever ran is gone.
    pub process: Option<Process>,
    /// What began later, by the node's clock, has returned: when the kill was acknowledged, at the
    /// latest; on a node that acknowledged none and was hunted since, when the case was first tried
    /// there. `null` before that.
    pub killed_at: Option<Timestamp>,
    /// What was seen before the kill and may still be there.
    pub leftovers: Vec<Leftover>,
    /// The list was cut short. What began before `killed_at` is a leftover all the same.
    pub truncated: bool,
}

/// A server process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Process(pub String);

impl From<&ProcessId> for Process {
    fn from(id: &ProcessId) -> Self {
        Self(id.0.clone())
    }
}

impl From<&Remains> for Left {
    fn from(remains: &Remains) -> Self {
        let Remains { process, killed_at, leftovers, truncated } = remains;
        Self {
            process: process.as_ref().map(Process::from),
            killed_at: *killed_at,
            leftovers: leftovers.iter().map(Leftover::from).collect(),
            truncated: *truncated,
        }
    }
}

/// What cannot be was refused when the job was read.
impl From<&Left> for Remains {
    fn from(left: &Left) -> Self {
        let Left { process, killed_at, leftovers, truncated } = left;
        Self {
            process: process.as_ref().map(|process| ProcessId(process.0.clone())),
            killed_at: *killed_at,
            leftovers: leftovers.iter().filter_map(Leftover::identity).collect(),
            truncated: *truncated,
        }
    }
}

/// One thing that was seen before the kill.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Leftover {
    /// An operation.
    Operation {
        /// The connection's number.
        connection: i64,
        /// The operation's number.
        opid: String,
    },
    /// A cursor; in decimal, since JSON readers lose digits of such a number.
    Cursor(String),
    /// A transaction.
    Transaction {
        /// The session's identifier.
        id: Uuid,
        /// The session's owner: 64 hex digits.
        uid: String,
        /// The transaction's number in its session.
        number: i64,
    },
}

impl From<&Identity> for Leftover {
    fn from(identity: &Identity) -> Self {
        match identity {
            Identity::Operation { connection, opid } => {
                Self::Operation { connection: *connection, opid: opid.clone() }
            }
            Identity::Cursor(id) => Self::Cursor(id.to_string()),
            Identity::Transaction { session, number } => {
                Self::Transaction { id: session.id, uid: session.uid.to_string(), number: *number }
            }
        }
    }
}

impl Leftover {
    /// As `terminate` knows it; `None` where it is not a thing that can be.
    pub fn identity(&self) -> Option<Identity> {
        match self {
            Self::Operation { connection, opid } => {
                Some(Identity::Operation { connection: *connection, opid: opid.clone() })
            }
            Self::Cursor(id) => id.parse().ok().map(Identity::Cursor),
            Self::Transaction { id, uid, number } => {
                let session = SessionId { id: *id, uid: digest(uid)? };
                Some(Identity::Transaction { session, number: *number })
            }
        }
    }
}

fn digest(hex: &str) -> Option<Digest> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(Digest::from_bytes(bytes))
}

impl Left {
    /// The first kill that was acknowledged stays the one that divides leftovers from what
    /// returned: by a later one, a client that came back in between would be hunted.
    pub(super) fn after(&self, now: Left) -> Self {
        match (self.killed_at, now.killed_at) {
            (None, Some(_)) => now,
            (Some(_), Some(_)) => Self { process: self.process.clone(), killed_at: self.killed_at, ..now },
            // It was not asked to kill this time: whatever was there may be there still.
            (_, None) => {
                let mut leftovers: Vec<Leftover> =
                    self.leftovers.iter().chain(&now.leftovers).cloned().collect();
                leftovers.sort();
                leftovers.dedup();
                Self {
                    process: self.process.clone().or(now.process),
                    killed_at: self.killed_at,
                    leftovers,
                    truncated: self.truncated || now.truncated,
                }
            }
        }
    }
}
