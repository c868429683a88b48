//! Why it was decided so: every question that `decide` asks, each with its answer, also those behind
//! the first "no", so that a person sees what would come next.
//!
//! The decision itself is [`decide`]'s, and every answer here is given by the function that `decide`
//! asks: there is no second opinion.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{
    Case, Context, Decided, Policy, Rule,
    age::{self, Since},
    answered_before_any_rule, decide,
    expression::{BoundEvent, Reading},
    guards::{self, Guard},
    narrowed,
    rules::Answer,
    untaken,
};
use crate::{
    case::Class,
    decode::{Decoded, Trigger},
    ingest::{Distrust, Origin},
    principal::{Principal, Principals},
};

/// A decision with what led to it.
#[derive(Debug)]
pub struct Explanation {
    /// What is decided, and nothing else counts.
    pub decided: Decided,
    /// What was asked; `None` where the record could not be read.
    pub trace: Option<Trace>,
}

/// What was asked about one event.
#[derive(Debug)]
pub struct Trace {
    /// Whether its topic may say it.
    pub pass: Pass,
    /// Every rule, in order.
    pub rules: Vec<Asked>,
    /// What the rule that matched makes of the event.
    pub meaning: Option<Meaning>,
}

/// Whether an event's topic may say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It is from no topic: the word of whoever runs the command.
    NotJudged,
    /// It may.
    Accepted,
    /// It may not.
    Distrusted(Distrust),
}

/// A rule and what it said.
#[derive(Debug)]
pub struct Asked {
    /// Its name.
    pub rule: Arc<str>,
    /// The types that it listens to.
    pub on: Vec<String>,
    /// Its condition.
    pub when: Option<String>,
    /// What the condition read, where it was evaluated.
    pub readings: Vec<Reading>,
    /// What it said; `None` where it was not asked, because a rule before it ended the search or the
    /// event needs no rule.
    pub answer: Option<Answer>,
}

/// What the rule that matched makes of the event.
#[derive(Debug)]
pub struct Meaning {
    /// The rule.
    pub rule: Arc<str>,
    /// Its class.
    pub class: Class,
    /// How old the event is.
    pub age: Age,
    /// What the event names that the rule does not target.
    pub untaken: Option<&'static str>,
    /// Where it cuts, or why that is not known.
    pub clusters: Result<Vec<Arc<str>>, String>,
    /// The expression of its target; `None` where it always cuts the same.
    pub target: Option<String>,
    /// What the target read.
    pub readings: Vec<Reading>,
    /// Whom it names, or why that is not known.
    pub named: Result<Principals, String>,
    /// Most principals of one event.
    pub cap: usize,
    /// What the guards say; `None` where it is not known whom or where they are asked about.
    pub guards: Option<Result<Vec<Whom>, Arc<str>>>,
}

impl Meaning {
    /// Whether more are named than one event may name.
    pub fn is_above_cap(&self) -> bool {
        self.named.as_ref().is_ok_and(|named| named.len() > self.cap)
    }
}

/// Somebody who is named, and what spares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whom {
    /// Who.
    pub principal: Principal,
    /// What spares them; `None` where nothing does.
    pub guard: Option<Guard>,
}

/// How old an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Age {
    /// From when it counts.
    pub since: Timestamp,
    /// Why from there.
    pub from: Since,
    /// How long that is ago.
    pub age: SignedDuration,
    /// How old it may be.
    pub allowed: Duration,
    /// What that means.
    pub timeliness: Timeliness,
}

/// Whether an event may act now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeliness {
    /// It may.
    InTime,
    /// It is too old.
    Expired,
    /// It takes effect later.
    Future,
}

/// Decides a batch as [`decide`] does, and says of each event why.
pub fn explain(policy: &Policy, batch: Vec<Decoded>, context: &Context) -> Vec<Explanation> {
    decide(policy, batch, context)
        .into_iter()
        .map(|decided| {
            let trigger = decided.case.trigger.as_deref();
            let trace = trigger.map(|trigger| trace(policy, trigger, &decided.case, context));
            Explanation { decided, trace }
        })
        .collect()
}

fn trace(policy: &Policy, trigger: &Trigger, case: &Case, context: &Context) -> Trace {
    let pass = match (&case.origin, policy.trust.judge(&case.origin, &trigger.kind, &trigger.source)) {
        (_, Err(distrust)) => Pass::Distrusted(distrust),
        (Origin::Kafka { .. }, Ok(())) => Pass::Accepted,
        (Origin::Job { .. } | Origin::Local, Ok(())) => Pass::NotJudged,
    };
    let event = BoundEvent::new(trigger);
    let mut is_over = answered_before_any_rule(policy, &trigger.body).is_some();
    let mut matched = None;
    let mut rules = Vec::with_capacity(policy.rules.len());
    for rule in &policy.rules {
        let answer = (!is_over).then(|| rule.ask(trigger, &event));
        let was_evaluated = matches!(answer, Some(Answer::Yes | Answer::No | Answer::Failed(_)));
        if let Some(answer) = &answer {
            is_over = answer.ends_the_search();
            matched = matched.or((*answer == Answer::Yes).then_some(rule));
        }
        rules.push(Asked {
            rule: rule.name.clone(),
            on: rule.on().map(str::to_owned).collect(),
            when: rule.when().map(str::to_owned),
            readings: if was_evaluated { rule.condition_readings(trigger) } else { Vec::new() },
            answer,
        });
    }
    let meaning = matched.map(|rule| meaning(policy, rule, trigger, &event, case, context));
    Trace { pass, rules, meaning }
}

fn meaning(
    policy: &Policy,
    rule: &Rule,
    trigger: &Trigger,
    event: &BoundEvent,
    case: &Case,
    context: &Context,
) -> Meaning {
    let (since, from) = age::counts_from(case, &trigger.body, context.now);
    let timeliness =
        match age::judge(since, from == Since::EffectiveAt, rule.class, &policy.limits, context.now) {
            Ok(()) => Timeliness::InTime,
            Err(age::Untimely::Future) => Timeliness::Future,
            Err(age::Untimely::Expired(_)) => Timeliness::Expired,
        };
    let age = context.now.duration_since(since);
    let allowed = age::allowed(rule.class, &policy.limits);
    let mut clusters = narrowed(rule, &trigger.body);
    let aim = rule.aim(event).map_err(|error| error.why().to_owned());
    let named = aim.and_then(|aim| {
        let everywhere = clusters.clone().unwrap_or_else(|_| rule.clusters.clone());
        let resolved = context.found.resolve(aim, everywhere).map_err(|unresolved| unresolved.detail)?;
        clusters = clusters.clone().map(|_| resolved.clusters);
        Ok(resolved.target.principals().clone())
    });
    let guards = match (&named, &clusters) {
        (Ok(named), Ok(clusters)) => {
            let judged = guards::judge(named, clusters, &policy.protected, &context.own_accounts);
            let whom = |(principal, guard): (&Principal, _)| Whom { principal: principal.clone(), guard };
            Some(
                judged
                    .map(|judged| judged.into_iter().map(whom).collect())
                    .map_err(|guards::Unknown(cluster)| cluster),
            )
        }
        (Err(_), _) | (_, Err(_)) => None,
    };
    Meaning {
        rule: rule.name.clone(),
        class: rule.class,
        age: Age { since, from, age, allowed, timeliness },
        untaken: untaken(rule, &trigger.body),
        clusters,
        target: rule.target_expression(),
        readings: rule.target_readings(trigger),
        named,
        cap: policy.limits.max_principals,
        guards,
    }
}
