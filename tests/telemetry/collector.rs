//! Who receives OTLP: over HTTP, as protobuf.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message as _;

use super::{
    program::PATIENCE,
    support::{block_on, eventually},
};

/// What was received so far.
#[derive(Clone, Default)]
pub struct Received(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    spans: Vec<Span>,
    services: Vec<String>,
    metrics: Vec<String>,
}

/// Starts one; gives its endpoint.
pub fn start() -> (String, Received) {
    let received = Received::default();
    let routes = Router::new().route("/v1/traces", post(traces)).route("/v1/metrics", post(metrics));
    let routes = routes.with_state(received.clone());
    let endpoint = block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, routes).await });
        format!("http://{address}")
    });
    (endpoint, received)
}

async fn traces(State(received): State<Received>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).expect("protobuf");
    let mut inner = received.0.lock().unwrap_or_else(PoisonError::into_inner);
    for resource in request.resource_spans {
        let attributes = resource.resource.expect("a resource").attributes;
        inner.services.push(attribute(&attributes, "service.name").expect("a service"));
        inner.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
    }
}

async fn metrics(State(received): State<Received>, body: Bytes) {
    let request = ExportMetricsServiceRequest::decode(body).expect("protobuf");
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    let names = scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name);
    received.0.lock().unwrap_or_else(PoisonError::into_inner).metrics.extend(names);
}

impl Received {
    /// The spans, once there are any with this name.
    pub fn spans(&self, awaited: &str) -> Vec<Span> {
        eventually(&format!("a span {awaited}"), PATIENCE, || {
            let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner).spans.clone();
            spans.iter().any(|span| span.name == awaited).then_some(spans)
        })
    }

    /// The services that have sent spans.
    pub fn services(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).services.clone()
    }

    /// The names of the metrics.
    pub fn metrics(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).metrics.clone()
    }
}

/// The text of an attribute.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}
