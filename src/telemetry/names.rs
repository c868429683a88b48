//! Every metric: its name, unit, meaning and labels. The names are OpenTelemetry's own where its
//! semantic conventions have one (`messaging.*`, `db.*`) and begin with `severance.` otherwise;
//! units are UCUM's.

/// One metric, as it is told to whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its OpenTelemetry name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its unit.
    pub unit: &'static str,
    /// What it means, in one sentence.
    pub help: &'static str,
    /// What it is divided by.
    pub labels: &'static [&'static str],
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// How many there are now.
    Gauge,
    /// How values are distributed.
    Histogram,
}

/// The labels. Attributes of spans that mean the same have the same names.
pub mod label {
    /// How a case stands.
    pub const STATUS: &str = "severance.status";
    /// Why, as a word.
    pub const REASON: &str = "severance.reason";
    /// How something ended.
    pub const RESULT: &str = "severance.result";
    /// The rule that matched.
    pub const RULE: &str = "severance.rule";
    /// The rule's class.
    pub const CLASS: &str = "severance.class";
    /// The configured name of a cluster.
    pub const CLUSTER: &str = "severance.cluster";
    /// Which check of readiness.
    pub const CHECK: &str = "severance.check";
    /// What a rebalance did.
    pub const CHANGE: &str = "severance.change";
    /// Which configuration decides.
    pub const CONFIG_HASH: &str = "severance.config_hash";
    /// The program's version.
    pub const VERSION: &str = "service.version";
    /// A member, as the replica set's configuration names it.
    pub const NODE: &str = "server.address";
    /// A kind of error; left out where there was none.
    pub const ERROR: &str = "error.type";
    /// Always `mongodb`.
    pub const DB: &str = "db.system.name";
    /// A command.
    pub const COMMAND: &str = "db.operation.name";
    /// Always `kafka`.
    pub const MESSAGING: &str = "messaging.system";
    /// What is done with messages.
    pub const OPERATION: &str = "messaging.operation.name";
    /// A topic.
    pub const TOPIC: &str = "messaging.destination.name";
    /// A partition's number.
    pub const PARTITION: &str = "messaging.destination.partition.id";
}

use label::{
    CHANGE, CHECK, CLASS, CLUSTER, COMMAND, CONFIG_HASH, DB, ERROR, MESSAGING, NODE, OPERATION, PARTITION,
    REASON, RESULT, RULE, STATUS, TOPIC, VERSION,
};

macro_rules! metrics {
    ($($(#[doc = $doc:literal])* $constant:ident = $name:literal, $kind:ident, $unit:literal, [$($label:ident),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric =
                Metric { name: $name, kind: Kind::$kind, unit: $unit, help: $help, labels: &[$($label),*] };
        )*
        /// All of them.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    OUTCOMES = "severance.outcomes", Counter, "{outcome}", [STATUS, RULE, CLASS, REASON],
        "Outcomes that were made, final or not.";
    EVENT_TO_KILLED = "severance.event_to_killed.duration", Histogram, "s", [CLASS],
        "From when an event happened to the last acknowledgement of its kill by a member.";
    EVENT_TO_VERIFIED = "severance.event_to_verified.duration", Histogram, "s", [CLASS],
        "From when an event happened until every member was checked and clean; cases that end otherwise are not in it.";
    REFUSALS = "severance.refusals", Counter, "{refusal}", [REASON],
        "Events that were refused, by the guard or other reason.";
    SPARED = "severance.principals.spared", Counter, "{principal}", [REASON],
        "Principals that were named in an event and left alone.";
    KILL_RETRIES = "severance.kill.retries", Counter, "{retry}", [NODE],
        "Tries on a member after one that failed or was not answered.";
    UNREACHABLE = "severance.node.unreachable", Counter, "{batch}", [CLUSTER, NODE],
        "Batches in which a member could not be reached within the budget, or was not asked because it is not waited for.";
    CIRCUIT_TRIPS = "severance.circuit.trips", Counter, "{trip}", [NODE],
        "Times that a member used up a budget and was not waited for from then on.";
    CIRCUITS_OPEN = "severance.circuit.open", Gauge, "{node}", [NODE],
        "Whether a member is not waited for at present.";
    BATCH_SIZE = "severance.batch.size", Histogram, "{record}", [],
        "Records of a batch.";
    BATCH_DURATION = "messaging.process.duration", Histogram, "s", [MESSAGING, OPERATION],
        "From taking a batch to its last acknowledgement by Kafka.";
    CONSUMED = "messaging.client.consumed.messages", Counter, "{message}", [MESSAGING, OPERATION, TOPIC],
        "Records that were taken from the trigger topics.";
    SENT = "messaging.client.sent.messages", Counter, "{message}", [MESSAGING, OPERATION, TOPIC],
        "Records whose publication Kafka acknowledged.";
    PUBLISH_DURATION = "messaging.client.operation.duration", Histogram, "s", [MESSAGING, OPERATION, ERROR],
        "How long publishing what a batch leaves behind took, tries included.";
    PUBLISH_RETRIES = "severance.publish.retries", Counter, "{retry}", [TOPIC, ERROR],
        "Times that a topic did not take what was sent, and it was sent again.";
    JOBS_OPEN = "severance.jobs.open", Gauge, "{job}", [],
        "Cases that are not finished yet, in the state partitions of this replica.";
    JOBS_OLDEST = "severance.jobs.oldest", Gauge, "s", [],
        "How long ago the oldest of them was asked for.";
    JOBS_BLOCKED = "severance.jobs.blocked", Gauge, "{job}", [],
        "Of them those that are not run, since a record cannot be read.";
    CANARY = "severance.canary.duration", Histogram, "s", [],
        "From when a canary was made to the acknowledgement of its outcome by Kafka.";
    CANARY_AGE = "severance.canary.age", Gauge, "s", [],
        "How long ago this replica has brought a canary the whole way.";
    TRANSACTIONS = "severance.transaction.duration", Histogram, "s", [RESULT],
        "How long a Kafka transaction took, by how it ended.";
    DEAD_LETTERS = "severance.dead_letters", Counter, "{record}", [REASON],
        "Records that could not be read.";
    LAG = "severance.consumer.lag", Gauge, "{record}", [TOPIC, PARTITION],
        "Records of a partition of ours that are not done yet; read off every five seconds or more often.";
    PARTITIONS = "severance.consumer.partitions", Gauge, "{partition}", [],
        "Partitions that are assigned to this process.";
    REBALANCES = "severance.consumer.rebalances", Counter, "{rebalance}", [CHANGE],
        "Rebalances that gave us partitions, took some away, or failed.";
    DB_DURATION = "db.client.operation.duration", Histogram, "s", [DB, COMMAND, NODE, ERROR],
        "How long a member took to answer a look or a kill.";
    READY = "severance.ready", Gauge, "{check}", [CHECK],
        "Whether a check of /readyz holds.";
    BUILD = "severance.build.info", Gauge, "{build}", [VERSION, CONFIG_HASH],
        "Always 1: which version runs with which configuration.";
}

/// 1 ms to 1 h, in seconds.
pub const LATENCY: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
    3600.0,
];
/// What the semantic conventions advise for the operations of a client, in seconds.
pub const OPERATION_LATENCY: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
/// Records of a batch.
pub const SIZES: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_stands_once_and_is_in_a_namespace_of_its_own_or_of_the_conventions() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for name in names {
            assert!(
                ["severance.", "messaging.", "db."].iter().any(|prefix| name.starts_with(prefix)),
                "{name}"
            );
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte)), "{name}");
        }
    }

    #[test]
    fn every_metric_says_what_it_means_and_names_no_person() {
        for metric in ALL {
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            for label in metric.labels {
                let personal = ["user", "principal", "subject"].iter().any(|word| label.contains(word));
                assert!(!personal, "{}: {label}", metric.name);
            }
        }
    }

    /// As Prometheus names it: what is counted ends in `_total`, what is measured in its unit.
    fn scraped(metric: &Metric) -> String {
        let unit = if metric.unit == "s" { "_seconds" } else { "" };
        let end = if metric.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{end}", metric.name.replace('.', "_"))
    }

    fn table() -> String {
        let mut rows: Vec<String> = ALL
            .iter()
            .map(|metric| {
                let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
                let (kind, unit) = (format!("{:?}", metric.kind).to_lowercase(), metric.unit);
                let names = format!("`{}`<br>`{}`", metric.name, scraped(metric));
                format!("| {names} | {kind}, {unit} | {} | {} |", labels.join(", "), metric.help)
            })
            .collect();
        rows.insert(0, "| OpenTelemetry, Prometheus | | labels | |\n| --- | --- | --- | --- |".to_owned());
        rows.join("\n")
    }

    #[test]
    fn names_and_meanings_are_what_operators_have_built_on() {
        insta::assert_snapshot!(table());
    }

    #[test]
    fn the_readme_has_every_metric() {
        let readme = include_str!("../../README.md");
        let (_, after) = readme.split_once("<!-- metrics -->").unwrap();
        let (told, _) = after.split_once("<!-- /metrics -->").unwrap();
        assert_eq!(told.trim(), table(), "copy the table from the snapshot");
    }

    /// What the exporter really makes of them is in `tests/telemetry.rs`.
    #[test]
    fn buckets_grow() {
        for buckets in [LATENCY, OPERATION_LATENCY, SIZES] {
            assert!(buckets.is_sorted() && buckets[0] > 0.0);
        }
        assert_eq!((LATENCY[0], LATENCY[LATENCY.len() - 1]), (0.001, 3600.0));
    }
}
