//! What stands on a span.

use opentelemetry::{
    Context, KeyValue,
    trace::{Status, TraceContextExt as _},
};

use crate::{
    decode::Decoded,
    ingest::Origin,
    report::{Alert, OutcomeData},
    telemetry::{events::word_of, names::label},
};

/// What the outcome says, on the case's span; of people nothing.
pub(super) fn describe(case: &Context, outcome: &OutcomeData) {
    let span = case.span();
    span.set_attribute(KeyValue::new("severance.case_id", outcome.case_id.to_string()));
    span.set_attribute(KeyValue::new("severance.decision", outcome.decision.to_string()));
    span.set_attribute(KeyValue::new(label::STATUS, word_of(&outcome.status)));
    let texts = [
        (label::REASON, outcome.reason.clone()),
        (label::RULE, outcome.rule.as_deref().map(str::to_owned)),
        (label::CLASS, outcome.class.map(|class| class.name().to_owned())),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            span.set_attribute(KeyValue::new(key, text));
        }
    }
    if outcome.alert == Alert::Error {
        let status = word_of(&outcome.status);
        span.set_status(Status::error(outcome.reason.clone().unwrap_or(status)));
    }
}

/// The topic of all of them, where it is one.
pub(super) fn one_topic(decoded: &[Decoded]) -> Option<&str> {
    let topic = |one: &Decoded| match &one.record.origin {
        Origin::Kafka { topic, .. } => Some(topic.clone()),
        Origin::Job { .. } | Origin::Local => None,
    };
    let first = topic(decoded.first()?);
    if !decoded.iter().all(|one| topic(one) == first) {
        return None;
    }
    match &decoded.first()?.record.origin {
        Origin::Kafka { topic, .. } => Some(topic),
        Origin::Job { .. } | Origin::Local => None,
    }
}

pub(super) fn messaging(name: &'static str, kind: &'static str, topic: Option<&str>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(label::MESSAGING, "kafka"),
        KeyValue::new(label::OPERATION, name),
        KeyValue::new("messaging.operation.type", kind),
    ];
    attributes.extend(topic.map(|topic| KeyValue::new(label::TOPIC, topic.to_owned())));
    attributes
}

pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
