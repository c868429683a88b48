//! How running servers become a replica set with users.

use std::time::Instant;

use futures::future::try_join_all;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::control::{LIMIT, LOOK};
use super::{ReplicaSet, tls_options};
use crate::edge::mongo_lab::Admin;
use crate::lab::LabError;
use crate::lab::secret::Proof;

/// "Cannot take checkpoints when the stable timestamp is less than the initial data timestamp".
const TOO_EARLY: i32 = 5_841_000;

impl ReplicaSet {
    /// One member alone elects itself at once; all together would first wait for an election to fall due.
    pub(super) async fn form(&self, voting: usize) -> Result<(), LabError> {
        self.begin(voting).await?;
        if self.size() > 1 {
            // By force, since more than one voting member is added. It asks for a higher version.
            let config = self.config(2, self.size(), voting);
            let force = json!({"force": true});
            self.admin(0).run("admin", "replSetReconfig", config, force).await?;
        }
        self.wait_healthy().await?;
        // After that: no checkpoint reaches past the last write that a majority has.
        let primary = self.admin(self.primary().await?);
        primary.seed(self.everywhere()).await?;
        try_join_all(self.admins.iter().map(take_checkpoint)).await?;
        Ok(())
    }

    /// Through the localhost exception, which ends with the first user.
    async fn begin(&self, voting: usize) -> Result<(), LabError> {
        let (address, options) = (self.address(0), tls_options(self.tls.as_ref()));
        let uri = format!("mongodb://{address}/?directConnection=true{options}");
        let anybody = Admin::connect(&uri).await?;
        let config = self.config(1, 1, voting);
        anybody.run("admin", "replSetInitiate", config, json!({})).await?;
        wait_writable(&anybody).await?;
        if let Proof::Password(password) = &self.root.proof {
            let fields = json!({"pwd": password.expose_secret(), "roles": ["root"]});
            let name = json!(self.root.user);
            anybody.run(&self.root.db, "createUser", name, fields).await?;
        }
        Ok(())
    }

    fn config(&self, version: u32, size: usize, voting: usize) -> Value {
        let members: Vec<Value> = self.hosts[..size]
            .iter()
            .enumerate()
            .map(|(number, host)| {
                if number < voting {
                    json!({"_id": number, "host": host})
                } else {
                    json!({"_id": number, "host": host, "priority": 0, "hidden": true, "votes": 0})
                }
            })
            .collect();
        json!({"_id": self.name, "version": version, "members": members, "settings": {
            // The defaults, 10 s and 2 s, make a test wait; below this a loaded machine elects too often.
            "electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500,
        }})
    }
}

async fn wait_writable(admin: &Admin) -> Result<(), LabError> {
    let end = Instant::now() + LIMIT;
    loop {
        let hello = admin.run("admin", "hello", json!(1), json!({})).await?;
        if hello["isWritablePrimary"] == true {
            return Ok(());
        }
        if Instant::now() > end {
            let what = format!("a primary, but: {hello}");
            return Err(LabError::TooSlow { what, waited: LIMIT });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Makes a member able to roll back, which needs a checkpoint from after its initial sync; the server
/// takes the first one a minute later, and a member that has to roll back before that aborts.
async fn take_checkpoint(admin: &Admin) -> Result<(), LabError> {
    let end = Instant::now() + LIMIT;
    loop {
        match admin.run("admin", "fsync", json!(1), json!({})).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code == Some(TOO_EARLY) && Instant::now() < end => {
                tokio::time::sleep(LOOK).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
