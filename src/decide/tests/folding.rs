//! Two events about one person in one batch.

use super::*;

fn releases(what: Value) -> impl Fn(&[&str]) -> Said {
    move |who| reinstated(who).with("releases", what.clone())
}

#[test]
fn a_reinstatement_takes_back_the_offboarding_before_it_and_none_after_it() {
    check(
        &world(),
        vec![
            offboarded(&["a@admin"]),
            reinstated(&["a@admin"]),
            offboarded(&["a@admin"]),
            offboarded(&["b@admin"]),
        ],
        [
            "superseded by e2; a@admin reinstated",
            "release [e1]",
            "terminate a@admin on orders lab",
            "terminate b@admin on orders lab",
        ],
    );
}

#[test]
fn the_same_user_in_another_database_is_somebody_else() {
    check(
        &world(),
        vec![offboarded(&["a@admin"]), reinstated(&["a@app"])],
        ["terminate a@admin on orders lab", "release []"],
    );
}

#[test]
fn a_rehire_does_not_undo_a_compromise() {
    let case = json!([CaseId::of_event("/s", "e3")]);
    check(
        &world(),
        vec![
            compromised(&["a@admin"]),
            compromised(&["b@admin"]),
            compromised(&["c@admin"]),
            reinstated(&["a@admin"]),
            releases(json!(["compromise"]))(&["b@admin"]),
            releases(case.clone())(&["c@admin"]),
            compromised(&["d@admin"]),
            releases(case)(&["d@admin"]),
        ],
        [
            "terminate a@admin on orders lab",
            "superseded by e5; b@admin reinstated",
            "superseded by e6; c@admin reinstated",
            "release []",
            "release [e2]",
            "release [e3]",
            "terminate d@admin on orders lab",
            "release []",
        ],
    );
}

#[test]
fn releasing_a_compromise_alone_leaves_an_offboarding() {
    check(
        &world(),
        vec![offboarded(&["a@admin"]), releases(json!(["compromise"]))(&["a@admin"])],
        ["terminate a@admin on orders lab", "release []"],
    );
}

#[test]
fn of_several_people_the_others_are_still_cut() {
    check(
        &world(),
        vec![
            offboarded(&["a@admin", "b@admin", "c@admin"]),
            reinstated(&["a@admin"]),
            reinstated(&["c@admin"]),
        ],
        [
            "terminate b@admin on orders lab; a@admin reinstated; c@admin reinstated",
            "release []",
            "release []",
        ],
    );
}

#[test]
fn across_partitions_time_decides_and_within_the_skew_the_kill_wins() {
    let order = |cut: &str, back: &str| {
        vec![
            offboarded(&["a@admin"]).time(cut).on(TOPIC, 0, 50, Some(NOW)),
            reinstated(&["a@admin"]).time(back).on("u", 1, 2, Some(NOW)),
        ]
    };
    let taken_back = ["superseded by e2; a@admin reinstated", "release [e1]"];
    let cut = ["terminate a@admin on orders lab", "release []"];
    check(&world(), order("2026-11-25T11:00:00Z", "2026-11-25T11:00:31Z"), taken_back);
    check(&world(), order("2026-11-25T11:00:00Z", "2026-11-25T11:00:30Z"), cut);
    check(&world(), order("2026-11-25T11:00:00Z", "2026-11-25T10:00:00Z"), cut);
}

#[test]
fn on_one_partition_the_offset_decides_whatever_the_clocks_say() {
    check(
        &world(),
        vec![
            offboarded(&["a@admin"]).time("2026-11-25T11:59:00Z"),
            reinstated(&["a@admin"]).time("2026-11-25T10:00:00Z"),
        ],
        ["superseded by e2; a@admin reinstated", "release [e1]"],
    );
}

#[test]
fn from_a_file_the_order_of_the_lines_decides() {
    let local = |said: Said| said.from(Origin::Local);
    check(
        &world(),
        vec![
            local(reinstated(&["a@admin"])),
            local(offboarded(&["a@admin"])),
            local(offboarded(&["b@admin"])),
            local(reinstated(&["b@admin"])),
        ],
        [
            "release []",
            "terminate a@admin on orders lab",
            "superseded by e4; b@admin reinstated",
            "release [e3]",
        ],
    );
}

#[test]
fn a_pretended_case_is_taken_back_like_a_real_one() {
    let mut world = world();
    world.policy.dry_run = true;
    check(
        &world,
        vec![offboarded(&["a@admin"]), reinstated(&["a@admin"])],
        ["superseded by e2; a@admin reinstated", "release [e1]"],
    );
}
