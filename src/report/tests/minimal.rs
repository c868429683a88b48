//! The minimal form fits whatever was found, and keeps what matters.

use proptest::prelude::*;

use super::*;

/// What always fits into a record, with room for what the producer adds.
const LIMIT: usize = 100_000;

/// As many of everything as the sizes say, with this text in every place that holds one.
fn crowded(clusters: usize, nodes: usize, principals: usize, text: &str) -> Outcome {
    let own = || text.to_owned();
    let evidence = Evidence { namespace: Some(own()), app: Some(own()), ..Evidence::of(Kind::Cursor) };
    let error = NodeError { message: own(), node: own(), ..node_error() };
    let node = NodeReport {
        host: own(),
        role: own(),
        found: Some(1_000_000_000_000_000),
        killed: Some(1_000_000_000_000_000),
        left: u64::MAX,
        returned: u64::MAX,
        returned_active: u64::MAX,
        spared_shared: u64::MAX,
        unattributable_cursors: u64::MAX,
        idle_connections: u64::MAX,
        idle_clients: vec![IdleClient { address: own(), connections: u64::MAX }],
        evidence: vec![evidence],
        attempts: u32::MAX,
        errors: vec![error.clone()],
        ..node(NodeStatus::Unreachable)
    };
    let cluster = ClusterReport {
        name: text.into(),
        status: ClusterStatus::Failed,
        nodes: vec![node; nodes],
        errors: vec![error],
    };
    let principal = PrincipalReport {
        user: own(),
        db: own(),
        known: Known::Unknown,
        near: vec![Near { user: own(), db: own() }],
        spared: true,
        spared_because: Some(SparedBecause::Reinstated),
    };
    let termination = Termination {
        clusters: vec![cluster; clusters],
        principals: vec![principal; principals],
        cut_by: Some(CaseId::of_event("/s", "1")),
        remains: Vec::new(),
    };
    let mut terminated = terminated(Decision::Terminate(plan()), Some(termination));
    let case = &mut terminated.decided.case;
    case.rule = Some(text.into());
    if let Some(trigger) = &mut case.trigger {
        (trigger.id, trigger.source, trigger.kind) = (own(), own(), own());
        trigger.traceparent = Some(own());
        trigger.tracestate = Some(own());
        let [incident, ticket, initiator, severity] = [(); 4].map(|()| Some(own()));
        trigger.tags = Tags { incident, ticket, initiator, severity };
    }
    outcome(&speaker(), &terminated, now())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn the_minimal_form_fits_and_is_valid_whatever_is_in_it(
        clusters in 0..60usize,
        nodes in 0..60usize,
        principals in 0..60usize,
        text in "[a\"\\\\\u{0}\u{7f}é🐉\n]{0,400}",
    ) {
        let outcome = crowded(clusters, nodes, principals, &text);
        prop_assert!(outcome.encode(Form::Minimal).size() < LIMIT);
        assert_valid(&envelope(&outcome, Form::Minimal)["data"]);
    }
}

#[test]
fn the_worst_that_can_be_fits_as_well() {
    for text in ["\u{0}", "🐉", "\"", "a"] {
        let size = crowded(100, 50, 2_000, &text.repeat(2_000)).encode(Form::Minimal).size();
        assert!(size < LIMIT, "{size} bytes of {text:?}");
    }
    let mut cancels = outcome_of(Decision::Release { cancels: vec![case().id; 10_000] });
    cancels.data.detail = Some("d".repeat(1 << 20));
    cancels.data.approver = Some("a".repeat(1 << 20));
    cancels.data.locks = vec!["l".repeat(1 << 20)];
    assert!(cancels.encode(Form::Minimal).size() < LIMIT);
}

#[test]
fn the_minimal_form_keeps_the_status_and_names_what_is_not_done_first() {
    let clean = |number: usize| NodeReport { host: format!("clean-{number}:1"), ..node(NodeStatus::Clean) };
    let lost = NodeReport { host: "lost:1".to_owned(), ..node(NodeStatus::Unreachable) };
    let mut large = termination(ClusterStatus::Terminated, (0..200).map(clean).collect());
    let nodes = (0..200).map(clean).chain([lost]).collect();
    large.clusters.extend(termination(ClusterStatus::Partial, nodes).clusters);
    let outcome = outcome(&speaker(), &terminated(Decision::Terminate(plan()), Some(large)), now());

    let data = envelope(&outcome, Form::Minimal)["data"].clone();

    assert_eq!((&data["status"], &data["reason"]), (&json!("partial"), &json!("unreachable_members")));
    assert_eq!((&data["truncated"], &data["cumulative"]["found"]), (&json!(true), &json!(401)));
    assert_eq!(data["clusters"][0]["nodes"][0]["host"], "lost:1");
    assert_eq!(data["clusters"][0]["nodes"][0]["evidence"], json!([]));
}

#[test]
fn a_name_of_usual_length_is_whole_in_the_minimal_form() {
    let host =
        "mongo-0.mongo-headless.databases-production.svc.cluster.eu-central-1.internal.example.com:27017";
    let node = NodeReport { host: host.to_owned(), ..node(NodeStatus::Clean) };
    let termination = termination(ClusterStatus::Terminated, vec![node]);
    let outcome = outcome(&speaker(), &terminated(Decision::Terminate(plan()), Some(termination)), now());
    assert_eq!(envelope(&outcome, Form::Minimal)["data"]["clusters"][0]["nodes"][0]["host"], host);
}

#[test]
fn many_principals_are_capped_in_the_full_form_and_counted() {
    let mut many = termination(ClusterStatus::Terminated, vec![node(NodeStatus::Clean)]);
    many.principals = vec![many.principals[0].clone(); 1_001];
    let outcome = outcome(&speaker(), &terminated(Decision::Terminate(plan()), Some(many)), now());
    let data = envelope(&outcome, Form::Full)["data"].clone();
    assert_eq!(data["principals"].as_array().map(Vec::len), Some(1_000));
    assert_eq!((&data["principals_total"], &data["truncated"]), (&json!(1_001), &json!(true)));
}
