//! What can be done to a replica set's members.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ReplicaSet;
use crate::lab::{LabError, Signal};

/// How long a set may take to settle: 3 s is usual, a loaded machine gets more.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// How often it is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// A member that does not answer within this is passed over for the moment.
const PATIENCE: Duration = Duration::from_millis(500);

impl ReplicaSet {
    /// Sends a member a signal.
    ///
    /// # Errors
    /// When its watcher is gone.
    pub fn signal(&self, member: usize, signal: Signal) -> Result<(), LabError> {
        let process = self.members[member].process();
        process.signal(signal).map_err(LabError::io(format!("sending {signal} to member {member}")))
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
        self.admin(old).run("admin", "replSetStepDown", json!(60), fields).await?;
        self.wait_primary(|member| member != old).await
    }

    /// Waits until one member is primary and every other one secondary, as each says itself and as the
    /// primary sees it (which lags by a heartbeat).
    ///
    /// # Errors
    /// When that does not happen in time; the message says who was what.
    pub async fn wait_healthy(&self) -> Result<(), LabError> {
        let end = Instant::now() + LIMIT;
        loop {
            let seen = self.states().await?;
            let healthy = seen.iter().filter(|state| *state == "SECONDARY").count() == self.size() - 1;
            if healthy && self.all_serve().await {
                return Ok(());
            }
            if Instant::now() > end {
                let what = format!("a healthy set, but its members are {}", seen.join(", "));
                return Err(LabError::TooSlow { what, waited: LIMIT });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What the primary says of all members. One that is primary no longer has nothing to say.
    async fn states(&self) -> Result<Vec<String>, LabError> {
        let primary = self.admin(self.primary().await?);
        let status = primary.run("admin", "replSetGetStatus", json!(1), json!({})).await;
        let members = status.ok().and_then(|mut status| match status["members"].take() {
            Value::Array(members) => Some(members),
            _ => None,
        });
        let state = |member: &Value| member["stateStr"].as_str().unwrap_or("silent").to_owned();
        Ok(members.unwrap_or_default().iter().map(state).collect())
    }

    async fn all_serve(&self) -> bool {
        for member in 0..self.size() {
            match self.hello(member).await {
                Some(hello) if hello["isWritablePrimary"] == true || hello["secondary"] == true => {}
                _ => return false,
            }
        }
        true
    }

    async fn wait_primary(&self, wanted: impl Fn(usize) -> bool) -> Result<usize, LabError> {
        let end = Instant::now() + LIMIT;
        loop {
            for member in (0..self.size()).filter(|member| wanted(*member)) {
                let hello = self.hello(member).await;
                if hello.is_some_and(|hello| hello["isWritablePrimary"] == true) {
                    return Ok(member);
                }
            }
            if Instant::now() > end {
                let what = "a primary".to_owned();
                return Err(LabError::TooSlow { what, waited: LIMIT });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// `None` when it does not answer: it may be stopped, gone, or just coming back.
    async fn hello(&self, member: usize) -> Option<Value> {
        if !self.is_running(member) {
            return None;
        }
        let hello = self.admin(member).run("admin", "hello", json!(1), json!({}));
        tokio::time::timeout(PATIENCE, hello).await.ok()?.ok()
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
