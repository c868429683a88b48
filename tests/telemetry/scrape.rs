//! What Prometheus and OTLP are told, and what the log says of people.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use severance::telemetry::names;

use super::{
    collector,
    program::{PATIENCE, Setup},
    support::{
        block_on, eventually, kafka, people, replica_set,
        responder::{compromised, event},
    },
};

/// The value of the only series that begins so.
fn value(scrape: &str, series: &str) -> Option<f64> {
    let mut found = scrape.lines().filter(|line| line.starts_with(series));
    let value = found.next()?.rsplit_once(' ')?.1.parse().ok()?;
    assert_eq!(found.next(), None, "{series}");
    Some(value)
}

#[test]
fn the_scrape_tells_what_was_done_and_how_long_it_took_and_otlp_tells_the_same() {
    let (set, setup) = (replica_set(), Setup::new(kafka(), replica_set(), "counted"));
    let (endpoint, received) = collector::start();
    let victim = block_on(people::user(set, "counted-victim", "admin"));
    let _work = block_on(people::query_everywhere(set, &victim));
    let interval = ("OTEL_METRIC_EXPORT_INTERVAL", "200");
    let program = setup.start("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), interval]);
    program.wait_ready(200);
    setup.publish(&[compromised(&["counted-victim@admin"])]);
    setup.outcomes(1);
    setup.publish(&[event("termination.requested", json!({"reason": "x"})), json!("no event")]);
    setup.outcomes(3);
    let lag = "severance_consumer_lag{messaging_destination_name=\"counted.triggers\",messaging_destination_partition_id=\"0\"}";
    let scrape = eventually("no lag", PATIENCE, || {
        let (_, scrape) = program.get("/metrics")?;
        (value(&scrape, lag) == Some(0.0)).then_some(scrape)
    });

    let told = |series: &str| value(&scrape, series).unwrap_or_else(|| panic!("no {series}:\n{scrape}"));
    assert_eq!(
        told(
            "severance_outcomes_total{severance_class=\"compromise\",severance_reason=\"none\",severance_rule=\"default-compromise\",severance_status=\"terminated\"}"
        ),
        1.0
    );
    assert_eq!(told("severance_event_to_killed_duration_seconds_count{severance_class=\"compromise\"}"), 1.0);
    assert_eq!(
        told("severance_event_to_verified_duration_seconds_count{severance_class=\"compromise\"}"),
        1.0
    );
    let (killed, verified) = (
        told("severance_event_to_killed_duration_seconds_sum"),
        told("severance_event_to_verified_duration_seconds_sum"),
    );
    assert!(0.0 < killed && killed < verified && verified < 30.0, "{killed} {verified}");
    assert!(told("severance_batch_size_count") >= 2.0);
    assert_eq!(told("severance_batch_size_sum"), 3.0);
    assert_eq!(told("severance_dead_letters_total{severance_reason=\"not_a_cloud_event\"}"), 1.0);
    assert_eq!(told("severance_consumer_partitions"), 1.0);
    assert_eq!(told("severance_ready{severance_check=\"cluster lab\"}"), 1.0);
    assert_eq!(told("severance_build_info"), 1.0);
    assert!(!scrape.contains("counted-victim"), "a person's name is in a metric");

    // Every name in the scrape is one that we have told operators of, and is told with its meaning.
    let kinds = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let scraped: BTreeSet<_> = kinds.filter(|name| *name != "target_info").collect();
    let table = include_str!("../../README.md");
    for name in &scraped {
        assert!(table.contains(&format!("`{name}`")), "{name}");
        let help = scrape.lines().find_map(|line| line.strip_prefix(&format!("# HELP {name} ")));
        assert!(names::ALL.iter().any(|metric| Some(metric.help) == help), "{name}: {help:?}");
    }

    let pushed = eventually("the same over OTLP", PATIENCE, || {
        let pushed: BTreeSet<_> = received.metrics().into_iter().collect();
        (pushed.len() >= scraped.len()).then_some(pushed)
    });
    assert_eq!(pushed.len(), scraped.len(), "{pushed:?} {scraped:?}");
    assert_eq!(program.stop(), 0);
}

#[test]
fn principals_in_the_log_are_hashed_where_that_is_asked_for() {
    let setup = Setup::new(kafka(), replica_set(), "hashed");
    let program = setup.start("log: { hash_principals: true }\n", &[("RUST_LOG", "debug")]);
    setup.publish(&[compromised(&["jsmith@hashed"])]);
    setup.outcomes(1);
    let line = eventually("the outcome's line", Duration::from_secs(5), || program.logged("outcome").pop());
    // echo -n jsmith@hashed | sha256sum
    assert_eq!(line["principals"], "sha256:15e46815ea082785");
    let log = program.log();
    let named: Vec<_> = log.lines().filter(|line| line.contains("jsmith")).collect();
    assert!(named.is_empty(), "a name is in the log: {named:?}");
    assert_eq!(program.stop(), 0);
}

#[test]
fn a_disabled_sdk_counts_nothing_and_the_job_is_done_all_the_same() {
    let setup = Setup::new(kafka(), replica_set(), "disabled");
    let (endpoint, received) = collector::start();
    let variables = [("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let program = setup.start("", &variables);
    setup.publish(&[compromised(&["nobody@admin"])]);
    assert!(setup.outcomes(1)[0].get("traceparent").is_none());
    assert_eq!(program.get("/metrics").unwrap().0, 404);
    assert_eq!(program.stop(), 0);
    assert_eq!((received.services(), received.metrics()), (vec![], vec![]));
}
