//! What `check` asks of a cluster: who is in it and, of every member, whether it can be reached,
//! who we are there and what we may do. Only questions: nothing is changed, nobody is cut.

use std::{future::Future, sync::Arc, time::Duration};

use bson::{Bson, Document, doc};
use futures::future::join_all;
use mongodb::options::ConnectionString;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use super::{
    mongo_cluster::{InvalidCluster, MongoCluster},
    mongo_error::AUTHENTICATION_FAILED,
    mongo_member::MongoMember,
    mongo_uri, mongo_users,
};
use crate::{
    check::facts::{Answers, ClusterFacts, Login, MemberFacts, Silence},
    config,
    principal::Principal,
    terminate::{
        ErrorClass, NodeError,
        member::{Cluster as _, Discovery, Hello, Member as _},
    },
};

/// How long one question may take. A stopped server keeps its connections and never answers.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same for the server's own work, in milliseconds.
const MAX_TIME_MS: i32 = 4_000;
/// The clock is read so often, and the quickest answer taken: the first pays for the connection.
const CLOCK_READINGS: usize = 3;
/// The commands that a cut is made of.
const COMMANDS: [&str; 2] = ["killAllSessionsByPattern", "killOp"];

/// Whether the URI can be read, without connecting or asking any name server.
pub fn valid_uri(config: &config::Cluster) -> Result<(), InvalidCluster> {
    ConnectionString::parse(config.uri.expose_secret())
        .map(drop)
        .map_err(|error| InvalidCluster::uri(config, &error))
}

/// The account that the URI itself names, if it names one; asks nobody.
pub fn written_account(config: &config::Cluster) -> Option<Principal> {
    mongo_uri::written_account(config)
}

/// Asks everything of one cluster.
pub async fn look(config: &config::Cluster, for_roles: bool) -> Result<ClusterFacts, InvalidCluster> {
    let cluster = MongoCluster::new(config).await?;
    let name = cluster.name().clone();
    let (discovery, account) = tokio::join!(
        within(&name, "ask who is in the cluster", cluster.discover()),
        within(&name, "ask who we are", cluster.own_accounts())
    );
    let (members, incomplete) = match discovery {
        Ok(Discovery { members, incomplete }) => (members, incomplete),
        Err(error) => (cluster.candidates(), Some(error)),
    };
    let members = join_all(members.iter().map(|member| ask(member, for_roles))).await;
    Ok(ClusterFacts { name, account: account.unwrap_or_default(), members, incomplete })
}

async fn ask(member: &Arc<MongoMember>, for_roles: bool) -> MemberFacts {
    let answers = match read_clock(member).await {
        Ok((answers_in, hello)) => {
            Ok(Answers { wanted_for_roles: for_roles, ..answers(member, answers_in, hello).await })
        }
        Err(error) => Err(silence(member, error).await),
    };
    MemberFacts { host: member.host().to_owned(), role: member.role(), answers }
}

/// The quickest of some readings.
async fn read_clock(member: &MongoMember) -> Result<(Duration, Hello), NodeError> {
    let mut best: Option<(Duration, Hello)> = None;
    for _ in 0..CLOCK_READINGS {
        let asked = std::time::Instant::now();
        let hello = within(member.host(), "hello", member.hello()).await?;
        let took = asked.elapsed();
        if best.as_ref().is_none_or(|(quickest, _)| took < *quickest) {
            best = Some((took, hello));
        }
    }
    best.ok_or_else(|| late(member.host(), "hello"))
}

/// A server without authorization refuses a login too: it has no such user.
async fn silence(member: &MongoMember, error: NodeError) -> Silence {
    let open_to_strangers = match error.code {
        Some(AUTHENTICATION_FAILED) => {
            within(member.host(), "ask without logging in", member.is_open_to_strangers()).await.ok()
        }
        Some(_) | None => None,
    };
    Silence { error, open_to_strangers }
}

async fn answers(member: &MongoMember, answers_in: Duration, hello: Hello) -> Answers {
    let host = member.host();
    let (version, authorization, login, unknown_commands, names_owners) = tokio::join!(
        within(host, "buildInfo", version(member)),
        within(host, "ask without logging in", member.enforces_authorization(&hello.process)),
        within(host, "connectionStatus", login(member)),
        within(host, "listCommands", unknown_commands(member)),
        within(host, "$currentOp", names_owners(member)),
    );
    Answers {
        answers_in,
        ahead: hello.ahead,
        ahead_error: hello.error,
        router: member.is_router(),
        wanted_for_roles: false,
        version,
        authorization,
        login,
        unknown_commands,
        names_owners,
    }
}

async fn version(member: &MongoMember) -> Result<String, NodeError> {
    let reply = member.command("buildInfo", doc! {"buildInfo": 1}).await?;
    Ok(reply.get_str("version").unwrap_or("unknown").to_owned())
}

async fn login(member: &MongoMember) -> Result<Login, NodeError> {
    let command = doc! {"connectionStatus": 1, "showPrivileges": true};
    let reply = member.command("connectionStatus", command).await?;
    let privileges = reply
        .get_document("authInfo")
        .and_then(|info| info.get_array("authenticatedUserPrivileges"))
        .map(|privileges| privileges.iter().cloned().map(Bson::into_relaxed_extjson).collect())
        .unwrap_or_default();
    Ok(Login { accounts: mongo_users::accounts(&reply), privileges })
}

async fn unknown_commands(member: &MongoMember) -> Result<Vec<&'static str>, NodeError> {
    let reply = member.command("listCommands", doc! {"listCommands": 1, "maxTimeMS": MAX_TIME_MS}).await?;
    let known = reply.get_document("commands").ok();
    let is_known = |command: &str| known.is_some_and(|known| known.contains_key(command));
    Ok(COMMANDS.into_iter().filter(|command| !is_known(command)).collect())
}

/// Looks at our own operations only, this one among them: for that no privilege is needed.
async fn names_owners(member: &MongoMember) -> Result<bool, NodeError> {
    let command = doc! {
        "aggregate": 1,
        "pipeline": [
            {"$currentOp": {"allUsers": false}},
            {"$match": {"effectiveUsers.0": {"$exists": true}}},
            {"$limit": 1},
            {"$project": {"_id": 0, "type": 1}},
        ],
        "cursor": {},
        "maxTimeMS": MAX_TIME_MS,
    };
    let reply = member.command("$currentOp", command).await?;
    Ok(first_batch(&reply).is_some_and(|batch| !batch.is_empty()))
}

fn first_batch(reply: &Document) -> Option<&Vec<Bson>> {
    reply.get_document("cursor").ok()?.get_array("firstBatch").ok()
}

async fn within<T>(
    node: &str,
    doing: &str,
    question: impl Future<Output = Result<T, NodeError>>,
) -> Result<T, NodeError> {
    timeout(PATIENCE, question).await.unwrap_or_else(|_| Err(late(node, doing)))
}

fn late(node: &str, doing: &str) -> NodeError {
    NodeError {
        class: ErrorClass::Transient,
        code: None,
        node: node.to_owned(),
        message: format!("{doing}: no answer within {} s", PATIENCE.as_secs()),
    }
}
