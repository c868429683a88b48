//! What was looked up before deciding, and what a target comes to by it. Whatever could not be looked
//! up is a refusal: a target is never smaller or larger than it says because a cluster was away.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    Policy, RefusalReason, Spread, Target, answered_before_any_rule, expression::BoundEvent, narrowed,
    rules::Answer, target::Aim,
};
use crate::{
    decode::{Decoded, Trigger},
    directory::{Live, RoleName, Roles},
    ingest::Origin,
    last_resort,
    principal::Principal,
};

/// What has to be looked up before a batch can be decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// By cluster the roles of which it must be known who has them.
    pub roles: BTreeMap<Arc<str>, BTreeSet<RoleName>>,
    /// The clusters of which it must be known who is there.
    pub live: BTreeSet<Arc<str>>,
}

/// What the clusters said, or why they did not.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Who has which of the roles.
    pub roles: HashMap<Arc<str>, Result<Roles, String>>,
    /// Who is there.
    pub live: HashMap<Arc<str>, Result<Live, String>>,
}

/// What has to be looked up for these events. A topic that may not say what it says gets nobody asked.
pub fn wanted(policy: &Policy, batch: &[Decoded]) -> Wanted {
    let mut wanted = Wanted::default();
    if policy.rules.iter().all(|rule| !rule.looks_up()) {
        return wanted;
    }
    for decoded in batch {
        let Ok(trigger) = &decoded.content else { continue };
        // An event that crashes this crashes the deciding too, where it is blamed for it.
        let one =
            last_resort::guard("looking up the targets of", || aim(policy, trigger, &decoded.record.origin));
        let Ok(Some((aim, clusters))) = one else { continue };
        match aim {
            Aim::Named(_) => {}
            Aim::Roles(roles, _) => {
                for cluster in clusters {
                    wanted.roles.entry(cluster).or_default().extend(roles.iter().cloned());
                }
            }
            Aim::Everyone => wanted.live.extend(clusters),
        }
    }
    wanted
}

/// What the first rule that matches aims at, and where.
fn aim(policy: &Policy, trigger: &Trigger, origin: &Origin) -> Option<(Aim, Vec<Arc<str>>)> {
    policy.trust.judge(origin, &trigger.kind, &trigger.source).ok()?;
    if answered_before_any_rule(policy, &trigger.body).is_some() {
        return None;
    }
    let event = BoundEvent::new(trigger);
    let mut answers = policy.rules.iter().map(|rule| (rule, rule.ask(trigger, &event)));
    match answers.find(|(_, answer)| answer.ends_the_search())? {
        (rule, Answer::Yes) if rule.looks_up() => {
            Some((rule.aim(&event).ok()?, narrowed(rule, &trigger.body).ok()?))
        }
        (_, Answer::Yes | Answer::No | Answer::Deaf | Answer::Failed(_)) => None,
    }
}

/// A target that does not come to anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unresolved {
    pub(super) reason: RefusalReason,
    pub(super) detail: String,
}

/// A target, where it is cut, and what a reader of the outcome should know about how it was found.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) target: Target,
    pub(super) clusters: Vec<Arc<str>>,
    pub(super) remarks: Vec<String>,
}

impl Found {
    /// Whom `aim` means on each of these clusters.
    pub(super) fn resolve(&self, aim: Aim, clusters: Vec<Arc<str>>) -> Result<Resolved, Unresolved> {
        match aim {
            Aim::Named(principals) => {
                Ok(Resolved { target: Target::Principals(principals), clusters, remarks: Vec::new() })
            }
            Aim::Roles(roles, named) => self.holders(&roles, &named, &clusters),
            Aim::Everyone => self.everyone(&clusters),
        }
    }

    fn holders(
        &self,
        roles: &[RoleName],
        named: &[Principal],
        clusters: &[Arc<str>],
    ) -> Result<Resolved, Unresolved> {
        let mut remarks = Vec::new();
        let mut spread = Vec::new();
        for cluster in clusters {
            let answer = told(&self.roles, cluster, "who has which role")?;
            let mut principals = named.to_vec();
            for role in roles {
                let holders = answer.holders.iter().find(|holders| holders.role == *role);
                let holders = holders.ok_or_else(|| Unresolved {
                    reason: RefusalReason::GuardError,
                    detail: format!("cluster `{cluster}` was not asked who has {role}"),
                })?;
                principals.extend(holders.principals.iter().cloned());
            }
            match &answer.unread {
                Some(unread) if unread.is_empty() => {}
                Some(unread) => remarks.push(format!(
                    "on {cluster} {} may be missed: logged in from a directory, and which roles they have is not known here",
                    some(unread)
                )),
                None => remarks.push(format!(
                    "on {cluster} users of a directory may be missed: nobody could look whether any are there"
                )),
            }
            spread.push((cluster.clone(), principals));
        }
        let empty = empty(&spread);
        match Spread::new(spread) {
            Some(spread) => {
                if !empty.is_empty() {
                    remarks.push(format!("on {} nobody has {}", empty.join(", "), list(roles)));
                }
                Ok(Resolved { clusters: spread.clusters(), target: Target::Spread(spread), remarks })
            }
            None => {
                remarks.insert(0, format!("nobody has {} on {}", list(roles), clusters.join(", ")));
                Err(Unresolved { reason: RefusalReason::Unresolvable, detail: remarks.join("; ") })
            }
        }
    }

    fn everyone(&self, clusters: &[Arc<str>]) -> Result<Resolved, Unresolved> {
        let mut remarks = Vec::new();
        let mut spread = Vec::new();
        for cluster in clusters {
            let live = told(&self.live, cluster, "who is there")?;
            if !live.silent.is_empty() {
                remarks.push(format!(
                    "who is logged in on {cluster} only at {} is missed",
                    live.silent.join(", ")
                ));
            }
            if live.nameless > 0 {
                remarks.push(format!(
                    "on {cluster} sessions of {} owners who are not logged in are not cut",
                    live.nameless
                ));
            }
            if live.ambiguous > 0 {
                remarks.push(format!(
                    "on {cluster} {} names are not cut: their digest could be somebody else's",
                    live.ambiguous
                ));
            }
            spread.push((cluster.clone(), live.principals.clone()));
        }
        match Spread::new(spread) {
            Some(spread) => {
                Ok(Resolved { clusters: spread.clusters(), target: Target::Spread(spread), remarks })
            }
            None => Err(Unresolved {
                reason: RefusalReason::Unresolvable,
                detail: format!("nobody is logged in on {}", clusters.join(", ")),
            }),
        }
    }
}

fn told<'a, T>(
    answers: &'a HashMap<Arc<str>, Result<T, String>>,
    cluster: &Arc<str>,
    what: &str,
) -> Result<&'a T, Unresolved> {
    let detail = match answers.get(cluster) {
        Some(Ok(answer)) => return Ok(answer),
        Some(Err(why)) => format!("cluster `{cluster}` could not tell {what}: {why}"),
        None => format!("cluster `{cluster}` was not asked {what}"),
    };
    Err(Unresolved { reason: RefusalReason::GuardError, detail })
}

fn empty(spread: &[(Arc<str>, Vec<Principal>)]) -> Vec<String> {
    spread.iter().filter(|(_, who)| who.is_empty()).map(|(cluster, _)| cluster.to_string()).collect()
}

fn list(roles: &[RoleName]) -> String {
    roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

/// Names, but not more than a reader can use.
fn some(principals: &[Principal]) -> String {
    const MOST: usize = 10;
    let names: Vec<_> = principals.iter().take(MOST).map(ToString::to_string).collect();
    match principals.len().saturating_sub(MOST) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
