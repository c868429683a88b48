//! Guards: who is never cut, whatever is asked. They can only take away, and they fail closed.

use std::{collections::HashMap, fmt, sync::Arc};

use globset::GlobMatcher;

use crate::{
    case::{Spared, SparedBecause},
    principal::{Principal, Principals},
};

/// One entry of the protected list.
#[derive(Clone, Debug)]
pub enum Protected {
    /// One principal.
    Exact(Principal),
    /// Everybody of one authentication database.
    Database(String),
    /// Everybody whose `user@db` matches.
    Pattern(GlobMatcher),
}

impl Protected {
    /// Whether it covers `principal`.
    pub fn covers(&self, principal: &Principal) -> bool {
        match self {
            Self::Exact(exact) => exact == principal,
            Self::Database(db) => db == principal.db(),
            Self::Pattern(glob) => glob.is_match(principal.to_string()),
        }
    }

    /// The usual automation, monitoring and backup agents, whose sessions nobody means.
    pub fn defaults() -> Vec<Self> {
        [
            "mms-automation",
            "mms-automation-agent",
            "mms-monitoring-agent",
            "mms-backup-agent",
            "mms-mongot",
            "pbmuser",
            "pmm",
            "mongodb_exporter",
            "mongodb-exporter",
            "datadog",
            "backup",
            "clusterMonitor",
            "userAdmin",
            "databaseAdmin",
            "clusterAdmin",
        ]
        .into_iter()
        .filter_map(|user| Principal::new(user, "admin").ok())
        .map(Self::Exact)
        .collect()
    }
}

/// As a person would say it.
impl fmt::Display for Protected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(exact) => exact.fmt(f),
            Self::Database(db) => write!(f, "everybody of {db}"),
            Self::Pattern(glob) => glob.glob().glob().fmt(f),
        }
    }
}

/// This cluster could not tell which account is our own.
#[derive(Debug)]
pub(super) struct Unknown(pub(super) Arc<str>);

/// What keeps somebody from being cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The account by which the members of a cluster talk to each other.
    Internal,
    /// We are logged in with it on this cluster.
    OwnAccount(Arc<str>),
    /// The entry of the protected list, by its index.
    Entry(usize),
}

/// Everybody who was named, with what spares them.
pub(super) fn judge<'a>(
    named: &'a Principals,
    clusters: &[Arc<str>],
    protected: &[Protected],
    own_accounts: &HashMap<Arc<str>, Vec<Principal>>,
) -> Result<Vec<(&'a Principal, Option<Guard>)>, Unknown> {
    let mut own = Vec::with_capacity(clusters.len());
    for cluster in clusters {
        own.push((cluster, own_accounts.get(cluster).ok_or_else(|| Unknown(cluster.clone()))?));
    }
    let internal = Principal::internal();
    let guard = |principal: &Principal| {
        if *principal == internal {
            return Some(Guard::Internal);
        }
        let ours = own.iter().find(|(_, accounts)| accounts.contains(principal));
        ours.map(|(cluster, _)| Guard::OwnAccount((*cluster).clone()))
            .or_else(|| protected.iter().position(|entry| entry.covers(principal)).map(Guard::Entry))
    };
    Ok(named.iter().map(|principal| (principal, guard(principal))).collect())
}

/// Of those who were named, who is spared.
pub(super) fn apply(
    named: &Principals,
    clusters: &[Arc<str>],
    protected: &[Protected],
    own_accounts: &HashMap<Arc<str>, Vec<Principal>>,
) -> Result<Vec<Spared>, Unknown> {
    let judged = judge(named, clusters, protected, own_accounts)?;
    let spared = judged.into_iter().filter(|(_, guard)| guard.is_some());
    Ok(spared
        .map(|(principal, _)| Spared { principal: principal.clone(), because: SparedBecause::Protected })
        .collect())
}
