//! Guards: who is never cut, whatever is asked. They can only take away, and they fail closed.

use std::{collections::HashMap, sync::Arc};

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

/// This cluster could not tell which account is our own.
#[derive(Debug)]
pub(super) struct Unknown(pub(super) Arc<str>);

/// Divides those who were named into those who may be cut and those who are spared.
pub(super) fn apply(
    named: &Principals,
    clusters: &[Arc<str>],
    protected: &[Protected],
    own_accounts: &HashMap<Arc<str>, Vec<Principal>>,
) -> Result<(Option<Principals>, Vec<Spared>), Unknown> {
    let mut own = vec![Principal::internal()];
    for cluster in clusters {
        own.extend(own_accounts.get(cluster).ok_or_else(|| Unknown(cluster.clone()))?.iter().cloned());
    }
    let is_protected = |principal: &Principal| {
        own.contains(principal) || protected.iter().any(|entry| entry.covers(principal))
    };
    let (spared, left): (Vec<_>, Vec<_>) = named.iter().cloned().partition(is_protected);
    let spared =
        spared.into_iter().map(|principal| Spared { principal, because: SparedBecause::Protected }).collect();
    Ok((Principals::new(left), spared))
}
