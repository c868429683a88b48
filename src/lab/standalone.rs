//! One server without accounts: where nobody can be told from anybody.

use std::path::PathBuf;

use super::member::{Member, Spec};
use super::{LabDir, LabError, Mongod};
use crate::edge::mongo_lab::Admin;

/// A running `mongod` that asks nobody who they are; it ends when this is dropped.
#[derive(Debug)]
pub struct Standalone {
    member: Member,
    _dir: LabDir,
}

impl Standalone {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no `mongod` or it does not start.
    pub async fn start() -> Result<Self, LabError> {
        let mongod = find_mongod().await?;
        let dir = LabDir::new().map_err(LabError::io("making a folder"))?;
        let spec = Spec { mongod, args: Vec::new(), env: Vec::new() };
        let member = Member::start(spec, dir.path().join("standalone")).await?;
        Ok(Self { member, _dir: dir })
    }

    /// Its `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.member.address()
    }

    /// A connection string for it.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("mongodb://{}/?directConnection=true", self.address())
    }

    /// Its log.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.member.log_path()
    }

    /// A connection that runs commands.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn admin(&self) -> Result<Admin, LabError> {
        Ok(Admin::connect(&self.uri()).await?)
    }
}

/// Finding may fetch, which blocks.
pub(super) async fn find_mongod() -> Result<Mongod, LabError> {
    match tokio::task::spawn_blocking(Mongod::find).await {
        Ok(found) => Ok(found?),
        Err(error) => Err(LabError::io("looking for a mongod")(std::io::Error::other(error))),
    }
}
