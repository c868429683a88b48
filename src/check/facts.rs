//! What clusters answered when `check` asked them: facts, not yet good or bad. The edge gathers
//! them, `judge` weighs them.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use serde_json::Value;

use crate::{principal::Principal, terminate::NodeError};

/// One cluster.
#[derive(Clone, Debug)]
pub struct ClusterFacts {
    /// Its configured name.
    pub name: Arc<str>,
    /// The account that its URI names, or under which we are logged in; empty where neither is known.
    pub account: Vec<Principal>,
    /// Every member that is known; where nobody told who is in the cluster, those of the URI.
    pub members: Vec<MemberFacts>,
    /// Why there may be more members than these.
    pub incomplete: Option<NodeError>,
}

/// One member.
#[derive(Clone, Debug)]
pub struct MemberFacts {
    /// As the replica set's configuration names it.
    pub host: String,
    /// Its role, in the outcome's words.
    pub role: String,
    /// What it said.
    pub answers: Result<Answers, Silence>,
}

/// Why a member said nothing.
#[derive(Clone, Debug)]
pub struct Silence {
    /// What came instead of an answer.
    pub error: NodeError,
    /// Whether it would have answered anybody; asked only where it refused our login.
    pub open_to_strangers: Option<bool>,
}

/// What a member said. Each question stands alone: one that fails does not hide the others.
#[derive(Clone, Debug)]
pub struct Answers {
    /// How long it takes to answer, once connected.
    pub answers_in: Duration,
    /// Its clock less ours.
    pub ahead: SignedDuration,
    /// By how much `ahead` may be wrong.
    pub ahead_error: SignedDuration,
    /// It is a mongos: what is behind it is not seen through it.
    pub router: bool,
    /// A rule for its cluster targets roles.
    pub wanted_for_roles: bool,
    /// The server's version.
    pub version: Result<String, NodeError>,
    /// Whether it asks for authorization at all.
    pub authorization: Result<bool, NodeError>,
    /// Who we are there.
    pub login: Result<Login, NodeError>,
    /// The commands of those that we need that it does not know.
    pub unknown_commands: Result<Vec<&'static str>, NodeError>,
    /// Whether its list of operations says whose each is.
    pub names_owners: Result<bool, NodeError>,
}

/// Under which accounts we are logged in and what they may do, as the member says.
#[derive(Clone, Debug)]
pub struct Login {
    /// The accounts.
    pub accounts: Vec<Principal>,
    /// `[{resource, actions}]`.
    pub privileges: Vec<Value>,
}
