//! What `check` found: findings in sections, each with its level. Pure; `text` and `json` write it.

use std::sync::Arc;

use serde::Serialize;

use super::facts::MemberFacts;

/// How bad something is. The worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The job cannot be done like this.
    Fault,
    /// The job can be done, but probably not as it was meant.
    Warning,
    /// As it should be.
    Ok,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is about: a key with its place, a topic, members; empty where the section says it.
    pub subject: String,
    /// What is so.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Finding {
    /// Something that is as it should be.
    pub fn ok(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Ok, subject: subject.into(), message: message.into(), fix: None }
    }

    /// Something odd.
    pub fn warning(
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<Option<String>>,
    ) -> Self {
        Self { level: Level::Warning, subject: subject.into(), message: message.into(), fix: fix.into() }
    }

    /// Something that keeps us from working.
    pub fn fault(
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<Option<String>>,
    ) -> Self {
        Self { level: Level::Fault, subject: subject.into(), message: message.into(), fix: fix.into() }
    }
}

/// What a section is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// The configuration file.
    Config,
    /// Kafka and its topics.
    Kafka,
    /// The cluster of this name.
    Cluster(Arc<str>),
}

/// The findings about one thing, the worst first.
#[derive(Clone, Debug)]
pub struct Section {
    /// Which.
    pub about: About,
    /// What its members said; clusters only.
    pub members: Vec<MemberFacts>,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Section {
    /// A section; of equally bad findings the order stays.
    pub fn new(about: About, members: Vec<MemberFacts>, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.level);
        Self { about, members, findings }
    }
}

/// How far `check` looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// At everything.
    Everything,
    /// At the configuration only, as asked.
    Offline,
    /// At the configuration only, since it cannot be used.
    ConfigFaulty,
}

/// Everything that was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The configuration file, as it was named.
    pub file: String,
    /// How far we looked.
    pub reach: Reach,
    /// In the order in which they are read: config, kafka, clusters.
    pub sections: Vec<Section>,
}

impl Report {
    /// How many findings have this level.
    pub fn count(&self, level: Level) -> usize {
        self.findings().filter(|(_, finding)| finding.level == level).count()
    }

    /// Every finding, with what its section is about.
    pub fn findings(&self) -> impl Iterator<Item = (&About, &Finding)> {
        self.sections.iter().flat_map(|section| section.findings.iter().map(|one| (&section.about, one)))
    }

    /// The last line: how many faults and warnings there are, and what was not looked at.
    pub fn summary(&self) -> String {
        let many = |count: usize, word: &str| match count {
            0 => format!("no {word}s"),
            1 => format!("1 {word}"),
            many => format!("{many} {word}s"),
        };
        let counts = format!(
            "{}, {}",
            many(self.count(Level::Fault), "fault"),
            many(self.count(Level::Warning), "warning")
        );
        match self.reach {
            Reach::Everything => counts,
            Reach::Offline => format!("{counts} (offline: Kafka and the clusters were not asked)"),
            Reach::ConfigFaulty => format!("{counts} (Kafka and the clusters were not asked)"),
        }
    }
}
