//! Who is in a cluster, as one of its servers says: hidden members are in, arbiters are not.

use std::time::Duration;

use bson::{Document, doc};
use futures::TryStreamExt as _;

use super::{
    mongo_error::{UNAUTHORIZED, node_error},
    mongo_member::{MongoMember, Place},
};
use crate::terminate::{ErrorClass, NodeError, member::Member as _};

/// A mongos that has not pinged for this long is dead; `config.mongos` keeps it for ever.
const MONGOS_TTL: Duration = Duration::from_secs(120);

/// One member's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) host: String,
    pub(super) place: Place,
}

/// Who one server says is in the cluster.
#[derive(Clone, Debug)]
pub(super) struct Roster {
    pub(super) seats: Vec<Seat>,
    /// Term and version of the configuration it comes from.
    age: (i64, i64),
    pub(super) incomplete: Option<NodeError>,
}

impl Roster {
    /// A complete one beats an incomplete one, a newer one an older one.
    pub(super) fn rank(&self) -> (bool, (i64, i64)) {
        (self.incomplete.is_none(), self.age)
    }
}

/// Asks one server who is in its cluster; `wanted_set` is the replica set that the URI asks for.
pub(super) async fn ask(member: &MongoMember, wanted_set: Option<&str>) -> Result<Roster, NodeError> {
    let (hello, ..) = member.hello_document().await?;
    if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        return routers(member, &hello).await;
    }
    let Ok(set) = hello.get_str("setName") else {
        let seat = Seat { host: member.host().to_owned(), place: Place::Visible };
        return Ok(Roster { seats: vec![seat], age: (0, 0), incomplete: None });
    };
    if let Some(wanted) = wanted_set
        && wanted != set
    {
        return Err(permanent(member, format!("is in the replica set `{set}`, the URI asks for `{wanted}`")));
    }
    match member.command("replSetGetConfig", doc! {"replSetGetConfig": 1}).await {
        Ok(reply) => {
            from_config(&reply).ok_or_else(|| permanent(member, "replSetGetConfig: no members".into()))
        }
        Err(error) if error.code == Some(UNAUTHORIZED) => Ok(from_hello(&hello, error)),
        Err(error) => Err(error),
    }
}

/// Every member that holds data. Arbiters hold none; hidden, delayed and priority-0 ones do.
fn from_config(reply: &Document) -> Option<Roster> {
    let config = reply.get_document("config").ok()?;
    let seats: Vec<Seat> = config
        .get_array("members")
        .ok()?
        .iter()
        .filter_map(bson::Bson::as_document)
        .filter(|member| !member.get_bool("arbiterOnly").unwrap_or(false))
        .map(|member| {
            let place =
                if member.get_bool("hidden").unwrap_or(false) { Place::Hidden } else { Place::Visible };
            Some(Seat { host: member.get_str("host").ok()?.to_owned(), place })
        })
        .collect::<Option<_>>()?;
    let age = (integer(config, "term"), integer(config, "version"));
    (!seats.is_empty()).then_some(Roster { seats, age, incomplete: None })
}

/// Without the privilege to read the configuration: the visible members, and that there may be more.
fn from_hello(hello: &Document, why: NodeError) -> Roster {
    let listed = ["hosts", "passives"].into_iter().filter_map(|key| hello.get_array(key).ok()).flatten();
    let seats = listed
        .filter_map(bson::Bson::as_str)
        .map(|host| Seat { host: host.to_owned(), place: Place::Visible })
        .collect();
    let message = format!("hidden members cannot be known: {}", why.message);
    Roster { seats, age: (0, 0), incomplete: Some(NodeError { message, ..why }) }
}

/// Every live mongos; what is behind them is not seen through them.
async fn routers(member: &MongoMember, hello: &Document) -> Result<Roster, NodeError> {
    let doing = "find config.mongos";
    let now =
        hello.get_datetime("localTime").map_err(|_| permanent(member, "hello without localTime".into()))?;
    let command = live_routers(*now);
    let translate = |error| node_error(member.host(), doing, &error);
    let cursor = member.database("config").run_cursor_command(command).await.map_err(translate)?;
    let found: Vec<Document> = cursor.try_collect().await.map_err(translate)?;
    let mut seats: Vec<Seat> = found
        .iter()
        .filter_map(|router| router.get_str("_id").ok())
        .map(|host| Seat { host: host.to_owned(), place: Place::Router })
        .collect();
    if seats.is_empty() {
        seats.push(Seat { host: member.host().to_owned(), place: Place::Router });
    }
    Ok(Roster { seats, age: (0, 0), incomplete: None })
}

fn live_routers(now: bson::DateTime) -> Document {
    let ttl = i64::try_from(MONGOS_TTL.as_millis()).unwrap_or(i64::MAX);
    let since = bson::DateTime::from_millis(now.timestamp_millis().saturating_sub(ttl));
    doc! {"find": "mongos", "filter": {"ping": {"$gte": since}}, "projection": {"_id": 1}}
}

fn integer(document: &Document, key: &str) -> i64 {
    match document.get(key) {
        Some(bson::Bson::Int32(number)) => (*number).into(),
        Some(bson::Bson::Int64(number)) => *number,
        Some(_) | None => 0,
    }
}

fn permanent(member: &MongoMember, message: String) -> NodeError {
    NodeError { class: ErrorClass::Permanent, code: None, node: member.host().to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_members_are_in_and_arbiters_are_not() {
        let reply = doc! {"config": {"term": 2_i64, "version": 7, "members": [
            {"host": "a:1", "arbiterOnly": false, "hidden": false},
            {"host": "b:1", "arbiterOnly": true, "hidden": false},
            {"host": "c:1", "arbiterOnly": false, "hidden": true},
        ]}};
        let roster = from_config(&reply).unwrap();
        assert_eq!(roster.age, (2, 7));
        assert_eq!(
            roster.seats,
            [
                Seat { host: "a:1".into(), place: Place::Visible },
                Seat { host: "c:1".into(), place: Place::Hidden },
            ]
        );
    }

    #[test]
    fn a_complete_roster_beats_a_newer_incomplete_one() {
        let why = NodeError {
            class: ErrorClass::Permanent,
            code: Some(13),
            node: "a:1".into(),
            message: "no".into(),
        };
        let partial = from_hello(&doc! {"hosts": ["a:1"]}, why);
        let whole = Roster { seats: vec![], age: (0, 0), incomplete: None };
        assert!(partial.rank() < whole.rank());
        assert!(partial.incomplete.unwrap().message.starts_with("hidden members cannot be known"));
    }

    #[test]
    fn only_a_mongos_that_pings_counts() {
        let command = live_routers(bson::DateTime::from_millis(500_000));
        let since = command
            .get_document("filter")
            .unwrap()
            .get_document("ping")
            .unwrap()
            .get_datetime("$gte")
            .unwrap();
        assert_eq!(since.timestamp_millis(), 380_000);
    }
}
