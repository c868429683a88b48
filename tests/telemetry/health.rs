//! Readiness tells what is wrong while it is, and probes hear of it.

use severance::lab::ReplicaSet;

use super::{
    program::{Program, Setup},
    support::{Kafka, block_on, responder::compromised},
};

/// The checks that fail, and why, one a line.
fn faults(program: &Program, status: u16) -> String {
    let told = program.wait_ready(status);
    let checks = told["checks"].as_object().unwrap().iter();
    let faults = checks.filter(|(_, verdict)| verdict["ok"] == false);
    faults.map(|(check, verdict)| format!("{check}: {}\n", verdict["reason"].as_str().unwrap())).collect()
}

#[test]
fn not_ready_while_kafka_or_a_member_is_down_and_ready_again_after() {
    let (broker, set) = (Kafka::start(), block_on(ReplicaSet::builder().start()).expect("a replica set"));
    let setup = Setup::new(&broker, &set, "probed");
    let program = setup.start("", &[]);
    assert_eq!(faults(&program, 200), "");
    let probe = program.probe(&["--ready"]);
    assert_eq!(probe.status.code(), Some(0), "{probe:?}");

    broker.kill();
    program.wait_ready(503);
    // The consumer hears of it first, the publisher within a second.
    super::support::eventually("both say so", super::program::PATIENCE, || {
        let told = faults(&program, 503);
        let both = ["assignment: Kafka cannot be reached", "publishing: Kafka cannot be reached"];
        both.iter().all(|fault| told.contains(fault)).then_some(())
    });
    let probe = program.probe(&["--ready"]);
    assert_eq!(probe.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&probe.stdout).contains("Kafka cannot be reached"), "{probe:?}");
    assert_eq!(program.probe(&[]).status.code(), Some(0), "it is alive all the same");
    broker.restart();
    program.wait_ready(200);

    let victim = (0..set.size()).find(|member| *member != block_on(set.primary()).unwrap()).unwrap();
    block_on(set.kill(victim)).unwrap();
    // The dead member is the one reason, once what was said of the broker has died away.
    super::support::eventually("the member alone is named", super::program::PATIENCE, || {
        let told = faults(&program, 503);
        let named = told.starts_with("cluster lab: ") && told.contains(set.host(victim));
        (named && told.lines().count() == 1).then_some(())
    });
    assert!(!program.logged("not ready").is_empty(), "{}", program.log());

    // An event that meets the dead member: its time is counted, and that it is not waited for from then on.
    setup.publish(&[compromised(&["nobody@admin"])]);
    assert_eq!(setup.outcomes(1)[0]["data"]["status"], "partial");
    let (_, scrape) = program.get("/metrics").unwrap();
    let told = |name: &str| {
        let mut series =
            scrape.lines().filter(|line| line.starts_with(name) && line.contains(set.host(victim)));
        series.next().and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
    };
    assert!(told("severance_kill_retries_total{") > Some(0.0), "{scrape}");
    assert_eq!(told("severance_node_unreachable_total{"), Some(1.0));
    assert_eq!(told("severance_circuit_trips_total{"), Some(1.0));
    assert_eq!(told("severance_circuit_open{"), Some(1.0));
    block_on(set.restart(victim)).unwrap();
    program.wait_ready(200);
    super::support::eventually("its circuit is closed", super::program::PATIENCE, || {
        let (_, scrape) = program.get("/metrics")?;
        (!scrape.contains("\nseverance_circuit_open{")).then_some(())
    });

    assert_eq!(program.stop(), 0);
    let probe = program.probe(&[]);
    assert_eq!(probe.status.code(), Some(6), "nobody answers: {probe:?}");
}
