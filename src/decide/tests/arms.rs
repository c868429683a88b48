//! Rules, caps and guards: each arm of `decide` once.

use super::*;

#[test]
fn the_default_rules_cut_who_is_named_everywhere() {
    check(
        &world(),
        vec![
            compromised(&["a@admin", "b@app", "a@admin"]),
            offboarded(&["c@admin"]),
            own("access-window.closed", &["d@admin"]).with("window", json!("night")),
        ],
        [
            "terminate a@admin b@app on orders lab",
            "terminate c@admin on orders lab",
            "terminate d@admin on orders lab",
        ],
    );
}

#[test]
fn the_rule_and_its_class_are_told() {
    let decided = world().decide(vec![offboarded(&["a@admin"]), said("com.example.other", json!({}))]);
    assert_eq!(decided[0].case.rule.as_deref(), Some("default-offboarding"));
    assert_eq!(decided[0].case.class, Some(Class::Offboarding));
    assert_eq!((&decided[1].case.rule, decided[1].case.class), (&None, None));
}

#[test]
fn what_no_rule_listens_to_is_no_rule() {
    let requested = said(
        "io.severance.termination.requested.v1",
        json!({"reason": "drill", "principals": named(&["a@admin"])}),
    );
    check(&world(), vec![said("com.example.other", json!({})), requested], ["no rule", "no rule"]);
}

#[test]
fn the_first_rule_that_matches_wins_and_later_ones_are_not_asked() {
    let on = "com.example.alarm";
    let world = world().rules([
        rule("deaf", Class::Request, "com.example.other", "event.data.missing", "event.data.missing"),
        rule("no", Class::Request, on, "event.data.level > 5", "event.data.first"),
        rule("yes", Class::Request, on, "event.data.level > 3", "event.data.second"),
        rule("broken", Class::Request, on, "event.data.missing", "event.data.missing"),
    ]);
    let data = json!({"level": 4, "first": named(&["no@admin"]), "second": named(&["yes@admin"])});
    check(&world, vec![said(on, data)], ["terminate yes@admin on orders lab"]);
}

#[test]
fn a_rule_that_fails_stops_the_search_and_nobody_steps_in() {
    let strict = rule(
        "strict",
        Class::Compromise,
        "io.severance.account.compromised.*",
        "event.data.confidence >= 0.8",
        "event.data.principals",
    );
    let mut world = world();
    world.policy.rules.insert(0, compile(strict));
    let decided = world.decide(vec![
        compromised(&["a@admin"]),
        compromised(&["b@admin"]).with("confidence", json!(0.9)),
        compromised(&["c@admin"]).with("confidence", json!(0.5)),
    ]);
    let Decision::Refuse { reason: RefusalReason::RuleError, detail } = &decided[0].decision else {
        panic!("{:?}", decided[0].decision);
    };
    assert!(detail.starts_with("rule `strict`: `when`: "), "{detail}");
    assert_eq!(decided[1].case.rule.as_deref(), Some("strict"));
    assert_eq!(decided[2].case.rule.as_deref(), Some("default-compromise"), "false is a no, not an error");
}

#[test]
fn a_target_that_is_nobody_or_no_principal_is_a_rule_error() {
    let on = "com.example.alarm";
    let world = world().rules([rule("r", Class::Request, on, "", "event.data.who")]);
    let who = |who: Value| said(on, json!({"who": who}));
    check(
        &world,
        vec![
            who(json!([])),
            who(json!([{"user": "a"}])),
            who(json!([{"user": "a", "db": "b@c"}])),
            who(json!([{"user": "", "db": "admin"}])),
            who(json!([{"user": ["a"], "db": "admin"}])),
            who(json!(["a@admin"])),
            who(json!([{"user": "a", "db": "admin", "note": "more is not looked at"}])),
        ],
        [
            "refuse RuleError: rule `r`: `target`: gives an empty list: nobody is no target",
            "refuse RuleError: rule `r`: `target`: item 0: has no `db`",
            "refuse RuleError: rule `r`: `target`: item 0: `db` contains `@`: two different users would share one \
             session digest",
            "refuse RuleError: rule `r`: `target`: item 0: `user` is empty: name a MongoDB user",
            "refuse RuleError: rule `r`: `target`: item 0: `user` is no string",
            "refuse RuleError: rule `r`: `target`: item 0: is no {user, db}",
            "terminate a@admin on orders lab",
        ],
    );
}

#[test]
fn one_bad_principal_spoils_the_whole_target() {
    let on = "com.example.alarm";
    let world = world().rules([rule("r", Class::Request, on, "", "event.data.who")]);
    let data = json!({"who": [{"user": "a", "db": "admin"}, {"user": "b"}]});
    check(&world, vec![said(on, data)], ["refuse RuleError: rule `r`: `target`: item 1: has no `db`"]);
}

#[test]
fn more_than_the_cap_is_refused_and_the_same_person_twice_counts_once() {
    check(
        &world(),
        vec![
            compromised(&["a@admin", "b@admin", "c@admin", "a@admin", "b@admin"]),
            compromised(&["a@admin", "b@admin", "c@admin", "d@admin"]),
        ],
        [
            "terminate a@admin b@admin c@admin on orders lab",
            "refuse CapExceeded: 4 principals are named, limits.max_principals is 3",
        ],
    );
}

#[test]
fn protected_ones_count_against_the_cap_too() {
    let world = world().protect([Protected::Database("app".to_owned())]);
    check(
        &world,
        vec![compromised(&["a@app", "b@app", "c@app", "d@admin"])],
        ["refuse CapExceeded: 4 principals are named, limits.max_principals is 3"],
    );
}

#[test]
fn the_protected_are_spared_by_name_database_and_pattern_and_the_others_are_cut() {
    let glob = Glob::new("svc-*@admin").unwrap().compile_matcher();
    let world = world().protect([
        Protected::Exact("keeper@admin".parse().unwrap()),
        Protected::Database("app".to_owned()),
        Protected::Pattern(glob),
    ]);
    check(
        &world,
        vec![
            compromised(&["keeper@admin", "a@admin", "x@app"]),
            compromised(&["keeper@orders", "svc-a@admin", "Keeper@admin"]),
            compromised(&["svc-a@admin", "x@app"]),
        ],
        [
            "terminate a@admin on orders lab; keeper@admin protected; x@app protected",
            "terminate keeper@orders Keeper@admin on orders lab; svc-a@admin protected",
            "refuse Guard: 2 of 2 named principals are protected; svc-a@admin protected; x@app protected",
        ],
    );
}

#[test]
fn our_own_accounts_and_the_internal_one_are_protected_without_any_list() {
    check(
        &world(),
        vec![
            compromised(&["me@admin", "lab-me@admin", "__system@local"]),
            compromised(&["me@app", "me@admin"]),
        ],
        [
            "refuse Guard: 3 of 3 named principals are protected; me@admin protected; lab-me@admin protected; \
             __system@local protected",
            "terminate me@app on orders lab; me@admin protected",
        ],
    );
}

#[test]
fn a_cluster_whose_own_account_is_not_known_refuses_the_case_but_no_other() {
    let on = "com.example.alarm";
    let mut world = world().rules([
        on_cluster("orders", rule("here", Class::Request, on, "event.data.here", "event.data.who")),
        rule("everywhere", Class::Request, on, "", "event.data.who"),
    ]);
    world.context.own_accounts.remove("lab");
    let event = |here: bool| said(on, json!({"here": here, "who": named(&["a@admin"])}));
    check(
        &world,
        vec![event(true), event(false)],
        [
            "terminate a@admin on orders",
            "refuse GuardError: cluster `lab` could not tell which account is our own, so it cannot be kept safe",
        ],
    );
}

#[test]
fn dry_run_simulates_by_rule_and_globally() {
    let mut pretend =
        rule("p", Class::Offboarding, "io.severance.account.offboarded.*", "", "event.data.principals");
    pretend.dry_run = true;
    let mut world = world();
    world.policy.rules.insert(0, compile(pretend));
    let batch = || vec![offboarded(&["a@admin"]), compromised(&["b@admin"])];
    check(&world, batch(), ["simulate a@admin on orders lab", "terminate b@admin on orders lab"]);
    world.policy.dry_run = true;
    check(&world, batch(), ["simulate a@admin on orders lab", "simulate b@admin on orders lab"]);
    assert!(world.decide(batch()).iter().all(|one| one.case.dry_run));
}

#[test]
fn what_a_later_version_does_is_refused_and_never_ignored() {
    let case = json!("0190f0e0-0000-7000-8000-000000000000");
    let approval = json!({"case_id": case, "approver": "ann"});
    check(
        &world(),
        vec![
            said("io.severance.termination.approved.v1", approval.clone()),
            said("io.severance.termination.denied.v1", approval),
            said("io.severance.termination.everyone-requested.v1", json!({"reason": "breach"})),
            said("io.severance.access-window.closed.v1", json!({"window": "night", "roles": ["dba@admin"]})),
            said(
                "io.severance.session.inactive.v1",
                json!({"cluster": "orders", "idle_seconds": 900, "sessions": [
                    {"id": "0190f0e0-0000-4000-8000-000000000000", "uid": "00".repeat(32)}]}),
            ),
        ],
        [
            "refuse NotSupported: not supported by this version: approvals where nothing can wait for one (kafka.state, kafka.commands, `run`)",
            "refuse NotSupported: not supported by this version: approvals where nothing can wait for one (kafka.state, kafka.commands, `run`)",
            "refuse EveryoneNotAllowed: `allow_everyone` is not set",
            "refuse GuardError: cluster `orders` was not asked who has which role",
            "refuse NotSupported: not supported by this version: targets that are sessions",
        ],
    );
}

#[test]
fn what_cannot_be_read_is_undecodable_and_harms_nothing_beside_it() {
    check(
        &world(),
        vec![
            compromised(&["a@admin"]),
            said("io.severance.account.compromised.v1", json!({"principals": []})),
            compromised(&["b@admin"]),
        ],
        ["terminate a@admin on orders lab", "undecodable invalid_data", "terminate b@admin on orders lab"],
    );
}

#[test]
fn a_request_is_cut_where_it_says_and_nowhere_else() {
    let on = "io.severance.termination.requested.v1";
    let world = world().rules([
        on_cluster(
            "lab",
            rule("lab", Class::Request, on, "event.data.reason == 'lab'", "event.data.principals"),
        ),
        rule("any", Class::Request, on, "", "event.data.principals"),
    ]);
    let request = |reason: &str, clusters: Value| {
        said(on, json!({"reason": reason, "clusters": clusters, "principals": named(&["a@admin"])}))
    };
    let session = json!({"id": "0190f0e0-0000-4000-8000-000000000000", "uid": "00".repeat(32)});
    check(
        &world,
        vec![
            request("drill", json!(["lab"])),
            request("drill", json!(["lab", "orders"])),
            request("drill", json!(null)),
            request("drill", json!(["ordres"])),
            request("lab", json!(["orders"])),
            request("drill", json!(["lab"])).with("roles", json!(["dba@admin"])),
            request("drill", json!(["lab"])).with("sessions", json!([session])),
        ],
        [
            "terminate a@admin on lab",
            "terminate a@admin on orders lab",
            "terminate a@admin on orders lab",
            "refuse UnknownCluster: the event names the cluster `ordres`; rule `any` has orders, lab",
            "refuse UnknownCluster: the event names the cluster `orders`; rule `lab` has lab",
            "refuse RuleError: the event names roles, and rule `any` does not target any",
            "refuse RuleError: the event names sessions, and rule `any` does not target any",
        ],
    );
}
