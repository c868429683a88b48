//! The configuration, typed. `load` reports every fault at once, each with its key, its place and
//! the fix; an unknown key is a fault. Secrets come from files or the environment.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use secrecy::SecretString;

use crate::{
    decide::{Limits, Protected, Rule},
    ingest::TopicTrust,
};

/// Everything that `run` needs to know.
#[derive(Debug)]
pub struct Config {
    /// Where events come from and outcomes go.
    pub kafka: Kafka,
    /// Where people are cut.
    pub clusters: Vec<Cluster>,
    /// Who is never cut, the built-in list included.
    pub protected: Vec<Protected>,
    /// In order: the configured ones, then the default ones.
    pub rules: Vec<Rule>,
    /// Only pretend, for every rule.
    pub dry_run: bool,
    /// What one event may do.
    pub limits: Limits,
    /// How a batch is worked on.
    pub work: Work,
}

/// Where events come from and outcomes go.
#[derive(Debug)]
pub struct Kafka {
    /// librdkafka's properties, those that correctness rests on left out.
    pub properties: BTreeMap<String, SecretString>,
    /// `group.id` of `properties`.
    pub group: String,
    /// Static membership's name, used by `run` only.
    pub instance: Option<String>,
    /// Trigger topics and what each may say.
    pub topics: Vec<(Arc<str>, TopicTrust)>,
    /// The topic for outcomes.
    pub outcomes: String,
    /// The topic for dead letters.
    pub dead_letters: String,
}

/// One MongoDB cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Its name in rules, logs and outcomes.
    pub name: Arc<str>,
    /// What rules may pick it by.
    pub labels: BTreeMap<String, String>,
    /// How to reach it, with the responder's own account.
    pub uri: SecretString,
    /// By a member's configured `host:port` the address at which we reach it.
    pub members: BTreeMap<String, String>,
}

/// How a batch is worked on.
#[derive(Clone, Debug)]
pub struct Work {
    /// Most records of one batch.
    pub batch_max_records: usize,
    /// How long a batch may wait for one node, retries included.
    pub inline_budget: Duration,
    /// How long a drain may take.
    pub drain: Duration,
    /// How long a kill waits for the look before it.
    pub evidence_wait: Duration,
    /// Most entries of a list of one node.
    pub evidence_max_items: usize,
    /// How often what came back is cut again.
    pub verify_rounds: u32,
}
