//! Claims about `decode` as a whole, by way of records as Kafka hands them over.

mod bodies;
mod laws;
mod modes;
mod schemas;
mod senders;

use serde_json::{Value, json};

use super::{Decoded, Poison, PoisonReason, Trigger, decode};
use crate::ingest::{Header, Origin, Record};

const COMPROMISED: &str = "io.severance.account.compromised.v1";

fn header(name: &str, value: impl AsRef<[u8]>) -> Header {
    Header { name: name.to_owned(), value: Some(value.as_ref().to_owned()) }
}

fn record(headers: Vec<Header>, value: Option<&[u8]>) -> Record {
    let origin = Origin::Kafka { topic: "security.siem".into(), partition: 3, offset: 17, timestamp: None };
    Record { key: Some(b"key".to_vec()), value: value.map(<[u8]>::to_vec), headers, origin }
}

/// An event in structured mode.
fn structured(envelope: &Value) -> Record {
    let content_type = header("content-type", "application/cloudevents+json; charset=UTF-8");
    record(vec![content_type], Some(envelope.to_string().as_bytes()))
}

/// The headers of an event in binary mode.
fn binary_headers(kind: &str) -> Vec<Header> {
    vec![
        header("ce_specversion", "1.0"),
        header("ce_id", "01J9"),
        header("ce_source", "/siem/acme"),
        header("ce_type", kind),
        header("content-type", "application/json"),
    ]
}

/// An event in binary mode.
fn binary(kind: &str, data: &Value) -> Record {
    record(binary_headers(kind), Some(data.to_string().as_bytes()))
}

fn envelope(kind: &str, data: &Value) -> Value {
    json!({"specversion": "1.0", "id": "01J9", "source": "/siem/acme", "type": kind,
        "datacontenttype": "application/json", "data": data})
}

fn jsmith() -> Value {
    json!({"principals": [{"user": "jsmith", "db": "admin"}]})
}

fn read(record: Record) -> Decoded {
    decode(record, jiff::Timestamp::UNIX_EPOCH, false)
}

fn trigger(record: Record) -> Trigger {
    *read(record).content.unwrap_or_else(|poison| panic!("{:?}: {}", poison.reason, poison.detail))
}

fn poison(record: Record) -> Poison {
    read(record).content.expect_err("this record should be poison")
}

#[track_caller]
fn assert_poison(record: Record, reason: PoisonReason, detail: &str) {
    let poison = poison(record);
    assert_eq!(poison.reason, reason, "{}", poison.detail);
    assert!(poison.detail.contains(detail), "{detail:?} is not in {:?}", poison.detail);
}
