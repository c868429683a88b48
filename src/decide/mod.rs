//! decide: what is to be done about each trigger of a batch. Pure: no clock, no randomness, no
//! I/O. Everything from outside comes in as one immutable [`Context`].

mod decision;
mod guards;
mod rules;

pub use decision::{Case, Decided, Decision, Plan, RefusalReason, Target};
pub use guards::Protected;
pub use rules::{ClusterLabels, Rule, RuleFault, RuleSpec, Selector, TargetSpec};

use std::{collections::BTreeMap, time::Duration};

use crate::case::Class;

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
