//! Whether the topics are what is needed. Pure: what is there comes in, what is wrong goes out.

use std::{collections::BTreeMap, time::Duration};

use super::kafka_client;
use crate::{
    config::{Config, Kafka, duration},
    jobs::MAX_RECORD,
};

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Events come from it.
    Triggers,
    /// Outcomes go to it.
    Outcomes,
    /// What could not be read goes to it.
    DeadLetters,
    /// What is left to do stands on it.
    State,
    /// What is wanted of that from elsewhere goes to it.
    Commands,
}

impl Role {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Triggers => "triggers",
            Self::Outcomes => "outcomes",
            Self::DeadLetters => "dead letters",
            Self::State => "state",
            Self::Commands => "commands",
        }
    }
}

/// The cluster as it is.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How many brokers there are.
    pub brokers: usize,
    /// The number of one of them.
    pub broker: Option<i32>,
    /// The topics that were asked for and exist.
    pub topics: BTreeMap<String, Topic>,
}

impl Seen {
    /// Whether records of this topic have the broker's time.
    pub fn has_brokers_time(&self, topic: &str) -> bool {
        let config = self.topics.get(topic).and_then(|topic| topic.config.as_ref());
        let kind = config.and_then(|config| config.get("message.timestamp.type"));
        kind.is_some_and(|kind| kind == "LogAppendTime")
    }
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

/// How long commands are kept at least by a topic that we make.
const COMMANDS_KEPT: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// By how much commands outlive the events that they may concern: the longest batch, the longest
/// transaction and the time that somebody needs to notice.
const COMMANDS_MARGIN: Duration = Duration::from_secs(60 * 60);

/// What a configuration needs of its topics.
#[derive(Clone, Debug)]
pub struct Needs {
    /// Every topic with what it is for.
    pub topics: Vec<(String, Role)>,
    /// The most bytes that a record of ours may have.
    pub max_bytes: usize,
    /// How long a command has to be kept: while its case's event may still be accepted.
    pub commands_for: Duration,
}

impl Needs {
    /// Of this configuration.
    pub fn of(config: &Config) -> Self {
        let oldest = config.limits.max_event_age.values().copied().max().unwrap_or_default();
        Self {
            topics: topics(&config.kafka),
            max_bytes: kafka_client::message_max_bytes(&config.kafka),
            commands_for: oldest.saturating_add(config.limits.clock_skew).saturating_add(COMMANDS_MARGIN),
        }
    }

    /// The topics' names.
    pub fn names(&self) -> Vec<String> {
        self.topics.iter().map(|(name, _)| name.clone()).collect()
    }

    fn retention_ms(&self) -> u128 {
        self.commands_for.max(COMMANDS_KEPT).as_millis()
    }

    /// What a topic is made with beside the broker's defaults. `replication`: what it will have,
    /// where that is known.
    pub fn settings(&self, role: Role, replication: Option<usize>) -> Vec<(&'static str, String)> {
        let mut settings = match role {
            Role::Triggers | Role::Outcomes | Role::DeadLetters => return Vec::new(),
            Role::State => vec![
                ("cleanup.policy", "compact".to_owned()),
                // The broker's default may have been lowered.
                ("max.message.bytes", (self.max_bytes.max(MAX_RECORD) + SLACK).to_string()),
            ],
            Role::Commands => {
                vec![
                    ("cleanup.policy", "delete".to_owned()),
                    ("retention.ms", self.retention_ms().to_string()),
                    ("max.message.bytes", (self.max_bytes.max(MAX_RECORD) + SLACK).to_string()),
                ]
            }
        };
        settings.push(("message.timestamp.type", LOG_APPEND_TIME.to_owned()));
        if let Some(replication) = replication {
            settings.push(("min.insync.replicas", in_sync(replication).to_string()));
        }
        settings
    }
}

/// The broker says when a record came, not whoever wrote it.
const LOG_APPEND_TIME: &str = "LogAppendTime";

/// With three replicas one may be lost at any time; with fewer, the loss of one must not stop us.
fn in_sync(replication: usize) -> usize {
    if replication >= 3 { 2 } else { 1 }
}

fn topics(kafka: &Kafka) -> Vec<(String, Role)> {
    let triggers = kafka.topics.iter().map(|(name, _)| (name.to_string(), Role::Triggers));
    let jobs = kafka.jobs.iter().flat_map(|jobs| {
        [(jobs.state.to_string(), Role::State), (jobs.commands.to_string(), Role::Commands)]
    });
    triggers
        .chain([(kafka.outcomes.clone(), Role::Outcomes), (kafka.dead_letters.clone(), Role::DeadLetters)])
        .chain(jobs)
        .collect()
}

/// What is missing or wrong about each, with the fix.
pub fn judge(needs: &Needs, seen: &Seen) -> Vec<Judged> {
    let triggers = most_partitions(&needs.topics, seen);
    needs
        .topics
        .iter()
        .map(|(name, role)| {
            let topic = seen.topics.get(name).cloned();
            let findings = match &topic {
                Some(topic) => findings(name, *role, topic, seen.brokers, triggers, needs),
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

/// Of the trigger topics that are there.
pub fn most_partitions(topics: &[(String, Role)], seen: &Seen) -> Option<usize> {
    let triggers = topics.iter().filter(|(_, role)| *role == Role::Triggers);
    triggers.filter_map(|(name, _)| seen.topics.get(name)).map(|topic| topic.partitions).max()
}

fn findings(
    name: &str,
    role: Role,
    topic: &Topic,
    brokers: usize,
    triggers: Option<usize>,
    needs: &Needs,
) -> Vec<Finding> {
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
    if let Some(triggers) = triggers.filter(|triggers| role == Role::State && topic.partitions < *triggers) {
        found.push(finding(
            Verdict::Warning,
            format!(
                "{} partitions, and a trigger topic has {triggers}: fewer processes can carry on what is not finished",
                topic.partitions
            ),
            "if that matters, make it anew with more while no case is open (severance cases list)".to_owned(),
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
    let settings = Settings { name, config };
    found.extend(cleanup(role, &settings));
    found.extend(retention(role, &settings, needs));
    found.extend(size(role, &settings, needs.max_bytes));
    found.extend(time(role, &settings));
    found.extend(replicas(role, &settings, topic.replication));
    found
}

/// A topic's settings.
struct Settings<'a> {
    name: &'a str,
    config: &'a BTreeMap<String, String>,
}

impl Settings<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(String::as_str)
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.text(key)?.parse().ok()
    }

    fn set(&self, entry: String) -> String {
        format!("kafka-configs.sh --alter --topic {} --add-config {entry}", self.name)
    }
}

fn cleanup(role: Role, settings: &Settings<'_>) -> Option<Finding> {
    let policy = settings.text("cleanup.policy")?;
    let compacts = policy.contains("compact");
    let (verdict, what, right) = match role {
        Role::State if policy == "compact" => return None,
        Role::State if compacts => {
            (Verdict::Wrong, "a case that stays open beyond the retention would be forgotten", "compact")
        }
        Role::State => (Verdict::Wrong, "without compaction a case that stays open is forgotten", "compact"),
        Role::Triggers | Role::Outcomes | Role::DeadLetters | Role::Commands if !compacts => return None,
        Role::Triggers => {
            (Verdict::Warning, "compaction may throw away an event before it is read", "delete")
        }
        Role::Outcomes | Role::DeadLetters => {
            (Verdict::Wrong, "compaction throws away all but the last outcome or letter of a key", "delete")
        }
        Role::Commands => {
            (Verdict::Wrong, "compaction throws away all but the last command about a case", "delete")
        }
    };
    Some(finding(verdict, what, settings.set(format!("cleanup.policy={right}"))))
}

fn retention(role: Role, settings: &Settings<'_>, needs: &Needs) -> Vec<Finding> {
    let kept = settings.number("retention.ms").filter(|ms| *ms >= 0);
    match role {
        // Compacted: what is kept is kept for ever.
        Role::State => Vec::new(),
        Role::Triggers | Role::Outcomes | Role::DeadLetters => kept
            .filter(|ms| *ms < DAY_MS)
            .map(|ms| {
                let what = format!("records are kept for {} minutes only", ms / 60_000);
                finding(Verdict::Warning, what, settings.set("retention.ms=604800000".to_owned()))
            })
            .into_iter()
            .collect(),
        Role::Commands => {
            let short = kept.filter(|ms| u128::from(ms.unsigned_abs()) < needs.commands_for.as_millis());
            let short = short.map(|ms| {
                finding(
                    Verdict::Wrong,
                    format!(
                        "commands are kept for {}, and an event may be accepted for longer (the longest of \
                         `limits.max_event_age`, with `limits.clock_skew` and 1h: {}): a cancellation would be gone \
                         before its case is",
                        duration::spell(Duration::from_millis(ms.unsigned_abs())),
                        duration::spell(needs.commands_for),
                    ),
                    settings.set(format!("retention.ms={}", needs.retention_ms())),
                )
            });
            let bounded = settings.number("retention.bytes").filter(|bytes| *bytes >= 0).map(|bytes| {
                finding(
                    Verdict::Warning,
                    format!("beyond {bytes} bytes a partition drops commands however young they are"),
                    settings.set("retention.bytes=-1".to_owned()),
                )
            });
            short.into_iter().chain(bounded).collect()
        }
    }
}

fn size(role: Role, settings: &Settings<'_>, max_bytes: usize) -> Option<Finding> {
    let takes = settings.number("max.message.bytes")?;
    let below = |least: usize| usize::try_from(takes).is_ok_and(|takes| takes < least);
    match role {
        Role::Triggers => None,
        Role::Outcomes | Role::DeadLetters => below(max_bytes).then(|| {
            finding(
                Verdict::Warning,
                format!("it takes {takes} bytes and ours may have {max_bytes}: evidence will be left out"),
                settings.set(format!("max.message.bytes={}", max_bytes + SLACK)),
            )
        }),
        Role::State | Role::Commands => below(MAX_RECORD + SLACK).then(|| {
            finding(
                Verdict::Wrong,
                format!(
                    "it takes {takes} bytes and a record of ours may have {MAX_RECORD}: it would be refused"
                ),
                settings.set(format!("max.message.bytes={}", max_bytes.max(MAX_RECORD) + SLACK)),
            )
        }),
    }
}

fn time(role: Role, settings: &Settings<'_>) -> Option<Finding> {
    let written = settings.text("message.timestamp.type")?;
    match role {
        Role::State | Role::Commands if written != LOG_APPEND_TIME => Some(finding(
            Verdict::Wrong,
            "its records have the time of whoever wrote them: nothing would say what the broker's clock says",
            settings.set(format!("message.timestamp.type={LOG_APPEND_TIME}")),
        )),
        Role::Triggers | Role::Outcomes | Role::DeadLetters | Role::State | Role::Commands => None,
    }
}

fn replicas(role: Role, settings: &Settings<'_>, replication: usize) -> Option<Finding> {
    let least = settings.number("min.insync.replicas")?;
    let least = usize::try_from(least).ok()?;
    if least > replication {
        return Some(finding(
            Verdict::Wrong,
            format!("min.insync.replicas is {least} with {replication} replicas: nothing can be written"),
            settings.set(format!("min.insync.replicas={}", replication.saturating_sub(1).max(1))),
        ));
    }
    match role {
        Role::State | Role::Commands if least < in_sync(replication) => Some(finding(
            Verdict::Warning,
            format!(
                "min.insync.replicas is {least} with {replication} replicas: what was acknowledged can be lost with \
                 one broker"
            ),
            settings.set(format!("min.insync.replicas={}", in_sync(replication))),
        )),
        Role::Triggers | Role::Outcomes | Role::DeadLetters | Role::State | Role::Commands => None,
    }
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
        let judged = judge(&needs(&[("t", role)]), &Seen { brokers, broker: None, topics });
        assert_eq!(judged.len(), 1);
        for finding in &judged[0].findings {
            assert!(!finding.fix.is_empty());
        }
        judged[0].findings.iter().map(|finding| (finding.verdict, finding.what.clone())).collect()
    }

    const DAY: Duration = Duration::from_secs(86_400);

    fn needs(topics: &[(&str, Role)]) -> Needs {
        let topics = topics.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect();
        Needs { topics, max_bytes: 1_000_000, commands_for: 7 * DAY + COMMANDS_MARGIN }
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

    /// A topic as [`Needs::settings`] would make it, with one of the settings changed.
    fn made(role: Role, replication: usize, changed: &[(&str, &str)]) -> Topic {
        let settings = needs(&[]).settings(role, Some(replication));
        let mut config: BTreeMap<String, String> =
            settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        config.extend(changed.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        Topic { partitions: 3, leaderless: 0, replication, config: Some(config) }
    }

    #[test]
    fn what_we_make_is_as_it_should_be() {
        for role in [Role::State, Role::Commands] {
            for replication in 1..5 {
                assert_eq!(check(role, Some(made(role, replication, &[])), replication), []);
            }
        }
    }

    #[test]
    fn the_state_of_open_cases_is_compacted_and_nothing_else() {
        for policy in ["delete", "compact,delete"] {
            let found = check(Role::State, Some(made(Role::State, 1, &[("cleanup.policy", policy)])), 1);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].0, Verdict::Wrong);
            assert!(found[0].1.contains("forgotten"), "{found:?}");
        }
        let short = made(Role::State, 1, &[("retention.ms", "1000")]);
        assert_eq!(check(Role::State, Some(short), 1), []);
        let commands = made(Role::Commands, 1, &[("cleanup.policy", "compact")]);
        assert_eq!(check(Role::Commands, Some(commands), 1)[0].0, Verdict::Wrong);
    }

    #[test]
    fn commands_are_kept_for_longer_than_any_event_is_accepted() {
        let kept = |ms: u128| {
            let ms = ms.to_string();
            check(Role::Commands, Some(made(Role::Commands, 1, &[("retention.ms", &ms)])), 1)
        };
        let week = (7 * DAY).as_millis();
        assert_eq!(kept(week)[0].0, Verdict::Wrong);
        assert!(
            kept(week)[0].1.contains("kept for 7d") && kept(week)[0].1.contains("7d 1h)"),
            "{:?}",
            kept(week)
        );
        assert_eq!(kept((7 * DAY + COMMANDS_MARGIN).as_millis()), []);
        let forever = made(Role::Commands, 1, &[("retention.ms", "-1")]);
        assert_eq!(check(Role::Commands, Some(forever), 1), []);
        let bounded = made(Role::Commands, 1, &[("retention.bytes", "1048576")]);
        assert_eq!(check(Role::Commands, Some(bounded), 1)[0].0, Verdict::Warning);
    }

    #[test]
    fn commands_are_made_to_last_eight_days_or_as_long_as_is_needed() {
        let retention = |commands_for: Duration| {
            let needs = Needs { commands_for, ..needs(&[]) };
            let settings = needs.settings(Role::Commands, None);
            settings.into_iter().find(|(key, _)| *key == "retention.ms").map(|(_, value)| value)
        };
        assert_eq!(retention(DAY), Some("691200000".to_owned()));
        assert_eq!(retention(30 * DAY), Some("2592000000".to_owned()));
    }

    #[test]
    fn the_time_on_both_topics_is_the_brokers() {
        for role in [Role::State, Role::Commands] {
            let theirs = made(role, 1, &[("message.timestamp.type", "CreateTime")]);
            assert_eq!(check(role, Some(theirs), 1)[0].0, Verdict::Wrong);
        }
        assert_eq!(check(Role::Triggers, Some(topic(&[("message.timestamp.type", "CreateTime")])), 1), []);
    }

    #[test]
    fn a_job_of_any_size_that_we_write_has_to_fit() {
        let small = made(Role::State, 1, &[("max.message.bytes", "900000")]);
        assert_eq!(check(Role::State, Some(small), 1)[0].0, Verdict::Wrong);
        let defaults = made(Role::State, 1, &[("max.message.bytes", "1048588")]);
        assert_eq!(check(Role::State, Some(defaults), 1), []);
    }

    #[test]
    fn of_three_replicas_two_have_to_have_a_job_and_never_more_than_there_are() {
        let one = &[("min.insync.replicas", "1")];
        assert_eq!(check(Role::State, Some(made(Role::State, 3, one)), 3)[0].0, Verdict::Warning);
        assert_eq!(check(Role::State, Some(made(Role::State, 2, one)), 3), []);
        let two = &[("min.insync.replicas", "2")];
        assert_eq!(check(Role::Commands, Some(made(Role::Commands, 1, two)), 1)[0].0, Verdict::Wrong);
    }

    #[test]
    fn fewer_partitions_of_state_than_of_events_are_worth_a_word() {
        let judged = |partitions: usize| {
            let topics = [
                ("events".to_owned(), topic(&[])),
                ("state".to_owned(), Topic { partitions, ..made(Role::State, 1, &[]) }),
            ];
            let needs = needs(&[("events", Role::Triggers), ("state", Role::State)]);
            judge(&needs, &Seen { brokers: 1, broker: None, topics: topics.into() })[1].verdict()
        };
        assert_eq!((judged(2), judged(3)), (Verdict::Warning, Verdict::Ok));
    }
}
