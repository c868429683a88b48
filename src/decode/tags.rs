//! The sender's references, which come back in every outcome.

use serde_json::Value;

use super::{Tags, fault::Fault, node::Node};

impl Tags {
    /// From one of our own types, where they are strings or numbers and nothing else.
    pub(super) fn of_own(data: &Node<'_>) -> Result<Self, Fault> {
        let tag = |key| match data.get(key) {
            None => Ok(None),
            Some(place) => match text(place.value()) {
                Some(text) => Ok(Some(text)),
                None => Err(place.fault("must be a string or a number")),
            },
        };
        Ok(Self {
            incident: tag("incident")?,
            ticket: tag("ticket")?,
            initiator: tag("initiator")?,
            severity: tag("severity")?,
        })
    }

    /// From somebody else's type, where the same words may stand for anything.
    pub(super) fn of_another(data: &Value) -> Self {
        let tag = |key| data.get(key).and_then(text);
        Self {
            incident: tag("incident"),
            ticket: tag("ticket"),
            initiator: tag("initiator"),
            severity: tag("severity"),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
