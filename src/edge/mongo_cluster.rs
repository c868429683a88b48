//! A cluster: who is in it, asked of its members themselves, hidden ones included.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use mongodb::options::{ClientOptions, ServerAddress};
use secrecy::ExposeSecret as _;
use tokio::time::{Instant, timeout, timeout_at};

pub use super::mongo_uri::InvalidCluster;
use super::{
    mongo_directory,
    mongo_error::node_error,
    mongo_member::MongoMember,
    mongo_roster::{Roster, Seat, ask},
    mongo_sessions,
    mongo_uri::{named_account, without_secrets},
    mongo_users,
};
use crate::{
    config,
    directory::{Live, RoleName, Roles},
    principal::Principal,
    sessions::Look,
    terminate::{
        ErrorClass, Known, Near, NodeError,
        member::{Cluster, Discovery, Member as _},
    },
};

/// After the first member told who is in the cluster, wait this long for one with a newer
/// configuration: members learn of a change within a heartbeat, a partitioned one does not.
const GRACE: Duration = Duration::from_millis(25);

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

impl MongoCluster {
    /// Reads the URI; connects to nothing yet. Must be called inside a tokio runtime.
    pub async fn new(config: &config::Cluster) -> Result<Self, InvalidCluster> {
        let invalid = |message: String| InvalidCluster::new(config, message);
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

    /// The members now; as far as they are known, where nobody says it. What a member does not know
    /// of is not asked, so who is in the cluster is learned anew each time.
    async fn asked(&self) -> Vec<Arc<MongoMember>> {
        match self.discover().await {
            Ok(discovery) => discovery.members,
            Err(_) => self.candidates(),
        }
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
}

impl MongoCluster {
    /// Who is connected to each member, hidden ones included; where the members are not known, why.
    pub async fn sessions(&self, patience: Duration) -> Vec<(String, Result<Look, NodeError>)> {
        let discovery = match timeout(patience, self.discover()).await {
            Ok(Ok(discovery)) => discovery,
            Ok(Err(error)) => return vec![(error.node.clone(), Err(error))],
            Err(_) => return vec![("no member".to_owned(), Err(told_by_nobody(&self.name, &[])))],
        };
        let looks = discovery.members.iter().map(|member| async move {
            let look = match timeout(patience, mongo_sessions::look(member)).await {
                Ok(look) => look,
                Err(_) => Err(NodeError {
                    class: ErrorClass::Transient,
                    code: None,
                    node: member.host().to_owned(),
                    message: format!("no answer within {patience:?}"),
                }),
            };
            (member.host().to_owned(), look)
        });
        let mut looks = join_all(looks).await;
        looks.sort_by(|(a, _), (b, _)| a.cmp(b));
        looks
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
        let mut asked: FuturesUnordered<_> =
            candidates.iter().map(|member| ask(member, self.options.repl_set_name.as_deref())).collect();
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

    async fn holders(&self, roles: &[RoleName]) -> Result<Roles, NodeError> {
        let mut members = self.asked().await;
        members.sort_by_key(|member| !member.is_primary());
        let holdings = async {
            let mut last = None;
            for member in &members {
                match mongo_directory::holders(member, roles).await {
                    Err(error) if error.class == ErrorClass::Transient => last = Some(error),
                    answer => return answer,
                }
            }
            Err(last.unwrap_or_else(|| told_by_nobody(&self.name, &[])))
        };
        // A directory's users are worth a remark, not the answer.
        let (holdings, live) = tokio::join!(holdings, mongo_directory::live(&members));
        let holdings = holdings?;
        Ok(holdings.beside(live.as_ref().ok()))
    }

    async fn live(&self) -> Result<Live, NodeError> {
        mongo_directory::live(&self.asked().await).await
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
