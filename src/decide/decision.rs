//! The words in which `decide` answers.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    case::{CaseId, Class, EventTime, OnExpiry, Parked, Spared},
    decode::{Poison, Trigger},
    ingest::Origin,
    principal::{Principal, Principals},
};

/// Everything that is known about a case when it has been decided.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its identifier.
    pub id: CaseId,
    /// The record that opened it.
    pub origin: Origin,
    /// The event; `None` where it could not be read.
    pub trigger: Option<Box<Trigger>>,
    /// The rule that matched.
    pub rule: Option<Arc<str>>,
    /// The matching rule's class.
    pub class: Option<Class>,
    /// Whether it is only pretended, by the rule or globally.
    pub dry_run: bool,
    /// Who was named and is left alone.
    pub spared: Vec<Spared>,
    /// How the target was found, where a reader should know.
    pub remarks: Vec<String>,
    /// When the event happened.
    pub event_time: EventTime,
    /// When we took the record.
    pub received_at: Timestamp,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// An earlier owner may have acted on it already.
    pub maybe_rerun: bool,
    /// How often a person gave its record another chance.
    pub redriven: u32,
}

impl Case {
    /// When it was opened again by hand, which is the record's own time.
    pub fn redriven_at(&self) -> Option<Timestamp> {
        (self.redriven > 0).then(|| self.origin.timestamp().unwrap_or(self.received_at))
    }
}

/// A case with its decision.
#[derive(Clone, Debug)]
pub struct Decided {
    /// What is known about it.
    pub case: Case,
    /// What is to be done.
    pub decision: Decision,
}

/// What is to be done about one record. All of them are named from the start; one that is not
/// built yet is never made, its condition is answered by [`Decision::Refuse`].
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Cut.
    Terminate(Plan),
    /// Look, and say what would be cut.
    Simulate(Plan),
    /// Do nothing, for a reason that somebody should read.
    Refuse {
        /// The reason as a word.
        reason: RefusalReason,
        /// The reason for a person, with its numbers.
        detail: String,
    },
    /// Too old.
    Expired {
        /// How old it was, and how old it might be.
        detail: String,
    },
    /// The same event as one before.
    Duplicate {
        /// Where the first one stands.
        first: Origin,
    },
    /// A later event took it back before it was acted on.
    Superseded {
        /// The case of the event that took it back.
        by: CaseId,
    },
    /// No rule matched.
    NoRule,
    /// The record could not be read.
    Undecodable(Poison),
    /// Wait until it is due.
    Defer {
        /// When it is due.
        due: Timestamp,
    },
    /// Wait for a person.
    AwaitApproval {
        /// Until when.
        expires: Timestamp,
        /// What becomes of it then.
        on_expiry: OnExpiry,
        /// What is carried out if somebody says yes.
        plan: Plan,
        /// Why it waits.
        reason: Parked,
        /// The same for a person, with the numbers.
        detail: String,
    },
    /// Give back what was taken from somebody.
    Release {
        /// The cases of this batch that it took back.
        cancels: Vec<CaseId>,
    },
    /// Heard; there is nothing to do here. An approval or a denial is told to whoever has the case.
    Acknowledge,
}

impl Decision {
    /// As it is written in outcomes and asked for in tests of rules.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Terminate(_) => "terminate",
            Self::Simulate(_) => "simulate",
            Self::Refuse { .. } => "refuse",
            Self::Expired { .. } => "expired",
            Self::Duplicate { .. } => "duplicate",
            Self::Superseded { .. } => "superseded",
            Self::NoRule => "no_rule",
            Self::Undecodable(_) => "undecodable",
            Self::Defer { .. } => "defer",
            Self::AwaitApproval { .. } => "await_approval",
            Self::Release { .. } => "release",
            Self::Acknowledge => "acknowledge",
        }
    }
}

/// Whom to cut, where, and for what case. It cannot be about nobody or nowhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// For what case.
    pub case: CaseId,
    /// On which clusters, at least one, each once.
    pub clusters: Vec<Arc<str>>,
    /// Whom.
    pub target: Target,
}

/// Whom a plan cuts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everything that these principals run, the same ones on every cluster of the plan.
    Principals(Principals),
    /// Everything that these principals run, others on one cluster than on another.
    Spread(Spread),
}

impl Target {
    /// Everybody whom it cuts, on whatever cluster.
    pub fn principals(&self) -> &Principals {
        match self {
            Self::Principals(principals) => principals,
            Self::Spread(spread) => &spread.everybody,
        }
    }

    /// Whom it cuts on one of the plan's clusters.
    pub fn on(&self, cluster: &str) -> Option<&Principals> {
        match self {
            Self::Principals(principals) => Some(principals),
            Self::Spread(spread) => {
                spread.by_cluster.iter().find(|(name, _)| **name == *cluster).map(|(_, who)| who)
            }
        }
    }

    /// Only those of its principals that `keeps` keeps; `None` where that is nobody.
    pub(super) fn only(&self, keeps: impl Fn(&Principal) -> bool) -> Option<Self> {
        let kept = |who: &Principals| who.iter().filter(|one| keeps(one)).cloned().collect::<Vec<_>>();
        match self {
            Self::Principals(principals) => Principals::new(kept(principals)).map(Self::Principals),
            Self::Spread(spread) => {
                let by_cluster = spread.by_cluster.iter().map(|(name, who)| (name.clone(), kept(who)));
                Spread::new(by_cluster).map(Self::Spread)
            }
        }
    }
}

/// Whom to cut on which cluster: at least one cluster, and on each at least one principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    everybody: Principals,
    by_cluster: Vec<(Arc<str>, Principals)>,
}

impl Spread {
    /// Without the clusters where there is nobody; `None` where there is nobody at all.
    pub fn new(by_cluster: impl IntoIterator<Item = (Arc<str>, Vec<Principal>)>) -> Option<Self> {
        let by_cluster: Vec<_> =
            by_cluster.into_iter().filter_map(|(name, who)| Some((name, Principals::new(who)?))).collect();
        let everybody = Principals::new(by_cluster.iter().flat_map(|(_, who)| who.iter().cloned()))?;
        Some(Self { everybody, by_cluster })
    }

    /// Where there is somebody.
    pub fn clusters(&self) -> Vec<Arc<str>> {
        self.by_cluster.iter().map(|(name, _)| name.clone()).collect()
    }
}

impl Plan {
    /// The clusters, together as far as the same principals are cut on them.
    pub fn parts(&self) -> Vec<(&[Arc<str>], &Principals)> {
        match &self.target {
            Target::Principals(principals) => vec![(self.clusters.as_slice(), principals)],
            Target::Spread(spread) => spread
                .by_cluster
                .iter()
                .map(|(name, principals)| (std::slice::from_ref(name), principals))
                .collect(),
        }
    }

    /// Whether the same principals are cut on every cluster: a job keeps one list for all of them.
    pub fn is_alike(&self) -> bool {
        self.parts().windows(2).all(|pair| matches!(pair, [(_, one), (_, other)] if one == other))
    }

    /// Only those principals that `keeps` keeps, and only the clusters where one of them is left;
    /// `None` where that is nobody.
    pub(super) fn only(&self, keeps: impl Fn(&Principal) -> bool) -> Option<Self> {
        let target = self.target.only(keeps)?;
        let clusters = self.clusters.iter().filter(|name| target.on(name).is_some()).cloned().collect();
        Some(Self { clusters, target, ..self.clone() })
    }
}

/// Why nothing is done; a closed set, see `schemas/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// Everybody who was named is protected.
    Guard,
    /// A guard could not be evaluated, so nothing was done.
    GuardError,
    /// A rule's condition or target failed.
    RuleError,
    /// The event names a cluster that is not configured, or not one of the rule's.
    UnknownCluster,
    /// What the event targets comes to nobody.
    Unresolvable,
    /// The event asks for everyone, and the configuration does not allow that.
    EveryoneNotAllowed,
    /// More principals than `limits.max_principals`.
    CapExceeded,
    /// The rule wants to be asked, and nothing can wait here.
    Approval,
    /// Part of the design, not of this version.
    NotSupported,
    /// The topic may not say events of this type.
    TypeNotAccepted,
    /// The topic may not speak for this source.
    SourceNotAccepted,
}

impl RefusalReason {
    /// As it is written in outcomes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::GuardError => "guard_error",
            Self::RuleError => "rule_error",
            Self::UnknownCluster => "unknown_cluster",
            Self::Unresolvable => "unresolvable",
            Self::EveryoneNotAllowed => "everyone_not_allowed",
            Self::CapExceeded => "cap_exceeded",
            Self::Approval => "approval",
            Self::NotSupported => "not_supported",
            Self::TypeNotAccepted => "type_not_accepted",
            Self::SourceNotAccepted => "source_not_accepted",
        }
    }
}
