//! A record that crashes the deciding, among others that do not.

use super::*;
use crate::last_resort::trap;

#[test]
fn a_record_that_crashes_is_undecodable_and_the_others_are_decided() {
    trap::set("decide", "e2");
    let said = vec![compromised(&["a@db"]), compromised(&["b@db"]), compromised(&["c@db"])];
    check(
        &world(),
        said,
        ["terminate a@db on orders lab", "undecodable panicked", "terminate c@db on orders lab"],
    );
}

#[test]
fn what_is_said_of_a_crash_is_its_place_and_no_word_of_the_record() {
    trap::set("decide", "e1");
    let decided = world().decide(vec![compromised(&["jsmith@db"])]);
    let Decision::Undecodable(poison) = &decided[0].decision else { panic!("{:?}", decided[0].decision) };
    assert!(poison.detail.starts_with("deciding about it crashed at src/"), "{}", poison.detail);
    assert!(!poison.detail.contains("e1"), "{}", poison.detail);
    assert!(poison.record.value.is_some(), "kept whole");
    assert_eq!(decided[0].case.id, CaseId::of_position(&decided[0].case.origin));
    assert!(decided[0].case.trigger.is_none());
}

#[test]
fn a_record_that_crashes_the_fold_is_left_out_of_it_and_the_fold_goes_on_without() {
    trap::set("fold", "e2");
    let said = vec![
        offboarded(&["a@db"]),
        offboarded(&["b@db"]),
        offboarded(&["c@db"]),
        reinstated(&["a@db", "b@db"]),
    ];
    let decided = world().decide(said);
    assert!(matches!(decided[0].decision, Decision::Superseded { .. }), "{:?}", decided[0].decision);
    assert!(matches!(decided[1].decision, Decision::Undecodable(_)), "{:?}", decided[1].decision);
    assert!(matches!(decided[2].decision, Decision::Terminate(_)), "{:?}", decided[2].decision);
    let Decision::Release { cancels } = &decided[3].decision else { panic!("{:?}", decided[3].decision) };
    assert_eq!(cancels, &[decided[0].case.id]);
}

#[test]
fn a_duplicate_of_what_crashed_is_no_duplicate() {
    trap::set("decide", "e1");
    let again = compromised(&["a@db"]).id("other");
    let decided = world().decide(vec![compromised(&["a@db"]), again]);
    assert!(matches!(decided[1].decision, Decision::Terminate(_)), "{:?}", decided[1].decision);
}
