//! A receiver of telemetry that is not there, or does not answer, is nobody's business but its own.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use super::{
    program::Setup,
    support::{kafka, replica_set, responder::compromised},
};

/// Single events, one after the other.
const EVENTS: usize = 50;

/// Works with this endpoint; gives how long the events took and how long the end did.
fn work(prefix: &str, endpoint: Option<&str>) -> (Duration, Duration) {
    let setup = Setup::new(kafka(), replica_set(), prefix);
    let mut variables = vec![("OTEL_BSP_SCHEDULE_DELAY", "50"), ("OTEL_METRIC_EXPORT_INTERVAL", "50")];
    variables.extend(endpoint.map(|endpoint| ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)));
    let program = setup.start("", &variables);
    program.wait_ready(200);
    let mut next = setup.reader();
    let began = Instant::now();
    for _ in 0..EVENTS {
        setup.publish(&[compromised(&["nobody@admin"])]);
        next();
    }
    let worked = began.elapsed();
    let began = Instant::now();
    assert_eq!(program.stop(), 0);
    let faults = program.logged("telemetry cannot be sent; going on without");
    // One that hangs has not been given up yet.
    assert!(faults.len() <= 2, "once a signal at most: {faults:?}");
    (worked, began.elapsed())
}

#[test]
fn a_receiver_that_hangs_or_refuses_neither_slows_nor_stops_the_job() {
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let hangs = format!("http://{}", silent.local_addr().expect("an address"));
    let refuses = {
        let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", gone.local_addr().expect("an address"))
    };
    let (without, _) = work("alone", None);
    for (prefix, endpoint) in [("hanging", &hangs), ("refusing", &refuses)] {
        let (with, end) = work(prefix, Some(endpoint));
        // Far less than any timeout of OTLP's, far more than a loaded machine's noise.
        assert!(with < without * 3 + Duration::from_secs(2), "{prefix}: {with:?}, alone {without:?}");
        assert!(end < Duration::from_secs(8), "{prefix}: the end took {end:?}");
    }
}
