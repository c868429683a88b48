//! Guards: who is never cut, whatever is asked. They can only take away, and they fail closed.

use globset::GlobMatcher;

use crate::principal::Principal;

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
