//! decide: what is to be done about each trigger of a batch. Pure: no clock, no randomness, no
//! I/O. Everything from outside comes in as one immutable [`Context`].
//!
//! The order in which things are asked is the order of the code in [`decide`]: can it be read,
//! may its topic say it, was it heard before, which rule, how old, whom, how many, who is
//! protected, was it taken back. The first "no" is the answer. A guard can only take away, and one
//! that cannot be evaluated refuses.

mod age;
mod caps;
mod crash;
mod decision;
mod explain;
mod expression;
mod fold;
mod found;
mod guards;
mod rules;
mod target;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
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

pub use age::Since;
use caps::Recent;
pub use caps::{Wait, WindowCap};
pub use decision::{Case, Decided, Decision, Plan, RefusalReason, Spread, Target};
pub use explain::{Age, Asked, Explanation, Meaning, Pass, Timeliness, Trace, Whom, explain};
use expression::BoundEvent;
pub use expression::Reading;
pub use found::{Found, Wanted, wanted};
use found::{Resolved, Unresolved};
pub use guards::{Guard, Protected};
pub use rules::{Answer, ApprovalSpec, ClusterLabels, Rule, RuleError, RuleFault, RuleSpec, Selector};
pub use target::{Listed, TargetSpec};

/// The numbers that bound what one event may do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most principals of one event, counted after expansion.
    pub max_principals: usize,
    /// How far two clocks may stand apart before their order means something.
    pub clock_skew: Duration,
    /// How old an event may be, by class.
    pub max_event_age: BTreeMap<Class, Duration>,
    /// Most people in a while.
    pub window_cap: Option<WindowCap>,
    /// How a case waits that goes over a cap; `None` where nothing can wait for a person.
    pub over_cap: Option<Wait>,
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
    /// Whether an event may cut everyone.
    pub allow_everyone: bool,
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
    /// What the clusters said about targets that are no names; see [`wanted`].
    pub found: Found,
    /// Who was cut within the window of [`Limits::window_cap`].
    pub recent: Arc<HashSet<Principal>>,
}

/// Decides a batch, in its order. A record that crashes this is poison, and the others are decided
/// without it.
pub fn decide(policy: &Policy, batch: Vec<Decoded>, context: &Context) -> Vec<Decided> {
    let mut heard = HashMap::new();
    let mut recent = Recent::of(context);
    let records: Vec<_> = batch.iter().map(|decoded| decoded.record.clone()).collect();
    let mut decided: Vec<Decided> = batch
        .into_iter()
        .map(|decoded| {
            let one = crash::blame(decoded, |decoded| decide_one(policy, decoded, context, &heard, &recent));
            recent.add(&one, &policy.limits);
            if matches!(
                one.decision,
                Decision::Terminate(_)
                    | Decision::Simulate(_)
                    | Decision::AwaitApproval { .. }
                    | Decision::Release { .. }
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
    recent: &Recent,
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
        remarks: Vec::new(),
        event_time,
        received_at,
        decided_at: context.now,
        maybe_rerun,
        redriven,
    };
    let decision = match (poison, case.trigger.take()) {
        (Some(poison), _) => Decision::Undecodable(poison),
        (None, Some(trigger)) => {
            let decision = decide_trigger(policy, &trigger, &mut case, context, heard, recent);
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
    recent: &Recent,
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
    if let Some(decision) = answered_before_any_rule(policy, &trigger.body) {
        return decision;
    }

    let event = BoundEvent::new(trigger);
    let mut answers = policy.rules.iter().map(|rule| (rule, rule.ask(trigger, &event)));
    let rule = match answers.find(|(_, answer)| answer.ends_the_search()) {
        Some((_, Answer::Failed(error))) => return refuse(RefusalReason::RuleError, error.to_string()),
        Some((rule, Answer::Yes | Answer::No | Answer::Deaf)) => rule,
        None if matches!(trigger.body, Body::SessionInactive { .. }) => {
            return not_supported("targets that are sessions");
        }
        None => return Decision::NoRule,
    };
    case.rule = Some(rule.name.clone());
    case.class = Some(rule.class);
    case.dry_run |= rule.dry_run;

    let (since, from) = age::counts_from(case, &trigger.body, context.now);
    match age::judge(since, from == Since::EffectiveAt, rule.class, &policy.limits, context.now) {
        Ok(()) => {}
        Err(age::Untimely::Future) => return not_supported("an offboarding that is dated in the future"),
        Err(age::Untimely::Expired(detail)) => return Decision::Expired { detail },
    }
    if let Some(what) = untaken(rule, &trigger.body) {
        let detail = format!("the event names {what}, and rule `{}` does not target any", rule.name);
        return refuse(RefusalReason::RuleError, detail);
    }
    let clusters = match narrowed(rule, &trigger.body) {
        Ok(clusters) => clusters,
        Err(detail) => return refuse(RefusalReason::UnknownCluster, detail),
    };

    let aim = match rule.aim(&event) {
        Ok(aim) => aim,
        Err(error) => return refuse(RefusalReason::RuleError, error.to_string()),
    };
    let Resolved { target, clusters, remarks } = match context.found.resolve(aim, clusters) {
        Ok(resolved) => resolved,
        Err(Unresolved { reason, detail }) => return refuse(reason, detail),
    };
    case.remarks = remarks;
    // On no cluster are there more than there are in all.
    let named = target.principals();
    let limits = &policy.limits;
    // What is only looked at waits for nobody.
    let can_wait = limits.over_cap.is_some() && !case.dry_run;
    if let Some(refused) = caps::too_many(named.len(), limits, can_wait) {
        return refused;
    }
    match guards::apply(named, &clusters, &policy.protected, &context.own_accounts) {
        Err(guards::Unknown(cluster)) => refuse(
            RefusalReason::GuardError,
            format!("cluster `{cluster}` could not tell which account is our own, so it cannot be kept safe"),
        ),
        Ok(spared) => {
            let kept: HashSet<&Principal> = spared.iter().map(|one| &one.principal).collect();
            let plan = Plan { case: case.id, clusters, target: target.clone() };
            let plan = plan.only(|principal| !kept.contains(principal));
            let count = spared.len();
            case.spared = spared;
            let Some(plan) = plan else {
                return refuse(
                    RefusalReason::Guard,
                    format!("{count} of {count} named principals are protected"),
                );
            };
            if case.dry_run {
                return Decision::Simulate(plan);
            }
            match caps::wants_approval(named.len(), &plan, rule, &event, limits, recent) {
                Err(error) => refuse(RefusalReason::RuleError, error.to_string()),
                Ok(Some(wanted)) => wanted.decide(plan, context.now),
                Ok(None) => Decision::Terminate(plan),
            }
        }
    }
}

/// What needs no rule.
fn answered_before_any_rule(policy: &Policy, body: &Body) -> Option<Decision> {
    match body {
        Body::Reinstated { .. } => Some(Decision::Release { cancels: Vec::new() }),
        Body::Approved { .. } | Body::Denied { .. } if policy.limits.over_cap.is_some() => {
            Some(Decision::Acknowledge)
        }
        Body::Approved { .. } | Body::Denied { .. } => Some(not_supported(
            "approvals where nothing can wait for one (kafka.state, kafka.commands, `run`)",
        )),
        Body::EveryoneRequested { .. } if !policy.allow_everyone => {
            Some(refuse(RefusalReason::EveryoneNotAllowed, "`allow_everyone` is not set"))
        }
        Body::Compromised { .. }
        | Body::Offboarded { .. }
        | Body::EveryoneRequested { .. }
        | Body::WindowClosed { .. }
        | Body::SessionInactive { .. }
        | Body::TerminationRequested { .. }
        | Body::Other => None,
    }
}

/// What the event targets that the rule does not: to leave it out in silence would be to cut less than
/// was asked for.
fn untaken(rule: &Rule, body: &Body) -> Option<&'static str> {
    match body {
        Body::WindowClosed { roles, .. } | Body::TerminationRequested { roles, .. }
            if !roles.is_empty() && !rule.takes_roles() =>
        {
            Some("roles")
        }
        Body::TerminationRequested { sessions, .. } if !sessions.is_empty() => Some("sessions"),
        Body::Compromised { .. }
        | Body::Offboarded { .. }
        | Body::Reinstated { .. }
        | Body::WindowClosed { .. }
        | Body::SessionInactive { .. }
        | Body::TerminationRequested { .. }
        | Body::EveryoneRequested { .. }
        | Body::Approved { .. }
        | Body::Denied { .. }
        | Body::Other => None,
    }
}

/// The rule's clusters, or those of them that the event names: it never means more than it says. A
/// name that is none of the rule's is told.
fn narrowed(rule: &Rule, body: &Body) -> Result<Vec<Arc<str>>, String> {
    let named = match body {
        Body::TerminationRequested { clusters, .. } | Body::EveryoneRequested { clusters, .. } => {
            clusters.as_slice()
        }
        Body::SessionInactive { cluster, .. } => std::slice::from_ref(cluster),
        Body::Compromised { .. }
        | Body::Offboarded { .. }
        | Body::Reinstated { .. }
        | Body::WindowClosed { .. }
        | Body::Approved { .. }
        | Body::Denied { .. }
        | Body::Other => return Ok(rule.clusters.clone()),
    };
    let is_rules = |name: &&String| rule.clusters.iter().any(|cluster| **cluster == ***name);
    match named.iter().find(|name| !is_rules(name)) {
        Some(stranger) => {
            let has = rule.clusters.join(", ");
            Err(format!("the event names the cluster `{stranger}`; rule `{}` has {has}", rule.name))
        }
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
