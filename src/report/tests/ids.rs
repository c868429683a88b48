//! Identifiers are derived and fixed for ever: whoever stores them may compare them across versions.

use super::*;

#[test]
fn the_ids_of_a_known_event_never_change() {
    // Computed apart from this code, from the recipe: SHA-1 of the namespace's bytes and the name.
    let case = CaseId::of_event("/siem/acme", "01J9");
    assert_eq!(case.to_string(), "0a10ed09-dd7f-59aa-b657-bd804f0f6dcc");
    assert_eq!(case.outcome(1).to_string(), "b6e0d40d-1203-560b-8fbf-2852fed98656");
    assert_eq!(case.outcome(2).to_string(), "54c54c7f-c1b6-5108-b5e2-e6753cb58797");
    assert_eq!(case.duplicate_outcome(&origin(17)).to_string(), "cf145f85-1039-54d5-90a6-52ddf11e6b75");
    assert_eq!(CaseId::of_position(&origin(17)).to_string(), "9d4bb073-4887-5ef2-b560-7ea06c7debac");
}

#[test]
fn source_and_id_cannot_run_into_each_other() {
    assert_ne!(CaseId::of_event("/a", "b"), CaseId::of_event("/ab", ""));
    assert_ne!(CaseId::of_event("/a", "/b"), CaseId::of_event("/a/b", ""));
}

#[test]
fn a_record_time_is_no_part_of_a_position() {
    let without = Origin::Kafka { topic: "security.siem".into(), partition: 3, offset: 17, timestamp: None };
    assert_eq!(CaseId::of_position(&origin(17)), CaseId::of_position(&without));
}

#[test]
fn the_outcome_says_the_same_ids_in_its_envelope_its_key_and_its_data() {
    let outcome = outcome_of(Decision::NoRule);
    let said = envelope(&outcome, Form::Full);
    assert_eq!(said["id"], "b6e0d40d-1203-560b-8fbf-2852fed98656");
    for place in [&said["subject"], &said["data"]["case_id"]] {
        assert_eq!(place, "0a10ed09-dd7f-59aa-b657-bd804f0f6dcc");
    }
    let encoded = outcome.encode(Form::Full);
    assert_eq!(encoded.key.as_deref(), Some(b"0a10ed09-dd7f-59aa-b657-bd804f0f6dcc".as_slice()));
    assert_eq!(outcome_of(Decision::NoRule).id, outcome.id, "a re-run says the same");
}

#[test]
fn every_decision_but_a_duplicate_and_what_waits_ends_the_case_with_its_one_final_outcome() {
    for decision in every_decision() {
        let is_duplicate = matches!(decision, Decision::Duplicate { .. });
        let waits = matches!(decision, Decision::AwaitApproval { .. });
        let outcome = outcome_of(decision);
        assert_eq!(outcome.data.r#final, !is_duplicate && !waits, "{}", outcome.data.decision);
        assert_eq!(outcome.id == outcome.data.case_id.outcome(1), !is_duplicate);
        assert_eq!((outcome.data.seq, outcome.data.previous, outcome.data.redriven), (1, None, false));
    }
}

#[test]
fn each_late_duplicate_has_an_id_of_its_own_and_none_is_final() {
    let of = |offset| {
        let mut decided = Decided { case: case(), decision: Decision::Duplicate { first: origin(3) } };
        decided.case.origin = origin(offset);
        outcome(&speaker(), &Terminated { decided, termination: None }, now())
    };
    let (first, second) = (of(17), of(18));
    assert_ne!(first.id, second.id);
    assert_eq!(first.id, of(17).id);
    assert_eq!(first.data.case_id, second.data.case_id);
    assert!(!first.data.r#final && !second.data.r#final);
    assert!((1..100).all(|seq| first.id != first.data.case_id.outcome(seq)));
}
