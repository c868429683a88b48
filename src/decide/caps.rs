//! Caps: how many people one event, and all events of a while, may cut before a person is asked.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;

use super::{
    Context, Decided, Decision, Limits, Plan, RefusalReason, Rule, RuleError, expression::BoundEvent, refuse,
};
use crate::{
    canary,
    case::{OnExpiry, Parked},
    principal::Principal,
};

/// How long a case waits for a person, and what becomes of it when nobody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// How long.
    pub expires: Duration,
    /// And then.
    pub on_expiry: OnExpiry,
}

/// How many different people may be cut within a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowCap {
    /// Most people.
    pub count: usize,
    /// How long the window is.
    pub window: Duration,
}

/// Who was cut within the window, by whatever was decided so far.
#[derive(Clone, Debug)]
pub(super) struct Recent(HashSet<Principal>);

impl Recent {
    pub(super) fn of(context: &Context) -> Self {
        Self(context.recent.iter().cloned().collect())
    }

    /// These are cut too. Nothing is kept where nobody counts.
    pub(super) fn add(&mut self, one: &Decided, limits: &Limits) {
        if limits.window_cap.is_some() {
            self.0.extend(one.cuts().cloned());
        }
    }

    fn would_exceed(&self, cap: WindowCap, plan: &Plan) -> Option<String> {
        let new = plan.target.principals().iter().filter(|principal| !self.0.contains(*principal)).count();
        let all = self.0.len().saturating_add(new);
        (new > 0 && all > cap.count).then(|| {
            format!(
                "it would be {all} principals in {:#}, limits.max_principals_per_window is {}",
                jiff::SignedDuration::try_from(cap.window).unwrap_or(jiff::SignedDuration::MAX),
                cap.count
            )
        })
    }
}

impl Decided {
    /// Who is cut at once, and so counts for [`Limits::window_cap`]. The canary is nobody.
    pub fn cuts(&self) -> impl Iterator<Item = &Principal> {
        let plan = match &self.decision {
            Decision::Terminate(plan) if self.case.rule.as_deref() != Some(canary::RULE) => Some(plan),
            _ => None,
        };
        plan.into_iter().flat_map(|plan| plan.target.principals().iter())
    }
}

/// Why a plan waits for a person, and how long.
pub(super) struct Wanted {
    reason: Parked,
    detail: String,
    wait: Option<Wait>,
}

/// More people than one event may name, and nobody can be asked.
pub(super) fn too_many(named: usize, limits: &Limits, can_wait: bool) -> Option<Decision> {
    let cap = limits.max_principals;
    (named > cap && !can_wait).then(|| refuse(RefusalReason::CapExceeded, too_many_words(named, cap)))
}

fn too_many_words(named: usize, cap: usize) -> String {
    format!("{named} principals are named, limits.max_principals is {cap}")
}

/// Whether a person is to be asked before this plan is carried out.
pub(super) fn wants_approval(
    named: usize,
    plan: &Plan,
    rule: &Rule,
    event: &BoundEvent,
    limits: &Limits,
    recent: &Recent,
) -> Result<Option<Wanted>, RuleError> {
    let over_cap = |detail| Wanted { reason: Parked::CapExceeded, detail, wait: limits.over_cap };
    if &*rule.name == canary::RULE {
        return Ok(None);
    }
    if named > limits.max_principals {
        return Ok(Some(over_cap(too_many_words(named, limits.max_principals))));
    }
    if let Some(wait) = rule.wants_approval(event)? {
        let detail = format!("rule `{}` wants it to be approved", rule.name);
        let wait = limits.over_cap.is_some().then_some(wait);
        return Ok(Some(Wanted { reason: Parked::Approval, detail, wait }));
    }
    Ok(limits.window_cap.and_then(|cap| recent.would_exceed(cap, plan)).map(over_cap))
}

impl Wanted {
    /// Waits where that is possible, and is refused where it is not.
    pub(super) fn decide(self, plan: Plan, now: Timestamp) -> Decision {
        let Self { reason, mut detail, wait } = self;
        // What waits is kept as people and clusters.
        let is_alike = plan.is_alike();
        if !is_alike {
            detail.push_str(", not the same people on every cluster");
        }
        match wait.filter(|_| is_alike) {
            Some(Wait { expires, on_expiry }) => Decision::AwaitApproval {
                expires: now.checked_add(expires).unwrap_or(Timestamp::MAX),
                on_expiry,
                plan,
                reason,
                detail,
            },
            None => {
                let refusal = match reason {
                    Parked::CapExceeded => RefusalReason::CapExceeded,
                    Parked::Approval => RefusalReason::Approval,
                };
                refuse(refusal, format!("{detail}, and nothing can wait here"))
            }
        }
    }
}
