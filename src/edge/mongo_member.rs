//! One mongod (or mongos), asked directly: the only way to a hidden member, and the only way to
//! know which member answered.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bson::{Document, doc};
use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use mongodb::{
    Client, Database,
    options::{ClientOptions, ServerAddress},
};

use super::{
    mongo_error::{UNAUTHORIZED, node_error},
    mongo_survey,
    mongo_wire::{comment_document, kill},
};
use crate::{
    pattern::Patterns,
    principal::Principals,
    terminate::{
        NodeError,
        member::{Comment, Hello, Member, ProcessId},
        survey::Survey,
    },
};

/// A try to reach a member ends after this time, so that the next one comes within the budget.
const SELECTION_TIMEOUT: Duration = Duration::from_millis(700);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The look, the clock and the kill go out side by side: connections for them are kept open.
const WARM_CONNECTIONS: u32 = 2;
const MOST_CONNECTIONS: u32 = 8;

/// What a member is in its replica set, if it is in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Visible to clients.
    Visible,
    /// Never named in `hello.hosts`.
    Hidden,
    /// A router: what is behind it is not seen through it.
    Router,
}

/// One member.
#[derive(Debug)]
pub struct MongoMember {
    host: String,
    client: Client,
    options: ClientOptions,
    place: Mutex<Place>,
    state: Mutex<&'static str>,
    authorization: Mutex<Option<(ProcessId, bool)>>,
}

impl MongoMember {
    /// Named `host`, reached at `address`, with the cluster's credentials and TLS.
    pub(super) fn new(host: String, address: ServerAddress, base: &ClientOptions) -> Result<Self, NodeError> {
        let mut options = base.clone();
        options.hosts = vec![address];
        options.direct_connection = Some(true);
        options.repl_set_name = None;
        options.load_balanced = None;
        options.app_name = Some("severance".to_owned());
        options.server_selection_timeout = Some(SELECTION_TIMEOUT);
        options.connect_timeout = Some(CONNECT_TIMEOUT);
        options.min_pool_size = Some(WARM_CONNECTIONS);
        options.max_pool_size = Some(MOST_CONNECTIONS);
        options.retry_reads = Some(false);
        let client =
            Client::with_options(options.clone()).map_err(|error| node_error(&host, "connect", &error))?;
        Ok(Self {
            host,
            client,
            options,
            place: Mutex::new(Place::Visible),
            state: Mutex::new("unknown"),
            authorization: Mutex::new(None),
        })
    }

    pub(super) fn set_place(&self, place: Place) {
        *lock(&self.place) = place;
    }

    pub(super) fn is_primary(&self) -> bool {
        *lock(&self.state) == "primary"
    }

    /// Whether it is a mongos, by what it said or by where it was found.
    pub(super) fn is_router(&self) -> bool {
        *lock(&self.place) == Place::Router || *lock(&self.state) == "mongos"
    }

    pub(super) fn admin(&self) -> Database {
        self.client.database("admin")
    }

    pub(super) fn database(&self, name: &str) -> Database {
        self.client.database(name)
    }

    /// Runs a command on `admin`; `doing` names it in an error.
    pub(super) async fn command(&self, doing: &str, command: Document) -> Result<Document, NodeError> {
        self.admin().run_command(command).await.map_err(|error| node_error(&self.host, doing, &error))
    }

    /// The server's `hello`, raw, with the times between which it was answered.
    pub(super) async fn hello_document(&self) -> Result<(Document, Timestamp, Timestamp), NodeError> {
        let sent = Timestamp::now();
        let reply = self.command("hello", doc! {"hello": 1}).await?;
        let received = Timestamp::now();
        *lock(&self.state) = state(&reply);
        Ok((reply, sent, received))
    }

    /// A client of its own that never logs in.
    pub(super) async fn is_open_to_strangers(&self) -> Result<bool, NodeError> {
        let mut options = self.options.clone();
        options.credential = None;
        options.min_pool_size = None;
        let doing = "ask without logging in";
        let stranger =
            Client::with_options(options).map_err(|error| node_error(&self.host, doing, &error))?;
        let asked = stranger.database("admin").run_command(doc! {"listDatabases": 1, "nameOnly": true}).await;
        stranger.shutdown().immediate(true).await;
        match asked.map_err(|error| node_error(&self.host, doing, &error)) {
            Ok(_) => Ok(true),
            Err(NodeError { code: Some(UNAUTHORIZED), .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Member for MongoMember {
    fn host(&self) -> &str {
        &self.host
    }

    fn role(&self) -> String {
        match *lock(&self.place) {
            Place::Visible => (*lock(&self.state)).to_owned(),
            Place::Hidden => "hidden".to_owned(),
            Place::Router => "mongos".to_owned(),
        }
    }

    fn sees_all(&self) -> bool {
        *lock(&self.place) != Place::Router
    }

    async fn hello(&self) -> Result<Hello, NodeError> {
        let (reply, sent, received) = self.hello_document().await?;
        Ok(clock(&reply, sent, received))
    }

    async fn enforces_authorization(&self, process: &ProcessId) -> Result<bool, NodeError> {
        if let Some((asked, answer)) = &*lock(&self.authorization)
            && asked == process
        {
            return Ok(*answer);
        }
        let answer = !self.is_open_to_strangers().await?;
        *lock(&self.authorization) = Some((process.clone(), answer));
        Ok(answer)
    }

    async fn survey(&self, principals: &Principals, idle_connections: bool) -> Result<Survey, NodeError> {
        let translate = |error| node_error(&self.host, "$currentOp", &error);
        let command = mongo_survey::command(principals, idle_connections);
        let mut cursor = self.admin().run_cursor_command(command).await.map_err(translate)?;
        let mut survey = Survey::default();
        while let Some(row) = cursor.try_next().await.map_err(translate)? {
            match bson::deserialize_from_document::<mongo_survey::Row>(row) {
                Ok(row) => mongo_survey::add(&mut survey, row),
                Err(error) => {
                    return Err(NodeError {
                        class: crate::terminate::ErrorClass::Permanent,
                        code: None,
                        node: self.host.clone(),
                        message: format!("$currentOp: a row of an unexpected shape: {error}"),
                    });
                }
            }
        }
        Ok(survey)
    }

    async fn kill(&self, patterns: &Patterns, comment: &Comment) -> Result<(), NodeError> {
        self.command("killAllSessionsByPattern", kill(patterns, comment)).await.map(drop)
    }

    async fn kill_operation(&self, opid: &str, comment: &Comment) -> Result<(), NodeError> {
        let op = opid.parse::<i64>().map_or_else(|_| bson::Bson::from(opid), bson::Bson::from);
        let command = doc! {"killOp": 1, "op": op, "comment": comment_document(comment)};
        self.command("killOp", command).await.map(drop)
    }
}

fn state(hello: &Document) -> &'static str {
    let is = |key: &str| hello.get_bool(key).unwrap_or(false);
    if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        "mongos"
    } else if !hello.contains_key("setName") {
        "standalone"
    } else if is("isWritablePrimary") {
        "primary"
    } else if is("secondary") {
        "secondary"
    } else {
        "recovering"
    }
}

/// How far the member's clock is ahead of ours, read in the middle of the round trip.
fn clock(hello: &Document, sent: Timestamp, received: Timestamp) -> Hello {
    /// The server tells its time in whole milliseconds.
    const GRAIN: SignedDuration = SignedDuration::from_millis(1);
    let half = received.duration_since(sent) / 2;
    let ahead = hello
        .get_datetime("localTime")
        .ok()
        .and_then(|date| Timestamp::from_millisecond(date.timestamp_millis()).ok())
        .map(|there| there.duration_since(sent) - half);
    let process = hello
        .get_document("topologyVersion")
        .and_then(|version| version.get_object_id("processId"))
        .map(|id| id.to_hex())
        .unwrap_or_default();
    match ahead {
        Some(ahead) => Hello { process: ProcessId(process), ahead, error: half + GRAIN },
        // A server without a clock: whatever is there counts as left over, the safe side.
        None => Hello {
            process: ProcessId(process),
            ahead: SignedDuration::ZERO,
            error: SignedDuration::from_hours(24),
        },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Each holds one small value that is written whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
