//! Looks at topics and creates them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use tokio::task::spawn_blocking;

use super::{
    kafka_client,
    kafka_context::{Connection, Quiet, Watched, cause},
    kafka_topics::{Seen, Topic},
};
use crate::config::Kafka;

/// Why nothing is known about the topics.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdminError {
    /// librdkafka does not take the configuration.
    #[error("kafka.properties: {0}")]
    Config(String),
    /// No broker answered.
    #[error("Kafka cannot be reached: {0}")]
    Unreachable(String),
    /// A broker answered, with no.
    #[error("Kafka refuses: {0}")]
    Refused(String),
}

/// A topic to be created.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// How many partitions; the broker's default where it is not said.
    pub partitions: Option<u16>,
    /// How many replicas; the broker's default where it is not said.
    pub replication: Option<u16>,
    /// What differs from the broker's defaults, by setting.
    pub settings: Vec<(&'static str, String)>,
}

/// How long a broker may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A client for looking and creating.
pub struct Admin {
    /// Metadata is asked of a consumer without a group: unlike the admin client it can be polled
    /// for why a broker cannot be reached, and unlike a producer it creates no topic by asking.
    looker: Arc<Mutex<BaseConsumer<Watched>>>,
    admin: AdminClient<Quiet>,
}

impl Admin {
    /// Connects when something is asked.
    pub fn new(kafka: &Kafka) -> Result<Self, AdminError> {
        let config: ClientConfig = kafka_client::admin(kafka);
        let refused = |error: KafkaError| AdminError::Config(kafka_client::fault(&error, &kafka.properties));
        let context = Watched(Arc::new(Connection::unlogged()));
        let looker = BaseConsumer::from_config_and_context(&config, context).map_err(refused)?;
        let admin = AdminClient::from_config_and_context(&config, Quiet).map_err(refused)?;
        Ok(Self { looker: Arc::new(Mutex::new(looker)), admin })
    }

    /// The cluster, and of these topics those that are there.
    pub async fn look(&self, names: &[String]) -> Result<Seen, AdminError> {
        let (looker, asked) = (self.looker.clone(), names.to_vec());
        let mut seen =
            spawn_blocking(move || metadata(&looker.lock().unwrap_or_else(PoisonError::into_inner), &asked))
                .await
                .map_err(|error| AdminError::Refused(error.to_string()))??;
        let specifiers: Vec<ResourceSpecifier<'_>> =
            seen.topics.keys().map(|name| ResourceSpecifier::Topic(name)).collect();
        if specifiers.is_empty() {
            return Ok(seen);
        }
        let described = self.admin.describe_configs(&specifiers, &options()).await;
        drop(specifiers);
        // Where configurations may not be read, or not by this broker, they stay unknown, and the
        // judgement says so.
        for resource in described.into_iter().flatten().flatten() {
            if let rdkafka::admin::OwnedResourceSpecifier::Topic(name) = &resource.specifier
                && let Some(topic) = seen.topics.get_mut(name)
            {
                let entries = resource.entries.iter();
                topic.config = Some(
                    entries.filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?))).collect(),
                );
            }
        }
        Ok(seen)
    }

    /// How many replicas a topic gets where nobody says it; `None` where we may not know.
    pub async fn default_replication(&self, seen: &Seen) -> Option<usize> {
        let broker = ResourceSpecifier::Broker(seen.broker?);
        let described = self.admin.describe_configs([&broker], &options()).await.ok()?;
        let resource = described.into_iter().next()?.ok()?;
        let entry = resource.entries.iter().find(|entry| entry.name == "default.replication.factor")?;
        entry.value.as_ref()?.parse().ok()
    }

    /// Creates topics; says of each whether it is there now, or why not.
    pub async fn create(&self, wanted: &[Wanted]) -> Result<Vec<(String, Result<(), String>)>, AdminError> {
        let default = |number: Option<u16>| number.map_or(BROKERS_DEFAULT, i32::from);
        let topics: Vec<NewTopic<'_>> = wanted
            .iter()
            .map(|topic| {
                let replication = TopicReplication::Fixed(default(topic.replication));
                let new = NewTopic::new(&topic.name, default(topic.partitions), replication);
                topic.settings.iter().fold(new, |new, (key, value)| new.set(key, value))
            })
            .collect();
        let created = self.admin.create_topics(&topics, &options()).await;
        let created = created.map_err(|error| AdminError::Refused(error.to_string()))?;
        Ok(created
            .into_iter()
            .map(|result| match result {
                Ok(name) => (name, Ok(())),
                Err((name, code)) => (name, Err(code.to_string())),
            })
            .collect())
    }
}

/// Kafka's way to say that the broker decides.
const BROKERS_DEFAULT: i32 = -1;

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER))
}

fn metadata(looker: &BaseConsumer<Watched>, names: &[String]) -> Result<Seen, AdminError> {
    let mut seen = Seen { brokers: 0, broker: None, topics: BTreeMap::new() };
    for name in names {
        let metadata = looker
            .fetch_metadata(Some(name), ANSWER)
            .map_err(|error| AdminError::Unreachable(cause(looker, &error)))?;
        seen.brokers = metadata.brokers().len();
        seen.broker = metadata.brokers().first().map(|broker| broker.id());
        for topic in metadata.topics().iter().filter(|topic| topic.name() == name) {
            let partitions = topic.partitions();
            if topic.error().is_some() || partitions.is_empty() {
                continue;
            }
            let topic = Topic {
                partitions: partitions.len(),
                leaderless: partitions.iter().filter(|partition| partition.leader() < 0).count(),
                replication: partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0),
                config: None,
            };
            seen.topics.insert(name.clone(), topic);
        }
    }
    Ok(seen)
}
