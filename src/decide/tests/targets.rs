//! Targets that have to be looked up: roles and everyone.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::directory::{Holders, Live, RoleName, Roles};

const REQUESTED: &str = "io.severance.termination.requested.v1";
const EVERYONE: &str = "io.severance.termination.everyone-requested.v1";

fn people(who: &[&str]) -> Vec<Principal> {
    who.iter().map(|who| who.parse().unwrap()).collect()
}

/// By cluster who has `dba@admin`, and nobody unread.
fn dbas(by_cluster: &[(&str, &[&str])]) -> Found {
    let holders =
        |who: &[&str]| vec![Holders { role: "dba@admin".parse().unwrap(), principals: people(who) }];
    let roles = by_cluster.iter().map(|(cluster, who)| {
        (Arc::from(*cluster), Ok(Roles { holders: holders(who), unread: Some(Vec::new()) }))
    });
    Found { roles: roles.collect(), ..Found::default() }
}

fn live(by_cluster: &[(&str, &[&str])]) -> Found {
    let live = by_cluster
        .iter()
        .map(|(cluster, who)| (Arc::from(*cluster), Ok(Live { principals: people(who), ..Live::default() })));
    Found { live: live.collect(), ..Found::default() }
}

fn targeting(on: &str, target: TargetSpec) -> RuleSpec {
    RuleSpec { target, ..rule("r", Class::Request, on, "", "[]") }
}

fn role_rule() -> RuleSpec {
    let roles = Some(Listed::Expression("event.data.roles".to_owned()));
    targeting(REQUESTED, TargetSpec { roles, ..TargetSpec::default() })
}

fn everyone_rule() -> RuleSpec {
    targeting(EVERYONE, TargetSpec { everyone: true, ..TargetSpec::default() })
}

fn request() -> Said {
    said(REQUESTED, json!({"reason": "drill", "roles": ["dba@admin"]}))
}

impl World {
    fn found(mut self, found: Found) -> Self {
        self.context.found = found;
        self
    }

    fn allow_everyone(mut self) -> Self {
        self.policy.allow_everyone = true;
        self
    }
}

fn on_each_cluster(plan: &Plan) -> Vec<String> {
    let line = |(clusters, who): (&[Arc<str>], &crate::principal::Principals)| {
        let who: Vec<_> = who.iter().map(ToString::to_string).collect();
        format!("{}: {}", clusters.join(" "), who.join(" "))
    };
    plan.parts().into_iter().map(line).collect()
}

fn plan(one: &Decided) -> &Plan {
    match &one.decision {
        Decision::Terminate(plan) => plan,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_role_is_whoever_has_it_on_each_cluster_and_nobody_else_there() {
    let found = dbas(&[("orders", &["a@admin", "b@app"]), ("lab", &["b@app", "c@admin"])]);
    let world = world().rules([role_rule()]).found(found);
    let decided = world.decide(vec![request()]);
    assert_eq!(on_each_cluster(plan(&decided[0])), ["orders: a@admin b@app", "lab: b@app c@admin"]);
}

#[test]
fn a_cluster_where_nobody_has_the_role_is_left_out_and_told() {
    let world = world().rules([role_rule()]).found(dbas(&[("orders", &["a@admin"]), ("lab", &[])]));
    let decided = world.decide(vec![request()]);
    assert_eq!(on_each_cluster(plan(&decided[0])), ["orders: a@admin"]);
    assert_eq!(decided[0].case.remarks, ["on lab nobody has dba@admin"]);
    let nobody = world.found(dbas(&[("orders", &[]), ("lab", &[])]));
    check(&nobody, vec![request()], ["refuse Unresolvable: nobody has dba@admin on orders, lab"]);
}

#[test]
fn a_cluster_that_cannot_tell_who_has_a_role_stops_the_whole_case() {
    let mut found = dbas(&[("orders", &["a@admin"])]);
    found.roles.insert("lab".into(), Err("not authorized".to_owned()));
    let world = world().rules([role_rule()]).found(found);
    check(
        &world,
        vec![request()],
        ["refuse GuardError: cluster `lab` could not tell who has which role: not authorized"],
    );
}

#[test]
fn the_cap_counts_after_a_role_is_looked_up() {
    let found = dbas(&[("orders", &["a@admin", "b@admin"]), ("lab", &["c@admin", "d@admin"])]);
    let world = world().rules([role_rule()]).found(found);
    check(
        &world,
        vec![request()],
        ["refuse CapExceeded: 4 principals are named, limits.max_principals is 3"],
    );
}

#[test]
fn a_protected_holder_is_spared_and_a_cluster_with_nobody_else_is_left_out() {
    let keeper = Protected::Exact("keeper@admin".parse().unwrap());
    let found = dbas(&[("orders", &["a@admin"]), ("lab", &["keeper@admin", "lab-me@admin"])]);
    let world = world().rules([role_rule()]).protect([keeper]).found(found);
    check(
        &world,
        vec![request()],
        ["terminate a@admin on orders; keeper@admin protected; lab-me@admin protected"],
    );
}

#[test]
fn who_cannot_be_read_is_told() {
    let mut found = dbas(&[("orders", &["a@admin"]), ("lab", &["a@admin"])]);
    if let Some(Ok(roles)) = found.roles.get_mut("orders") {
        roles.unread = Some(people(&["CN=x@$external"]));
    }
    if let Some(Ok(roles)) = found.roles.get_mut("lab") {
        roles.unread = None;
    }
    let decided = world().rules([role_rule()]).found(found).decide(vec![request()]);
    let [named, unknown] = decided[0].case.remarks.as_slice() else { panic!("{decided:?}") };
    assert!(named.starts_with("on orders CN=x@$external may be missed"), "{named}");
    assert!(unknown.starts_with("on lab users of a directory may be missed"), "{unknown}");
}

#[test]
fn a_window_names_people_or_roles_or_both_without_any_rule_of_ones_own() {
    let world = world().found(dbas(&[("orders", &["a@admin"]), ("lab", &["a@admin"])]));
    let window = |data: Value| said("io.severance.access-window.closed.v1", data);
    check(
        &world,
        vec![
            window(json!({"window": "night", "roles": ["dba@admin"]})),
            window(json!({"window": "night", "roles": ["dba@admin"], "principals": named(&["b@admin"])})),
            window(json!({"window": "night", "principals": named(&["b@admin"]), "roles": null})),
        ],
        [
            "terminate a@admin on orders lab",
            "terminate b@admin a@admin on orders lab",
            "terminate b@admin on orders lab",
        ],
    );
}

#[test]
fn a_reinstated_holder_is_taken_out_everywhere() {
    let roles = Some(Listed::IfThere);
    let on = "io.severance.account.offboarded.v1";
    let spec = RuleSpec {
        class: Class::Offboarding,
        ..targeting(on, TargetSpec { roles, principals: Some(Listed::IfThere), ..TargetSpec::default() })
    };
    let world = world().rules([spec]).found(dbas(&[("orders", &["a@admin"]), ("lab", &["b@admin"])]));
    let event = offboarded(&["c@admin"]).with("roles", json!(["dba@admin"]));
    let decided = world.decide(vec![event, reinstated(&["b@admin", "c@admin"])]);
    assert_eq!(on_each_cluster(plan(&decided[0])), ["orders: a@admin"]);
}

#[test]
fn everyone_is_who_is_there_less_the_protected() {
    let found = live(&[("orders", &["a@admin", "me@admin", "__system@local"]), ("lab", &["b@admin"])]);
    let mut world = world().rules([everyone_rule()]).allow_everyone().found(found);
    world.policy.limits.max_principals = 4;
    check(
        &world,
        vec![
            said(EVERYONE, json!({"reason": "breach"})),
            said(EVERYONE, json!({"reason": "breach", "clusters": ["lab"]})),
        ],
        [
            "terminate a@admin b@admin on orders lab; me@admin protected; __system@local protected",
            "terminate b@admin on lab",
        ],
    );
}

#[test]
fn everyone_needs_the_configuration_the_type_and_its_own_rule() {
    let event = || said(EVERYONE, json!({"reason": "breach"}));
    let found = || live(&[("orders", &["a@admin"]), ("lab", &["a@admin"])]);
    let refused = "refuse EveryoneNotAllowed: `allow_everyone` is not set";
    check(&world().rules([everyone_rule()]).found(found()), vec![event()], [refused]);
    let other = rule("other", Class::Request, "*", "", "[{'user': 'a', 'db': 'admin'}]");
    check(&world().rules([other]).allow_everyone().found(found()), vec![event()], ["no rule"]);
    let mut broad = everyone_rule();
    broad.on = vec![Glob::new("io.severance.*").unwrap()];
    let faults = Rule::compile(broad, &[]).unwrap_err();
    assert!(faults.iter().any(|fault| fault.key == "on"), "{faults:?}");
}

#[test]
fn only_what_a_trusted_event_needs_is_looked_up() {
    let world = world().rules([role_rule(), everyone_rule()]).allow_everyone();
    let asked = |said: Said| wanted(&world.policy, &[said.decoded(0)]);
    let roles = asked(request()).roles;
    let role: RoleName = "dba@admin".parse().unwrap();
    assert_eq!(roles.keys().map(|name| &**name).collect::<Vec<_>>(), ["lab", "orders"]);
    assert!(roles.values().all(|roles| roles.iter().eq([&role])));
    assert_eq!(asked(compromised(&["a@admin"])), Wanted::default());
    assert_eq!(asked(request().on("elsewhere", 0, 0, Some(NOW))), Wanted::default());
    assert_eq!(asked(said(EVERYONE, json!({"reason": "x", "clusters": ["lab"]}))).live.len(), 1);
}

/// Everything can be looked up, and everybody of the pool is somewhere.
static ALL_KNOWN: LazyLock<World> = LazyLock::new(|| {
    let found = Found {
        live: live(&[("orders", &["a@admin", "me@admin"]), ("lab", &["b@admin"])]).live,
        ..dbas(&[("orders", &["a@admin"]), ("lab", &["b@admin", "lab-me@admin"])])
    };
    world().rules([role_rule(), everyone_rule()]).allow_everyone().found(found)
});

proptest! {
    #[test]
    fn no_value_makes_everyone_of_an_event_that_does_not_ask_for_it(
        kind in prop::sample::select(vec![REQUESTED, "io.severance.account.compromised.v1", "com.example.any", EVERYONE]),
        roles in prop_oneof![
            Just(Value::Null), Just(json!([])), Just(json!("")), Just(json!("*")), Just(json!(["*@*"])),
            Just(json!(["dba@admin"])), Just(json!([{}])), Just(json!([{"role": "", "db": ""}])), Just(json!(true)),
        ],
        reason in prop::bool::ANY,
        everyone in prop::sample::select(vec![Value::Null, json!(true), json!({})]),
    ) {
        let mut data = json!({"roles": roles, "everyone": everyone});
        if reason {
            data["reason"] = json!("drill");
        }
        let decided = ALL_KNOWN.decide(vec![said(kind, data)]);
        if let Decision::Terminate(plan) = &decided[0].decision {
            prop_assert!(plan.target.principals().iter().all(|who| ["a@admin", "b@admin"].contains(&&*who.to_string())));
            match kind {
                EVERYONE => prop_assert!(reason),
                _ => {
                    prop_assert_eq!(kind, REQUESTED);
                    prop_assert_eq!(roles, json!(["dba@admin"]), "a role that nobody named");
                }
            }
        }
    }

    #[test]
    fn a_cluster_is_never_cut_more_than_who_has_the_role_there(
        orders in prop::collection::vec(prop::sample::select(vec!["a@admin", "b@app", "me@admin", "svc-x@admin"]), 0..4),
        lab in prop::collection::vec(prop::sample::select(vec!["a@admin", "c@admin", "lab-me@admin"]), 0..4),
        guarded in prop::bool::ANY,
    ) {
        static OPEN: LazyLock<World> = LazyLock::new(|| world().rules([role_rule()]));
        static GUARDED: LazyLock<World> = LazyLock::new(|| {
            let glob = Glob::new("svc-*@admin").unwrap().compile_matcher();
            world().rules([role_rule()]).protect([Protected::Pattern(glob)])
        });
        let world = if guarded { &*GUARDED } else { &*OPEN };
        let context = Context { found: dbas(&[("orders", &orders), ("lab", &lab)]), ..world.context.clone() };
        let decided = decide(&world.policy, vec![request().decoded(0)], &context);
        if let Decision::Terminate(plan) = &decided[0].decision {
            for (clusters, who) in plan.parts() {
                let there = if &*clusters[0] == "orders" { &orders } else { &lab };
                prop_assert_eq!(clusters.len(), 1);
                prop_assert!(who.iter().all(|one| there.contains(&&*one.to_string())));
                prop_assert!(who.iter().all(|one| one.user() != "me" && one.user() != "lab-me"));
                prop_assert!(!guarded || who.iter().all(|one| one.user() != "svc-x"));
            }
            prop_assert_eq!(plan.parts().len(), plan.clusters.len());
        }
    }
}
