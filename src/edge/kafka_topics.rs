//! Whether the topics are what is needed. Pure: what is there comes in, what is wrong goes out.

use std::collections::BTreeMap;

use crate::config::Kafka;

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Events come from it.
    Triggers,
    /// Outcomes go to it.
    Outcomes,
    /// What could not be read goes to it.
    DeadLetters,
}

impl Role {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Triggers => "triggers",
            Self::Outcomes => "outcomes",
            Self::DeadLetters => "dead letters",
        }
    }
}

/// The cluster as it is.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How many brokers there are.
    pub brokers: usize,
    /// The topics that were asked for and exist.
    pub topics: BTreeMap<String, Topic>,
}

/// A topic as it is.
#[derive(Clone, Debug)]
pub struct Topic {
    /// How many partitions it has.
    pub partitions: usize,
    /// How many of them cannot be written to at the moment.
    pub leaderless: usize,
    /// The fewest replicas of any of them.
    pub replication: usize,
    /// Its configuration; `None` where we may not read it.
    pub config: Option<BTreeMap<String, String>>,
}

/// How a topic is, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, until it does not.
    Warning,
    /// It does not do what it is for.
    Wrong,
    /// It is not there.
    Missing,
}

impl Verdict {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
            Self::Missing => "missing",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub verdict: Verdict,
    /// What is the case and what comes of it.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// A topic and what was found about it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The topic's name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// As it is; `None` where it is missing.
    pub topic: Option<Topic>,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
}

impl Judged {
    /// The worst of what was found.
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok)
    }
}

/// A shorter retention loses events or outcomes over a night.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Every topic of the configuration with what it is for.
pub fn needed(kafka: &Kafka) -> Vec<(String, Role)> {
    let triggers = kafka.topics.iter().map(|(name, _)| (name.to_string(), Role::Triggers));
    triggers
        .chain([(kafka.outcomes.clone(), Role::Outcomes), (kafka.dead_letters.clone(), Role::DeadLetters)])
        .collect()
}

/// What is missing or wrong about each, with the fix. `max_bytes` is the most that a record of
/// ours may have.
pub fn judge(needed: &[(String, Role)], seen: &Seen, max_bytes: usize) -> Vec<Judged> {
    needed
        .iter()
        .map(|(name, role)| {
            let topic = seen.topics.get(name).cloned();
            let findings = match &topic {
                Some(topic) => findings(name, *role, topic, seen.brokers, max_bytes),
                None => vec![finding(
                    Verdict::Missing,
                    "there is no such topic, or we may not see it",
                    "severance topics --create, or whoever owns the cluster creates it".to_owned(),
                )],
            };
            Judged { name: name.clone(), role: *role, topic, findings }
        })
        .collect()
}

fn findings(name: &str, role: Role, topic: &Topic, brokers: usize, max_bytes: usize) -> Vec<Finding> {
    let ours = role != Role::Triggers;
    let set = |entry: String| format!("kafka-configs.sh --alter --topic {name} --add-config {entry}");
    let mut found = Vec::new();
    if topic.leaderless > 0 {
        found.push(finding(
            Verdict::Wrong,
            format!("{} of {} partitions have no leader", topic.leaderless, topic.partitions),
            "see which broker is down: kafka-topics.sh --describe --unavailable-partitions".to_owned(),
        ));
    }
    if topic.replication == 1 && brokers > 1 {
        found.push(finding(
            Verdict::Warning,
            format!("one replica on {brokers} brokers: it stands still when one of them does"),
            "kafka-reassign-partitions.sh with more replicas".to_owned(),
        ));
    }
    let Some(config) = &topic.config else {
        found.push(finding(
            Verdict::Warning,
            "its configuration cannot be read",
            "allow DescribeConfigs on the topic".to_owned(),
        ));
        return found;
    };
    let number = |key: &str| config.get(key).and_then(|value| value.parse::<i64>().ok());
    if config.get("cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
        let (verdict, what) = if ours {
            (Verdict::Wrong, "compaction throws away all but the last outcome or letter of a key")
        } else {
            (Verdict::Warning, "compaction may throw away an event before it is read")
        };
        found.push(finding(verdict, what, set("cleanup.policy=delete".to_owned())));
    }
    if let Some(retention) = number("retention.ms").filter(|ms| (0..DAY_MS).contains(ms)) {
        let what = format!("records are kept for {} minutes only", retention / 60_000);
        found.push(finding(Verdict::Warning, what, set("retention.ms=604800000".to_owned())));
    }
    if let Some(bytes) = number("max.message.bytes")
        && ours
        && usize::try_from(bytes).is_ok_and(|bytes| bytes < max_bytes)
    {
        found.push(finding(
            Verdict::Warning,
            format!("it takes {bytes} bytes and ours may have {max_bytes}: evidence will be left out"),
            set(format!("max.message.bytes={}", max_bytes + SLACK)),
        ));
    }
    if let Some(least) = number("min.insync.replicas")
        && usize::try_from(least).is_ok_and(|least| least > topic.replication)
    {
        found.push(finding(
            Verdict::Wrong,
            format!(
                "min.insync.replicas is {least} with {} replicas: nothing can be written",
                topic.replication
            ),
            set(format!("min.insync.replicas={}", topic.replication.saturating_sub(1).max(1))),
        ));
    }
    found
}

/// What Kafka adds around a record, generously.
const SLACK: usize = 48_588;

fn finding(verdict: Verdict, what: impl Into<String>, fix: String) -> Finding {
    Finding { verdict, what: what.into(), fix }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(role: Role, topic: Option<Topic>, brokers: usize) -> Vec<(Verdict, String)> {
        let topics = topic.map(|topic| ("t".to_owned(), topic)).into_iter().collect();
        let judged = judge(&[("t".to_owned(), role)], &Seen { brokers, topics }, 1_000_000);
        assert_eq!(judged.len(), 1);
        for finding in &judged[0].findings {
            assert!(!finding.fix.is_empty());
        }
        judged[0].findings.iter().map(|finding| (finding.verdict, finding.what.clone())).collect()
    }

    fn topic(config: &[(&str, &str)]) -> Topic {
        let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Topic { partitions: 3, leaderless: 0, replication: 1, config: Some(config) }
    }

    #[test]
    fn a_topic_with_kafkas_defaults_is_fine() {
        let defaults = topic(&[
            ("cleanup.policy", "delete"),
            ("retention.ms", "604800000"),
            ("max.message.bytes", "1048588"),
            ("min.insync.replicas", "1"),
        ]);
        for role in [Role::Triggers, Role::Outcomes, Role::DeadLetters] {
            assert_eq!(check(role, Some(defaults.clone()), 1), []);
        }
    }

    #[test]
    fn what_is_not_there_is_missing() {
        assert_eq!(check(Role::Outcomes, None, 1)[0].0, Verdict::Missing);
    }

    #[test]
    fn compaction_is_wrong_for_what_we_write_and_a_risk_for_what_we_read() {
        let compacted = topic(&[("cleanup.policy", "compact,delete")]);
        assert_eq!(check(Role::Outcomes, Some(compacted.clone()), 1)[0].0, Verdict::Wrong);
        assert_eq!(check(Role::DeadLetters, Some(compacted.clone()), 1)[0].0, Verdict::Wrong);
        assert_eq!(check(Role::Triggers, Some(compacted), 1)[0].0, Verdict::Warning);
    }

    #[test]
    fn a_retention_of_less_than_a_day_is_a_warning_and_none_at_all_is_not() {
        let short = check(Role::Triggers, Some(topic(&[("retention.ms", "3600000")])), 1);
        assert_eq!(short, [(Verdict::Warning, "records are kept for 60 minutes only".to_owned())]);
        assert_eq!(check(Role::Triggers, Some(topic(&[("retention.ms", "-1")])), 1), []);
    }

    #[test]
    fn a_size_limit_below_ours_matters_only_where_we_write() {
        let small = topic(&[("max.message.bytes", "65536")]);
        assert_eq!(check(Role::Outcomes, Some(small.clone()), 1)[0].0, Verdict::Warning);
        assert_eq!(check(Role::Triggers, Some(small), 1), []);
    }

    #[test]
    fn one_replica_is_a_risk_only_where_there_could_be_more() {
        assert_eq!(check(Role::Outcomes, Some(topic(&[])), 3)[0].0, Verdict::Warning);
        assert_eq!(check(Role::Outcomes, Some(topic(&[])), 1), []);
    }

    #[test]
    fn more_replicas_in_sync_than_there_are_can_never_be() {
        let never = topic(&[("min.insync.replicas", "2")]);
        assert_eq!(check(Role::Outcomes, Some(never), 1)[0].0, Verdict::Wrong);
    }

    #[test]
    fn what_cannot_be_read_is_said_and_not_assumed() {
        let hidden = Topic { config: None, ..topic(&[]) };
        assert_eq!(check(Role::Outcomes, Some(hidden), 1)[0].0, Verdict::Warning);
        let leaderless = Topic { leaderless: 1, ..topic(&[]) };
        assert_eq!(check(Role::Outcomes, Some(leaderless), 1)[0].0, Verdict::Wrong);
    }
}
