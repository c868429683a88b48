//! How old an event may be, and by whose clock.

use super::*;

const ALARM: &str = "com.example.alarm";

fn alarm() -> Said {
    said(ALARM, json!({"who": named(&["a@admin"])}))
}

fn class_world(class: Class) -> World {
    world().rules([on_cluster("lab", rule("r", class, ALARM, "", "event.data.who"))])
}

#[test]
fn each_class_has_its_own_age() {
    for (class, just_in_time, too_old) in [
        (Class::Compromise, "2026-11-24T12:00:00Z", "2026-11-24T11:59:59Z"),
        (Class::Offboarding, "2026-11-18T12:00:00Z", "2026-11-18T11:59:59Z"),
        (Class::Window, "2026-11-25T11:00:00Z", "2026-11-25T10:59:59Z"),
        (Class::Request, "2026-11-25T11:00:00Z", "2026-11-25T10:59:59Z"),
        (Class::Inactivity, "2026-11-25T11:55:00Z", "2026-11-25T11:54:59Z"),
    ] {
        let decided = class_world(class).decide(vec![alarm().time(just_in_time), alarm().time(too_old)]);
        assert!(matches!(decided[0].decision, Decision::Terminate(_)), "{class}: {:?}", decided[0].decision);
        let Decision::Expired { detail } = &decided[1].decision else {
            panic!("{class}: {:?}", decided[1].decision);
        };
        assert!(detail.contains(&format!("limits.max_event_age.{class} is ")), "{detail}");
    }
}

#[test]
fn a_class_without_an_age_lets_nothing_old_through() {
    let mut world = class_world(Class::Window);
    world.policy.limits.max_event_age.clear();
    let decided = world.decide(vec![alarm(), alarm().time("2026-11-25T11:59:59Z")]);
    assert!(matches!(decided[0].decision, Decision::Terminate(_)));
    assert!(matches!(decided[1].decision, Decision::Expired { .. }));
}

#[test]
fn without_a_time_of_its_own_the_record_tells_and_then_our_own_clock() {
    let world = class_world(Class::Window);
    let decided = world.decide(vec![
        alarm().on(TOPIC, 0, 1, Some("2026-11-25T10:00:00Z")),
        alarm().on(TOPIC, 0, 2, None),
        alarm().from(Origin::Local),
        alarm().time("2026-11-25T11:30:00Z").on(TOPIC, 0, 3, Some("2026-11-25T11:31:00Z")),
    ]);
    assert!(matches!(decided[0].decision, Decision::Expired { .. }), "two hours old by its record");
    let at: Vec<String> = decided.iter().map(|one| one.case.event_time.at.to_string()).collect();
    assert_eq!(at, ["2026-11-25T10:00:00Z", NOW, NOW, "2026-11-25T11:30:00Z"]);
    assert!(decided.iter().all(|one| !one.case.event_time.suspect));
}

#[test]
fn a_time_from_the_future_is_not_believed_and_cannot_keep_an_old_event_young() {
    let world = class_world(Class::Window);
    let record = "2026-11-25T10:00:00Z";
    let decided = world.decide(vec![
        alarm().time("2026-11-25T10:05:00Z").on(TOPIC, 0, 1, Some("2026-11-25T10:00:00Z")),
        alarm().time("2026-11-25T11:59:00Z").on(TOPIC, 0, 2, Some(record)),
    ]);
    let told: Vec<_> =
        decided.iter().map(|one| (one.case.event_time.suspect, one.case.event_time.at)).collect();
    assert_eq!(told[0], (false, "2026-11-25T10:05:00Z".parse().unwrap()));
    assert_eq!(told[1], (true, record.parse().unwrap()));
    assert!(matches!(decided[1].decision, Decision::Expired { .. }), "{:?}", decided[1].decision);
}

#[test]
fn a_dated_offboarding_counts_from_its_date_and_waits_for_no_version_that_cannot_wait() {
    let dated = |at: &str, time: &str| offboarded(&["a@admin"]).with("effective_at", json!(at)).time(time);
    check(
        &world(),
        vec![
            dated("2026-11-25T11:59:59Z", "2026-01-01T00:00:00Z"),
            dated("2026-11-25T13:00:30+01:00", "2026-11-25T00:00:00Z"),
            dated("2026-11-25T12:00:31Z", "2026-11-25T00:00:00Z"),
            dated("2026-11-01T00:00:00Z", "2026-11-25T11:00:00Z"),
        ],
        [
            "terminate a@admin on orders lab",
            "terminate a@admin on orders lab",
            "refuse NotSupported: not supported by this version: an offboarding that is dated in the future",
            "expired: 588h old, limits.max_event_age.offboarding is 168h",
        ],
    );
}
