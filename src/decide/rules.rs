//! Rules: which events mean what, for whom and where. First match wins, one rule a case.

use std::{collections::BTreeMap, sync::Arc};

use globset::{Glob, GlobMatcher};

use super::{
    caps::Wait,
    expression::{BoundEvent, Expression, Failed, Reading},
    target::{Aim, Compiled, TargetSpec},
};
use crate::{
    case::Class,
    decode::{self, Body, Trigger},
};

/// The one type that may mean everyone.
pub(super) const EVERYONE: &str = "io.severance.termination.everyone-requested.v1";

/// A rule as it is written.
#[derive(Clone, Debug)]
pub struct RuleSpec {
    /// Unique among the rules.
    pub name: String,
    /// Sets the defaults of its cases.
    pub class: Class,
    /// Type globs, tested first.
    pub on: Vec<Glob>,
    /// A CEL condition over `event`; always true where it is not there.
    pub when: Option<String>,
    /// Whom it cuts.
    pub target: TargetSpec,
    /// Where; everywhere if not said.
    pub clusters: Option<Vec<Selector>>,
    /// Only pretend.
    pub dry_run: bool,
    /// When a person is asked first.
    pub approval: Option<ApprovalSpec>,
}

/// When a rule's cases wait for a person.
#[derive(Clone, Debug)]
pub struct ApprovalSpec {
    /// A CEL condition over `event`; always true where it is not there.
    pub when: Option<String>,
    /// How long, and what then.
    pub wait: Wait,
}

/// Picks clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// By name.
    Name(String),
    /// Those which have all of these labels.
    Labels(BTreeMap<String, String>),
}

/// A cluster as rules see it.
#[derive(Clone, Debug)]
pub struct ClusterLabels {
    /// Its configured name.
    pub name: Arc<str>,
    /// Its configured labels.
    pub labels: BTreeMap<String, String>,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// The key inside the rule, for example `when`.
    pub key: &'static str,
    /// What is wrong with it and how to mend it.
    pub message: String,
}

/// A rule that can be applied.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub name: Arc<str>,
    /// Its class.
    pub class: Class,
    /// Where it cuts, at least one.
    pub clusters: Vec<Arc<str>>,
    /// Only pretend.
    pub dry_run: bool,
    on: Vec<GlobMatcher>,
    when: Option<Expression>,
    target: Compiled,
    approval: Option<(Option<Expression>, Wait)>,
}

/// A rule failed on an event. The search stops there: another rule must not step in for one that
/// could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The condition failed.
    #[error("rule `{rule}`: `when`: {why}")]
    Condition {
        /// Which rule.
        rule: Arc<str>,
        /// What went wrong, without any value of the event.
        why: String,
    },
    /// The condition of its approval failed.
    #[error("rule `{rule}`: `approval.when`: {why}")]
    Approval {
        /// Which rule.
        rule: Arc<str>,
        /// What went wrong, without any value of the event.
        why: String,
    },
    /// The target failed.
    #[error("rule `{rule}`: `target`: {why}")]
    Target {
        /// Which rule.
        rule: Arc<str>,
        /// What went wrong, without any value of the event.
        why: String,
    },
}

impl RuleError {
    /// What went wrong, without any value of the event.
    pub fn why(&self) -> &str {
        match self {
            Self::Condition { why, .. } | Self::Approval { why, .. } | Self::Target { why, .. } => why,
        }
    }
}

/// What a rule says of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `on` has no such type.
    Deaf,
    /// `when` is false.
    No,
    /// It matches.
    Yes,
    /// `when` failed.
    Failed(RuleError),
}

impl Answer {
    /// Whether no later rule is asked.
    pub(super) fn ends_the_search(&self) -> bool {
        match self {
            Self::Yes | Self::Failed(_) => true,
            Self::Deaf | Self::No => false,
        }
    }
}

impl Rule {
    /// Compiles the expressions, checks every identifier and function, and tries them once on an
    /// example event of each type in `on`. Gives all faults at once.
    pub fn compile(spec: RuleSpec, clusters: &[ClusterLabels]) -> Result<Self, Vec<RuleFault>> {
        let mut faults = Vec::new();
        let mut fault = |key, message: String| faults.push(RuleFault { key, message });
        if spec.on.is_empty() {
            fault(
                "on",
                "is empty: name at least one event type, for example `io.severance.account.compromised.*`"
                    .into(),
            );
        }
        let on: Vec<_> = spec.on.iter().map(Glob::compile_matcher).collect();
        let examples = examples(&spec.on, &on);

        let mut condition = |key, source: String| match condition(&source, &examples) {
            Ok(expression) => Some(expression),
            Err(message) => {
                fault(key, message);
                None
            }
        };
        let when = spec.when.and_then(|source| condition("when", source));
        let approval = spec.approval.map(|ApprovalSpec { when, wait }| {
            (when.and_then(|source| condition("approval.when", source)), wait)
        });
        let try_on = |attempt: &dyn Fn(&BoundEvent) -> Result<(), Failed>| {
            let failed = examples.iter().find_map(|example| match attempt(&example.bound) {
                Err(failed @ (Failed::Type { .. } | Failed::Evaluation(_))) => Some((failed, example)),
                Err(Failed::NoSuchKey(_)) | Ok(()) => None,
            });
            match failed {
                Some((failed, example)) => Err(format!("{failed} (tried on an example of {})", example.kind)),
                None => Ok(()),
            }
        };
        if spec.target.everyone
            && let Some(other) = spec.on.iter().map(Glob::glob).find(|glob| *glob != EVERYONE)
        {
            fault("on", format!("has `{other}`, but only `{EVERYONE}` may mean everyone"));
        }
        let target = match Compiled::compile(spec.target, try_on) {
            Ok(target) => Some(target),
            Err(message) => {
                fault("target", message);
                None
            }
        };
        let clusters = match select(spec.clusters.as_deref(), clusters) {
            Ok(names) => names,
            Err(message) => {
                fault("clusters", message);
                Vec::new()
            }
        };
        match target {
            Some(target) if faults.is_empty() => Ok(Self {
                name: spec.name.into(),
                class: spec.class,
                clusters,
                dry_run: spec.dry_run,
                on,
                when,
                target,
                approval,
            }),
            Some(_) | None => Err(faults),
        }
    }

    /// The rules for Severance's own compromise, offboarding and access-window events.
    pub fn defaults() -> Vec<RuleSpec> {
        [
            (
                "default-compromise",
                Class::Compromise,
                "io.severance.account.compromised.v1",
                TargetSpec::expression("event.data.principals"),
            ),
            (
                "default-offboarding",
                Class::Offboarding,
                "io.severance.account.offboarded.v1",
                TargetSpec::expression("event.data.principals"),
            ),
            (
                "default-window",
                Class::Window,
                "io.severance.access-window.closed.v1",
                TargetSpec::principals_and_roles(),
            ),
        ]
        .into_iter()
        .filter_map(|(name, class, kind, target)| {
            Some(RuleSpec {
                name: name.to_owned(),
                class,
                on: vec![Glob::new(kind).ok()?],
                when: None,
                target,
                clusters: None,
                dry_run: false,
                approval: None,
            })
        })
        .collect()
    }

    /// Asks it about one event. The type is tested first, before anything is evaluated.
    /// Nobody but a rule that means everyone hears an event that asks for everyone.
    pub(super) fn ask(&self, trigger: &Trigger, event: &BoundEvent) -> Answer {
        let asks_for_everyone = matches!(trigger.body, Body::EveryoneRequested { .. });
        let means_everyone = matches!(self.target, Compiled::Everyone);
        if asks_for_everyone != means_everyone || !self.on.iter().any(|glob| glob.is_match(&trigger.kind)) {
            return Answer::Deaf;
        }
        match self.when.as_ref().map_or(Ok(true), |when| when.is_true(event)) {
            Ok(true) => Answer::Yes,
            Ok(false) => Answer::No,
            Err(failed) => {
                Answer::Failed(RuleError::Condition { rule: self.name.clone(), why: failed.to_string() })
            }
        }
    }

    /// How long a person has to say yes before this event is acted on, where one is to be asked.
    pub(super) fn wants_approval(&self, event: &BoundEvent) -> Result<Option<Wait>, RuleError> {
        let Some((when, wait)) = &self.approval else { return Ok(None) };
        match when.as_ref().map_or(Ok(true), |when| when.is_true(event)) {
            Ok(wanted) => Ok(wanted.then_some(*wait)),
            Err(failed) => Err(RuleError::Approval { rule: self.name.clone(), why: failed.to_string() }),
        }
    }

    /// The types that it listens to.
    pub fn on(&self) -> impl Iterator<Item = &str> {
        self.on.iter().map(|on| on.glob().glob())
    }

    /// Its condition, if it has one.
    pub fn when(&self) -> Option<&str> {
        self.when.as_ref().map(Expression::source)
    }

    /// The expressions of its target; `None` where it reads nothing of the event.
    pub fn target_expression(&self) -> Option<String> {
        self.target.source()
    }

    /// What its condition reads of an event.
    pub(super) fn condition_readings(&self, trigger: &Trigger) -> Vec<Reading> {
        self.when.as_ref().map(|when| when.readings(trigger)).unwrap_or_default()
    }

    /// What its target reads of an event.
    pub(super) fn target_readings(&self, trigger: &Trigger) -> Vec<Reading> {
        self.target.readings(trigger)
    }

    /// Whether roles are part of its target.
    pub fn takes_roles(&self) -> bool {
        self.target.takes_roles()
    }

    /// Whether it means roles whatever the event says.
    pub fn needs_roles(&self) -> bool {
        self.target.needs_roles()
    }

    /// Whether it means everybody who is there.
    pub fn means_everyone(&self) -> bool {
        matches!(self.target, Compiled::Everyone)
    }

    /// Whether a cluster has to be asked whom it means.
    pub(super) fn looks_up(&self) -> bool {
        self.takes_roles() || self.means_everyone()
    }

    /// Whom the rule means by this event: somebody, or an error.
    pub(super) fn aim(&self, event: &BoundEvent) -> Result<Aim, RuleError> {
        self.target.aim(event).map_err(|why| RuleError::Target { rule: self.name.clone(), why })
    }
}

/// A condition that is a boolean on every example.
fn condition(source: &str, examples: &[Example]) -> Result<Expression, String> {
    let expression = Expression::compile(source).map_err(|invalid| invalid.to_string())?;
    for example in examples {
        if let Err(failed @ (Failed::Type { .. } | Failed::Evaluation(_))) =
            expression.is_true(&example.bound)
        {
            return Err(format!("{failed} (tried on an example of {})", example.kind));
        }
    }
    Ok(expression)
}

fn select(selectors: Option<&[Selector]>, clusters: &[ClusterLabels]) -> Result<Vec<Arc<str>>, String> {
    let Some(selectors) = selectors else {
        return Ok(clusters.iter().map(|cluster| cluster.name.clone()).collect());
    };
    if selectors.is_empty() {
        return Err("is empty: leave it out for every cluster, or name some".to_owned());
    }
    let mut chosen: Vec<Arc<str>> = Vec::new();
    for selector in selectors {
        let matches = |cluster: &&ClusterLabels| match selector {
            Selector::Name(name) => *cluster.name == **name,
            Selector::Labels(labels) => {
                labels.iter().all(|(key, value)| cluster.labels.get(key) == Some(value))
            }
        };
        let found: Vec<_> = clusters.iter().filter(matches).map(|cluster| cluster.name.clone()).collect();
        if found.is_empty() {
            let known: Vec<_> = clusters.iter().map(|cluster| &*cluster.name).collect();
            return Err(match selector {
                Selector::Name(name) => format!(
                    "names the cluster `{name}`, which is not configured (there are: {})",
                    known.join(", ")
                ),
                Selector::Labels(labels) => format!("no cluster has the labels {labels:?}"),
            });
        }
        chosen.extend(found.into_iter().filter(|name| !chosen.contains(name)).collect::<Vec<_>>());
    }
    Ok(chosen)
}

struct Example {
    kind: String,
    bound: BoundEvent,
}

/// An example of every own type that the rule listens to, and an event with empty data for a
/// type of somebody else's that is written out.
fn examples(globs: &[Glob], on: &[GlobMatcher]) -> Vec<Example> {
    let own: Vec<Trigger> = decode::own_types().filter_map(decode::example).collect();
    let foreign = globs
        .iter()
        .map(Glob::glob)
        .filter(|kind| !own.iter().any(|example| example.kind == *kind))
        .filter(|kind| !kind.contains(['*', '?', '[', '{']))
        .map(Trigger::without_data);
    own.iter()
        .filter(|example| on.iter().any(|glob| glob.is_match(&example.kind)))
        .cloned()
        .chain(foreign)
        .map(|example| Example { bound: BoundEvent::new(&example), kind: example.kind })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(when: &str, target: &str) -> RuleSpec {
        RuleSpec {
            name: "r".into(),
            class: Class::Compromise,
            on: vec![Glob::new("io.severance.account.compromised.*").unwrap()],
            when: (!when.is_empty()).then(|| when.to_owned()),
            target: TargetSpec::expression(target),
            clusters: None,
            dry_run: false,
            approval: None,
        }
    }

    fn clusters() -> Vec<ClusterLabels> {
        [("orders", "prod"), ("lab", "dev")]
            .map(|(name, env)| ClusterLabels {
                name: name.into(),
                labels: [("env".to_owned(), env.to_owned())].into(),
            })
            .into()
    }

    fn keys(spec: RuleSpec) -> Vec<&'static str> {
        Rule::compile(spec, &clusters()).unwrap_err().into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn all_faults_of_a_rule_are_told_at_once() {
        let mut broken = spec("event.data.confidence", "event.tpye");
        broken.clusters = Some(vec![Selector::Name("ordres".into())]);
        assert_eq!(keys(broken), ["when", "target", "clusters"]);
    }

    #[test]
    fn a_condition_that_is_no_boolean_is_found_on_the_example() {
        assert_eq!(keys(spec("'yes'", "event.data.principals")), ["when"]);
        assert_eq!(keys(spec("", "event.type")), ["target"]);
    }

    #[test]
    fn labels_choose_clusters_and_each_only_once() {
        let mut rule = spec("", "event.data.principals");
        rule.clusters = Some(vec![
            Selector::Labels([("env".to_owned(), "prod".to_owned())].into()),
            Selector::Name("orders".into()),
        ]);
        assert_eq!(Rule::compile(rule, &clusters()).unwrap().clusters, [Arc::from("orders")]);
    }

    #[test]
    fn the_default_rules_compile() {
        for spec in Rule::defaults() {
            assert!(Rule::compile(spec, &clusters()).is_ok());
        }
        assert_eq!(Rule::defaults().len(), 3);
    }
}
