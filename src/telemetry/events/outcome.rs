//! An outcome: one line in the log, in its own level. Identifiers are fields; no payload, no secret.

use jiff::Timestamp;
use opentelemetry::KeyValue;

use super::word_of;
use crate::{
    canary,
    case::SparedBecause,
    report::{Alert, OutcomeData, Status},
    telemetry::{
        label::NONE,
        log,
        metrics::{self, Metrics},
        names::label,
    },
    terminate::NodeReport,
};

/// Principals that a log line names.
const NAMED: usize = 10;

/// An outcome was made of a case.
pub struct OutcomeMade<'a>(pub &'a OutcomeData);

impl OutcomeMade<'_> {
    /// Says and counts it.
    pub fn emit(self) {
        self.log();
        metrics::with(|metrics| self.count(metrics));
    }

    fn log(&self) {
        let data = self.0;
        let status = word_of(&data.status);
        let principals = data.principals.iter().take(NAMED);
        let principals: Vec<String> =
            principals.map(|principal| log::principal(&principal.user, &principal.db)).collect();
        let undone: Vec<String> = nodes(data)
            .filter_map(|node| {
                let status = node.status.filter(|status| !status.is_done())?;
                Some(format!("{} {}", node.host, word_of(&status)))
            })
            .collect();
        macro_rules! say {
            ($level:ident) => {
                tracing::$level!(
                    case = %data.case_id,
                    status,
                    reason = data.reason.as_deref(),
                    detail = data.detail.as_deref(),
                    rule = data.rule.as_deref(),
                    origin = %data.origin,
                    principals = principals.join(" "),
                    found = data.cumulative.found,
                    killed = data.cumulative.killed,
                    undone = (!undone.is_empty()).then(|| undone.join(", ")),
                    dry_run = data.dry_run.then_some(true),
                    maybe_rerun = data.maybe_rerun.then_some(true),
                    trace_id = data.traceparent.as_deref().and_then(trace_id),
                    "outcome"
                )
            };
        }
        if data.rule.as_deref() == Some(canary::RULE) && data.alert == Alert::Info {
            return say!(debug);
        }
        match data.alert {
            Alert::Info => say!(info),
            Alert::Warning => say!(warn),
            Alert::Error => say!(error),
        }
    }

    fn count(&self, metrics: &Metrics) {
        let data = self.0;
        let reason = metrics.reasons.bound(data.reason.as_deref().unwrap_or(NONE));
        let class = data.class.map_or(NONE, |class| class.name());
        metrics.outcomes.add(
            1,
            &[
                KeyValue::new(label::STATUS, word_of(&data.status)),
                KeyValue::new(label::RULE, metrics.rules.bound(data.rule.as_deref().unwrap_or(NONE))),
                KeyValue::new(label::CLASS, class),
                KeyValue::new(label::REASON, reason.clone()),
            ],
        );
        if data.status == Status::Refused {
            metrics.refusals.add(1, &[KeyValue::new(label::REASON, reason)]);
        }
        if !data.r#final {
            // A case is measured once, when it has ended.
            return;
        }
        for because in data.principals.iter().filter_map(|principal| principal.spared_because) {
            let because = match because {
                SparedBecause::Protected => "protected",
                SparedBecause::Reinstated => "reinstated",
            };
            metrics.spared.add(1, &[KeyValue::new(label::REASON, because)]);
        }
        let class = [KeyValue::new(label::CLASS, class)];
        if let Some(killed_at) = nodes(data).filter_map(|node| node.killed_at).max() {
            metrics.event_to_killed.record(seconds(data, killed_at), &class);
        }
        if matches!(data.status, Status::Terminated | Status::NothingFound)
            && let Some(verified_at) = nodes(data).filter_map(|node| node.verified_at).max()
        {
            metrics.event_to_verified.record(seconds(data, verified_at), &class);
        }
    }
}

fn nodes(data: &OutcomeData) -> impl Iterator<Item = &NodeReport> {
    data.clusters.iter().flat_map(|cluster| &cluster.nodes)
}

/// Since the event happened. Clocks differ: what seems to lie before it took no time.
fn seconds(data: &OutcomeData, until: Timestamp) -> f64 {
    let since = data.event_time.unwrap_or(data.received_at);
    until.duration_since(since).as_secs_f64().max(0.0)
}

/// `00-<trace id>-<span id>-<flags>`
fn trace_id(traceparent: &str) -> Option<&str> {
    traceparent.split('-').nth(1)
}
