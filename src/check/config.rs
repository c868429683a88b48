//! What is found in the configuration itself.

use super::report::Finding;
use crate::{
    config::{Config, Fault, Faults, Warning},
    edge::mongo_check,
};

/// Everything that keeps it from being used.
pub(super) fn faults(file: &str, faults: &Faults) -> Vec<Finding> {
    faults
        .iter()
        .map(|fault| Finding::fault(subject(file, fault), fault.message.clone(), fault.fix.clone()))
        .collect()
}

/// What is to be said about one that can be read.
pub(super) fn findings(file: &str, config: &Config, warnings: &[Warning]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = config
        .clusters
        .iter()
        .filter_map(|cluster| mongo_check::valid_uri(cluster).err())
        .map(|error| {
            let fix = "correct the address that `uri` names: mongodb://NAME:PASSWORD@HOST:PORT,.../?OPTION=VALUE&...";
            Finding::fault(file, error.to_string(), fix.to_owned())
        })
        .collect();
    findings.extend(warnings.iter().map(|Warning(warning)| {
        Finding::warning(subject(file, warning), warning.message.clone(), warning.fix.clone())
    }));
    findings.push(Finding::ok(
        "",
        format!(
            "{}, {}, {} with the built-in ones; hash {}",
            many(config.kafka.topics.len(), "trigger topic"),
            many(config.clusters.len(), "cluster"),
            many(config.rules.len(), "rule"),
            config.hash
        ),
    ));
    findings.push(protected(config));
    findings
}

/// The internal account is always in the list: a list of one protects nobody else.
fn protected(config: &Config) -> Finding {
    match config.protected.len() {
        0 | 1 => Finding::warning(
            "protected",
            "protects nobody but `__system@local` and our own account, which are never cut",
            "name the accounts that must stay, or remove `protected_defaults: false`".to_owned(),
        ),
        entries => Finding::ok(
            "protected",
            format!("{entries} entries, `__system@local` among them; our own account is never cut either"),
        ),
    }
}

fn subject(file: &str, fault: &Fault) -> String {
    let place = match fault.place {
        Some(place) => format!("{file}:{}:{}", place.line, place.column),
        None => file.to_owned(),
    };
    match fault.key.as_str() {
        "" => place,
        key => format!("{place} {key}"),
    }
}

fn many(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        many => format!("{many} {word}s"),
    }
}
