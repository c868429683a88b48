//! What one look at a member shows.

use jiff::Timestamp;

use super::{Evidence, Kind};
use crate::{
    pattern::SessionId,
    principal::{Digest, Principal},
};

/// Which thing it is, so that it can be found again in the next look.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// Operation numbers alone are used again; with the connection they are not.
    Operation {
        /// The connection's number.
        connection: i64,
        /// The operation's number; a string on a mongos.
        opid: String,
    },
    /// A cursor.
    Cursor(i64),
    /// A transaction of a session.
    Transaction {
        /// The session.
        session: SessionId,
        /// The transaction's number in it.
        number: i64,
    },
}

/// One operation, cursor or transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Which it is.
    pub identity: Identity,
    /// Of an operation the cursor or transaction of which it is a step: that is what began, and
    /// what is found again in the next look.
    pub part_of: Option<Identity>,
    /// Its session, if it has one.
    pub session: Option<SessionId>,
    /// Under whose rights it runs, as far as the server says: operations only.
    pub users: Vec<Principal>,
    /// It also runs under somebody whose name we cannot hold: never ours alone.
    pub strangers: bool,
    /// When it, or what it is a part of, began by the member's clock; `None` where the server does
    /// not say.
    pub began: Option<Timestamp>,
    /// Killed, and not gone yet.
    pub pending: bool,
    /// What an outcome may tell of it.
    pub evidence: Evidence,
}

impl Seen {
    /// The owner of its session, if it has one.
    pub fn uid(&self) -> Option<Digest> {
        self.session.map(|session| session.uid)
    }

    /// What it is a part of, or itself.
    pub fn whole(&self) -> &Identity {
        self.part_of.as_ref().unwrap_or(&self.identity)
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.evidence.kind
    }
}

/// An authenticated connection on which nothing runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleConnection {
    /// The client's address without its port.
    pub address: String,
    /// Who is logged in on it.
    pub users: Vec<Principal>,
}

/// One look at one member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// What runs, is open, or is kept.
    pub seen: Vec<Seen>,
    /// Where nothing runs; only if it was asked for.
    pub idle: Vec<IdleConnection>,
    /// Idle cursors without a session, of whomever.
    pub unattributable_cursors: u64,
}
