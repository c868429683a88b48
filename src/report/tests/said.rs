//! What an outcome says: status, alert, counts, envelope, and what goes with it.

use super::*;

fn line(decision: Decision, termination: Option<Termination>) -> String {
    let data = outcome(&speaker(), &terminated(decision, termination), now()).data;
    let status = word_of(&data.status).unwrap();
    let alert = word_of(&data.alert).unwrap();
    format!("{} -> {status} ({alert}) {}", data.decision, data.reason.unwrap_or_default())
        .trim_end()
        .to_owned()
}

#[test]
fn each_decision_has_the_status_of_the_contract() {
    let lines: Vec<String> = every_decision()
        .into_iter()
        .map(|decision| {
            let data = outcome_of(decision).data;
            format!(
                "{} -> {} ({}) {}",
                data.decision,
                word_of(&data.status).unwrap(),
                word_of(&data.alert).unwrap(),
                data.reason.unwrap_or_default()
            )
            .trim_end()
            .to_owned()
        })
        .collect();
    assert_eq!(
        lines,
        [
            "terminate -> terminated (info)",
            "simulate -> simulated (info)",
            "refuse -> refused (error) cap_exceeded",
            "expired -> expired (error)",
            "duplicate -> duplicate (info)",
            "superseded -> superseded (info)",
            "no_rule -> no_rule (warning)",
            "undecodable -> undecodable (error) invalid_data",
            "defer -> deferred (info)",
            "await_approval -> awaiting_approval (warning) cap_exceeded",
            "release -> released (info)",
            "acknowledge -> acknowledged (info)",
        ]
    );
}

#[test]
fn a_kill_that_is_not_plainly_done_is_an_alert_with_a_reason() {
    let told = |status, node_status| {
        line(Decision::Terminate(plan()), Some(termination(status, vec![node(node_status)])))
    };
    assert_eq!(told(ClusterStatus::Terminated, NodeStatus::Clean), "terminate -> terminated (info)");
    assert_eq!(told(ClusterStatus::NothingFound, NodeStatus::Clean), "terminate -> nothing_found (warning)");
    assert_eq!(
        told(ClusterStatus::Partial, NodeStatus::Unreachable),
        "terminate -> partial (error) unreachable_members"
    );
    assert_eq!(
        told(ClusterStatus::Failed, NodeStatus::Unverified),
        "terminate -> failed (error) unverified_members"
    );
    assert_eq!(
        told(ClusterStatus::Unsupported, NodeStatus::Unsupported),
        "terminate -> unsupported (error) unsupported_nodes"
    );
    assert_eq!(line(Decision::Terminate(plan()), None), "terminate -> failed (error)");
}

#[test]
fn a_look_that_could_not_be_finished_is_simulated_with_a_warning() {
    let unreachable = termination(ClusterStatus::Failed, vec![node(NodeStatus::Unreachable)]);
    assert_eq!(
        line(Decision::Simulate(plan()), Some(unreachable)),
        "simulate -> simulated (warning) unreachable_members"
    );
}

#[test]
fn a_protected_person_is_a_warning_and_a_guard_that_failed_an_error() {
    let refuse = |reason| line(Decision::Refuse { reason, detail: String::new() }, None);
    assert_eq!(refuse(RefusalReason::Guard), "refuse -> refused (warning) guard");
    assert_eq!(refuse(RefusalReason::GuardError), "refuse -> refused (error) guard_error");
}

#[test]
fn counts_add_up_and_one_unknown_makes_the_sum_unknown() {
    let counted = |found: &[Option<u64>]| {
        let nodes =
            found.iter().map(|found| NodeReport { found: *found, killed: *found, ..node(NodeStatus::Clean) });
        cumulative(&termination(ClusterStatus::Terminated, nodes.collect()).clusters)
    };
    let sum = |sum| Cumulative { found: sum, killed: sum };
    assert_eq!(counted(&[Some(2), Some(3)]), sum(Some(5)));
    assert_eq!(counted(&[Some(2), None]), sum(None));
    assert_eq!(counted(&[]), sum(None), "no node told anything, so nothing is known");
    assert_eq!(cumulative(&[]), sum(None));
    let mut two = termination(ClusterStatus::Terminated, vec![node(NodeStatus::Clean)]);
    two.clusters.extend(termination(ClusterStatus::Failed, vec![]).clusters);
    assert_eq!(cumulative(&two.clusters), sum(None));
}

#[test]
fn who_is_spared_is_told_where_nothing_was_done_too() {
    let mut refused =
        terminated(Decision::Refuse { reason: RefusalReason::Guard, detail: "1 of 1".to_owned() }, None);
    refused.decided.case.spared = vec![Spared { principal: alice(), because: SparedBecause::Protected }];
    let data = outcome(&speaker(), &refused, now()).data;
    assert_eq!((data.principals_total, data.principals[0].spared), (1, true));
    assert_eq!(data.principals[0].spared_because, Some(SparedBecause::Protected));
}

#[test]
fn the_envelope_is_a_structured_cloud_event_that_carries_the_trace_on() {
    let outcome = outcome_of(Decision::Terminate(plan()));
    let encoded = outcome.encode(Form::Full);
    assert_eq!(encoded.headers[0].name, "content-type");
    let media_type = encoded.headers[0].value.as_deref().unwrap();
    assert!(media_type.starts_with(b"application/cloudevents+json"));
    let said = envelope(&outcome, Form::Full);
    assert_eq!(said["specversion"], "1.0");
    assert_eq!(said["type"], "io.severance.termination.v1");
    assert_eq!(said["source"], "/severance/test");
    assert_eq!(said["datacontenttype"], "application/json");
    assert_eq!(said["traceparent"], said["data"]["traceparent"]);
    assert_eq!(said["traceparent"], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(said["tracestate"], "vendor=1");
    assert_eq!(said["data"]["incident"], "INC-42");
}

#[test]
fn every_record_leaves_an_outcome_and_an_undecodable_one_its_dead_letter_behind_it() {
    let all: Vec<Terminated> =
        every_decision().into_iter().map(|decision| terminated(decision, None)).collect();
    let count = all.len();
    let offsets: BTreeMap<Partition, i64> = [(Partition { topic: "t".into(), number: 0 }, 18)].into();
    let commit = report(&speaker(), Uuid::nil(), all, offsets.clone(), Default::default(), None, now());
    assert_eq!(commit.offsets, offsets);
    let is_letter = |message: &Message| matches!(message, Message::DeadLetter(_));
    assert_eq!(commit.messages.iter().filter(|message| !is_letter(message)).count(), count);
    let letters: Vec<usize> =
        (0..commit.messages.len()).filter(|index| is_letter(&commit.messages[*index])).collect();
    let [letter] = letters[..] else { panic!("{letters:?}") };
    let Message::Outcome(before) = &commit.messages[letter - 1] else {
        panic!("an outcome stands before it")
    };
    assert_eq!(before.data.status, Status::Undecodable);
}

#[test]
fn what_was_only_pretended_says_so_and_a_refusal_of_it_does_not() {
    let pretended = |decision| {
        let mut terminated = terminated(decision, None);
        terminated.decided.case.dry_run = true;
        outcome(&speaker(), &terminated, now()).data.dry_run
    };
    assert!(pretended(Decision::Simulate(plan())));
    assert!(!pretended(Decision::NoRule));
}
