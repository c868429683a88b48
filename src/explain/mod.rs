//! What would be decided, and why, without asking anybody: for `severance explain` and
//! `severance test`.
//!
//! The decision is [`decide`](mod@crate::decide)'s own; `text` and `json` are how an explanation is written.

mod json;
#[cfg(test)]
mod tests;
mod text;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    config::Config,
    decide::{self, Context, Decided, Decision, Explanation, Found, Plan, Policy},
    decode::decode,
    edge::mongo_check,
    ingest::{Record, Trust},
    pattern::Patterns,
    principal::{Principal, Principals},
    report::Status,
    terminate::member::Comment,
};

pub use json::json;
pub use text::text;

/// What decides, without the world.
pub struct Desk {
    topics: Vec<Arc<str>>,
    policy: Policy,
    own_accounts: BTreeMap<Arc<str>, Option<Principal>>,
}

impl Desk {
    /// From a configuration. Which account is our own only a server knows for certain; here it is
    /// the one that a cluster's URI names, if it names one.
    pub fn new(config: Config) -> Self {
        let Config { kafka, clusters, protected, rules, limits, dry_run, allow_everyone, .. } = config;
        let own =
            clusters.iter().map(|cluster| (cluster.name.clone(), mongo_check::written_account(cluster)));
        Self {
            topics: kafka.topics.iter().map(|(topic, _)| topic.clone()).collect(),
            own_accounts: own.collect(),
            policy: Policy {
                trust: Trust::new(kafka.topics),
                rules,
                protected,
                limits,
                dry_run,
                allow_everyone,
            },
        }
    }

    /// The trigger topic of this name.
    pub fn topic(&self, name: &str) -> Option<Arc<str>> {
        self.topics().find(|topic| ***topic == *name).cloned()
    }

    /// The trigger topics.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.topics.iter()
    }

    /// The names of the rules, in order.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.policy.rules.iter().map(|rule| &*rule.name)
    }

    /// What would be decided about these records as one batch, as of `now`.
    pub fn explain(&self, records: Vec<Record>, now: Timestamp) -> Vec<Explanation> {
        let decoded = records.into_iter().map(|record| decode(record, now, false)).collect();
        let own = self.own_accounts.iter();
        let own_accounts = own.map(|(name, own)| (name.clone(), own.iter().cloned().collect())).collect();
        let context = Context {
            now,
            own_accounts,
            accepted: HashMap::new(),
            found: Found::default(),
            recent: Arc::default(),
        };
        decide::explain(&self.policy, decoded, &context)
    }
}

/// The plan of a decision that is carried out at once.
pub fn plan(decision: &Decision) -> Option<&Plan> {
    match decision {
        Decision::Terminate(plan) | Decision::Simulate(plan) => Some(plan),
        Decision::Refuse { .. }
        | Decision::Expired { .. }
        | Decision::Duplicate { .. }
        | Decision::Superseded { .. }
        | Decision::NoRule
        | Decision::Undecodable(_)
        | Decision::Defer { .. }
        | Decision::AwaitApproval { .. }
        | Decision::Release { .. }
        | Decision::Acknowledge => None,
    }
}

/// The status that an outcome would have, where all goes well.
pub fn status(decision: &Decision) -> Status {
    match decision {
        Decision::Terminate(_) => Status::Terminated,
        Decision::Simulate(_) => Status::Simulated,
        Decision::Refuse { .. } => Status::Refused,
        Decision::Expired { .. } => Status::Expired,
        Decision::Duplicate { .. } => Status::Duplicate,
        Decision::Superseded { .. } => Status::Superseded,
        Decision::NoRule => Status::NoRule,
        Decision::Undecodable(_) => Status::Undecodable,
        Decision::Defer { .. } => Status::Deferred,
        Decision::AwaitApproval { .. } => Status::AwaitingApproval,
        Decision::Release { .. } => Status::Released,
        Decision::Acknowledge => Status::Acknowledged,
    }
}

/// Why, as a word, where a decision has one.
pub fn reason(decision: &Decision) -> Option<&'static str> {
    match decision {
        Decision::Refuse { reason, .. } => Some(reason.word()),
        Decision::Undecodable(poison) => Some(poison.reason.name()),
        Decision::AwaitApproval { reason, .. } => Some(reason.word()),
        Decision::Terminate(_)
        | Decision::Simulate(_)
        | Decision::Expired { .. }
        | Decision::Duplicate { .. }
        | Decision::Superseded { .. }
        | Decision::NoRule
        | Decision::Defer { .. }
        | Decision::Release { .. }
        | Decision::Acknowledge => None,
    }
}

/// Why, for a person, where a decision says it.
pub fn detail(decision: &Decision) -> Option<String> {
    match decision {
        Decision::Refuse { detail, .. } | Decision::Expired { detail } => Some(detail.clone()),
        Decision::Undecodable(poison) => Some(poison.detail.clone()),
        Decision::Duplicate { first } => Some(format!("first seen at {first}")),
        Decision::Superseded { by } => Some(format!("taken back by case {by}")),
        Decision::Defer { due } => Some(format!("due at {due}")),
        Decision::AwaitApproval { expires, on_expiry, detail, .. } => {
            Some(crate::report::waiting(detail, *expires, *on_expiry))
        }
        Decision::Release { cancels } if !cancels.is_empty() => {
            let cases: Vec<_> = cancels.iter().map(ToString::to_string).collect();
            Some(format!("takes back {}", cases.join(", ")))
        }
        Decision::Terminate(_)
        | Decision::Simulate(_)
        | Decision::NoRule
        | Decision::Release { .. }
        | Decision::Acknowledge => None,
    }
}

/// One kill: the same for every member of every cluster of the plan.
struct Kill {
    patterns: Patterns,
    comment: Comment,
    /// Whom each pattern means.
    whom: Vec<String>,
}

/// The kills of a plan, in as many commands as are needed. A running batch has an id of its own, and
/// merges the plans of its cases.
fn kills(decided: &Decided, principals: &Principals) -> Vec<Kill> {
    let mut names = principals.iter().map(ToString::to_string);
    Patterns::of_principals(principals)
        .into_iter()
        .map(|patterns| Kill {
            whom: names.by_ref().take(patterns.iter().len()).collect(),
            comment: Comment { batch: Uuid::nil(), cases: vec![decided.case.id] },
            patterns,
        })
        .collect()
}
