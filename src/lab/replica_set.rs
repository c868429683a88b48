//! A replica set on loopback, with accounts.
//!
//! [`ReplicaSet::builder`] says what it is to be. What it is for - stopping members, reading their logs,
//! giving users something to do - is in the methods of [`ReplicaSet`].

mod builder;
mod control;
mod form;

use std::path::PathBuf;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

pub use builder::Builder;

use super::member::Member;
use super::secret::{Proof, percent_encode};
use super::sessionless::Sessionless;
use super::tls::Authority;
use super::{Credentials, LabDir, LabError};
use crate::edge::mongo_lab::{Admin, Kind, Sessions, Work, Workload};

/// The log line "Success: kill session" with the whole command.
pub const LOG_KILLED: u64 = 558_701;

/// A running replica set; it ends when this is dropped, and when this process ends.
#[derive(Debug)]
pub struct ReplicaSet {
    name: String,
    /// Before the folder, so that the servers are gone when it is removed.
    members: Vec<Member>,
    hosts: Vec<String>,
    hidden: Option<usize>,
    root: Credentials,
    admins: Vec<Admin>,
    tls: Option<Authority>,
    _dir: LabDir,
}

impl ReplicaSet {
    /// Three voting members, unless told otherwise.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The replica set's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many members there are; they are numbered from 0.
    #[must_use]
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// The number of the hidden member.
    #[must_use]
    pub fn hidden(&self) -> Option<usize> {
        self.hidden
    }

    /// Where a member really is: `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self, member: usize) -> String {
        self.members[member].address()
    }

    /// What the replica set's configuration calls it.
    #[must_use]
    pub fn host(&self, member: usize) -> &str {
        &self.hosts[member]
    }

    /// The account that may do everything.
    #[must_use]
    pub fn root(&self) -> &Credentials {
        &self.root
    }

    /// The authority that made the certificates, when the set has TLS.
    #[must_use]
    pub fn authority(&self) -> Option<&Authority> {
        self.tls.as_ref()
    }

    /// A connection string for one member and no other.
    #[must_use]
    pub fn member_uri(&self, member: usize, credentials: &Credentials) -> String {
        self.direct_uri(&self.address(member), credentials)
    }

    /// A connection string for the whole set, by its members' real addresses. The driver then goes by the
    /// names in the configuration, as it always does.
    #[must_use]
    pub fn uri(&self, credentials: &Credentials) -> String {
        let seen = (0..self.size()).filter(|member| Some(*member) != self.hidden);
        let addresses: Vec<String> = seen.map(|member| self.address(member)).collect();
        let scope = format!("replicaSet={}", self.name);
        self.uri_with(&addresses.join(","), credentials, &scope)
    }

    /// As root on one member.
    #[must_use]
    pub fn admin(&self, member: usize) -> &Admin {
        &self.admins[member]
    }

    /// Creates a user, known to every member when this returns.
    ///
    /// # Errors
    /// What the server says; also when a member is down, since it cannot know the user then.
    pub async fn create_user(&self, user: &str, db: &str, roles: Value) -> Result<Credentials, LabError> {
        let credentials =
            Credentials::with_random_password(user, db).map_err(LabError::io("making up a password"))?;
        self.create_account(&credentials, roles).await?;
        Ok(credentials)
    }

    /// The same for a user whose credentials exist, such as one with a
    /// [certificate](super::tls::Authority::client).
    ///
    /// # Errors
    /// As [`ReplicaSet::create_user`].
    pub async fn create_account(&self, credentials: &Credentials, roles: Value) -> Result<(), LabError> {
        let mut fields = json!({"roles": roles, "writeConcern": self.everywhere()});
        if let Proof::Password(password) = &credentials.proof {
            fields["pwd"] = json!(password.expose_secret());
        }
        let primary = self.admin(self.primary().await?);
        primary.run(&credentials.db, "createUser", json!(credentials.user), fields).await?;
        Ok(())
    }

    /// Creates a role, known to every member when this returns. `definition` is what follows the name in
    /// `createRole`: `privileges` and `roles`.
    ///
    /// # Errors
    /// As [`ReplicaSet::create_user`].
    pub async fn create_role(&self, db: &str, name: &str, definition: Value) -> Result<(), LabError> {
        let mut definition = definition;
        definition["writeConcern"] = self.everywhere();
        let primary = self.admin(self.primary().await?);
        Ok(primary.create_role(db, name, definition).await?)
    }

    /// Starts work of a user on a member; it runs, as that member says, when this returns.
    ///
    /// # Errors
    /// What the server says to its first step.
    pub async fn work(&self, member: usize, who: &Credentials, work: Work) -> Result<Workload, LabError> {
        let workload = if work.sessions == Sessions::None {
            let proxy =
                Sessionless::start(self.address(member)).await.map_err(LabError::io("starting a proxy"))?;
            let mut workload = Workload::start(&self.direct_uri(proxy.address(), who), work).await?;
            workload.keep(proxy);
            workload
        } else {
            Workload::start(&self.member_uri(member, who), work).await?
        };
        // Where a comment stands differs by command, and none is like it.
        let runs = |op: &Value| {
            let active = op["type"] == "op" && op["active"] == true;
            active && op.to_string().contains(workload.comment())
        };
        match workload.work().kind {
            Kind::Query | Kind::ComesBack { .. } | Kind::ChangeStream { .. } => {
                self.admin(member).wait_for_op(control::LIMIT, runs).await?;
            }
            Kind::Cursor | Kind::Transaction => {}
        }
        Ok(workload)
    }

    /// The log of a member.
    #[must_use]
    pub fn log_path(&self, member: usize) -> PathBuf {
        self.members[member].log_path()
    }

    /// The lines of a member's log that have this id.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log_lines(&self, member: usize, id: u64) -> Result<Vec<Value>, LabError> {
        self.members[member].log_lines(id)
    }

    /// The kills that a member logged: the second witness.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn logged_kills(&self, member: usize) -> Result<Vec<Value>, LabError> {
        self.log_lines(member, LOG_KILLED)
    }

    fn direct_uri(&self, address: &str, credentials: &Credentials) -> String {
        self.uri_with(address, credentials, "directConnection=true")
    }

    fn uri_with(&self, addresses: &str, credentials: &Credentials, scope: &str) -> String {
        let (user, options) = (credentials.uri_user(), credentials.uri_options());
        format!("mongodb://{user}{addresses}/?{scope}&{options}{}", tls_options(self.tls.as_ref()))
    }

    /// A write concern that waits for all members, and not for ever (in ms).
    fn everywhere(&self) -> Value {
        json!({"w": self.size(), "wtimeout": 20_000})
    }
}

fn tls_options(tls: Option<&Authority>) -> String {
    tls.map_or_else(String::new, |authority| {
        format!("&tls=true&tlsCAFile={}", percent_encode(&authority.file().to_string_lossy()))
    })
}
