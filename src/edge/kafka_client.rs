//! From the configuration to what each librdkafka client is given: our defaults, the user's
//! properties over them, and over those the few that correctness rests on.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::BaseConsumer,
    error::KafkaError,
    producer::BaseProducer,
    types::RDKafkaConfRes,
};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::kafka_context::Quiet;
use crate::config::{Delivery, Kafka, RESERVED};

/// Names of librdkafka under which a property may also be set.
const SECOND_NAMES: [(&str, &str); 2] =
    [("linger.ms", "queue.buffering.max.ms"), ("compression.type", "compression.codec")];

/// For every client.
const DEFAULTS: [(&str, &str); 4] = [
    ("client.id", "severance"),
    // A broker restart stalls 4 s with this and 11 s with librdkafka's 10 s.
    ("reconnect.backoff.max.ms", "500"),
    ("socket.keepalive.enable", "true"),
    // Where a topic is missing at first, librdkafka looks again after this, not after 5 minutes.
    ("topic.metadata.refresh.interval.ms", "10000"),
];

const READING: [(&str, &str); 5] = [
    ("fetch.min.bytes", "1"),
    ("fetch.wait.max.ms", "10"),
    // These two only together: the first alone costs nine tenths of the throughput.
    ("queued.max.messages.kbytes", "16384"),
    ("fetch.queue.backoff.ms", "5"),
    ("auto.offset.reset", "earliest"),
];

const GROUP: [(&str, &str); 4] = [
    ("session.timeout.ms", "6000"),
    // A member hears of a rebalance with its next heartbeat, and a partition that moves is nobody's
    // until both its owners have heard: 2 s with 2000, and 1 s with 500 or less, measured.
    ("heartbeat.interval.ms", "500"),
    ("auto.commit.interval.ms", "1000"),
    // Where partitions end, for the lag; it comes with what is fetched anyway.
    ("statistics.interval.ms", "5000"),
];

const WRITING: [(&str, &str); 4] = [
    ("linger.ms", "0"),
    // As Kafka's own clients do, so that everybody's key leads to the same partition.
    ("partitioner", "murmur2_random"),
    ("compression.type", "zstd"),
    // How long a topic may be missing before that is an error, which is logged and tried again.
    ("topic.metadata.propagation.max.ms", "3000"),
];

/// What a crash leaves open keeps `read_committed` readers waiting for so long.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes that one record of ours may have, unless `message.max.bytes` says otherwise.
const MESSAGE_MAX_BYTES: usize = 1_000_000;

/// For the member of the group that `run` is.
pub(super) fn consumer(kafka: &Kafka) -> ClientConfig {
    let mut config = layered(&kafka.properties, [&DEFAULTS[..], &READING, &GROUP]);
    config
        .set("group.id", &kafka.group)
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("isolation.level", "read_committed")
        // With transactions offsets are committed in them, and nowhere else.
        .set("enable.auto.commit", if kafka.delivery == Delivery::AtLeastOnce { "true" } else { "false" })
        .set("enable.auto.offset.store", "false");
    if let Some(instance) = &kafka.instance {
        config.set("group.instance.id", instance);
    }
    if kafka.jobs.is_some() {
        // What says when the coordinator was last heard of; nobody kills for a job without it.
        config.set("statistics.interval.ms", "1000");
    }
    config
}

/// How long the group waits for a silent member before it gives its partitions to others.
pub fn session_timeout(kafka: &Kafka) -> Duration {
    let written = consumer(kafka).get("session.timeout.ms").and_then(|ms| ms.trim().parse().ok());
    Duration::from_millis(written.unwrap_or(6_000))
}

/// For a reader without a group. It carries `group.id` all the same, since librdkafka has no
/// queue for records without one and an access list may name it; it neither joins nor commits.
pub(super) fn reader(kafka: &Kafka) -> ClientConfig {
    let mut config = layered(&kafka.properties, [&DEFAULTS[..], &READING]);
    config
        .set("group.id", &kafka.group)
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false");
    config
}

/// For a reader that stays: what comes is told at once, and an empty answer may take its time.
pub(super) fn follower(kafka: &Kafka) -> ClientConfig {
    let mut config = reader(kafka);
    config.set("fetch.wait.max.ms", "100");
    config
}

/// For whatever publishes.
pub(super) fn producer(kafka: &Kafka) -> ClientConfig {
    let mut config = layered(&kafka.properties, [&DEFAULTS[..], &WRITING]);
    config.remove("group.id");
    config.set("enable.idempotence", "true").set("acks", "all");
    config
}

/// For `run` with transactions. Its id is the instance's, so that a restart ends at once what a crash
/// left open; without an instance it is new each time, and what was left open waits for its timeout.
pub(super) fn transactional(kafka: &Kafka) -> ClientConfig {
    let mut config = producer(kafka);
    let name = kafka.instance.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    config
        .set("transactional.id", format!("severance-{}-{name}", kafka.group))
        .set("transaction.timeout.ms", TRANSACTION_TIMEOUT.as_millis().to_string())
        .set("retry.backoff.ms", "5");
    config
}

/// For the transactions of unfinished work: a producer of its own beside the batches', also where
/// those have none.
pub(super) fn stepping(kafka: &Kafka) -> ClientConfig {
    let mut config = transactional(kafka);
    if let Some(name) = config.get("transactional.id").map(|name| format!("{name}-jobs")) {
        config.set("transactional.id", name);
    }
    config
}

/// For a transaction that is only tried: under a name of its own, so that it fences nobody.
pub(super) fn probing(kafka: &Kafka) -> ClientConfig {
    transactional(&Kafka { instance: Some(format!("check-{}", Uuid::now_v7())), ..kafka.clone() })
}

/// For what `run` publishes with.
fn publishing(kafka: &Kafka) -> ClientConfig {
    match kafka.delivery {
        Delivery::ExactlyOnce => transactional(kafka),
        Delivery::AtLeastOnce => producer(kafka),
    }
}

/// For looking at topics and creating them.
pub(super) fn admin(kafka: &Kafka) -> ClientConfig {
    let mut config = layered(&kafka.properties, [&DEFAULTS[..]]);
    config.remove("group.id");
    config
}

/// The most bytes that one record of ours may have.
pub fn message_max_bytes(kafka: &Kafka) -> usize {
    kafka
        .properties
        .get("message.max.bytes")
        .and_then(|bytes| bytes.expose_secret().trim().parse().ok())
        .unwrap_or(MESSAGE_MAX_BYTES)
}

/// What is wrong with the properties, found without any network. Each line names the property
/// and carries no value of it.
pub fn validate(kafka: &Kafka) -> Vec<String> {
    let mut faults: Vec<String> = Vec::new();
    for (name, value) in &kafka.properties {
        if let Some((_, why)) = RESERVED.iter().find(|(ours, _)| ours == name) {
            faults.push(format!("{name}: may not be set here: {why}"));
        } else if let Err(error) = ClientConfig::new().set(name, value.expose_secret()).create_native_config()
        {
            faults.push(format!("{name}: {}", fault(&error, &kafka.properties)));
        }
    }
    if faults.is_empty() {
        faults.extend(refused(kafka));
    }
    faults
}

/// What librdkafka finds only when it has all properties of a client together: certificates
/// that cannot be read, a timeout longer than the one it has to fit into.
fn refused(kafka: &Kafka) -> Vec<String> {
    let create = |mut config: ClientConfig, consumes: bool| {
        // Without brokers a client talks to nobody, and without a group it has nothing to leave.
        config.remove("bootstrap.servers").remove("metadata.broker.list").remove("group.id");
        config.remove("group.instance.id");
        let created = if consumes {
            BaseConsumer::from_config_and_context(&config, Quiet).map(drop)
        } else {
            BaseProducer::from_config_and_context(&config, Quiet).map(drop)
        };
        created.err()
    };
    let mut faults: Vec<String> = [create(consumer(kafka), true), create(publishing(kafka), false)]
        .into_iter()
        .flatten()
        .map(|error| fault(&error, &kafka.properties))
        .collect();
    faults.dedup();
    faults
}

fn layered<'a>(
    properties: &BTreeMap<String, SecretString>,
    defaults: impl IntoIterator<Item = &'a [(&'a str, &'a str)]>,
) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in defaults.into_iter().flatten() {
        let second = SECOND_NAMES.iter().find(|(first, _)| first == name).map(|(_, second)| *second);
        if !second.is_some_and(|second| properties.contains_key(second)) {
            config.set(*name, *value);
        }
    }
    for (name, value) in properties {
        if !RESERVED.iter().any(|(ours, _)| ours == name) {
            config.set(name, value.expose_secret());
        }
    }
    // Errors are counted and said once by us; librdkafka says each of them again and again.
    if config.log_level as i32 > RDKafkaLogLevel::Warning as i32 && !properties.contains_key("debug") {
        config.set_log_level(RDKafkaLogLevel::Warning);
    }
    config
}

/// librdkafka's words without any of our values in them.
pub(super) fn fault(error: &KafkaError, properties: &BTreeMap<String, SecretString>) -> String {
    let text = match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => {
            return "librdkafka has no such property".to_owned();
        }
        KafkaError::ClientConfig(_, text, ..) | KafkaError::ClientCreation(text) => text.trim(),
        KafkaError::Nul(_) => return "has a zero byte in it".to_owned(),
        // Nothing else comes out of building a configuration or a client.
        _ => return "librdkafka refuses it".to_owned(),
    };
    let mut text = text.to_owned();
    for (name, value) in properties {
        let value = value.expose_secret();
        if !value.is_empty() && (is_secret(name) || value.len() >= LONG) {
            text = text.replace(value, "***");
        }
    }
    text
}

/// From this length on a value may be a secret, and is no word that librdkafka's own messages are
/// made of, such as `ssl` or `plain`.
const LONG: usize = 6;

fn is_secret(name: &str) -> bool {
    ["password", "secret", "username", "jaas", "token", "pem", "key"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kafka(properties: &[(&str, &str)]) -> Kafka {
        Kafka {
            delivery: crate::config::Delivery::ExactlyOnce,
            properties: properties
                .iter()
                .map(|(name, value)| ((*name).to_owned(), SecretString::from(*value)))
                .collect(),
            group: "severance".into(),
            instance: Some("one".into()),
            topics: Vec::new(),
            outcomes: "outcomes".into(),
            dead_letters: "dead-letters".into(),
            jobs: None,
        }
    }

    #[test]
    fn what_only_transactions_do_not_allow_is_told_before_the_start() {
        let slow = [("message.timeout.ms", "60000")];
        let faults = validate(&kafka(&slow));
        assert!(faults.len() == 1 && faults[0].contains("message.timeout.ms"), "{faults:?}");
        let at_least_once = Kafka { delivery: Delivery::AtLeastOnce, ..kafka(&slow) };
        assert_eq!(validate(&at_least_once), [""; 0]);
    }

    #[test]
    fn the_users_properties_win_over_the_defaults() {
        let kafka = kafka(&[("session.timeout.ms", "9000"), ("linger.ms", "3")]);
        assert_eq!(consumer(&kafka).get("session.timeout.ms"), Some("9000"));
        assert_eq!(consumer(&kafka).get("fetch.wait.max.ms"), Some("10"));
        assert_eq!(producer(&kafka).get("linger.ms"), Some("3"));
    }

    #[test]
    fn a_second_name_of_a_property_also_wins_over_the_default() {
        let config = producer(&kafka(&[("queue.buffering.max.ms", "3")]));
        assert_eq!((config.get("linger.ms"), config.get("queue.buffering.max.ms")), (None, Some("3")));
    }

    #[test]
    fn what_correctness_rests_on_cannot_be_set_from_outside() {
        for (name, _) in RESERVED {
            let kafka = kafka(&[(name, "1")]);
            for config in [consumer(&kafka), producer(&kafka), reader(&kafka), admin(&kafka)] {
                assert_ne!(config.get(name), Some("1"), "{name}");
            }
            assert_eq!(validate(&kafka).len(), 1, "{name}");
        }
        assert_eq!(producer(&kafka(&[("acks", "1")])).get("acks"), Some("all"));
    }

    #[test]
    fn only_the_member_of_the_group_has_the_instance_name() {
        let kafka = kafka(&[]);
        assert_eq!(consumer(&kafka).get("group.instance.id"), Some("one"));
        for config in [producer(&kafka), reader(&kafka), admin(&kafka)] {
            assert_eq!(config.get("group.instance.id"), None);
            assert_eq!(config.get("transactional.id"), None);
        }
    }

    #[test]
    fn faults_name_the_property_and_keep_the_value_to_themselves() {
        let cases = [
            (("sesion.timeout.ms", "6000"), "sesion.timeout.ms: librdkafka has no such property"),
            (("session.timeout.ms", "soon"), "session.timeout.ms: Invalid value"),
            (("session.timeout.ms", "999999999"), "outside allowed range"),
            (("security.protocol", "hunter2"), "security.protocol: Invalid value"),
            (("max.in.flight", "1000"), "max.in.flight"),
            (("client.id", "a\0b"), "client.id: has a zero byte"),
        ];
        for ((name, value), expected) in cases {
            let faults = validate(&kafka(&[(name, value)]));
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].contains(expected), "{faults:?}");
            assert!(!faults[0].contains(value), "{faults:?}");
        }
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_found_without_a_network() {
        let faults = validate(&kafka(&[("security.protocol", "ssl"), ("ssl.ca.location", "/no/such/file")]));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("ssl.ca.location"), "{faults:?}");
    }

    #[test]
    fn every_fault_is_found_at_once() {
        let faults = validate(&kafka(&[("a", "1"), ("b", "1"), ("acks", "0")]));
        assert_eq!(faults.len(), 3, "{faults:?}");
    }

    #[test]
    fn our_own_settings_are_accepted_by_librdkafka() {
        assert_eq!(validate(&kafka(&[("bootstrap.servers", "nowhere:1"), ("group.id", "g")])), [""; 0]);
    }
}
