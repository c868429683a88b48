//! The look at a member: one `$currentOp`, filtered and projected on the server, so that 2,000
//! connections cost half a millisecond. No filter, document or other value of a query travels.

use bson::{Document, doc};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    pattern::SessionId,
    principal::{Digest, Principal, Principals},
    terminate::{
        Evidence, Kind,
        survey::{Identity, IdleConnection, Seen, Survey},
    },
};

/// The server gives up on a look after this many milliseconds, whatever became of us.
const MAX_TIME_MS: i32 = 5_000;

/// The command.
pub(super) fn command(principals: &Principals, idle_connections: bool) -> Document {
    let uids: Vec<bson::Bson> =
        principals.iter().map(|principal| super::mongo_wire::binary(&principal.digest()).into()).collect();
    let users: Vec<Document> =
        principals.iter().map(|principal| doc! {"user": principal.user(), "db": principal.db()}).collect();
    let current_op = doc! {
        "allUsers": true,
        "idleConnections": idle_connections,
        "idleSessions": true,
        "idleCursors": true,
    };
    let theirs_or_nobodys = doc! {"$or": [
        {"lsid.uid": {"$in": uids}},
        {"effectiveUsers": {"$in": users}},
        {"type": "idleCursor", "lsid": {"$exists": false}},
    ]};
    doc! {
        "aggregate": 1,
        "pipeline": [{"$currentOp": current_op}, {"$match": theirs_or_nobodys}, {"$project": projection()}],
        "cursor": {},
        "maxTimeMS": MAX_TIME_MS,
    }
}

/// What travels: identities, times and names, never a command.
fn projection() -> Document {
    let mut projection = doc! {"_id": 0};
    for kept in [
        "type",
        "active",
        "effectiveUsers",
        "lsid.id",
        "lsid.uid",
        "opid",
        "connectionId",
        "client",
        "client_s",
        "appName",
        "ns",
        "op",
        "killPending",
        "currentOpTime",
        "microsecs_running",
        "cursor.cursorId",
        "cursor.createdDate",
        "transaction.parameters.txnNumber",
        "transaction.startWallClockTime",
    ] {
        projection.insert(kept, 1);
    }
    projection.insert(
        "driver",
        doc! {"$concat": [
            {"$ifNull": ["$clientMetadata.driver.name", ""]}, " ",
            {"$ifNull": ["$clientMetadata.driver.version", ""]},
        ]},
    );
    let command = doc! {"$ifNull": ["$command", "$cursor.originatingCommand"]};
    let command = doc! {"$cond": [{"$eq": [{"$type": command.clone()}, "object"]}, command, {}]};
    projection.insert(
        "command_name",
        doc! {"$let": {
            "vars": {"first": {"$arrayElemAt": [{"$objectToArray": command}, 0]}},
            "in": "$$first.k",
        }},
    );
    projection
}

/// One row, as the projection leaves it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    effective_users: Vec<User>,
    lsid: Option<Lsid>,
    opid: Option<bson::Bson>,
    connection_id: Option<i64>,
    client: Option<String>,
    #[serde(rename = "client_s")]
    client_of_mongos: Option<String>,
    app_name: Option<String>,
    driver: Option<String>,
    ns: Option<String>,
    op: Option<String>,
    #[serde(rename = "command_name")]
    command_name: Option<String>,
    #[serde(default)]
    kill_pending: bool,
    current_op_time: Option<String>,
    #[serde(rename = "microsecs_running")]
    microsecs_running: Option<i64>,
    cursor: Option<Cursor>,
    transaction: Option<Transaction>,
}

#[derive(Debug, Deserialize)]
struct User {
    user: String,
    db: String,
}

#[derive(Debug, Deserialize)]
struct Lsid {
    id: Option<bson::Binary>,
    uid: Option<bson::Binary>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cursor {
    cursor_id: Option<i64>,
    created_date: Option<bson::DateTime>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    parameters: Option<TransactionParameters>,
    start_wall_clock_time: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransactionParameters {
    txn_number: Option<i64>,
}

/// Adds what a row shows.
pub(super) fn add(survey: &mut Survey, row: Row) {
    let session = row.session();
    match (row.r#type.as_str(), session) {
        ("idleCursor", None) => survey.unattributable_cursors += 1,
        ("idleCursor", Some(_)) => {
            let cursor = row.cursor.as_ref();
            let identity = cursor.and_then(|cursor| cursor.cursor_id).map(Identity::Cursor);
            let began = cursor.and_then(|cursor| cursor.created_date).and_then(instant);
            survey.seen.extend(identity.map(|identity| row.seen(identity, Kind::Cursor, session, began)));
        }
        ("idleSession", Some(session)) => {
            let transaction = row.transaction.as_ref();
            let number = transaction.and_then(|t| t.parameters.as_ref()?.txn_number).unwrap_or_default();
            let began = transaction.and_then(|t| t.start_wall_clock_time.as_deref()?.parse().ok());
            let identity = Identity::Transaction { session, number };
            survey.seen.push(row.seen(identity, Kind::Transaction, Some(session), began));
        }
        ("op", _) if row.active => {
            let identity = Identity::Operation {
                connection: row.connection_id.unwrap_or_default(),
                opid: row.opid_text(),
            };
            let part_of = row.part_of(session);
            let began = match &part_of {
                Some((_, began)) => Some(*began),
                None => row.operation_began(),
            };
            let seen = row.seen(identity, Kind::Operation, session, began);
            survey.seen.push(Seen { part_of: part_of.map(|(whole, _)| whole), ..seen });
        }
        ("op", _) => survey.idle.push(IdleConnection { address: address(row.client()), users: row.users() }),
        _ => {}
    }
}

impl Row {
    fn session(&self) -> Option<SessionId> {
        let lsid = self.lsid.as_ref()?;
        let id = Uuid::from_slice(&lsid.id.as_ref()?.bytes).ok()?;
        let uid: [u8; 32] = lsid.uid.as_ref()?.bytes.as_slice().try_into().ok()?;
        Some(SessionId { id, uid: Digest::from_bytes(uid) })
    }

    fn users(&self) -> Vec<Principal> {
        self.effective_users.iter().filter_map(|user| Principal::new(&user.user, &user.db).ok()).collect()
    }

    fn client(&self) -> Option<&str> {
        self.client.as_deref().or(self.client_of_mongos.as_deref())
    }

    fn opid_text(&self) -> String {
        match &self.opid {
            Some(bson::Bson::Int32(number)) => number.to_string(),
            Some(bson::Bson::Int64(number)) => number.to_string(),
            Some(bson::Bson::String(text)) => text.clone(),
            Some(_) | None => String::new(),
        }
    }

    fn operation_began(&self) -> Option<Timestamp> {
        let now: Timestamp = self.current_op_time.as_deref()?.parse().ok()?;
        now.checked_sub(SignedDuration::from_micros(self.microsecs_running?)).ok()
    }

    /// The open cursor or transaction of which the operation is a step, and when that began.
    fn part_of(&self, session: Option<SessionId>) -> Option<(Identity, Timestamp)> {
        let transaction = self.transaction.as_ref().and_then(|transaction| {
            let session = session?;
            let number = transaction.parameters.as_ref()?.txn_number?;
            let began = transaction.start_wall_clock_time.as_deref()?.parse().ok()?;
            Some((Identity::Transaction { session, number }, began))
        });
        let cursor = || {
            let cursor = self.cursor.as_ref()?;
            Some((Identity::Cursor(cursor.cursor_id?), instant(cursor.created_date?)?))
        };
        transaction.or_else(cursor)
    }

    fn seen(
        &self,
        identity: Identity,
        kind: Kind,
        session: Option<SessionId>,
        began: Option<Timestamp>,
    ) -> Seen {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        Seen {
            identity,
            part_of: None,
            session,
            users: self.users(),
            strangers: self.users().len() < self.effective_users.len(),
            began,
            pending: self.kill_pending,
            evidence: Evidence {
                kind,
                principal: None,
                lsid: session.map(|session| session.id.to_string()),
                opid: Some(self.opid_text()).filter(|opid| !opid.is_empty()),
                connection: self.connection_id,
                client: self.client().map(str::to_owned),
                app: text(&self.app_name),
                driver: text(&self.driver).map(|driver| driver.trim().to_owned()),
                namespace: text(&self.ns),
                // A long command is cut short by the server and its name with it (`$truncated`).
                command: text(&self.command_name)
                    .filter(|name| !name.starts_with('$'))
                    .or_else(|| text(&self.op)),
            },
        }
    }
}

fn instant(date: bson::DateTime) -> Option<Timestamp> {
    Timestamp::from_millisecond(date.timestamp_millis()).ok()
}

/// Without the port, which says nothing to a firewall.
fn address(client: Option<&str>) -> String {
    let client = client.unwrap_or("unknown");
    client.rsplit_once(':').map_or(client, |(address, _)| address).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(row: Document) -> Survey {
        let mut survey = Survey::default();
        add(&mut survey, bson::deserialize_from_document(row).unwrap());
        survey
    }

    /// Read all the time, it is never idle when one looks; its requests are all younger than the kill.
    #[test]
    fn a_request_for_more_of_a_cursor_began_when_the_cursor_did() {
        let created: Timestamp = "2026-11-25T01:00:00Z".parse().unwrap();
        let row = |cursor: Document| {
            doc! {
                "type": "op", "active": true, "opid": 1, "connectionId": 2_i64, "cursor": cursor,
                "currentOpTime": "2026-11-25T02:00:00.000+00:00", "microsecs_running": 1_000_i64,
            }
        };
        let date = bson::DateTime::from_millis(created.as_millisecond());
        let step = look(row(doc! {"cursorId": 7_i64, "createdDate": date})).seen.remove(0);
        assert_eq!((step.part_of, step.began), (Some(Identity::Cursor(7)), Some(created)));
        let first = look(row(doc! {})).seen.remove(0);
        assert_eq!((first.part_of, first.began > Some(created)), (None, true));
    }

    #[test]
    fn somebody_whose_name_is_no_principal_is_not_overlooked_on_a_shared_connection() {
        let operation = |users: Vec<Document>| {
            doc! {
                "type": "op", "active": true, "opid": 1, "connectionId": 2_i64, "effectiveUsers": users,
            }
        };
        let alone = look(operation(vec![doc! {"user": "a", "db": "x"}]));
        assert!(!alone.seen[0].strangers);
        let shared = look(operation(vec![doc! {"user": "a", "db": "x"}, doc! {"user": "b", "db": "c@d"}]));
        assert_eq!((shared.seen[0].users.len(), shared.seen[0].strangers), (1, true));
    }
}
