//! Whether and where traces and metrics are sent, by OpenTelemetry's own variables; and the last
//! of them at the end.
//!
//! | variable | |
//! | --- | --- |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT`, `..._TRACES_ENDPOINT`, `..._METRICS_ENDPOINT` | where to; nothing is sent without |
//! | `..._HEADERS`, `..._TIMEOUT`, `..._CERTIFICATE`, each also by signal | how |
//! | `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER` | `none` sends nothing |
//! | `OTEL_TRACES_SAMPLER`, `..._ARG`, `OTEL_BSP_*`, `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_SPAN_*_LIMIT` | how much |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | who says it |
//! | `OTEL_SDK_DISABLED` | `true` switches metrics and traces off, `/metrics` too |

use std::{thread, time::Duration};

use opentelemetry_otlp::{
    MetricExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};
use tokio::{sync::oneshot, time::timeout};

use super::{metrics, trace, transport::Transport};
use crate::config::Surroundings;

/// Spans that may wait to be sent, unless `OTEL_BSP_MAX_QUEUE_SIZE` says otherwise: a batch of a
/// storm makes a span a case. About 1 kB each.
const QUEUE: usize = 8_192;
/// Links of one span, unless `OTEL_SPAN_LINK_COUNT_LIMIT` says otherwise: a merged kill has one a
/// case, and a batch 1,000 by default.
const LINKS: u32 = 1_000;
/// How long the last of it may take when the program ends.
const LAST: Duration = Duration::from_secs(2);

/// What is sent: from when it is made until [`Exporting::finish`].
#[derive(Debug, Default)]
pub struct Exporting {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

/// One of the things that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
}

impl Signal {
    /// As the log names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }

    /// The value of `OTEL_EXPORTER_OTLP_<SIGNAL>_<setting>`, or of the one for all signals.
    pub(super) fn setting(self, surroundings: &dyn Surroundings, setting: &str) -> Option<String> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{setting}", self.name().to_uppercase());
        let all = format!("OTEL_EXPORTER_OTLP_{setting}");
        [own, all].iter().find_map(|name| variable(surroundings, name))
    }

    fn is_wanted(self, surroundings: &dyn Surroundings) -> bool {
        let exporters = variable(surroundings, &format!("OTEL_{}_EXPORTER", self.name().to_uppercase()));
        let otlp = exporters.is_none_or(|names| names.split(',').any(|name| name.trim() == "otlp"));
        otlp && self.setting(surroundings, "ENDPOINT").is_some()
    }
}

/// An empty variable is the same as none.
fn variable(surroundings: &dyn Surroundings, name: &str) -> Option<String> {
    surroundings.variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Begins to count, and to send what the variables ask for. Must be called inside a tokio runtime. What
/// cannot be set up is said once and left out.
pub fn start(surroundings: &dyn Surroundings) -> Exporting {
    if variable(surroundings, "OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        tracing::info!("OTEL_SDK_DISABLED: no metrics, no traces");
        return Exporting::default();
    }
    let resource = resource(surroundings);
    let exporter = wanted(Signal::Metrics, surroundings, |transport| {
        let exporter = MetricExporter::builder().with_http().with_http_client(transport);
        exporter.with_protocol(Protocol::HttpBinary).build().map_err(|error| error.to_string())
    });
    let push = exporter.map(|exporter| PeriodicReader::builder(exporter).build());
    let metrics = metrics::install(resource.clone(), push)
        .inspect_err(|error| tracing::warn!(error, "no metrics"))
        .ok();
    let exporter = wanted(Signal::Traces, surroundings, |transport| {
        let exporter = SpanExporter::builder().with_http().with_http_client(transport);
        exporter.with_protocol(Protocol::HttpBinary).build().map_err(|error| error.to_string())
    });
    let traces = exporter.map(|exporter| traces(surroundings, resource, exporter));
    Exporting { traces, metrics }
}

fn wanted<E>(
    signal: Signal,
    surroundings: &dyn Surroundings,
    build: impl FnOnce(Transport) -> Result<E, String>,
) -> Option<E> {
    if !signal.is_wanted(surroundings) {
        return None;
    }
    if let Some(protocol) = signal.setting(surroundings, "PROTOCOL")
        && protocol != "http/protobuf"
    {
        tracing::warn!(
            signal = signal.name(),
            protocol,
            "this OTLP protocol is not spoken: sending http/protobuf"
        );
    }
    match Transport::new(signal, surroundings).and_then(build) {
        Ok(exporter) => Some(exporter),
        Err(error) => {
            tracing::warn!(signal = signal.name(), error, "cannot be sent over OTLP; going on without");
            None
        }
    }
}

fn traces(surroundings: &dyn Surroundings, resource: Resource, exporter: SpanExporter) -> SdkTracerProvider {
    let mut batching = BatchConfigBuilder::default();
    if variable(surroundings, "OTEL_BSP_MAX_QUEUE_SIZE").is_none() {
        batching = batching.with_max_queue_size(QUEUE);
    }
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batching.build()).build();
    let mut provider = SdkTracerProvider::builder().with_resource(resource).with_span_processor(processor);
    if variable(surroundings, "OTEL_SPAN_LINK_COUNT_LIMIT").is_none() {
        provider = provider.with_max_links_per_span(LINKS);
    }
    let provider = provider.build();
    trace::install(&provider);
    provider
}

fn resource(surroundings: &dyn Surroundings) -> Resource {
    let named = variable(surroundings, "OTEL_SERVICE_NAME").is_some()
        || variable(surroundings, "OTEL_RESOURCE_ATTRIBUTES")
            .is_some_and(|all| all.split(',').any(|one| one.trim().starts_with("service.name=")));
    let mut resource = Resource::builder()
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if !named {
        resource = resource.with_service_name("severance");
    }
    resource.build()
}

impl Exporting {
    /// Sends what is left, for a short time: a receiver that hangs must not keep the program.
    pub async fn finish(self) {
        let Self { traces, metrics } = self;
        // Both wait on their thread; one that hangs is left behind.
        let traces = traces.map(|traces| on_a_thread(move || drop(traces.shutdown_with_timeout(LAST))));
        let metrics = metrics.map(|metrics| on_a_thread(move || drop(metrics.shutdown_with_timeout(LAST))));
        let all = futures::future::join_all(traces.into_iter().chain(metrics).flatten());
        if timeout(LAST, all).await.is_err() {
            tracing::debug!("the last of the telemetry was not taken in time");
        }
    }
}

fn on_a_thread(work: impl FnOnce() + Send + 'static) -> Option<oneshot::Receiver<()>> {
    let (done, heard) = oneshot::channel();
    let run = move || {
        work();
        // Nobody waits any longer where it took too long.
        let _unheard = done.send(());
    };
    thread::Builder::new().name("telemetry-last".to_owned()).spawn(run).ok().map(|_| heard)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, io, path::Path};

    use super::*;

    struct Variables(HashMap<&'static str, &'static str>);

    impl Surroundings for Variables {
        fn variable(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|&value| value.to_owned())
        }

        fn read(&self, _: &Path) -> io::Result<String> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn wanted(variables: &[(&'static str, &'static str)]) -> [bool; 2] {
        let variables = Variables(variables.iter().copied().collect());
        [Signal::Traces, Signal::Metrics].map(|signal| signal.is_wanted(&variables))
    }

    #[test]
    fn nothing_is_sent_without_an_endpoint_and_each_signal_may_have_its_own() {
        const ALL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        assert_eq!(wanted(&[]), [false, false]);
        assert_eq!(wanted(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), [false, false]);
        assert_eq!(wanted(&[ALL]), [true, true]);
        assert_eq!(
            wanted(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/v1/traces")]),
            [true, false]
        );
        assert_eq!(wanted(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c")]), [false, true]);
        assert_eq!(wanted(&[ALL, ("OTEL_TRACES_EXPORTER", "none")]), [false, true]);
        assert_eq!(wanted(&[ALL, ("OTEL_METRICS_EXPORTER", "prometheus")]), [true, false]);
        assert_eq!(wanted(&[ALL, ("OTEL_METRICS_EXPORTER", "prometheus, otlp")]), [true, true]);
    }

    #[test]
    fn the_service_is_called_severance_unless_somebody_says_otherwise() {
        let named = |variables: &[(&'static str, &'static str)]| {
            let key = opentelemetry::Key::new("service.name");
            let resource = resource(&Variables(variables.iter().copied().collect()));
            resource.get(&key).map(|value| value.to_string())
        };
        assert_eq!(named(&[]).as_deref(), Some("severance"));
        // The SDK reads these itself, from the process: here it is only whether we leave it to it.
        assert_ne!(named(&[("OTEL_SERVICE_NAME", "x")]).as_deref(), Some("severance"));
        assert_ne!(
            named(&[("OTEL_RESOURCE_ATTRIBUTES", "a=b,service.name=x")]).as_deref(),
            Some("severance")
        );
    }
}
