//! What a topic may say, and what was said before.

use super::*;

#[test]
fn what_a_topic_may_not_say_is_refused_before_any_rule() {
    let glob = |glob: &str| vec![Glob::new(glob).unwrap()];
    let mut world = world();
    world.policy.trust = Trust::new([
        ("siem".into(), TopicTrust::new(Some(glob("io.severance.account.compromised.*")), Some(glob("/s")))),
        ("open".into(), TopicTrust::new(None, Some(glob("/elsewhere")))),
    ]);
    let on = |topic: &str, said: Said| said.on(topic, 0, 7, None);
    check(
        &world,
        vec![
            on("siem", compromised(&["a@admin"])),
            on("siem", reinstated(&["a@admin"])),
            on("open", compromised(&["a@admin"])),
            on("unheard-of", compromised(&["a@admin"])),
            compromised(&["a@admin"]).from(Origin::Local),
        ],
        [
            "terminate a@admin on orders lab",
            "refuse TypeNotAccepted: siem[0]@7 says io.severance.account.reinstated.v1: this topic may not say \
             events of this type (accept_types)",
            "refuse SourceNotAccepted: open[0]@7 says io.severance.account.compromised.v1: this topic may not \
             speak for this source (accept_sources)",
            "refuse TypeNotAccepted: unheard-of[0]@7 says io.severance.account.compromised.v1: this topic may \
             not say events of this type (accept_types)",
            "terminate a@admin on orders lab",
        ],
    );
}

#[test]
fn a_reinstatement_that_is_not_trusted_takes_nothing_back() {
    let mut world = world();
    world.policy.trust = Trust::new([(TOPIC.into(), TopicTrust::new(None, None))]);
    let decided = world.decide(vec![offboarded(&["a@admin"]), reinstated(&["a@admin"])]);
    assert!(matches!(decided[0].decision, Decision::Terminate(_)));
    assert!(matches!(decided[1].decision, Decision::Refuse { reason: RefusalReason::TypeNotAccepted, .. }));
}

#[test]
fn the_same_event_twice_in_one_batch_is_a_duplicate_wherever_it_stands() {
    let event = |who: &str| compromised(&[who]).id("same");
    check(
        &world(),
        vec![event("a@admin"), event("b@admin"), event("a@admin").on("u", 5, 9, None)],
        ["terminate a@admin on orders lab", "duplicate of t[0]@1", "duplicate of t[0]@1"],
    );
    let local = || event("a@admin").from(Origin::Local);
    check(&world(), vec![local(), local()], ["terminate a@admin on orders lab", "duplicate of local"]);
}

#[test]
fn a_pretended_or_released_event_has_duplicates_too() {
    let mut world = world();
    world.policy.dry_run = true;
    check(
        &world,
        vec![
            compromised(&["a@admin"]).id("same"),
            compromised(&["a@admin"]).id("same"),
            reinstated(&["a@admin"]).id("back"),
            reinstated(&["a@admin"]).id("back"),
        ],
        ["simulate a@admin on orders lab", "duplicate of t[0]@1", "release []", "duplicate of t[0]@3"],
    );
}

#[test]
fn an_event_that_was_accepted_before_is_a_duplicate_but_the_same_record_is_a_re_run() {
    let mut world = world();
    let first = Origin::Kafka { topic: TOPIC.into(), partition: 0, offset: 3, timestamp: None };
    world.context.accepted.insert(CaseId::of_event("/s", "same"), first);
    let event = |offset| compromised(&["a@admin"]).id("same").on(TOPIC, 0, offset, Some(NOW));
    check(&world, vec![event(4)], ["duplicate of t[0]@3"]);
    check(&world, vec![event(3)], ["terminate a@admin on orders lab"]);
    check(&world, vec![event(3), event(4)], ["terminate a@admin on orders lab", "duplicate of t[0]@3"]);
}

#[test]
fn a_refused_event_is_no_first_one() {
    let mut world = world();
    world.policy.limits.max_principals = 1;
    check(
        &world,
        vec![compromised(&["a@admin", "b@admin"]).id("same"), compromised(&["a@admin"]).id("same")],
        [
            "refuse CapExceeded: 2 principals are named, limits.max_principals is 1",
            "terminate a@admin on orders lab",
        ],
    );
}

#[test]
fn a_redriven_event_is_no_duplicate_of_what_was_accepted_and_counts_from_its_redrive() {
    let mut world = world();
    let first = Origin::Kafka { topic: TOPIC.into(), partition: 0, offset: 3, timestamp: None };
    world.context.accepted.insert(CaseId::of_event("/s", "same"), first);
    let old = compromised(&["a@admin"]).id("same").time("2026-01-01T00:00:00Z");
    check(&world, vec![old.clone()], ["duplicate of t[0]@3"]);
    check(&world, vec![old.redriven()], ["terminate a@admin on orders lab"]);
}

#[test]
fn one_batch_has_one_plan_for_a_case_also_where_it_is_redriven_in_it() {
    let event = || compromised(&["a@admin"]).id("same");
    check(
        &world(),
        vec![event(), event().redriven(), event().redriven()],
        ["terminate a@admin on orders lab", "duplicate of t[0]@1", "duplicate of t[0]@1"],
    );
}
