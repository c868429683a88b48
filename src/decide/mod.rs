//! decide: what is to be done about each trigger of a batch. Pure: no clock, no randomness, no
//! I/O. Everything from outside comes in as one immutable [`Context`].
//!
//! The order in which things are asked is the order of the code in [`decide`]: can it be read,
//! may its topic say it, was it heard before, which rule, how old, whom, how many, who is
//! protected, was it taken back. The first "no" is the answer. A guard can only take away, and one
//! that cannot be evaluated refuses.

mod age;
mod crash;
mod decision;
mod expression;
mod fold;
mod guards;
mod rules;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    case::{CaseId, Class},
    decode::{Body, Decoded, Trigger},
    ingest::{Origin, Trust},
    principal::Principal,
};

pub use decision::{Case, Decided, Decision, Plan, RefusalReason, Target};
use expression::BoundEvent;
pub use guards::Protected;
pub use rules::{ClusterLabels, Rule, RuleError, RuleFault, RuleSpec, Selector, TargetSpec};

/// The numbers that bound what one event may do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most principals of one event, counted after expansion.
    pub max_principals: usize,
    /// How far two clocks may stand apart before their order means something.
    pub clock_skew: Duration,
    /// How old an event may be, by class.
    pub max_event_age: BTreeMap<Class, Duration>,
}

/// What the operator has laid down.
#[derive(Debug)]
pub struct Policy {
    /// What each topic may say.
    pub trust: Trust,
    /// In order; the first that matches wins.
    pub rules: Vec<Rule>,
    /// Who is never cut, besides our own accounts and the cluster's internal one.
    pub protected: Vec<Protected>,
    /// What one event may do.
    pub limits: Limits,
    /// Only pretend, for every rule.
    pub dry_run: bool,
}

/// What is true outside at this moment, gathered before deciding.
#[derive(Clone, Debug)]
pub struct Context {
    /// Now.
    pub now: Timestamp,
    /// By cluster the accounts under which we are logged in; a cluster that is not there could not
    /// tell.
    pub own_accounts: HashMap<Arc<str>, Vec<Principal>>,
    /// Of the cases in this batch, those which were accepted before, and where.
    pub accepted: HashMap<CaseId, Origin>,
}

/// Decides a batch, in its order. A record that crashes this is poison, and the others are decided
/// without it.
pub fn decide(policy: &Policy, batch: Vec<Decoded>, context: &Context) -> Vec<Decided> {
    let mut heard = HashMap::new();
    let records: Vec<_> = batch.iter().map(|decoded| decoded.record.clone()).collect();
    let mut decided: Vec<Decided> = batch
        .into_iter()
        .map(|decoded| {
            let one = crash::blame(decoded, |decoded| decide_one(policy, decoded, context, &heard));
            if matches!(
                one.decision,
                Decision::Terminate(_) | Decision::Simulate(_) | Decision::Release { .. }
            ) {
                heard.entry(one.case.id).or_insert_with(|| one.case.origin.clone());
            }
            one
        })
        .collect();
    crash::fold(&mut decided, &records, policy.limits.clock_skew);
    decided
}

fn decide_one(
    policy: &Policy,
    decoded: Decoded,
    context: &Context,
    heard: &HashMap<CaseId, Origin>,
) -> Decided {
    let Decoded { record, received_at, maybe_rerun, redriven, content } = decoded;
    let origin = record.origin.clone();
    let (id, event_time, trigger, poison) = match content {
        Ok(trigger) => {
            (trigger.case(), age::event_time(trigger.time, &origin, received_at), Some(trigger), None)
        }
        Err(poison) => {
            (CaseId::of_position(&origin), age::event_time(None, &origin, received_at), None, Some(poison))
        }
    };
    let mut case = Case {
        id,
        origin,
        trigger,
        rule: None,
        class: None,
        dry_run: policy.dry_run,
        spared: Vec::new(),
        event_time,
        received_at,
        decided_at: context.now,
        maybe_rerun,
        redriven,
    };
    let decision = match (poison, case.trigger.take()) {
        (Some(poison), _) => Decision::Undecodable(poison),
        (None, Some(trigger)) => {
            let decision = decide_trigger(policy, &trigger, &mut case, context, heard);
            case.trigger = Some(trigger);
            decision
        }
        (None, None) => refuse(RefusalReason::GuardError, "the record has neither an event nor a fault"),
    };
    Decided { case, decision }
}

fn decide_trigger(
    policy: &Policy,
    trigger: &Trigger,
    case: &mut Case,
    context: &Context,
    heard: &HashMap<CaseId, Origin>,
) -> Decision {
    #[cfg(test)]
    crate::last_resort::trap::spring("decide", &trigger.id);
    if let Err(distrust) = policy.trust.judge(&case.origin, &trigger.kind, &trigger.source) {
        return refuse(distrust.into(), format!("{} says {}: {distrust}", case.origin, trigger.kind));
    }
    // The same record again is a re-run, and a redrive is another chance; but never within one batch,
    // where one case has one plan and records from a file have no position to tell them apart.
    let is_new = |first: &&Origin| case.redriven == 0 && !first.same_position(&case.origin);
    let before = context.accepted.get(&case.id).filter(is_new);
    if let Some(first) = heard.get(&case.id).or(before) {
        return Decision::Duplicate { first: first.clone() };
    }
    match &trigger.body {
        Body::Reinstated { .. } => return Decision::Release { cancels: Vec::new() },
        Body::Approved { .. } | Body::Denied { .. } => {
            return not_supported("approvals: no case waits for one");
        }
        Body::EveryoneRequested { .. } => return not_supported("cutting everyone"),
        Body::Compromised { .. }
        | Body::Offboarded { .. }
        | Body::WindowClosed { .. }
        | Body::SessionInactive { .. }
        | Body::TerminationRequested { .. }
        | Body::Other => {}
    }

    let event = BoundEvent::new(trigger);
    let rule = match policy.rules.iter().filter(|rule| rule.listens_to(&trigger.kind)).find_map(|rule| {
        match rule.holds(&event) {
            Ok(true) => Some(Ok(rule)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }) {
        Some(Ok(rule)) => rule,
        Some(Err(error)) => return refuse(RefusalReason::RuleError, error.to_string()),
        None if matches!(trigger.body, Body::SessionInactive { .. }) => {
            return not_supported("targets that are sessions");
        }
        None => return Decision::NoRule,
    };
    case.rule = Some(rule.name.clone());
    case.class = Some(rule.class);
    case.dry_run |= rule.dry_run;

    let dated = match trigger.body {
        Body::Offboarded { effective_at, .. } => effective_at,
        _ => None,
    };
    let redriven_at = case.redriven_at().filter(|_| dated.is_none_or(|dated| dated <= context.now));
    let since = redriven_at.or(dated).unwrap_or(case.event_time.at);
    match age::judge(since, dated.is_some(), rule.class, &policy.limits, context.now) {
        Ok(()) => {}
        Err(age::Untimely::Future) => return not_supported("an offboarding that is dated in the future"),
        Err(age::Untimely::Expired(detail)) => return Decision::Expired { detail },
    }
    match &trigger.body {
        Body::WindowClosed { roles, .. } | Body::TerminationRequested { roles, .. } if !roles.is_empty() => {
            return not_supported("targets that are roles");
        }
        Body::TerminationRequested { sessions, .. } if !sessions.is_empty() => {
            return not_supported("targets that are sessions");
        }
        _ => {}
    }
    let clusters = match narrowed(rule, &trigger.body) {
        Ok(clusters) => clusters,
        Err(stranger) => {
            let has = rule.clusters.join(", ");
            return refuse(
                RefusalReason::UnknownCluster,
                format!("the event names the cluster `{stranger}`; rule `{}` has {has}", rule.name),
            );
        }
    };

    let named = match rule.target(&event) {
        Ok(named) => named,
        Err(error) => return refuse(RefusalReason::RuleError, error.to_string()),
    };
    let cap = policy.limits.max_principals;
    if named.len() > cap {
        return refuse(
            RefusalReason::CapExceeded,
            format!("{} principals are named, limits.max_principals is {cap}", named.len()),
        );
    }
    match guards::apply(&named, &clusters, &policy.protected, &context.own_accounts) {
        Err(guards::Unknown(cluster)) => refuse(
            RefusalReason::GuardError,
            format!("cluster `{cluster}` could not tell which account is our own, so it cannot be kept safe"),
        ),
        Ok((None, spared)) => {
            let count = spared.len();
            case.spared = spared;
            refuse(RefusalReason::Guard, format!("{count} of {count} named principals are protected"))
        }
        Ok((Some(principals), spared)) => {
            case.spared = spared;
            let plan = Plan { case: case.id, clusters, target: Target::Principals(principals) };
            if case.dry_run { Decision::Simulate(plan) } else { Decision::Terminate(plan) }
        }
    }
}

/// The rule's clusters, or those of them that the event names: it never means more than it says. A
/// name that is none of the rule's comes back.
fn narrowed<'a>(rule: &Rule, body: &'a Body) -> Result<Vec<Arc<str>>, &'a str> {
    let named = match body {
        Body::TerminationRequested { clusters, .. } => clusters.as_slice(),
        Body::SessionInactive { cluster, .. } => std::slice::from_ref(cluster),
        Body::Compromised { .. }
        | Body::Offboarded { .. }
        | Body::Reinstated { .. }
        | Body::WindowClosed { .. }
        | Body::EveryoneRequested { .. }
        | Body::Approved { .. }
        | Body::Denied { .. }
        | Body::Other => return Ok(rule.clusters.clone()),
    };
    let is_rules = |name: &&String| rule.clusters.iter().any(|cluster| **cluster == ***name);
    match named.iter().find(|name| !is_rules(name)) {
        Some(stranger) => Err(stranger),
        None if named.is_empty() => Ok(rule.clusters.clone()),
        None => {
            let is_named = |cluster: &&Arc<str>| named.iter().any(|name| **name == ***cluster);
            Ok(rule.clusters.iter().filter(is_named).cloned().collect())
        }
    }
}

fn refuse(reason: RefusalReason, detail: impl Into<String>) -> Decision {
    Decision::Refuse { reason, detail: detail.into() }
}

fn not_supported(what: &str) -> Decision {
    refuse(RefusalReason::NotSupported, format!("not supported by this version: {what}"))
}

impl From<crate::ingest::Distrust> for RefusalReason {
    fn from(distrust: crate::ingest::Distrust) -> Self {
        match distrust {
            crate::ingest::Distrust::Type => Self::TypeNotAccepted,
            crate::ingest::Distrust::Source => Self::SourceNotAccepted,
        }
    }
}

#[cfg(test)]
mod tests;
