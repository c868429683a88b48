//! The instruments. They are one set for the whole process, made by `install`; until then, and
//! in commands that never call it, whatever moves them does nothing.

use std::{
    collections::BTreeSet,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, MeterProvider as _},
};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
};
use prometheus::{Registry, TextEncoder};

use super::{
    label::Bounded,
    lag::Lags,
    names::{self, Metric, label},
};

/// Most rules by which outcomes are counted one by one.
const MOST_RULES: usize = 100;
/// Most members; a replica set has at most 50.
const MOST_NODES: usize = 500;
/// Reasons and kinds of errors are closed sets; this is for the day when one is not.
const MOST_REASONS: usize = 100;
/// Topics are named in the configuration.
const MOST_TOPICS: usize = 100;

static METRICS: OnceLock<Metrics> = OnceLock::new();

/// What can be counted and measured.
pub(super) struct Metrics {
    registry: Registry,
    meter: Meter,
    pub(super) rules: Bounded,
    pub(super) nodes: Bounded,
    pub(super) reasons: Bounded,
    pub(super) topics: Bounded,
    pub(super) lags: Lags,
    open_circuits: Mutex<BTreeSet<String>>,
    pub(super) outcomes: Counter<u64>,
    pub(super) event_to_killed: Histogram<f64>,
    pub(super) event_to_verified: Histogram<f64>,
    pub(super) refusals: Counter<u64>,
    pub(super) spared: Counter<u64>,
    pub(super) kill_retries: Counter<u64>,
    pub(super) unreachable: Counter<u64>,
    pub(super) circuit_trips: Counter<u64>,
    pub(super) batch_size: Histogram<u64>,
    pub(super) batch_duration: Histogram<f64>,
    pub(super) consumed: Counter<u64>,
    pub(super) sent: Counter<u64>,
    pub(super) publish_duration: Histogram<f64>,
    pub(super) publish_retries: Counter<u64>,
    pub(super) dead_letters: Counter<u64>,
    pub(super) transactions: Histogram<f64>,
    canaries: Histogram<f64>,
    last_canary: Mutex<Option<Instant>>,
    /// Which configuration decides now.
    config_hash: Mutex<Option<String>>,
    pub(super) rebalances: Counter<u64>,
    pub(super) db_duration: Histogram<f64>,
}

/// Does something with the instruments, where there are any.
pub(super) fn with(f: impl FnOnce(&'static Metrics)) {
    if let Some(metrics) = METRICS.get() {
        f(metrics);
    }
}

/// Whether anything is counted.
pub fn is_on() -> bool {
    METRICS.get().is_some()
}

/// Makes the instruments, read by whoever scrapes and by `push`. A second call changes nothing.
pub(super) fn install(
    resource: Resource,
    push: Option<PeriodicReader<MetricExporter>>,
) -> Result<SdkMeterProvider, String> {
    let registry = Registry::new();
    let scraped = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .build()
        .map_err(|error| error.to_string())?;
    let mut provider = SdkMeterProvider::builder().with_resource(resource).with_reader(scraped);
    if let Some(push) = push {
        provider = provider.with_reader(push);
    }
    let provider = provider.build();
    let made = Metrics::new(registry, provider.meter("severance"));
    if METRICS.set(made).is_ok() {
        with(Metrics::observe);
    }
    Ok(provider)
}

/// Everything as Prometheus reads it; `None` where nothing is counted.
pub fn scrape() -> Option<Result<String, String>> {
    let metrics = METRICS.get()?;
    Some(TextEncoder::new().encode_to_string(&metrics.registry.gather()).map_err(|error| error.to_string()))
}

/// From now on `checks` is asked, at each scrape, for the checks of readiness and whether they hold.
pub fn watch_readiness(checks: impl Fn() -> Vec<(String, bool)> + Send + Sync + 'static) {
    with(|metrics| {
        metrics.gauge(names::READY, move |tell| {
            for (check, holds) in checks() {
                tell(u64::from(holds), &[KeyValue::new(label::CHECK, check)]);
            }
        });
    });
}

/// Unfinished work, as it stood when it was last looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jobs {
    /// How many there are.
    pub open: u64,
    /// How long ago the oldest was asked for.
    pub oldest: Duration,
    /// How many cannot be run.
    pub blocked: u64,
}

/// From now on `jobs` is asked, at each scrape, for what is not finished yet.
pub fn watch_jobs(jobs: impl Fn() -> Jobs + Send + Sync + 'static) {
    let jobs = std::sync::Arc::new(jobs);
    with(|metrics| {
        let (open, oldest, blocked) = (jobs.clone(), jobs.clone(), jobs);
        metrics.gauge(names::JOBS_OPEN, move |tell| tell(open().open, &[]));
        metrics.gauge(names::JOBS_OLDEST, move |tell| tell(oldest().oldest.as_secs(), &[]));
        metrics.gauge(names::JOBS_BLOCKED, move |tell| tell(blocked().blocked, &[]));
    });
}

/// Says which version runs with which configuration.
pub fn build_info(config_hash: &str) {
    with(|metrics| *metrics.config_hash() = Some(config_hash.to_owned()));
}

impl Metrics {
    fn new(registry: Registry, meter: Meter) -> Self {
        let count = |metric: Metric| {
            meter.u64_counter(metric.name).with_unit(metric.unit).with_description(metric.help).build()
        };
        let seconds = |metric: Metric, buckets: &[f64]| {
            let histogram = meter.f64_histogram(metric.name).with_unit(metric.unit);
            histogram.with_description(metric.help).with_boundaries(buckets.to_vec()).build()
        };
        Self {
            rules: Bounded::new(MOST_RULES),
            nodes: Bounded::new(MOST_NODES),
            reasons: Bounded::new(MOST_REASONS),
            topics: Bounded::new(MOST_TOPICS),
            lags: Lags::default(),
            open_circuits: Mutex::default(),
            outcomes: count(names::OUTCOMES),
            event_to_killed: seconds(names::EVENT_TO_KILLED, names::LATENCY),
            event_to_verified: seconds(names::EVENT_TO_VERIFIED, names::LATENCY),
            refusals: count(names::REFUSALS),
            spared: count(names::SPARED),
            kill_retries: count(names::KILL_RETRIES),
            unreachable: count(names::UNREACHABLE),
            circuit_trips: count(names::CIRCUIT_TRIPS),
            batch_size: meter
                .u64_histogram(names::BATCH_SIZE.name)
                .with_unit(names::BATCH_SIZE.unit)
                .with_description(names::BATCH_SIZE.help)
                .with_boundaries(names::SIZES.to_vec())
                .build(),
            batch_duration: seconds(names::BATCH_DURATION, names::LATENCY),
            consumed: count(names::CONSUMED),
            sent: count(names::SENT),
            publish_duration: seconds(names::PUBLISH_DURATION, names::OPERATION_LATENCY),
            publish_retries: count(names::PUBLISH_RETRIES),
            dead_letters: count(names::DEAD_LETTERS),
            transactions: seconds(names::TRANSACTIONS, names::OPERATION_LATENCY),
            canaries: seconds(names::CANARY, names::LATENCY),
            last_canary: Mutex::default(),
            config_hash: Mutex::default(),
            rebalances: count(names::REBALANCES),
            db_duration: seconds(names::DB_DURATION, names::OPERATION_LATENCY),
            registry,
            meter,
        }
    }

    /// What is asked at each scrape instead of being told.
    fn observe(&'static self) {
        self.gauge(names::BUILD, |tell| {
            if let Some(hash) = self.config_hash().clone() {
                let version = KeyValue::new(label::VERSION, env!("CARGO_PKG_VERSION"));
                tell(1, &[version, KeyValue::new(label::CONFIG_HASH, hash)]);
            }
        });
        self.gauge(names::CANARY_AGE, |tell| {
            if let Some(last) = *self.last_canary() {
                tell(last.elapsed().as_secs(), &[]);
            }
        });
        self.gauge(names::PARTITIONS, |tell| tell(self.lags.partitions(), &[]));
        self.gauge(names::LAG, |tell| {
            for (partition, behind) in self.lags.each() {
                let labels = [
                    KeyValue::new(label::TOPIC, self.topics.bound(&partition.topic)),
                    KeyValue::new(label::PARTITION, partition.number.to_string()),
                ];
                tell(behind, &labels);
            }
        });
        self.gauge(names::CIRCUITS_OPEN, |tell| {
            for node in self.open_circuits().iter() {
                tell(1, &[KeyValue::new(label::NODE, self.nodes.bound(node))]);
            }
        });
    }

    fn gauge(&self, metric: Metric, ask: impl Fn(&dyn Fn(u64, &[KeyValue])) + Send + Sync + 'static) {
        let gauge = self.meter.u64_observable_gauge(metric.name);
        let gauge = gauge.with_unit(metric.unit).with_description(metric.help);
        // The meter keeps it; the handle is of no further use.
        let _kept = gauge
            .with_callback(move |observer| ask(&|value, labels| observer.observe(value, labels)))
            .build();
    }

    pub(super) fn canary(&self, took: Duration) {
        self.canaries.record(took.as_secs_f64(), &[]);
        *self.last_canary() = Some(Instant::now());
    }

    fn config_hash(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.config_hash.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_canary(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.last_canary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn circuit_opened(&self, node: &str) {
        self.open_circuits().insert(node.to_owned());
    }

    pub(super) fn circuit_closed(&self, node: &str) {
        self.open_circuits().remove(node);
    }

    fn open_circuits(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        // A set of names is whole whatever panicked while it was held.
        self.open_circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
