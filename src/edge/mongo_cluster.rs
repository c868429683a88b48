//! A cluster: who is in it, asked of its members themselves, hidden ones included.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bson::{Document, doc};
use futures::{StreamExt as _, TryStreamExt as _, stream::FuturesUnordered};
use mongodb::{
    error::Error,
    options::{AuthMechanism, ClientOptions, ServerAddress},
};
use secrecy::ExposeSecret as _;
use tokio::time::{Instant, timeout_at};

use super::{
    mongo_error::{UNAUTHORIZED, node_error, words},
    mongo_member::{MongoMember, Place},
    mongo_users,
};
use crate::{
    config,
    principal::Principal,
    terminate::{
        ErrorClass, Known, Near, NodeError,
        member::{Cluster, Discovery, Member as _},
    },
};

/// After the first member told who is in the cluster, wait this long for one with a newer
/// configuration: members learn of a change within a heartbeat, a partitioned one does not.
const GRACE: Duration = Duration::from_millis(25);
/// A mongos that has not pinged for this long is dead; `config.mongos` keeps it for ever.
const MONGOS_TTL: Duration = Duration::from_secs(120);

/// One configured cluster.
#[derive(Debug)]
pub struct MongoCluster {
    name: Arc<str>,
    options: ClientOptions,
    addresses: BTreeMap<String, ServerAddress>,
    seeds: Vec<Arc<MongoMember>>,
    members: Mutex<BTreeMap<String, Arc<MongoMember>>>,
    own: Mutex<Option<Vec<Principal>>>,
}

/// Why a cluster cannot even be tried.
#[derive(Debug, thiserror::Error)]
#[error("clusters.{cluster}: {message}")]
pub struct InvalidCluster {
    cluster: Arc<str>,
    message: String,
}

impl InvalidCluster {
    /// What the driver says of the URI; it may quote it, and with it the password.
    pub(super) fn uri(config: &config::Cluster, error: &Error) -> Self {
        Self {
            cluster: config.name.clone(),
            message: format!("uri: {}", without_secrets(&words(error), config)),
        }
    }
}

impl MongoCluster {
    /// Reads the URI; connects to nothing yet. Must be called inside a tokio runtime.
    pub async fn new(config: &config::Cluster) -> Result<Self, InvalidCluster> {
        let invalid = |message: String| InvalidCluster { cluster: config.name.clone(), message };
        let options = ClientOptions::parse(config.uri.expose_secret())
            .await
            .map_err(|error| InvalidCluster::uri(config, &error))?;
        let mut addresses = BTreeMap::new();
        for (host, address) in &config.members {
            let address = ServerAddress::parse(address)
                .map_err(|error| invalid(format!("members[{host}]: {error}")))?;
            addresses.insert(host.clone(), address);
        }
        let seeds = options
            .hosts
            .iter()
            .map(|address| {
                let host = address.to_string();
                let address = addresses.get(&host).unwrap_or(address).clone();
                MongoMember::new(host, address, &options).map(Arc::new)
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| invalid(without_secrets(&error.message, config)))?;
        let own = named_account(&options).map(|account| vec![account]);
        Ok(Self {
            name: config.name.clone(),
            options,
            addresses,
            seeds,
            members: Mutex::default(),
            own: Mutex::new(own),
        })
    }

    fn lock<'a, T>(mutex: &'a Mutex<T>) -> std::sync::MutexGuard<'a, T> {
        // Each holds a value that is replaced whole.
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Members and seeds to ask, each address once.
    pub(super) fn candidates(&self) -> Vec<Arc<MongoMember>> {
        let members = Self::lock(&self.members);
        let known = members.values().cloned();
        let seeds = self.seeds.iter().filter(|seed| !members.contains_key(seed.host())).cloned();
        known.chain(seeds).collect()
    }

    /// Keeps the clients of members that stay, makes those of new ones, drops the others.
    fn adopt(&self, seats: Vec<Seat>) -> Result<Vec<Arc<MongoMember>>, NodeError> {
        let mut members = Self::lock(&self.members);
        let mut now = BTreeMap::new();
        for Seat { host, place } in seats {
            let known =
                members.get(&host).or_else(|| self.seeds.iter().find(|seed| seed.host() == host)).cloned();
            let member = match known {
                Some(member) => member,
                None => {
                    let address = match self.addresses.get(&host) {
                        Some(address) => address.clone(),
                        None => ServerAddress::parse(&host)
                            .map_err(|error| node_error(&host, "address", &error))?,
                    };
                    Arc::new(MongoMember::new(host.clone(), address, &self.options)?)
                }
            };
            member.set_place(place);
            now.insert(host, member);
        }
        *members = now;
        Ok(members.values().cloned().collect())
    }

    /// Asks one server who is in its cluster.
    async fn ask(&self, member: &MongoMember) -> Result<Roster, NodeError> {
        let (hello, ..) = member.hello_document().await?;
        if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
            return routers(member, &hello).await;
        }
        let Ok(set) = hello.get_str("setName") else {
            let seat = Seat { host: member.host().to_owned(), place: Place::Visible };
            return Ok(Roster { seats: vec![seat], age: (0, 0), incomplete: None });
        };
        if let Some(wanted) = &self.options.repl_set_name
            && wanted != set
        {
            return Err(permanent(
                member,
                format!("is in the replica set `{set}`, the URI asks for `{wanted}`"),
            ));
        }
        match member.command("replSetGetConfig", doc! {"replSetGetConfig": 1}).await {
            Ok(reply) => {
                from_config(&reply).ok_or_else(|| permanent(member, "replSetGetConfig: no members".into()))
            }
            Err(error) if error.code == Some(UNAUTHORIZED) => Ok(from_hello(&hello, error)),
            Err(error) => Err(error),
        }
    }
}

impl Cluster for MongoCluster {
    type Member = MongoMember;

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn known(&self) -> Vec<Arc<MongoMember>> {
        Self::lock(&self.members).values().cloned().collect()
    }

    async fn discover(&self) -> Result<Discovery<MongoMember>, NodeError> {
        let candidates = self.candidates();
        let mut asked: FuturesUnordered<_> = candidates.iter().map(|member| self.ask(member)).collect();
        let mut best: Option<Roster> = None;
        let mut errors = Vec::new();
        let mut until: Option<Instant> = None;
        loop {
            let next = match until {
                Some(until) => timeout_at(until, asked.next()).await.unwrap_or(None),
                None => asked.next().await,
            };
            match next {
                Some(Ok(roster)) => {
                    until = until.or(Some(Instant::now() + GRACE));
                    if best.as_ref().is_none_or(|best| best.rank() < roster.rank()) {
                        best = Some(roster);
                    }
                }
                Some(Err(error)) => errors.push(error),
                None => break,
            }
        }
        match best {
            Some(Roster { seats, incomplete, .. }) => {
                Ok(Discovery { members: self.adopt(seats)?, incomplete })
            }
            None => Err(told_by_nobody(&self.name, &errors)),
        }
    }

    async fn look_up(&self, principals: &[Principal]) -> Result<Vec<(Known, Vec<Near>)>, NodeError> {
        let mut members = self.known();
        members.sort_by_key(|member| !member.is_primary());
        let mut last = None;
        for member in members {
            match mongo_users::look_up(&member, principals).await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.class == ErrorClass::Transient => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| told_by_nobody(&self.name, &[])))
    }

    async fn own_accounts(&self) -> Result<Vec<Principal>, NodeError> {
        if let Some(own) = &*Self::lock(&self.own) {
            return Ok(own.clone());
        }
        let candidates = self.candidates();
        let mut asked: FuturesUnordered<_> =
            candidates.iter().map(|member| mongo_users::logged_in(member)).collect();
        let mut errors = Vec::new();
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(own) => {
                    *Self::lock(&self.own) = Some(own.clone());
                    return Ok(own);
                }
                Err(error) => errors.push(error),
            }
        }
        Err(told_by_nobody(&self.name, &errors))
    }
}

/// One member's place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seat {
    host: String,
    place: Place,
}

/// Who one server says is in the cluster.
#[derive(Clone, Debug)]
struct Roster {
    seats: Vec<Seat>,
    /// Term and version of the configuration it comes from.
    age: (i64, i64),
    incomplete: Option<NodeError>,
}

impl Roster {
    /// A complete one beats an incomplete one, a newer one an older one.
    fn rank(&self) -> (bool, (i64, i64)) {
        (self.incomplete.is_none(), self.age)
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

fn told_by_nobody(cluster: &str, errors: &[NodeError]) -> NodeError {
    let why: Vec<_> = errors.iter().map(|error| format!("{}: {}", error.node, error.message)).collect();
    let class = match errors.iter().all(|error| error.class == ErrorClass::Transient) {
        true => ErrorClass::Transient,
        false => ErrorClass::Permanent,
    };
    NodeError {
        class,
        code: errors.iter().find_map(|error| error.code),
        node: cluster.to_owned(),
        message: format!("no member told who is in the cluster ({})", why.join("; ")),
    }
}

/// Options of a URI that are secret.
const SECRET_OPTIONS: [&str; 3] = ["aws_session_token", "tlscertificatekeyfilepassword", "proxypassword"];

/// The account that the URI names; x.509 may leave it to the certificate.
fn named_account(options: &ClientOptions) -> Option<Principal> {
    let credential = options.credential.as_ref()?;
    let user = credential.username.as_deref()?;
    let external = matches!(
        credential.mechanism,
        Some(AuthMechanism::MongoDbX509 | AuthMechanism::Plain | AuthMechanism::MongoDbOidc)
    );
    let db = match (&credential.source, &options.default_database) {
        _ if external => "$external",
        (Some(source), _) => source,
        (None, Some(database)) => database,
        (None, None) => "admin",
    };
    Principal::new(user, db).ok()
}

/// The text without the URI and without any part of it that is secret. Where a secret has a character
/// that divides the URI, the driver takes its parts for something else and quotes them: then no word
/// of it is shown.
fn without_secrets(text: &str, config: &config::Cluster) -> String {
    let uri = config.uri.expose_secret();
    let userinfo =
        uri.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(userinfo, _)| userinfo);
    let divided = userinfo.is_some_and(|userinfo| userinfo.contains(['/', '?', '#', '[', ']', '@']));
    let lowercase = uri.to_ascii_lowercase();
    if divided || SECRET_OPTIONS.iter().any(|option| lowercase.contains(option)) {
        return "cannot be read; a name or password in it writes each of `@ : / ? # [ ] & %` as %40 %3A %2F %3F %23 %5B %5D %26 %25"
            .to_owned();
    }
    let password = userinfo.and_then(|userinfo| userinfo.split_once(':')).map(|(_, password)| password);
    [Some(uri), userinfo, password]
        .into_iter()
        .flatten()
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use mongodb::options::ConnectionString;

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

    #[test]
    fn a_secret_that_the_driver_takes_for_something_else_is_not_shown() {
        for uri in [
            "mongodb://u:hunter2/x@h:1/",
            "mongodb://u:hunter2?x@h:1/",
            "mongodb://u:hun@ter2/x@h:1/",
            "mongodb://u:x#/hunter2@h:1/",
            "mongodb://u:p@h:1/?tlsCertificateKeyFilePassword=a&hunter2",
        ] {
            let config = config::Cluster {
                name: "c".into(),
                labels: BTreeMap::new(),
                uri: uri.to_owned().into(),
                members: BTreeMap::new(),
            };
            let Err(error) = ConnectionString::parse(uri) else { continue };
            let shown = InvalidCluster::uri(&config, &error).to_string();
            assert!(!shown.contains("hun") && !shown.contains("ter2"), "{shown}");
        }
    }

    #[test]
    fn no_part_of_the_uri_that_is_secret_is_shown() {
        let config = config::Cluster {
            name: "c".into(),
            labels: BTreeMap::new(),
            uri: "mongodb://u:p%40ss@h:1/?bogus=1".to_owned().into(),
            members: BTreeMap::new(),
        };
        let shown =
            without_secrets("bad option in mongodb://u:p%40ss@h:1/?bogus=1, password p%40ss", &config);
        assert_eq!(shown, "bad option in ***, password ***");
    }
}
