//! Severance's own event types, each with an example: what rules are tried on when they are
//! compiled, and what a new sender may start from.

use serde_json::Value;

use super::{Trigger, body::OwnType, cloudevent};
use crate::ingest::{Header, Origin, Record};

/// The CloudEvents types whose data is checked, in the order of the documentation.
pub fn own_types() -> impl Iterator<Item = &'static str> {
    OwnType::ALL.into_iter().map(OwnType::kind)
}

/// The first example of a type's schema, which has every field, as an event; `None` for a type
/// that is not ours.
pub fn example(kind: &str) -> Option<Trigger> {
    let own = OwnType::ALL.into_iter().find(|own| own.kind() == kind)?;
    let data = examples(schema(own)).into_iter().next()?;
    let header = |name: &str, value: &str| Header { name: name.to_owned(), value: Some(value.into()) };
    let headers = vec![
        header("ce_specversion", "1.0"),
        header("ce_id", "example"),
        header("ce_source", "/example"),
        header("ce_type", kind),
        header("ce_subject", "example"),
        header("ce_time", "2026-11-25T01:02:03Z"),
    ];
    let record =
        Record { key: None, value: Some(data.to_string().into_bytes()), headers, origin: Origin::Local };
    Trigger::from_event(cloudevent::read(&record).ok()?).ok()
}

/// A schema's examples.
pub(super) fn examples(schema: &str) -> Vec<Value> {
    let mut schema: Value = serde_json::from_str(schema).unwrap_or_default();
    match schema.get_mut("examples").map(Value::take) {
        Some(Value::Array(examples)) => examples,
        Some(_) | None => Vec::new(),
    }
}

/// The JSON Schema of a type's data.
pub(super) fn schema(own: OwnType) -> &'static str {
    macro_rules! schema {
        ($name:literal) => {
            include_str!(concat!("../../schemas/", $name, ".schema.json"))
        };
    }
    match own {
        OwnType::Compromised => schema!("account.compromised.v1"),
        OwnType::Offboarded => schema!("account.offboarded.v1"),
        OwnType::Reinstated => schema!("account.reinstated.v1"),
        OwnType::WindowClosed => schema!("access-window.closed.v1"),
        OwnType::SessionInactive => schema!("session.inactive.v1"),
        OwnType::TerminationRequested => schema!("termination.requested.v1"),
        OwnType::EveryoneRequested => schema!("termination.everyone-requested.v1"),
        OwnType::Approved => schema!("termination.approved.v1"),
        OwnType::Denied => schema!("termination.denied.v1"),
    }
}
