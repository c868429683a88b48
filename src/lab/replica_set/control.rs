//! What can be done to a replica set's members.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ReplicaSet;
use crate::lab::{LabError, Signal};

/// How long a set may take to settle: 3 s is usual, a loaded machine gets more.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

impl ReplicaSet {
    /// Sends a member a signal.
    ///
    /// # Errors
    /// When its watcher is gone.
    pub fn signal(&self, member: usize, signal: Signal) -> Result<(), LabError> {
        let process = self.members[member].process();
        process
            .signal(signal)
            .map_err(LabError::io(format!("sending {signal} to member {member}")))
    }

    /// A member's process number.
    #[must_use]
    pub fn pid(&self, member: usize) -> u32 {
        self.members[member].process().pid()
    }

    /// Whether a member's process runs (a stopped one does).
    #[must_use]
    pub fn is_running(&self, member: usize) -> bool {
        self.members[member].process().is_running()
    }

    /// Kills a member and waits until it is gone.
    ///
    /// # Errors
    /// When its watcher is gone.
    pub async fn kill(&self, member: usize) -> Result<(), LabError> {
        self.signal(member, Signal::Kill)?;
        self.members[member].gone(LIMIT).await
    }

    /// Asks a member to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn terminate(&self, member: usize) -> Result<(), LabError> {
        self.signal(member, Signal::Terminate)?;
        self.members[member].gone(LIMIT).await
    }

    /// Starts a member again, on the same port and data; one that runs is killed first. It accepts
    /// connections when this returns; [`ReplicaSet::wait_healthy`] waits until it has caught up.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&self, member: usize) -> Result<(), LabError> {
        self.members[member].restart().await
    }

    /// The number of the member that is writable now, waiting for an election if there is none.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn primary(&self) -> Result<usize, LabError> {
        self.wait_primary(|_| true).await
    }

    /// Makes the primary step down and returns the number of the next one.
    ///
    /// # Errors
    /// When there is no other in time.
    pub async fn step_down(&self) -> Result<usize, LabError> {
        let old = self.primary().await?;
        let fields = json!({"secondaryCatchUpPeriodSecs": 10});
        self.admin(old)
            .run("admin", "replSetStepDown", json!(60), fields)
            .await?;
        self.wait_primary(|member| member != old).await
    }

    /// Waits until one member is primary and every other one secondary.
    ///
    /// # Errors
    /// When that does not happen in time; the message says who was what.
    pub async fn wait_healthy(&self) -> Result<(), LabError> {
        let end = Instant::now() + LIMIT;
        loop {
            let primary = self.primary().await?;
            let status = self
                .admin(primary)
                .run("admin", "replSetGetStatus", json!(1), json!({}))
                .await?;
            let states = states(&status);
            let count = |state: &str| states.iter().filter(|one| **one == state).count();
            if count("PRIMARY") == 1 && count("SECONDARY") == self.size() - 1 {
                return Ok(());
            }
            if Instant::now() > end {
                let what = format!("a healthy set, but its members are {}", states.join(", "));
                return Err(LabError::TooSlow {
                    what,
                    waited: LIMIT,
                });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A member that does not answer at once is not the primary that we are looking for.
    async fn wait_primary(&self, wanted: impl Fn(usize) -> bool) -> Result<usize, LabError> {
        const PATIENCE: Duration = Duration::from_millis(500);
        let end = Instant::now() + LIMIT;
        loop {
            for member in
                (0..self.size()).filter(|member| wanted(*member) && self.is_running(*member))
            {
                let hello = self
                    .admin(member)
                    .run("admin", "hello", json!(1), json!({}));
                if let Ok(Ok(hello)) = tokio::time::timeout(PATIENCE, hello).await
                    && hello["isWritablePrimary"] == true
                {
                    return Ok(member);
                }
            }
            if Instant::now() > end {
                return Err(LabError::TooSlow {
                    what: "a primary".to_owned(),
                    waited: LIMIT,
                });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for ReplicaSet {
    /// All at once, so that nobody has to watch the others go one by one.
    fn drop(&mut self) {
        for member in &self.members {
            // One whose watcher is gone cannot be told anything any more.
            let _ = member.process().signal(Signal::Kill);
        }
    }
}

fn states(status: &Value) -> Vec<&str> {
    let members = status["members"].as_array().map_or(&[][..], Vec::as_slice);
    members
        .iter()
        .filter_map(|member| member["stateStr"].as_str())
        .collect()
}
