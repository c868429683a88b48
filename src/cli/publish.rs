//! `severance publish`: puts events on the trigger topics.

use std::{
    fs,
    io::{self, Read, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Exit;
use crate::{
    config::Kafka,
    edge::{kafka_client, kafka_send::Sender},
    ingest::{Header, Origin, Trust},
    report::Encoded,
};

/// Publishes CloudEvents to the trigger topic that accepts them.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  severance publish --config severance.yaml --event incident.json
  severance publish --config severance.yaml --new-id --topic security.siem --event - < incident.json

Either every event is published, or none is. Exit code 7: one is no event.")]
pub struct PublishArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// One event, a list of events, or one a line, as JSON; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub event: PathBuf,
    /// The topic [default: the first whose `accept_types` and `accept_sources` accept the event].
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Fill in `id` and `time` where they are missing.
    #[arg(long)]
    pub new_id: bool,
}

/// How long the brokers may take to acknowledge.
const PATIENCE: Duration = Duration::from_secs(15);

/// The command.
pub async fn run(args: &PublishArgs) -> Exit {
    let config = match super::load(&args.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let text = if args.event.as_os_str() == "-" {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(&args.event)
    };
    match text {
        // It ends with this command, so nobody else waits while it blocks.
        Ok(text) => publish(&config.kafka, args, &text, &mut io::stdout().lock()),
        Err(error) => {
            eprintln!("severance: {}: {error}", args.event.display());
            Exit::Usage
        }
    }
}

/// The command with its configuration and its events read. Either every event can be published,
/// or none is. Blocks.
pub fn publish(kafka: &Kafka, args: &PublishArgs, text: &str, out: &mut impl Write) -> Exit {
    let faults = kafka_client::validate(kafka);
    if !faults.is_empty() {
        return said(faults.into_iter().map(|fault| format!("kafka.properties: {fault}")), Exit::Usage);
    }
    let events = match events(text, args.new_id.then(Timestamp::now)) {
        Ok(events) => events,
        Err(faults) => return said(faults, Exit::Undecodable),
    };
    let records = match addressed(kafka, args.topic.as_deref(), &events) {
        Ok(records) => records,
        Err(faults) => return said(faults, Exit::Usage),
    };
    let answers = match Sender::new(kafka) {
        Ok(sender) => sender.send(&records, PATIENCE),
        Err(error) => return said([error.to_string()], Exit::Usage),
    };
    let mut exit = Exit::Done;
    for (event, answer) in events.iter().zip(answers) {
        match answer {
            Ok(position) => {
                if let Err(error) = writeln!(out, "{position} {}", event.id) {
                    return said([format!("cannot write: {error}")], Exit::OurFault);
                }
            }
            Err(reason) => exit = said([format!("not published {}: {reason}", event.id)], Exit::Failed),
        }
    }
    exit
}

fn said(lines: impl IntoIterator<Item = String>, exit: Exit) -> Exit {
    for line in lines {
        eprintln!("severance: {line}");
    }
    exit
}

/// An event that has what every event must have.
#[derive(Debug)]
struct Event {
    id: String,
    source: String,
    kind: String,
    json: Map<String, Value>,
}

/// One event, a list of events, or one a line. `fill` fills in what is missing, as of then.
fn events(text: &str, fill: Option<Timestamp>) -> Result<Vec<Event>, Vec<String>> {
    let mut values = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match value {
            Ok(Value::Array(list)) => values.extend(list),
            Ok(value) => values.push(value),
            Err(error) => return Err(vec![format!("not JSON: {error}")]),
        }
    }
    if values.is_empty() {
        return Err(vec!["there is no event in it".to_owned()]);
    }
    let mut events = Vec::new();
    let mut faults = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        match event(value, fill) {
            Ok(event) => events.push(event),
            Err(fault) => faults.push(format!("event {}: {fault}", index + 1)),
        }
    }
    if faults.is_empty() { Ok(events) } else { Err(faults) }
}

fn event(value: Value, fill: Option<Timestamp>) -> Result<Event, String> {
    let Value::Object(mut json) = value else { return Err("not a JSON object".to_owned()) };
    if let Some(now) = fill {
        json.entry("id").or_insert_with(|| Uuid::now_v7().to_string().into());
        json.entry("time").or_insert_with(|| now.to_string().into());
    }
    let attribute = |name: &str| match json.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(_) => Err(format!("`{name}` must be text, and not empty")),
        None if name == "id" => Err("`id` is missing (--new-id fills it in)".to_owned()),
        None => Err(format!("`{name}` is missing")),
    };
    if attribute("specversion")? != "1.0" {
        return Err("`specversion` must be 1.0".to_owned());
    }
    Ok(Event { id: attribute("id")?, source: attribute("source")?, kind: attribute("type")?, json })
}

/// The records, each with its topic.
fn addressed(
    kafka: &Kafka,
    topic: Option<&str>,
    events: &[Event],
) -> Result<Vec<(Arc<str>, Encoded)>, Vec<String>> {
    let topics: Vec<Arc<str>> = kafka.topics.iter().map(|(name, _)| name.clone()).collect();
    let trust = Trust::new(kafka.topics.iter().cloned());
    let accepts = |topic: &Arc<str>, event: &Event| {
        let there = Origin::Kafka { topic: topic.clone(), partition: 0, offset: 0, timestamp: None };
        trust.judge(&there, &event.kind, &event.source)
    };
    let mut records = Vec::new();
    let mut faults = Vec::new();
    for event in events {
        let chosen = match topic {
            Some(name) => topics
                .iter()
                .find(|topic| &***topic == name)
                .ok_or_else(|| format!("{name} is not one of kafka.topics ({})", topics.join(", "))),
            None => topics.iter().find(|topic| accepts(topic, event).is_ok()).ok_or_else(|| {
                format!("no topic accepts {} from {} ({})", event.kind, event.source, topics.join(", "))
            }),
        };
        match chosen {
            Ok(chosen) => {
                if let Err(distrust) = accepts(chosen, event) {
                    // Asked for by name, so it is published; what comes of it, an outcome says.
                    eprintln!("severance: {} will be refused: {distrust}", event.id);
                }
                records.push((chosen.clone(), encoded(event)));
            }
            Err(fault) => faults.push(fault),
        }
    }
    faults.dedup();
    if faults.is_empty() { Ok(records) } else { Err(faults) }
}

/// Structured mode. The key is the event's own `partitionkey`, or made of what identifies the
/// event: the same event always comes to the same partition, where a duplicate is seen as one.
fn encoded(event: &Event) -> Encoded {
    let key = match event.json.get("partitionkey") {
        Some(Value::String(key)) => key.clone(),
        Some(_) | None => format!("{} {}", event.source, event.id),
    };
    Encoded {
        key: Some(key.into()),
        value: Some(Value::Object(event.json.clone()).to_string().into()),
        headers: vec![Header {
            name: "content-type".to_owned(),
            value: Some(b"application/cloudevents+json".to_vec()),
        }],
        partition: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use globset::Glob;

    use super::*;
    use crate::ingest::TopicTrust;

    const COMPROMISED: &str =
        r#"{"specversion":"1.0","id":"1","source":"/siem","type":"io.severance.account.compromised.v1"}"#;

    fn kafka() -> Kafka {
        let types = |glob: &str| TopicTrust::new(Some(vec![Glob::new(glob).unwrap()]), None);
        Kafka {
            delivery: crate::config::Delivery::ExactlyOnce,
            properties: BTreeMap::new(),
            group: "severance".into(),
            instance: None,
            topics: vec![
                ("hr".into(), types("io.severance.account.offboarded.*")),
                ("siem".into(), types("io.severance.account.compromised.*")),
            ],
            outcomes: "outcomes".into(),
            dead_letters: "dead-letters".into(),
            jobs: None,
        }
    }

    fn ids(text: &str) -> Vec<String> {
        events(text, None).unwrap().into_iter().map(|event| event.id).collect()
    }

    #[test]
    fn one_event_a_list_and_one_a_line_are_all_read() {
        let second = COMPROMISED.replace("\"1\"", "\"2\"");
        assert_eq!(ids(COMPROMISED), ["1"]);
        assert_eq!(ids(&format!("[{COMPROMISED},{second}]")), ["1", "2"]);
        assert_eq!(ids(&format!("{COMPROMISED}\n{second}\n\n")), ["1", "2"]);
    }

    #[test]
    fn every_faulty_event_is_named_by_its_number() {
        let text = format!("[{COMPROMISED}, {{\"specversion\":\"1.0\"}}, 7]");
        let faults = events(&text, None).unwrap_err();
        assert_eq!(faults, ["event 2: `id` is missing (--new-id fills it in)", "event 3: not a JSON object"]);
        assert!(events("", None).is_err());
        assert!(events("{", None).is_err());
    }

    #[test]
    fn an_id_and_a_time_are_filled_in_only_where_asked_for_and_only_where_missing() {
        let bare = COMPROMISED.replace("\"id\":\"1\",", "");
        assert!(events(&bare, None).is_err());
        let filled = events(&bare, Some(Timestamp::UNIX_EPOCH)).unwrap();
        assert_eq!(filled[0].json["time"], "1970-01-01T00:00:00Z");
        assert_eq!(filled[0].json["id"], filled[0].id);
        assert_eq!(events(COMPROMISED, Some(Timestamp::UNIX_EPOCH)).unwrap()[0].id, "1");
    }

    #[test]
    fn the_first_topic_that_accepts_the_event_gets_it_with_what_identifies_it_as_key() {
        let events = events(COMPROMISED, None).unwrap();
        let records = addressed(&kafka(), None, &events).unwrap();
        assert_eq!(&*records[0].0, "siem");
        assert_eq!(records[0].1.key.as_deref(), Some(b"/siem 1".as_slice()));
        assert_eq!(&*addressed(&kafka(), Some("hr"), &events).unwrap()[0].0, "hr");
        assert!(addressed(&kafka(), Some("nowhere"), &events).is_err());
    }

    #[test]
    fn an_event_that_no_topic_accepts_is_not_published_anywhere() {
        let text = COMPROMISED.replace("compromised", "reinstated");
        let faults = addressed(&kafka(), None, &events(&text, None).unwrap()).unwrap_err();
        assert!(faults[0].starts_with("no topic accepts io.severance.account.reinstated.v1 from /siem"));
    }

    #[test]
    fn the_senders_own_partition_key_counts() {
        let text = COMPROMISED.replace("\"id\"", "\"partitionkey\":\"jsmith\",\"id\"");
        let events = events(&text, None).unwrap();
        assert_eq!(encoded(&events[0]).key.as_deref(), Some(b"jsmith".as_slice()));
    }
}
