//! What was found, what was cut and what is left, as the outcome tells it.
//!
//! These are the outcome's own shapes (schemas/termination.v1.schema.json): counts are exact,
//! lists are capped, and an unset value is `null`, never left out.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::remains::ClusterRemains;
use crate::{
    case::{CaseId, SparedBecause},
    principal::Principal,
};

/// What came of one case's plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Termination {
    /// By cluster, in the plan's order.
    pub clusters: Vec<ClusterReport>,
    /// By principal: the plan's and those who were spared.
    pub principals: Vec<PrincipalReport>,
    /// An earlier case of the same batch that named the same principals and did the cutting.
    pub cut_by: Option<CaseId>,
    /// What another attempt would hunt, by cluster; nothing of a plan that was only looked at.
    pub remains: Vec<ClusterRemains>,
}

/// What is known of one principal who was named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrincipalReport {
    /// The user name.
    pub user: String,
    /// The authentication database.
    pub db: String,
    /// Whether the clusters know this user.
    pub known: Known,
    /// Where the user is not known: the same name elsewhere.
    pub near: Vec<Near>,
    /// Named, and left alone.
    pub spared: bool,
    /// Why.
    pub spared_because: Option<SparedBecause>,
}

/// Whether a user exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Known {
    /// Nobody could say: no cluster was asked, the account lacks `viewUser`, or the user lives in
    /// a directory (`$external`).
    Unknown,
    /// The clusters that answered have no such user.
    No,
    /// Seen at work, or among the users of a cluster.
    Yes,
}

/// A user of nearly the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Near {
    /// The user name.
    pub user: String,
    /// The authentication database.
    pub db: String,
}

impl From<&Principal> for Near {
    fn from(principal: &Principal) -> Self {
        Self { user: principal.user().to_owned(), db: principal.db().to_owned() }
    }
}

/// What came of a case on one cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterReport {
    /// As configured.
    pub name: Arc<str>,
    /// Rolled up from its nodes.
    pub status: ClusterStatus,
    /// Every data-bearing member, hidden ones included.
    pub nodes: Vec<NodeReport>,
    /// What kept the members from being known at all.
    pub errors: Vec<NodeError>,
}

/// A cluster's, and rolled up a case's, result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterStatus {
    /// Every node is done and something was found.
    Terminated,
    /// Every node is done and nothing was found on any of them.
    NothingFound,
    /// Some nodes are done.
    Partial,
    /// No node is done.
    Failed,
    /// No node can do it.
    Unsupported,
    /// Only looked at.
    Simulated,
}

/// What came of a case on one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeReport {
    /// As the replica set's configuration names it.
    pub host: String,
    /// `primary`, `secondary`, `hidden`, `mongos`, `standalone`, another state in the server's
    /// word in lower case, or `unknown`.
    pub role: String,
    /// `null` where it was only looked at.
    pub status: Option<NodeStatus>,
    /// Operations, cursors and transactions before the kill; `null` where the look was not
    /// finished in time.
    pub found: Option<u64>,
    /// Of those, gone at the check; `null` where `found` is.
    pub killed: Option<u64>,
    /// Still there at the end, though they began before the kill's acknowledgement.
    pub left: u64,
    /// Began after the kill: the client coming back. Cut again, for a few rounds.
    pub returned: u64,
    /// Of those, still running at the end.
    pub returned_active: u64,
    /// On a connection that also carries somebody who is protected or not named.
    pub spared_shared: u64,
    /// Idle cursors without a session: the server does not say whose they are.
    pub unattributable_cursors: u64,
    /// The principals' authenticated idle connections, for whoever runs the firewall.
    pub idle_connections: u64,
    /// From where they come; capped.
    pub idle_clients: Vec<IdleClient>,
    /// What was found, one entry each; capped.
    pub evidence: Vec<Evidence>,
    /// A list of this node was cut short.
    pub truncated: bool,
    /// How often the node was asked to kill.
    pub attempts: u32,
    /// What went wrong, in order.
    pub errors: Vec<NodeError>,
    /// When the look before the kill was back.
    pub before_at: Option<Timestamp>,
    /// When the kill was acknowledged.
    pub killed_at: Option<Timestamp>,
    /// When the last check was back.
    pub verified_at: Option<Timestamp>,
}

/// How a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeStatus {
    /// Asked, checked, nothing left over.
    Clean,
    /// Something of theirs is left.
    Leftover,
    /// Not reached in time.
    Unreachable,
    /// Reached, but its check could not be made or does not prove enough.
    Unverified,
    /// It restarted: whatever ran there is gone.
    EndedByRestart,
    /// It cannot do this.
    Unsupported,
}

impl NodeStatus {
    /// Whether nothing is left to do there.
    pub fn is_done(self) -> bool {
        match self {
            Self::Clean | Self::EndedByRestart => true,
            Self::Leftover | Self::Unreachable | Self::Unverified | Self::Unsupported => false,
        }
    }
}

/// Idle connections from one address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IdleClient {
    /// The client's address without its port.
    pub address: String,
    /// How many.
    pub connections: u64,
}

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A running operation.
    Operation,
    /// A cursor between two requests.
    Cursor,
    /// An open transaction between two requests.
    Transaction,
}

/// One thing that was found; never a filter, a document or any other value of a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it is.
    pub kind: Kind,
    /// Whose it is, `user@db`.
    pub principal: Option<String>,
    /// The session's identifier; `null` for an operation without a session.
    pub lsid: Option<String>,
    /// The operation's number on its node; a string on a mongos.
    pub opid: Option<String>,
    /// The node's number for the connection.
    pub connection: Option<i64>,
    /// The client's address and port.
    pub client: Option<String>,
    /// The client's application name.
    pub app: Option<String>,
    /// The client's driver.
    pub driver: Option<String>,
    /// `database.collection`.
    pub namespace: Option<String>,
    /// The command's name.
    pub command: Option<String>,
}

impl Evidence {
    /// Of a kind, with nothing known yet.
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            principal: None,
            lsid: None,
            opid: None,
            connection: None,
            client: None,
            app: None,
            driver: None,
            namespace: None,
            command: None,
        }
    }
}

/// One thing that went wrong on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeError {
    /// `transient`, `permanent` or `unsupported`.
    pub class: ErrorClass,
    /// The server's error code.
    pub code: Option<i32>,
    /// Which node.
    pub node: String,
    /// What was being done and what came back, without any secret.
    pub message: String,
}

/// What an error means for trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorClass {
    /// Worth another try.
    Transient,
    /// Another try would end the same.
    Permanent,
    /// The server has no such command, or cannot tell users apart.
    Unsupported,
}
