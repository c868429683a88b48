//! Everybody who is connected to a member: connections, what they run, and when each was used last.
//! No query and no document travels.

use std::collections::HashMap;

use bson::{Document, doc};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::Deserialize;

use super::{mongo_error::node_error, mongo_member::MongoMember};
use crate::{
    principal::{Digest, Principal},
    sessions::{Entry, Kind, Look},
    terminate::{NodeError, member::Member as _},
};

/// The server gives up after this many milliseconds.
const MAX_TIME_MS: i32 = 10_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    effective_users: Vec<User>,
    lsid: Option<Lsid>,
    client: Option<String>,
    #[serde(rename = "client_s")]
    client_of_mongos: Option<String>,
    app_name: Option<String>,
    transaction: Option<Document>,
}

#[derive(Debug, Deserialize)]
struct User {
    user: String,
    db: String,
}

#[derive(Debug, Deserialize)]
struct Lsid {
    uid: Option<bson::Binary>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LocalSession {
    #[serde(rename = "_id")]
    id: Lsid,
    user: Option<String>,
    last_use: Option<bson::DateTime>,
}

/// Looks at one member.
pub(super) async fn look(member: &MongoMember) -> Result<Look, NodeError> {
    let failed = |doing: &'static str| move |error| node_error(member.host(), doing, &error);
    let current_op =
        doc! {"allUsers": true, "idleConnections": true, "idleSessions": true, "idleCursors": true};
    let kept = [
        "type",
        "active",
        "effectiveUsers",
        "lsid.uid",
        "client",
        "client_s",
        "appName",
        "transaction.startWallClockTime",
    ];
    let projection: Document = kept.iter().map(|field| ((*field).to_owned(), bson::Bson::Int32(1))).collect();
    let admin = member.admin();
    let operations = admin.aggregate([doc! {"$currentOp": current_op}, doc! {"$project": projection}]);
    let operations = async {
        let cursor = operations.max_time(max_time()).await.map_err(failed("look at who is connected"))?;
        let rows: Vec<Row> =
            cursor.with_type().try_collect().await.map_err(failed("look at who is connected"))?;
        Ok::<_, NodeError>(rows)
    };
    let sessions = admin.aggregate([
        doc! {"$listLocalSessions": {"allUsers": true}},
        doc! {"$project": {"_id.uid": 1, "user": 1, "lastUse": 1}},
    ]);
    let sessions = async {
        let cursor = sessions.max_time(max_time()).await.map_err(failed("list its sessions"))?;
        let rows: Vec<LocalSession> =
            cursor.with_type().try_collect().await.map_err(failed("list its sessions"))?;
        Ok::<_, NodeError>(rows)
    };
    let (hello, operations, sessions) = tokio::join!(member.hello(), operations, sessions);
    let (hello, operations, sessions) = (hello?, operations?, sessions?);
    let now = Timestamp::now().checked_add(hello.ahead).unwrap_or(Timestamp::MAX);
    let mut names: HashMap<Digest, Principal> = HashMap::new();
    let mut entries: Vec<Entry> = operations.into_iter().filter_map(entry).collect();
    for session in sessions {
        let Some(uid) = session.id.uid.as_ref().and_then(digest) else { continue };
        if let Some(principal) = session.user.and_then(|user| user.parse::<Principal>().ok())
            && principal.digest() == uid
        {
            names.insert(uid, principal);
        }
        let used = session.last_use.and_then(|at| Timestamp::from_millisecond(at.timestamp_millis()).ok());
        entries.push(Entry {
            kind: Kind::Session,
            users: Vec::new(),
            uid: Some(uid),
            app: None,
            client: None,
            idle: used.and_then(|used| std::time::Duration::try_from(now.duration_since(used)).ok()),
        });
    }
    Ok(Look { entries, names })
}

fn max_time() -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(MAX_TIME_MS).unwrap_or_default())
}

fn entry(row: Row) -> Option<Entry> {
    let kind = match (row.r#type.as_str(), row.active, &row.transaction) {
        ("op", true, _) => Kind::Operation,
        ("op", false, _) => Kind::Connection,
        ("idleSession", _, Some(_)) => Kind::Transaction,
        ("idleCursor", ..) => Kind::Cursor,
        _ => return None,
    };
    let users = row.effective_users.iter().filter_map(|user| Principal::new(&user.user, &user.db).ok());
    Some(Entry {
        kind,
        users: users.collect(),
        uid: row.lsid.as_ref().and_then(|lsid| digest(lsid.uid.as_ref()?)),
        app: row.app_name.filter(|app| !app.trim().is_empty()),
        client: row.client.or(row.client_of_mongos).map(|client| {
            // The port says nothing to a person.
            client.rsplit_once(':').map_or(client.clone(), |(address, _)| address.to_owned())
        }),
        idle: None,
    })
}

fn digest(binary: &bson::Binary) -> Option<Digest> {
    binary.bytes.as_slice().try_into().ok().map(Digest::from_bytes)
}
