//! What `terminate` asks of a cluster and its members. The edge answers with a real driver.

use std::{future::Future, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Known, Near, NodeError, survey::Survey};
use crate::{
    case::CaseId,
    directory::{Live, RoleName, Roles},
    pattern::Patterns,
    principal::{Principal, Principals},
};

/// What goes into every kill's `comment`, and so into the server's own log.
#[derive(Clone, Debug)]
pub struct Comment {
    /// The batch.
    pub batch: Uuid,
    /// The cases of the kill.
    pub cases: Vec<CaseId>,
}

/// One server that holds data, or a mongos.
pub trait Member: Send + Sync + 'static {
    /// As the replica set's configuration names it.
    fn host(&self) -> &str;

    /// Its role when it was last heard of, in the outcome's words.
    fn role(&self) -> String;

    /// Whether it sees only part of what has to be seen: a mongos, behind which are members that
    /// it does not show.
    fn sees_all(&self) -> bool;

    /// Its clock and its process.
    fn hello(&self) -> impl Future<Output = Result<Hello, NodeError>> + Send;

    /// Whether it asks for authorization at all. Without, every session has the same owner and a
    /// kill by user does nothing. Asked once a server process.
    fn enforces_authorization(
        &self,
        process: &ProcessId,
    ) -> impl Future<Output = Result<bool, NodeError>> + Send;

    /// What runs there for these principals; the server filters and projects.
    fn survey(
        &self,
        principals: &Principals,
        idle_connections: bool,
    ) -> impl Future<Output = Result<Survey, NodeError>> + Send;

    /// Ends the sessions that the patterns select.
    fn kill(
        &self,
        patterns: &Patterns,
        comment: &Comment,
    ) -> impl Future<Output = Result<(), NodeError>> + Send;

    /// Ends one operation that has no session.
    fn kill_operation(
        &self,
        opid: &str,
        comment: &Comment,
    ) -> impl Future<Output = Result<(), NodeError>> + Send;
}

/// A cluster and who is in it.
pub trait Cluster: Send + Sync + 'static {
    /// What its members are.
    type Member: Member;

    /// Its configured name.
    fn name(&self) -> &Arc<str>;

    /// The members as last known; none before the first discovery.
    fn known(&self) -> Vec<Arc<Self::Member>>;

    /// The members now.
    fn discover(&self) -> impl Future<Output = Result<Discovery<Self::Member>, NodeError>> + Send;

    /// Whether these users exist, and the same names elsewhere, in their order.
    fn look_up(
        &self,
        principals: &[Principal],
    ) -> impl Future<Output = Result<Vec<(Known, Vec<Near>)>, NodeError>> + Send;

    /// Who has each of these roles, directly or inherited.
    fn holders(&self, roles: &[RoleName]) -> impl Future<Output = Result<Roles, NodeError>> + Send;

    /// Who is there now on any member, idle or not.
    fn live(&self) -> impl Future<Output = Result<Live, NodeError>> + Send;

    /// The accounts under which we are logged in.
    fn own_accounts(&self) -> impl Future<Output = Result<Vec<Principal>, NodeError>> + Send;
}

/// Who is in a cluster now.
pub struct Discovery<M> {
    /// Every member that holds data, or every live mongos.
    pub members: Vec<Arc<M>>,
    /// Why there may be more members than these.
    pub incomplete: Option<NodeError>,
}

/// Which server process answered; another one after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProcessId(pub String);

/// A member's clock against ours, and its process.
#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    /// Which process answered.
    pub process: ProcessId,
    /// Its clock less ours.
    pub ahead: SignedDuration,
    /// By how much `ahead` may be wrong: half the round trip, and the millisecond in which the
    /// server tells its time.
    pub error: SignedDuration,
}

impl Hello {
    /// The latest that our `local` can be on the member's clock.
    pub fn at_latest(&self, local: Timestamp) -> Timestamp {
        local.checked_add(self.ahead + self.error).unwrap_or(Timestamp::MAX)
    }
}
