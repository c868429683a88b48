//! `check`: whether a responder with this configuration could do its job, asked before it has to.
//! It changes nothing anywhere.
//!
//! `facts` is what the clusters said, `judge` what that means, `report` what was found in all, and
//! `text` and `json` are how it is written.

mod config;
pub mod facts;
mod json;
mod judge;
pub mod kafka;
pub mod report;
#[cfg(test)]
mod tests;
mod text;
mod unfinished;

use std::path::Path;

use futures::future::join_all;

use self::report::{About, Finding, Reach, Report, Section};
use crate::{
    config::{Config, Surroundings},
    edge::mongo_check,
};

pub use json::json;
pub use text::text;

/// Reads the configuration at `path` and, unless it is faulty or we are `offline`, asks Kafka (by
/// `kafka`) and every cluster.
pub async fn check<K>(path: &Path, surroundings: &dyn Surroundings, offline: bool, kafka: K) -> Report
where
    K: AsyncFnOnce(&Config) -> Vec<Finding>,
{
    let file = path.display().to_string();
    let only = |reach, findings| Report {
        file: file.clone(),
        reach,
        sections: vec![Section::new(About::Config, Vec::new(), findings)],
    };
    let (config, warnings) = match Config::load(path, surroundings) {
        Ok(loaded) => loaded,
        Err(faults) => return only(Reach::ConfigFaulty, config::faults(&file, &faults)),
    };
    let findings = config::findings(&file, &config, &warnings);
    if findings.iter().any(|finding| finding.level == report::Level::Fault) {
        return only(Reach::ConfigFaulty, findings);
    }
    if offline {
        return only(Reach::Offline, findings);
    }
    let (kafka, clusters) =
        futures::join!(kafka(&config), join_all(config.clusters.iter().map(|one| cluster(one, &config))));
    let mut report = only(Reach::Everything, findings);
    report.sections.push(Section::new(About::Kafka, Vec::new(), kafka));
    report.sections.extend(clusters);
    report
}

async fn cluster(cluster: &crate::config::Cluster, config: &Config) -> Section {
    let is_here = |rule: &&crate::decide::Rule| rule.clusters.contains(&cluster.name);
    let for_roles = config.rules.iter().filter(is_here).any(crate::decide::Rule::needs_roles);
    match mongo_check::look(cluster, for_roles).await {
        Ok(facts) => judge::cluster(facts, cluster, &config.limits),
        // The address is one, or the configuration would have been refused: what it names is missing.
        Err(error) => {
            let fix = "correct what the message names: a file, or a name that is to be found in DNS";
            let fault = Finding::fault("", error.to_string(), fix.to_owned());
            Section::new(About::Cluster(cluster.name.clone()), Vec::new(), vec![fault])
        }
    }
}
