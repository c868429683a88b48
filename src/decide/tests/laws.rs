//! What holds whatever is said.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::{
    pattern::{Pattern, Patterns},
    principal::{Digest, Principals},
};

/// Few names, so that events meet: people, protected ones, our own and the internal account.
const POOL: [&str; 9] = [
    "a@admin",
    "b@admin",
    "a@app",
    "svc-x@admin",
    "keeper@admin",
    "me@admin",
    "lab-me@admin",
    "__system@local",
    "x@vault",
];

fn guarded() -> [Protected; 3] {
    [
        Protected::Exact("keeper@admin".parse().unwrap()),
        Protected::Database("vault".to_owned()),
        Protected::Pattern(Glob::new("svc-*@admin").unwrap().compile_matcher()),
    ]
}

/// Compiling rules takes most of the time: each world is made once.
static OPEN: LazyLock<World> = LazyLock::new(world);
static GUARDED: LazyLock<World> = LazyLock::new(|| world().protect(guarded()));
static PRETENDING: LazyLock<World> = LazyLock::new(|| {
    let mut world = world().protect(guarded());
    world.policy.dry_run = true;
    world
});
static HALF_KNOWN: LazyLock<World> = LazyLock::new(|| {
    let mut world = world().protect(guarded());
    world.context.own_accounts.remove("lab");
    world
});
static ALARMED: LazyLock<World> = LazyLock::new(|| {
    world().rules([
        on_cluster("lab", rule("list", Class::Request, ALARM, "event.data.level == 1", "event.data.who")),
        RuleSpec {
            target: TargetSpec::Fixed(fixed()),
            ..on_cluster("orders", rule("fixed", Class::Request, ALARM, "", "event.data.who"))
        },
    ])
});

const ALARM: &str = "com.example.alarm";

fn fixed() -> Principals {
    Principals::new(["fixed@admin".parse().unwrap()]).unwrap()
}

fn is_protected(principal: &Principal) -> bool {
    let text = principal.to_string();
    POOL[3..].contains(&text.as_str())
}

fn who() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(&POOL[..]), 1..6)
}

fn event() -> impl Strategy<Value = Said> {
    let kind = prop::sample::select(vec!["account.compromised", "account.offboarded", "account.reinstated"]);
    let release = prop::sample::select(vec![None, Some("compromise"), Some("offboarding"), Some("window")]);
    let place = (0..3i32, 0..40i64, prop::bool::ANY, 0..120i64, prop::bool::weighted(0.1));
    (kind, who(), 0..6u8, release, place).prop_map(
        |(kind, who, id, release, (partition, offset, local, ago, redriven))| {
            let at: Timestamp = NOW.parse().unwrap();
            let time = at - jiff::SignedDuration::from_secs(ago);
            let event = own(kind, &who).id(&format!("id{id}")).time(&time.to_string());
            let event = match release {
                Some(class) if kind.ends_with("reinstated") => event.with("releases", json!([class])),
                _ => event,
            };
            let event = if redriven { event.redriven() } else { event };
            if local { event.from(Origin::Local) } else { event.on(TOPIC, partition, offset, Some(NOW)) }
        },
    )
}

fn plan(one: &Decided) -> Option<&Plan> {
    match &one.decision {
        Decision::Terminate(plan) | Decision::Simulate(plan) => Some(plan),
        _ => None,
    }
}

fn event_names(one: &Decided) -> Vec<String> {
    let principals = one.case.trigger.as_ref().map(|trigger| trigger.data["principals"].clone());
    let all = principals.as_ref().and_then(Value::as_array).into_iter().flatten();
    all.map(|one| format!("{}@{}", one["user"].as_str().unwrap(), one["db"].as_str().unwrap())).collect()
}

proptest! {
    #[test]
    fn a_plan_holds_only_who_was_named_nobody_protected_and_never_nobody(
        batch in prop::collection::vec(event(), 1..12),
        which in 0..3usize,
    ) {
        let world = [&*GUARDED, &*PRETENDING, &*HALF_KNOWN][which];
        let (dry_run, known) = (which == 1, which != 2);
        let count = batch.len();
        let decided = world.decide(batch);
        prop_assert_eq!(decided.len(), count, "every record is answered");
        for one in &decided {
            let Some(plan) = plan(one) else { continue };
            prop_assert!(known, "a guard that could not be asked let somebody through");
            prop_assert_eq!(matches!(one.decision, Decision::Simulate(_)), dry_run);
            let names = event_names(one);
            prop_assert!(plan.target.principals().len() > 0 && !plan.clusters.is_empty());
            for principal in plan.target.principals() {
                prop_assert!(names.contains(&principal.to_string()), "{} was not named", principal);
                prop_assert!(!is_protected(principal), "{} is protected", principal);
            }
            let told = plan.target.principals().len() + one.case.spared.len();
            let distinct: std::collections::HashSet<_> = names.iter().collect();
            prop_assert_eq!(told, distinct.len(), "everybody named is cut or said to be spared");
        }
    }

    #[test]
    fn the_patterns_of_a_plan_are_the_digests_of_its_principals_and_nothing_else(
        batch in prop::collection::vec(event(), 1..6),
    ) {
        for one in OPEN.decide(batch) {
            let Some(plan) = plan(&one) else { continue };
            let digests: Vec<Digest> = plan.target.principals().iter().map(Principal::digest).collect();
            let commands = Patterns::of_principals(plan.target.principals());
            prop_assert!(!commands.is_empty() && commands.iter().all(|command| command.iter().len() > 0));
            let uids: Vec<Digest> = commands
                .iter()
                .flat_map(Patterns::iter)
                .map(|pattern| match pattern {
                    Pattern::Uid(uid) => *uid,
                    Pattern::Lsid(session) => panic!("a session, {session:?}, for a plan about principals"),
                })
                .collect();
            prop_assert_eq!(uids, digests);
        }
    }

    #[test]
    fn a_guard_can_only_take_away(batch in prop::collection::vec(event(), 1..12)) {
        let open = OPEN.decide(batch.clone());
        let guarded = GUARDED.decide(batch);
        for (open, guarded) in open.iter().zip(&guarded) {
            let Some(shrunk) = plan(guarded) else { continue };
            // A case that is refused whole is no first one, so its repetition may be cut: still by its own names.
            let Some(full) = plan(open) else {
                prop_assert!(matches!(open.decision, Decision::Duplicate { .. }), "{:?}", open.decision);
                continue;
            };
            prop_assert!(shrunk.target.principals().iter().all(|one| full.target.principals().contains(one)));
            prop_assert_eq!(&shrunk.clusters, &full.clusters);
        }
    }

    #[test]
    fn no_case_has_two_plans_in_one_batch(batch in prop::collection::vec(event(), 1..12)) {
        let decided = OPEN.decide(batch);
        let cases: Vec<CaseId> = decided.iter().filter(|one| plan(one).is_some()).map(|one| one.case.id).collect();
        let distinct: std::collections::HashSet<_> = cases.iter().collect();
        prop_assert_eq!(distinct.len(), cases.len());
    }

    #[test]
    fn no_data_makes_a_rule_cut_more_than_its_own_target(
        who in any_json(),
        level in any_json(),
    ) {
        let decided = ALARMED.decide(vec![said(ALARM, json!({"who": who, "level": level}))]);
        if let Some(plan) = plan(&decided[0]) {
            match decided[0].case.rule.as_deref() {
                Some("fixed") => {
                    prop_assert_eq!(plan.target.principals(), &fixed());
                    prop_assert_eq!(&plan.clusters, &[Arc::from("orders")]);
                }
                _ => {
                    let listed = who.as_array().map_or(0, Vec::len);
                    prop_assert!(plan.target.principals().len() <= listed);
                    prop_assert_eq!(&plan.clusters, &[Arc::from("lab")]);
                }
            }
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(vec!["a", "admin", "user", "db", "", "a@b", "\0"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2i64..3).prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..4)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}
