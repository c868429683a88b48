//! `kafka`: where events come from and outcomes go, and which topic may say what.

use std::{collections::BTreeMap, sync::Arc};

use globset::Glob;
use secrecy::{ExposeSecret, SecretString};

use super::{
    Delivery, JobTopics, Kafka,
    fault::Told,
    field::{Field, NAME, is_name},
    names::Names,
    reader::{Keys, Section},
    secret::Secrets,
};
use crate::ingest::{NAMED_ONLY, TopicTrust};

pub(super) const KAFKA: Keys = Keys {
    known: &["properties", "instance", "delivery", "topics", "outcomes", "dead_letters", "state", "commands"],
    later: &[],
};

pub(super) const TOPIC: Keys = Keys { known: &["name", "accept_types", "accept_sources"], later: &[] };

/// Properties that are not the user's to set, and why: correctness rests on them.
pub const RESERVED: [(&str, &str); 14] = [
    ("transactional.id", "it is derived from `kafka.instance`"),
    ("group.instance.id", "it is derived from `kafka.instance`"),
    ("enable.idempotence", "an outcome must be neither lost nor doubled"),
    ("acks", "an outcome must not be lost with one broker"),
    ("request.required.acks", "an outcome must not be lost with one broker"),
    ("enable.auto.commit", "an offset is committed only after its outcome"),
    ("auto.commit.enable", "an offset is committed only after its outcome"),
    ("enable.auto.offset.store", "an offset is committed only after its outcome"),
    ("isolation.level", "an event of an aborted transaction never happened and must cut nobody"),
    ("partition.assignment.strategy", "a rebalance must not stop the partitions that stay"),
    ("group.protocol", "only the classic protocol takes over quickly after a crash"),
    ("enable.partition.eof", "it is a matter of how records are read here"),
    ("log.queue", "it is how librdkafka's log reaches ours"),
    ("metadata.broker.list", "it is a second name of `bootstrap.servers`"),
];

/// Properties that are a secret although their name does not say so.
const SECRET_PROPERTIES: [&str; 4] =
    ["ssl.key.pem", "ssl_key", "sasl.oauthbearer.config", "sasl.oauthbearer.assertion.private.key.pem"];

pub(super) fn kafka(section: &Section<'_>, secrets: &Secrets<'_>) -> Result<Kafka, Told> {
    let properties = section.must("properties", |field| properties(field, secrets));
    let instance = section.or("instance", None, |field| instance(field, secrets));
    let delivery = section.or("delivery", Delivery::ExactlyOnce, delivery);
    let mut names = Names::default();
    let topics = section.must("topics", |field| field.some(|entry| topic(entry, &mut names)));
    let outcomes = section.must("outcomes", |field| {
        written_topic(field, &mut names, "our own outcomes would come back as events")
    });
    let dead_letters = section.must("dead_letters", |field| {
        written_topic(field, &mut names, "dead letters would stand among events or outcomes")
    });
    let jobs = job_topics(section, &mut names);
    let (properties, group) = properties?;
    Ok(Kafka {
        properties,
        group,
        instance: instance?,
        delivery: delivery?,
        topics: topics?,
        outcomes: outcomes?,
        dead_letters: dead_letters?,
        jobs: jobs?,
    })
}

/// The topics of unfinished work: both, or neither.
fn job_topics(section: &Section<'_>, names: &mut Names) -> Result<Option<JobTopics>, Told> {
    let state = section.maybe("state", |field| {
        written_topic(field, names, "the state of unfinished work would stand among other records")
    });
    let commands = section.maybe("commands", |field| {
        written_topic(field, names, "commands to unfinished work would stand among other records")
    });
    let missing = |key: &str, other: &str| {
        Err(section.wrong(
            key,
            format!("is missing, and `kafka.{other}` is there: unfinished work needs both topics"),
            Some(format!("write `{key}: ...`, or remove `{other}`")),
        ))
    };
    match (state?, commands?) {
        (Some(state), Some(commands)) => {
            Ok(Some(JobTopics { state: state.into(), commands: commands.into() }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => missing("commands", "state"),
        (None, Some(_)) => missing("state", "commands"),
    }
}

type Properties = BTreeMap<String, SecretString>;

fn properties(field: Field<'_>, secrets: &Secrets<'_>) -> Result<(Properties, String), Told> {
    let entries = field.clone().entries()?;
    let absent = |name: &&str| !entries.iter().any(|(written, _)| written == name);
    let missing: Vec<_> = ["bootstrap.servers", "group.id"].into_iter().filter(absent).collect();
    for name in &missing {
        field.wrong(format!("has no {name}"), format!("write `{name}: ...`"));
    }
    let properties = entries.into_iter().map(|(name, value)| {
        let value = property(name, value, secrets);
        (name.to_owned(), value)
    });
    let properties: Vec<_> = properties.collect();
    let properties: Properties =
        properties.into_iter().map(|(name, value)| Ok((name, value?))).collect::<Result<_, Told>>()?;
    let group = properties.get("group.id").map(|group| group.expose_secret().to_owned());
    Ok((properties, group.unwrap_or_default()))
}

fn property(name: &str, value: Field<'_>, secrets: &Secrets<'_>) -> Result<SecretString, Told> {
    if let Some((_, reason)) = RESERVED.iter().find(|(reserved, _)| *reserved == name) {
        let fix = match name {
            "transactional.id" | "group.instance.id" => "remove it and write `kafka.instance`",
            "metadata.broker.list" => "write `bootstrap.servers`",
            _ => "remove it; Severance sets it",
        };
        return Err(value.wrong(format!("may not be set: {reason}"), fix));
    }
    let secret = ["password", "secret", "passphrase"].iter().any(|word| name.contains(word))
        || SECRET_PROPERTIES.contains(&name);
    if secret {
        return secrets.secret(value);
    }
    let text = secrets.open_or_secret(value.clone())?;
    if name == "auto.offset.reset" && ["latest", "largest", "end"].contains(&text.expose_secret()) {
        value.warn(
            "skips every event that came before the group's first commit",
            "remove it: Severance begins at the earliest, and `limits.max_event_age` keeps old events from cutting",
        );
    }
    Ok(text)
}

/// A name of this process, or none; where many share one configuration, the environment gives it.
fn instance(field: Field<'_>, secrets: &Secrets<'_>) -> Result<Option<String>, Told> {
    if field.is_nothing() {
        return Ok(None);
    }
    if !field.is_map() {
        return field.name().map(Some);
    }
    // What a file holds is not quoted, even where it should be no more than a name.
    let name = secrets.secret(field.clone())?;
    if is_name(name.expose_secret()) {
        Ok(Some(name.expose_secret().to_owned()))
    } else {
        Err(field.wrong("leads to something that is no name", NAME))
    }
}

fn delivery(field: Field<'_>) -> Result<Delivery, Told> {
    field.one_of(&[("exactly-once", Delivery::ExactlyOnce), ("at-least-once", Delivery::AtLeastOnce)])
}

fn topic(entry: Field<'_>, names: &mut Names) -> Result<(Arc<str>, TopicTrust), Told> {
    let section = entry.section(&TOPIC)?;
    let name = section.must("name", |field| names.add(field, "topics"));
    let types = section.maybe("accept_types", |field| field.some(accepted_type));
    let sources = section.maybe("accept_sources", |field| field.some(Field::glob));
    if matches!(types, Ok(None)) {
        section.warn(
            "accept_types",
            "is missing: whoever can write to this topic may say every type that need not be named",
            "list the types that its senders really send",
        );
    }
    Ok((name?.into(), TopicTrust::new(types?, sources?)))
}

fn accepted_type(field: Field<'_>) -> Result<Glob, Told> {
    let glob = field.clone().glob()?;
    let matcher = glob.compile_matcher();
    let unnamed =
        |prefix: &&str| matcher.is_match(format!("{prefix}v1")) && !glob.glob().starts_with(*prefix);
    let unnamed: Vec<_> =
        NAMED_ONLY.iter().filter(|prefix| unnamed(prefix)).map(|prefix| format!("{prefix}*")).collect();
    if !unnamed.is_empty() {
        field.warn(
            format!("does not accept what has to be named: {}", unnamed.join(", ")),
            "add those of them that this topic may say",
        );
    }
    Ok(glob)
}

/// A topic that we write to. `harm` is what comes of using one that has another use.
fn written_topic(field: Field<'_>, names: &mut Names, harm: &str) -> Result<String, Told> {
    let name = field.clone().name()?;
    if let Some(owner) = names.owner(&name) {
        return Err(field.wrong(format!("`{name}` is `{owner}` too: {harm}"), "use a topic of its own"));
    }
    names.add(field, "topics")
}
