//! Where the time of a batch went, as spans; nothing at all where no traces are sent.
//!
//! ```text
//! (the sender's span)                       named by the event's traceparent
//!   process <topic>                         one a record: the case's own span
//!     receive <topic>                       how long the record waited for us
//!     decode
//!     decide
//!     survey, kill, verify                  one of each a member, see `step`
//!     publish <topic>
//! ```
//!
//! With more than one record in a batch the stages are walked once for all of them: their spans
//! then hang below one span of the batch, `process batch`, which begins a trace of its own and is linked
//! with every case's span, as is each merged kill. What is done for one case alone stays below
//! that case's span.
//!
//! A trigger's trace context is continued and its place in the trigger taken by the case's own, so that
//! whatever is made of the trigger, the outcome first of all, carries the context on.

mod attributes;
mod carrier;
pub(super) mod scope;

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

use jiff::Timestamp;
use opentelemetry::{
    Context, KeyValue,
    trace::{
        FutureExt as _, Link, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _,
        TracerProvider as _,
    },
};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use self::{
    attributes::{count, describe, messaging, one_topic},
    scope::Scope,
};
use super::names::label;
use crate::{
    decide::{Decided, Decision},
    decode::Decoded,
    ingest::{Batch, Origin},
    report::Message,
};

/// What is said where the brokers did not acknowledge all of a batch.
pub const NOT_PUBLISHED: &str = "not_published";

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

pub(super) fn install(provider: &SdkTracerProvider) {
    // A second start (in tests) keeps the first.
    let _first = TRACER.set(provider.tracer("severance"));
}

/// Whether there is anybody to send spans to.
pub(super) fn tracer() -> Option<&'static SdkTracer> {
    TRACER.get()
}

/// When a batch was taken, and its spans. They end when this is dropped.
#[derive(Debug, Default)]
pub struct Trace {
    taken: Option<Instant>,
    open: Option<Box<Open>>,
}

/// What is only there while traces are sent.
#[derive(Debug)]
struct Open {
    tracer: &'static SdkTracer,
    batch: uuid::Uuid,
    received_at: SystemTime,
    /// When the stage began that is being walked.
    stage: SystemTime,
    /// By record the case's span.
    cases: Vec<Context>,
    /// What the stages' spans hang below, where anything is recorded.
    root: Option<Context>,
    /// For `step`: what is known of the cases.
    scope: Option<Context>,
}

impl Trace {
    /// Of a batch that is taken now.
    pub fn of(batch: &Batch) -> Self {
        let open = tracer().map(|tracer| {
            Box::new(Open {
                tracer,
                batch: batch.id,
                received_at: system_time(batch.received_at),
                stage: SystemTime::now(),
                cases: Vec::with_capacity(batch.records.len()),
                root: None,
                scope: None,
            })
        });
        Self { taken: Some(Instant::now()), open }
    }

    /// How long ago the batch was taken.
    pub(super) fn age(&self) -> Duration {
        self.taken.map_or(Duration::ZERO, |taken| taken.elapsed())
    }

    /// The batch was decoded: each case has a span from here on, and each trigger its context.
    pub fn decoded(&mut self, decoded: &mut [Decoded]) {
        if let Some(open) = &mut self.open {
            open.decoded(decoded);
        }
    }

    /// The batch was decided.
    pub fn decided(&mut self, decided: &[Decided]) {
        let Some(open) = &mut self.open else { return };
        open.end_stage("decide".into(), SpanKind::Internal, Vec::new());
        let by_case = decided.iter().zip(&open.cases).filter(|(one, _)| {
            // Only these are in an order; a duplicate in the same batch has the same case.
            matches!(one.decision, Decision::Terminate(_) | Decision::Simulate(_))
        });
        let by_case = by_case.map(|(one, context)| (one.case.id, context.clone())).collect();
        open.scope = open.root.as_ref().map(|root| root.with_value(Scope::new(by_case)));
    }

    /// Does `work` below the span of the batch.
    pub async fn around<F: Future>(&mut self, work: F) -> F::Output {
        match self.open.as_ref().and_then(|open| open.scope.clone()) {
            Some(scope) => work.with_context(scope).await,
            None => work.await,
        }
    }

    /// The batch's outcomes were made.
    pub fn reported(&mut self, messages: &[Message]) {
        let Some(open) = &mut self.open else { return };
        let outcomes = messages.iter().filter_map(|message| match message {
            Message::Outcome(outcome) => Some(&outcome.data),
            Message::DeadLetter(_) | Message::State(_) | Message::Command(_) => None,
        });
        for (outcome, case) in outcomes.zip(&open.cases).filter(|(_, case)| case.span().is_recording()) {
            describe(case, outcome);
        }
    }

    /// Publishes below the span of the batch.
    pub(super) async fn publish<T, E>(
        &mut self,
        topic: &str,
        messages: u64,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let Some(open) = &mut self.open else { return work.await };
        open.stage = SystemTime::now();
        let published = work.await;
        let mut attributes = messaging("publish", "send", Some(topic));
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        attributes.push(KeyValue::new("messaging.batch.message_count", messages));
        if published.is_err() {
            attributes.push(KeyValue::new(label::ERROR, NOT_PUBLISHED));
        }
        open.end_stage(format!("publish {topic}"), SpanKind::Producer, attributes);
        published
    }
}

impl Open {
    fn decoded(&mut self, decoded: &mut [Decoded]) {
        let decoding = self.stage;
        for one in decoded.iter_mut() {
            let case = self.case(one);
            if let (true, Ok(trigger)) = (case.span().is_recording(), &mut one.content) {
                carrier::carry(&case, trigger);
            }
            self.cases.push(case);
        }
        self.root = match &self.cases[..] {
            [alone] if alone.span().is_recording() => Some(alone.clone()),
            cases if cases.iter().any(|case| case.span().is_recording()) => Some(self.merged()),
            _ => None,
        };
        let topic = one_topic(decoded);
        let name = topic.map_or_else(|| "receive".to_owned(), |topic| format!("receive {topic}"));
        let mut attributes = messaging("receive", "receive", topic);
        attributes.push(KeyValue::new("messaging.batch.message_count", count(decoded.len())));
        self.span(name, SpanKind::Client, attributes, self.received_at, decoding);
        self.end_stage("decode".into(), SpanKind::Internal, Vec::new());
    }

    /// The span of one record, below the one that its sender names.
    fn case(&self, decoded: &Decoded) -> Context {
        let trigger = decoded.content.as_ref().ok();
        let parent = trigger.map(|trigger| carrier::sender(trigger)).unwrap_or_default();
        let (mut name, mut attributes) = ("process".to_owned(), messaging("process", "process", None));
        if let Origin::Kafka { topic, partition, offset, .. } = &decoded.record.origin {
            name = format!("process {topic}");
            attributes.push(KeyValue::new(label::TOPIC, topic.to_string()));
            attributes.push(KeyValue::new(label::PARTITION, partition.to_string()));
            attributes.push(KeyValue::new("messaging.kafka.offset", *offset));
        }
        if let Some(trigger) = trigger {
            attributes.push(KeyValue::new("cloudevents.event_id", trigger.id.clone()));
            attributes.push(KeyValue::new("cloudevents.event_source", trigger.source.clone()));
            attributes.push(KeyValue::new("cloudevents.event_type", trigger.kind.clone()));
        }
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Consumer);
        let builder = builder.with_start_time(self.received_at).with_attributes(attributes);
        let span = self.tracer.build_with_context(builder, &parent);
        parent.with_span(span)
    }

    /// One span for a batch of many, linked with each case's.
    fn merged(&self) -> Context {
        let mut attributes = messaging("process", "process", None);
        attributes.push(KeyValue::new("messaging.batch.message_count", count(self.cases.len())));
        attributes.push(KeyValue::new("severance.batch_id", self.batch.to_string()));
        let links = self.cases.iter().map(|case| Link::with_context(case.span().span_context().clone()));
        let builder = SpanBuilder::from_name("process batch").with_kind(SpanKind::Consumer);
        let builder = builder.with_start_time(self.received_at).with_attributes(attributes);
        let nothing = Context::new();
        let span = self.tracer.build_with_context(builder.with_links(links.collect()), &nothing);
        let root = nothing.with_span(span);
        for case in &self.cases {
            case.span().add_link(root.span().span_context().clone(), Vec::new());
        }
        root
    }

    /// Ends the stage that is being walked; the next one begins.
    fn end_stage(&mut self, name: String, kind: SpanKind, attributes: Vec<KeyValue>) {
        let (began, now) = (self.stage, SystemTime::now());
        self.span(name, kind, attributes, began, now);
        self.stage = now;
    }

    fn span(
        &self,
        name: String,
        kind: SpanKind,
        attributes: Vec<KeyValue>,
        began: SystemTime,
        ended: SystemTime,
    ) {
        let Some(root) = &self.root else { return };
        let failed = attributes.iter().find(|attribute| attribute.key.as_str() == label::ERROR);
        let failed = failed.map(|attribute| attribute.value.to_string());
        let builder = SpanBuilder::from_name(name).with_kind(kind).with_start_time(began);
        let span = self.tracer.build_with_context(builder.with_attributes(attributes), root);
        let context = root.with_span(span);
        if let Some(failed) = failed {
            context.span().set_status(Status::error(failed));
        }
        context.span().end_with_timestamp(ended);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.root.iter().chain(&self.cases).for_each(|context| context.span().end());
    }
}

fn system_time(timestamp: Timestamp) -> SystemTime {
    let since = Duration::try_from(timestamp.as_duration()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + since
}
