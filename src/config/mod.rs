//! The configuration, typed. [`Config::load`] reports every fault at once, each with its key, its
//! place and the fix; an unknown key is a fault. Secrets come from files or the environment.
//!
//! `node` is the file as it is written, `reader` is how every key is read; each section has a
//! file that names its keys and says what they mean.

mod bounds;
mod clusters;
pub mod duration;
mod fault;
mod field;
mod kafka;
mod names;
mod node;
mod operator;
mod protected;
mod reader;
mod rules;
#[cfg(test)]
mod schema_tests;
mod secret;

#[cfg(test)]
mod tests;

pub use fault::{Fault, Faults, Place, Warning};
pub use kafka::RESERVED;
pub use secret::{Process, Surroundings, WithoutSecrets};

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use self::{
    fault::{Notes, Told},
    node::Node,
    reader::{Field, Keys, Section},
    secret::Secrets,
};
use crate::{
    decide::{Limits, Protected, Rule},
    ingest::TopicTrust,
};

const ROOT: Keys = Keys {
    known: &[
        "kafka",
        "clusters",
        "protected",
        "protected_defaults",
        "rules",
        "default_rules",
        "dry_run",
        "allow_everyone",
        "limits",
        "evidence",
        "verify",
        "listen",
        "log",
        "pause_file",
        "canary",
    ],
    later: &["windows", "inactivity", "identities"],
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
    /// Whether a rule may cut everyone.
    pub allow_everyone: bool,
    /// What one event may do.
    pub limits: Limits,
    /// How a batch is worked on.
    pub work: Work,
    /// Where health and metrics are answered, if anywhere.
    pub listen: Option<SocketAddr>,
    /// How the log is written.
    pub log: Log,
    /// While it exists, nothing is consumed and no job is run.
    pub pause_file: Option<PathBuf>,
    /// The canary, if there is one.
    pub canary: Option<Canary>,
    /// Which configuration this is: the first 16 hex digits of its text's SHA-256. Secrets stand
    /// elsewhere and are not part of it.
    pub hash: Arc<str>,
}

impl Config {
    /// Reads the file at `path`.
    pub fn load(path: &Path, surroundings: &dyn Surroundings) -> Result<(Self, Vec<Warning>), Faults> {
        let text = surroundings.read(path).map_err(|error| {
            let fault = Fault {
                key: String::new(),
                place: None,
                message: format!("cannot be read: {error}"),
                fix: Some("correct the path, or let this user read the file".to_owned()),
            };
            Faults::one(path.display().to_string(), fault)
        })?;
        Self::parse(&text, path, surroundings)
    }

    /// Reads `text`, which stands at `path`: relative paths begin in its folder.
    pub fn parse(
        text: &str,
        path: &Path,
        surroundings: &dyn Surroundings,
    ) -> Result<(Self, Vec<Warning>), Faults> {
        let file = path.display().to_string();
        let node = Node::parse(text).map_err(|fault| Faults::one(file.clone(), fault))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let notes = Notes::default();
        let read = Section::root(&notes, &node, &ROOT)
            .and_then(|root| config(&root, &Secrets { surroundings, folder }, hash(text)));
        notes.close(read, file)
    }
}

fn hash(text: &str) -> Arc<str> {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

fn config(root: &Section<'_>, secrets: &Secrets<'_>, hash: Arc<str>) -> Result<Config, Told> {
    let kafka = root.must("kafka", |field| kafka::kafka(&field.section(&kafka::KAFKA)?, secrets));
    let mut known = clusters::Known::default();
    let clusters = root.must("clusters", |field| clusters::clusters(field, secrets, &mut known));
    // Without any cluster every name in a rule would be called unknown.
    known.incomplete |= known.clusters.is_empty();
    let protected = protected::protected(root);
    let pause_file = operator::pause_file(root, secrets);
    let canary = operator::canary(root, kafka.as_ref().ok());
    let has_jobs = kafka.as_ref().map_or(true, |kafka| kafka.jobs.is_some());
    let rules = rules::rules(root, &known, !matches!(canary, Ok(None)), has_jobs);
    let dry_run = root.or("dry_run", false, Field::flag);
    let allow_everyone = root.or("allow_everyone", false, Field::flag);
    if let (Ok(false), Ok(rules)) = (&allow_everyone, &rules)
        && let Some(rule) = rules.iter().find(|rule| rule.means_everyone())
    {
        let message = format!("is not `true`, but the rule `{}` means everyone", rule.name);
        root.wrong(
            "allow_everyone",
            message,
            Some("write `allow_everyone: true`, or remove the rule".to_owned()),
        );
    }
    let bounds = bounds::bounds(root, has_jobs);
    let listen = operator::listen(root);
    let log = operator::log(root);
    if let Ok(true) = dry_run {
        root.warn("dry_run", "is on: nobody will be cut", "remove it when the outcomes are what you expect");
    }
    let (limits, work) = bounds?;
    Ok(Config {
        kafka: kafka?,
        clusters: clusters?,
        protected: protected?,
        rules: rules?,
        dry_run: dry_run?,
        allow_everyone: allow_everyone?,
        limits,
        work,
        listen: listen?,
        log: log?,
        pause_file: pause_file?,
        canary: canary?,
        hash,
    })
}

/// Where events come from and outcomes go.
#[derive(Clone, Debug)]
pub struct Kafka {
    /// librdkafka's properties, those that correctness rests on left out.
    pub properties: BTreeMap<String, SecretString>,
    /// `group.id` of `properties`.
    pub group: String,
    /// Static membership's name, used by `run` only.
    pub instance: Option<String>,
    /// How outcomes and offsets are written.
    pub delivery: Delivery,
    /// Trigger topics and what each may say.
    pub topics: Vec<(Arc<str>, TopicTrust)>,
    /// The topic for outcomes.
    pub outcomes: String,
    /// The topic for dead letters.
    pub dead_letters: String,
    /// The topics of unfinished work; without them there is none.
    pub jobs: Option<JobTopics>,
}

/// The topics of work that is not finished yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobTopics {
    /// What is left to do; compacted.
    pub state: Arc<str>,
    /// What is wanted of it from elsewhere.
    pub commands: Arc<str>,
}

/// How outcomes and offsets are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Offsets after the outcomes: a crash may repeat outcomes, with the same ids.
    AtLeastOnce,
    /// Outcomes and offsets in one transaction: a `read_committed` reader sees each once.
    ExactlyOnce,
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

/// An event that goes the whole way now and then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// How often.
    pub every: Duration,
    /// The trigger topic that takes it.
    pub topic: Arc<str>,
}

/// How the log is written.
#[derive(Clone, Debug)]
pub struct Log {
    /// Principals are hashed in it.
    pub hash_principals: bool,
}

/// How a batch is worked on.
#[derive(Clone, Debug)]
pub struct Work {
    /// Most records of one batch.
    pub batch_max_records: usize,
    /// Most batches in flight.
    pub depth: usize,
    /// How long a batch may wait for one node, retries included.
    pub inline_budget: Duration,
    /// How long unfinished work is tried; zero where nothing is deferred.
    pub give_up_after: Duration,
    /// How long a drain may take.
    pub drain: Duration,
    /// How long a kill waits for the look before it.
    pub evidence_wait: Duration,
    /// Most entries of a list of one node.
    pub evidence_max_items: usize,
    /// How often what came back is cut again.
    pub verify_rounds: u32,
}
