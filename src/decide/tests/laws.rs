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
        on_cluster(
            "lab",
            rule(
                "asked",
                Class::Request,
                "io.severance.termination.requested.*",
                "",
                "event.data.principals",
            ),
        ),
        RuleSpec { name: "dated".to_owned(), ..Rule::defaults().remove(1) },
        on_cluster("lab", rule("list", Class::Request, ALARM, "event.data.level == 1", "event.data.who")),
        RuleSpec {
            target: TargetSpec::fixed(fixed()),
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
    fn an_explanation_never_says_anything_else_than_the_decision(
        batch in prop::collection::vec(any_event(), 1..12),
        which in 0..5usize,
    ) {
        let world = [&*OPEN, &*GUARDED, &*PRETENDING, &*HALF_KNOWN, &*ALARMED][which];
        let decided = world.decide(batch.clone());
        let decoded = batch.into_iter().enumerate().map(|(index, said)| said.decoded(index)).collect();
        let explained = explain(&world.policy, decoded, &world.context);
        prop_assert_eq!(explained.len(), decided.len());
        for (explained, decided) in explained.iter().zip(&decided) {
            prop_assert_eq!(&explained.decided.decision, &decided.decision);
            prop_assert_eq!(&explained.decided.case.rule, &decided.case.rule);
            prop_assert_eq!(&explained.decided.case.spared, &decided.case.spared);
            prop_assert!(follows(explained, &world.policy), "{:#?}", explained);
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

/// Whether the decision is what the answers lead to, read by somebody who knows only the answers.
fn follows(explained: &Explanation, policy: &Policy) -> bool {
    let decision = &explained.decided.decision;
    let Some(trace) = &explained.trace else { return matches!(decision, Decision::Undecodable(_)) };
    let refused =
        |wanted: RefusalReason| matches!(decision, Decision::Refuse { reason, .. } if *reason == wanted);
    if matches!(decision, Decision::Duplicate { .. } | Decision::Superseded { .. }) {
        return trace.pass == Pass::Accepted || trace.pass == Pass::NotJudged;
    }
    if let Pass::Distrusted(distrust) = trace.pass {
        return refused(distrust.into());
    }
    if trace.rules.iter().all(|asked| asked.answer.is_none()) {
        return matches!(decision, Decision::Release { .. }) || refused(RefusalReason::NotSupported);
    }
    if trace.rules.iter().any(|asked| matches!(asked.answer, Some(Answer::Failed(_)))) {
        return refused(RefusalReason::RuleError);
    }
    let Some(meaning) = &trace.meaning else {
        return *decision == Decision::NoRule || refused(RefusalReason::NotSupported);
    };
    match meaning.age.timeliness {
        Timeliness::InTime => {}
        Timeliness::Expired => return matches!(decision, Decision::Expired { .. }),
        Timeliness::Future => return refused(RefusalReason::NotSupported),
    }
    if meaning.untaken.is_some() {
        return refused(RefusalReason::RuleError);
    }
    let (Ok(clusters), Ok(_)) = (&meaning.clusters, &meaning.named) else {
        return refused(if meaning.clusters.is_err() {
            RefusalReason::UnknownCluster
        } else {
            RefusalReason::RuleError
        });
    };
    if meaning.named.as_ref().is_ok_and(|named| named.len() > policy.limits.max_principals) {
        return meaning.is_above_cap() && refused(RefusalReason::CapExceeded);
    }
    let Some(Ok(guards)) = &meaning.guards else { return refused(RefusalReason::GuardError) };
    let left: Vec<_> =
        guards.iter().filter(|whom| whom.guard.is_none()).map(|whom| &whom.principal).collect();
    match plan(&explained.decided) {
        None => left.is_empty() && refused(RefusalReason::Guard),
        // A reinstatement of the same batch may have taken somebody back.
        Some(plan) => {
            let reinstated = explained.decided.case.spared.iter().map(|spared| &spared.principal);
            let cut_or_back: Vec<_> = plan.target.principals().iter().chain(reinstated).collect();
            plan.clusters == *clusters && left.iter().all(|one| cut_or_back.contains(one))
        }
    }
}

/// Own types with data that fit, and other types with any data.
fn any_event() -> impl Strategy<Value = Said> {
    let alarm =
        (any_json(), 0..3i64).prop_map(|(who, level)| said(ALARM, json!({"who": who, "level": level})));
    let requested =
        (who(), prop::sample::select(vec!["orders", "lab", "nowhere"])).prop_map(|(who, cluster)| {
            said(
                "io.severance.termination.requested.v1",
                json!({"reason": "drill", "principals": named(&who), "clusters": [cluster]}),
            )
        });
    let old = (who(), 0..40i64).prop_map(|(who, days)| {
        let at: Timestamp = NOW.parse().unwrap();
        compromised(&who).time(&(at - jiff::SignedDuration::from_hours(24 * days)).to_string())
    });
    let dated = (who(), -40..40i64, any::<bool>()).prop_map(|(who, days, redriven)| {
        let at: Timestamp = NOW.parse().unwrap();
        let at = at + jiff::SignedDuration::from_hours(24 * days);
        let event = offboarded(&who).with("effective_at", json!(at.to_string()));
        if redriven { event.redriven() } else { event }
    });
    prop_oneof![3 => event(), 2 => alarm, 1 => requested, 1 => old, 1 => dated,
        1 => Just(said("io.severance.account.compromised.v1", json!({"principals": []})))]
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
