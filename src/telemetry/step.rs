//! What is asked of one member: a span below the case's or the batch's, and how long it took.
//!
//! Each function takes the work and gives what came of it. Without anybody to send spans to, all
//! that is added is reading a clock.

use std::{sync::Arc, time::Instant};

use opentelemetry::{
    Context, KeyValue,
    trace::{FutureExt as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _},
};

use super::{
    metrics,
    names::label,
    trace::{
        scope::{OnCluster, Scope},
        tracer,
    },
};
use crate::{
    case::CaseId,
    terminate::{ErrorClass, NodeError, order::Order},
};

/// What is done on a member.
#[derive(Clone, Copy)]
struct Step {
    /// The span's name.
    name: &'static str,
    /// The command, where it is one.
    command: Option<&'static str>,
    /// It is done for every case of the batch at once.
    merged: bool,
}

/// What a batch wants of one cluster.
pub async fn on_cluster<F: Future>(name: &Arc<str>, order: &Order, work: F) -> F::Output {
    if tracer().is_none() {
        return work.await;
    }
    let batch = Context::current();
    let Some(scope) = batch.get::<Scope>() else { return work.await };
    let cases: Vec<CaseId> = order.parts().iter().map(|part| part.case).collect();
    let context = scope.on_cluster(name, &cases, &batch);
    work.with_context(context).await
}

/// The look before the kill.
pub async fn survey<T>(node: &str, work: impl Future<Output = Result<T, NodeError>>) -> Result<T, NodeError> {
    walk(Step { name: "survey", command: Some("aggregate"), merged: false }, node, work).await
}

/// The kill of everybody's sessions, or of one case's.
pub async fn kill<T>(node: &str, work: impl Future<Output = Result<T, NodeError>>) -> Result<T, NodeError> {
    walk(Step { name: "kill", command: Some("killAllSessionsByPattern"), merged: true }, node, work).await
}

/// The kill of an operation that has no session.
pub async fn kill_operation<T>(
    node: &str,
    work: impl Future<Output = Result<T, NodeError>>,
) -> Result<T, NodeError> {
    walk(Step { name: "kill", command: Some("killOp"), merged: true }, node, work).await
}

/// Everything after the kill: looks, and cutting again.
pub async fn verify<T>(node: &str, work: impl Future<Output = Result<T, NodeError>>) -> Result<T, NodeError> {
    walk(Step { name: "verify", command: None, merged: false }, node, work).await
}

async fn walk<T>(
    step: Step,
    node: &str,
    work: impl Future<Output = Result<T, NodeError>>,
) -> Result<T, NodeError> {
    let began = Instant::now();
    let span = span(step, node);
    let done = match &span {
        Some(span) => work.with_context(span.clone()).await,
        None => work.await,
    };
    let error = done.as_ref().err();
    if let Some(command) = step.command {
        measure(command, node, began, error);
    }
    if let Some(span) = span {
        if let Some(error) = error {
            span.span().set_attribute(KeyValue::new(label::ERROR, class(error)));
            if let Some(code) = error.code {
                span.span().set_attribute(KeyValue::new("db.response.status_code", code.to_string()));
            }
            span.span().set_status(Status::error(class(error)));
        }
        span.span().end();
    }
    done
}

/// A span, where somebody records the one above. One that is dropped half-way ends by itself.
fn span(step: Step, node: &str) -> Option<Context> {
    let tracer = tracer()?;
    let above = Context::current();
    if !above.span().is_recording() {
        return None;
    }
    let (host, port) = node.rsplit_once(':').unwrap_or((node, ""));
    let mut attributes =
        vec![KeyValue::new(label::DB, "mongodb"), KeyValue::new(label::NODE, host.to_owned())];
    attributes.extend(port.parse::<i64>().ok().map(|port| KeyValue::new("server.port", port)));
    let mut builder = SpanBuilder::from_name(step.name).with_kind(SpanKind::Client);
    if let Some(command) = step.command {
        attributes.push(KeyValue::new(label::COMMAND, command));
        attributes.push(KeyValue::new("db.namespace", "admin"));
    }
    if let Some(cluster) = above.get::<OnCluster>() {
        attributes.push(KeyValue::new(label::CLUSTER, cluster.name.to_string()));
        if step.merged && !cluster.links.is_empty() {
            builder = builder.with_links(cluster.links.clone());
        }
    }
    let span = tracer.build_with_context(builder.with_attributes(attributes), &above);
    Some(above.with_span(span))
}

fn measure(command: &'static str, node: &str, began: Instant, error: Option<&NodeError>) {
    metrics::with(|metrics| {
        let mut labels = vec![
            KeyValue::new(label::DB, "mongodb"),
            KeyValue::new(label::COMMAND, command),
            KeyValue::new(label::NODE, metrics.nodes.bound(node)),
        ];
        labels.extend(error.map(|error| KeyValue::new(label::ERROR, class(error))));
        metrics.db_duration.record(began.elapsed().as_secs_f64(), &labels);
    });
}

fn class(error: &NodeError) -> &'static str {
    match error.class {
        ErrorClass::Transient => "transient",
        ErrorClass::Permanent => "permanent",
        ErrorClass::Unsupported => "unsupported",
    }
}
