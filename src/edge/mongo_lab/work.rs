//! Real work for a user: what a kill is to end, and what it must leave alone.

use std::time::{Duration, Instant};

use bson::Bson;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::journal::{Journal, Shared};
use super::worker::{Probe, Worker};
use super::{LOOK, MongoError, client};
use crate::lab::sessionless::Sessionless;

/// What a workload does.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// One query that runs for ten minutes and can be interrupted within milliseconds.
    Query,
    /// A cursor that is open and idle; [`Workload::probe`] asks for its next batch.
    Cursor,
    /// A transaction that is open and idle; [`Workload::probe`] writes in it. Primary only.
    Transaction,
    /// A change stream that waits so long for each batch.
    ChangeStream {
        /// `maxAwaitTimeMS`.
        wait: Duration,
    },
    /// A client that runs a query of this length over and over, and at once again after an error.
    ComesBack {
        /// How long each query runs.
        each: Duration,
    },
}

/// How the client uses sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// As the driver does it by itself.
    Implicit,
    /// One that the client started (a query's or a cursor's; a transaction always has one).
    Explicit,
    /// None: no `lsid` in any command. The connection string must lead to a
    /// [`Sessionless`](crate::lab::sessionless::Sessionless) proxy; a replica set's `work` sees to that.
    None,
}

/// A workload that is not started yet.
#[derive(Debug, Clone)]
pub struct Work {
    /// What it does.
    pub kind: Kind,
    /// The client's `appName`.
    pub app: String,
    /// How it uses sessions.
    pub sessions: Sessions,
}

impl Work {
    /// With the driver's own sessions.
    #[must_use]
    pub fn new(kind: Kind, app: &str) -> Self {
        let app = app.to_owned();
        Self { kind, app, sessions: Sessions::Implicit }
    }

    /// With other sessions.
    #[must_use]
    pub fn sessions(self, sessions: Sessions) -> Self {
        Self { sessions, ..self }
    }
}

/// A running workload; dropping it closes its connections.
#[derive(Debug)]
pub struct Workload {
    work: Work,
    comment: String,
    lsid: Option<Value>,
    journal: Shared,
    probes: mpsc::Sender<Probe>,
    task: JoinHandle<()>,
    /// Something that must live as long as the workload does.
    kept: Option<Sessionless>,
}

impl Workload {
    /// Starts it. Cursors, transactions and change streams are open when this returns; whether a query
    /// has begun is for the server to say ([`Admin::wait_for_op`](super::Admin::wait_for_op)).
    ///
    /// # Errors
    /// What the server or the driver says to the first step.
    pub async fn start(uri: &str, work: Work) -> Result<Self, MongoError> {
        let client = client(uri, &work.app).await?;
        let session = match (work.kind, work.sessions) {
            (Kind::Transaction, _) | (Kind::Query | Kind::Cursor, Sessions::Explicit) => {
                Some(client.start_session().await?)
            }
            (_, Sessions::Implicit | Sessions::Explicit | Sessions::None) => None,
        };
        let lsid = session.as_ref().and_then(|session| session.id().get("id").cloned());
        let comment = Uuid::now_v7().to_string();
        let journal = Shared::default();
        let mut worker = Worker { client, session, comment: comment.clone(), journal: journal.clone() };
        let mut opened = worker.open(work.kind).await?;
        let (probes, mut asked) = mpsc::channel::<Probe>(1);
        let task = tokio::spawn(async move {
            worker.go_on(&mut opened, work.kind, &mut asked).await;
            worker.journal.end();
        });
        let lsid = lsid.map(Bson::into_relaxed_extjson);
        Ok(Self { work, comment, lsid, journal, probes, task, kept: None })
    }

    /// What it was started with.
    #[must_use]
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// The comment that its operations carry: unlike any other workload's.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// `lsid.id` of its own session, in the form in which `$currentOp` shows it; `None` where the driver
    /// chooses.
    #[must_use]
    pub fn lsid(&self) -> Option<&Value> {
        self.lsid.as_ref()
    }

    /// What it saw so far.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.journal.read()
    }

    /// Whether it has seen no error and goes on.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        let journal = self.journal();
        journal.errors == 0 && !journal.ended
    }

    /// Waits until it has ended or seen an error, at most `limit`.
    ///
    /// # Errors
    /// When it is still untouched then.
    pub async fn wait_touched(&self, limit: Duration) -> Result<Journal, MongoError> {
        let end = Instant::now() + limit;
        while self.is_untouched() {
            if Instant::now() > end {
                return Err(MongoError::own(format!("{} runs on untouched", self.work.app)));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(self.journal())
    }

    /// Lets an idle cursor or transaction take its next step: how it learns that it was killed.
    ///
    /// # Errors
    /// What the server said; or that this kind of work takes no steps.
    pub async fn probe(&self) -> Result<(), MongoError> {
        let gone = || MongoError::own("this workload takes no more steps");
        let (answer, answered) = oneshot::channel();
        self.probes.send(answer).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    pub(crate) fn keep(&mut self, proxy: Sessionless) {
        self.kept = Some(proxy);
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.task.abort();
    }
}
