//! What waits for a person: over a cap, or because its rule wants to be asked.

use super::*;
use crate::case::OnExpiry;

const HOUR: Duration = Duration::from_secs(3_600);

fn wait(on_expiry: OnExpiry) -> Wait {
    Wait { expires: HOUR, on_expiry }
}

/// Where cases can wait.
fn patient() -> World {
    let mut world = world();
    world.policy.limits.over_cap = Some(wait(OnExpiry::Refuse));
    world
}

fn asking(when: &str) -> RuleSpec {
    let approval =
        ApprovalSpec { when: (!when.is_empty()).then(|| when.to_owned()), wait: wait(OnExpiry::Proceed) };
    let rule =
        rule("asks", Class::Compromise, "io.severance.account.compromised.*", "", "event.data.principals");
    RuleSpec { approval: Some(approval), ..rule }
}

#[test]
fn more_people_than_an_event_may_name_wait_and_whoever_is_protected_is_spared_already() {
    let world = patient().protect([Protected::Exact("b@admin".parse().unwrap())]);
    check(
        &world,
        vec![compromised(&["a@admin", "b@admin", "c@admin", "d@admin"]), compromised(&["a@admin"])],
        [
            "await CapExceeded until 2026-11-25T13:00:00Z, then Refuse: a@admin c@admin d@admin on orders lab (4 principals are named, limits.max_principals is 3); b@admin protected",
            "terminate a@admin on orders lab",
        ],
    );
}

#[test]
fn a_guard_that_cannot_say_refuses_also_what_would_wait() {
    let mut world = patient();
    world.context.own_accounts.clear();
    let [one] =
        world.decide(vec![compromised(&["a@admin", "b@admin", "c@admin", "d@admin"])]).try_into().unwrap();
    assert!(matches!(one.decision, Decision::Refuse { reason: RefusalReason::GuardError, .. }));
}

#[test]
fn a_rule_asks_when_its_condition_says_so() {
    check(
        &patient().rules([asking("size(event.data.principals) > 1")]),
        vec![compromised(&["a@admin"]), compromised(&["a@admin", "b@admin"])],
        [
            "terminate a@admin on orders lab",
            "await Approval until 2026-11-25T13:00:00Z, then Proceed: a@admin b@admin on orders lab (rule `asks` wants it to be approved)",
        ],
    );
    check(
        &patient().rules([asking("")]),
        vec![compromised(&["a@admin"])],
        [
            "await Approval until 2026-11-25T13:00:00Z, then Proceed: a@admin on orders lab (rule `asks` wants it to be approved)",
        ],
    );
}

#[test]
fn a_condition_that_fails_refuses() {
    check(
        &patient().rules([asking("event.data.confidence > 0.5")]),
        vec![compromised(&["a@admin"])],
        ["refuse RuleError: rule `asks`: `approval.when`: the event has no `confidence`"],
    );
}

#[test]
fn where_nothing_can_wait_it_is_refused() {
    check(
        &world().rules([asking("")]),
        vec![compromised(&["a@admin"])],
        ["refuse Approval: rule `asks` wants it to be approved, and nothing can wait here"],
    );
}

#[test]
fn a_dry_run_waits_for_nobody() {
    let mut world = patient().rules([asking("")]);
    world.policy.dry_run = true;
    check(
        &world,
        vec![compromised(&["a@admin"]), compromised(&["a@admin", "b@admin", "c@admin", "d@admin"])],
        [
            "simulate a@admin on orders lab",
            "refuse CapExceeded: 4 principals are named, limits.max_principals is 3",
        ],
    );
}

#[test]
fn different_people_of_a_window_are_counted_over_batches_and_within_one() {
    let mut world = patient();
    world.policy.limits.window_cap = Some(WindowCap { count: 3, window: HOUR });
    world.context.recent = Arc::new([Principal::new("a", "admin").unwrap()].into());
    check(
        &world,
        vec![
            compromised(&["a@admin", "b@admin"]),
            compromised(&["c@admin", "d@admin"]),
            compromised(&["c@admin"]),
            compromised(&["a@admin", "c@admin"]),
            compromised(&["e@admin"]),
        ],
        [
            "terminate a@admin b@admin on orders lab",
            "await CapExceeded until 2026-11-25T13:00:00Z, then Refuse: c@admin d@admin on orders lab (it would be 4 principals in 1h, limits.max_principals_per_window is 3)",
            "terminate c@admin on orders lab",
            "terminate a@admin c@admin on orders lab",
            "await CapExceeded until 2026-11-25T13:00:00Z, then Refuse: e@admin on orders lab (it would be 4 principals in 1h, limits.max_principals_per_window is 3)",
        ],
    );
}

#[test]
fn a_reinstatement_of_the_batch_takes_somebody_out_of_what_waits_and_the_same_event_waits_once() {
    check(
        &patient().rules([asking("")]),
        vec![
            compromised(&["a@admin", "b@admin"]).id("x"),
            compromised(&["a@admin", "b@admin"]).id("x"),
            reinstated(&["a@admin"]).with("releases", json!(["compromise"])),
        ],
        [
            "await Approval until 2026-11-25T13:00:00Z, then Proceed: b@admin on orders lab (rule `asks` wants it to be approved); a@admin reinstated",
            "duplicate of t[0]@1",
            "release []",
        ],
    );
}

#[test]
fn somebodys_word_on_a_case_is_acknowledged_where_it_can_be_told_on() {
    let approval = json!({"case_id": "0190f0e0-0000-7000-8000-000000000000", "approver": "ann"});
    check(
        &patient(),
        vec![
            said("io.severance.termination.approved.v1", approval.clone()),
            said("io.severance.termination.denied.v1", approval.clone()),
            said("io.severance.termination.denied.v1", approval).on("else", 0, 1, None),
        ],
        [
            "acknowledge",
            "acknowledge",
            "refuse TypeNotAccepted: else[0]@1 says io.severance.termination.denied.v1: this topic may not say events of this type (accept_types)",
        ],
    );
}

/// What waits is kept as people and clusters, so it must be the same people on each.
#[test]
fn people_who_differ_by_cluster_cannot_wait() {
    let spread = |lab: &str| {
        let who = |user: &str| vec![Principal::new(user, "admin").unwrap()];
        Spread::new([("orders".into(), who("a")), ("lab".into(), who(lab))]).map(Target::Spread).unwrap()
    };
    let event = BoundEvent::new(&Trigger::without_data("t"));
    let rule = compile(asking(""));
    let decide = |target| {
        let case = CaseId::of_event("/s", "1");
        let plan = Plan { case, clusters: vec!["orders".into(), "lab".into()], target };
        let world = patient();
        let recent = caps::Recent::of(&world.context);
        let wanted = caps::wants_approval(2, &plan, &rule, &event, &world.policy.limits, &recent);
        wanted.unwrap().expect("it asks").decide(plan, world.context.now)
    };
    assert!(matches!(decide(spread("a")), Decision::AwaitApproval { .. }));
    assert!(matches!(decide(spread("b")), Decision::Refuse { reason: RefusalReason::Approval, .. }));
}
