//! Spans as they are received.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use serde_json::json;

use super::{
    collector::{self, attribute},
    program::Setup,
    support::{kafka, replica_set, responder::compromised},
};
use crate::support::{
    block_on,
    people::{query_everywhere, user},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENDER: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The spans below `parent`, by their beginning, those of one name counted.
fn tree(spans: &[Span], parent: &str, depth: usize) -> String {
    let mut below: Vec<&Span> = spans.iter().filter(|span| hex(&span.parent_span_id) == parent).collect();
    below.sort_by_key(|span| span.start_time_unix_nano);
    let mut told: Vec<String> = Vec::new();
    let mut names = BTreeSet::new();
    for span in below.iter().filter(|span| names.insert(span.name.clone())) {
        let alike = below.iter().filter(|other| other.name == span.name).count();
        let times = if alike > 1 { format!(" x{alike}") } else { String::new() };
        let kind = SpanKind::try_from(span.kind).unwrap();
        told.push(format!("{}{} ({kind:?}){times}\n", "  ".repeat(depth), span.name));
        told.push(tree(spans, &hex(&span.span_id), depth + 1));
    }
    told.concat()
}

#[test]
fn a_triggers_trace_is_continued_through_every_stage_and_into_its_outcome() {
    let (set, setup) = (replica_set(), Setup::new(kafka(), replica_set(), "traced"));
    let (endpoint, received) = collector::start();
    let victim = block_on(async { user(set, "traced-victim", "admin").await });
    let _work = block_on(query_everywhere(set, &victim));
    let program =
        setup.start("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "100")]);
    program.wait_ready(200);

    let mut event = compromised(&["traced-victim@admin"]);
    event["traceparent"] = json!(format!("00-{TRACE}-{SENDER}-01"));
    event["tracestate"] = json!("acme=1");
    setup.publish(&[event]);
    let outcome = setup.outcomes(1).remove(0);
    assert_eq!(outcome["data"]["status"], "terminated", "{outcome:#}");

    let spans = received.spans("process traced.triggers");
    assert_eq!(
        spans.iter().map(|span| hex(&span.trace_id)).collect::<BTreeSet<_>>(),
        [TRACE.to_owned()].into()
    );
    insta::assert_snapshot!(tree(&spans, SENDER, 0), @r"
    process traced.triggers (Consumer)
      receive traced.triggers (Client)
      decode (Internal)
      decide (Internal)
      survey (Client) x4
      kill (Client) x4
      verify (Client) x4
      publish traced.outcomes (Producer)
    ");

    let case = spans.iter().find(|span| span.name == "process traced.triggers").unwrap();
    assert_eq!(outcome["traceparent"], format!("00-{TRACE}-{}-01", hex(&case.span_id)));
    assert_eq!(outcome["tracestate"], "acme=1");
    assert_eq!(program.logged("outcome")[0]["trace_id"], TRACE);
    assert_eq!(attribute(&case.attributes, "severance.status").as_deref(), Some("terminated"));
    assert_eq!(
        attribute(&case.attributes, "severance.case_id").as_deref(),
        outcome["data"]["case_id"].as_str()
    );
    let kills = spans.iter().filter(|span| span.name == "kill");
    let nodes: BTreeSet<_> = kills.map(|span| attribute(&span.attributes, "server.port").unwrap()).collect();
    assert_eq!(nodes.len(), set.size(), "one kill a member");
    assert!(received.services().iter().all(|service| service == "severance"));
    let told = format!("{spans:?}");
    assert!(!told.contains("traced-victim"), "a person's name is in a span");
    assert_eq!(program.stop(), 0);
}

#[test]
fn a_merged_kill_is_linked_with_every_case_that_it_was_for() {
    let setup = Setup::new(kafka(), replica_set(), "merged");
    let (endpoint, received) = collector::start();
    // Before the program starts, so that all of them are ready at once.
    setup.publish(&["a@admin", "b@admin", "c@admin"].map(|who| compromised(&[who])));
    let program = setup.start(
        "",
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{endpoint}/v1/traces")),
            ("RUST_LOG", "info,opentelemetry=debug,severance=debug"),
        ],
    );
    let outcomes = setup.outcomes(3);
    assert_eq!(program.stop(), 0, "what is left is sent at the end");
    eprintln!("{}", program.log());

    let spans = received.spans("process batch");
    let batch = spans.iter().find(|span| span.name == "process batch").unwrap();
    let cases: BTreeSet<_> = spans
        .iter()
        .filter(|span| span.name == "process merged.triggers")
        .map(|span| hex(&span.span_id))
        .collect();
    assert_eq!(cases.len(), 3);
    let kills: Vec<_> = spans.iter().filter(|span| span.name == "kill").collect();
    assert_eq!(kills.len(), replica_set().size());
    for kill in kills {
        assert_eq!(kill.parent_span_id, batch.span_id);
        assert_eq!(kill.links.iter().map(|link| hex(&link.span_id)).collect::<BTreeSet<_>>(), cases);
    }
    let carried: BTreeSet<_> =
        outcomes.iter().map(|it| it["traceparent"].as_str().unwrap()[36..52].to_owned()).collect();
    assert_eq!(carried, cases, "each outcome carries its own case's context on");
    assert_eq!(received.metrics(), [""; 0], "only traces have an endpoint");
}

#[test]
fn what_its_sender_does_not_trace_is_not_traced_and_keeps_its_context() {
    let setup = Setup::new(kafka(), replica_set(), "untraced");
    let (endpoint, received) = collector::start();
    let program = setup.start("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    let mut event = compromised(&["nobody@admin"]);
    let traceparent = format!("00-{TRACE}-{SENDER}-00");
    event["traceparent"] = json!(traceparent);
    setup.publish(&[event]);
    assert_eq!(setup.outcomes(1)[0]["traceparent"], traceparent);
    assert_eq!(program.stop(), 0);
    assert_eq!(received.services(), [""; 0]);
}
