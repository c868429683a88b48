//! Raw records through decode and decide, whatever their bytes are: nothing panics, and nobody is
//! cut whom no rule and no event named. `SEVERANCE_CASES` says how many are tried.

use std::{collections::BTreeSet, sync::LazyLock};

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::principal::Principal;

static WORLD: LazyLock<World> = LazyLock::new(|| world().protect([Protected::Database("vault".to_owned())]));

fn config() -> ProptestConfig {
    let cases = std::env::var("SEVERANCE_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(2_000), failure_persistence: None, ..ProptestConfig::default() }
}

const KINDS: [&str; 10] = [
    "io.severance.account.compromised.v1",
    "io.severance.account.offboarded.v1",
    "io.severance.account.reinstated.v1",
    "io.severance.access-window.closed.v1",
    "io.severance.session.inactive.v1",
    "io.severance.termination.requested.v1",
    "io.severance.termination.everyone-requested.v1",
    "io.severance.termination.approved.v1",
    "io.severance.account.compromised.v2",
    "com.example.other",
];

/// Something that may stand where a value is expected.
fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!([])),
        Just(json!({})),
        Just(json!("")),
        Just(json!("*")),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,12}".prop_map(|text| json!(text)),
        Just(json!([[["a"]], {"user": "a"}])),
    ]
}

fn principal() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (select(vec!["a", "b", "me", "__system", "A"]), select(vec!["admin", "local", "vault", "$external"]))
            .prop_map(|(user, db)| json!({"user": user, "db": db})),
        1 => (".{0,8}", ".{0,8}").prop_map(|(user, db)| json!({"user": user, "db": db})),
        1 => odd(),
    ]
}

fn data() -> impl Strategy<Value = Value> {
    let principals = prop_oneof![6 => vec(principal(), 0..5).prop_map(|list| json!(list)), 1 => odd()];
    let more = select(vec![
        "confidence",
        "effective_at",
        "releases",
        "roles",
        "sessions",
        "clusters",
        "window",
        "case_id",
        "cluster",
        "reason",
        "incident",
        "session",
        "identities",
        "closed_at",
        "idle_seconds",
    ]);
    let value = prop_oneof![
        2 => odd(),
        1 => Just(json!("2026-11-25T11:00:00Z")),
        1 => Just(json!(["orders"])),
        1 => Just(json!(["compromise", "offboarding"])),
    ];
    (principals, vec((more, value), 0..4)).prop_map(|(principals, more)| {
        let mut data = json!({"principals": principals});
        for (key, value) in more {
            data[key] = value;
        }
        data
    })
}

/// An event, well formed or nearly so.
fn event() -> impl Strategy<Value = Value> {
    let attribute =
        select(vec!["id", "source", "type", "specversion", "time", "data", "subject", "datacontenttype"]);
    (select(KINDS.to_vec()), data(), any::<u16>(), prop::option::weighted(0.2, (attribute, odd()))).prop_map(
        |(kind, data, id, broken)| {
            let mut event = json!({
                "specversion": "1.0", "id": id.to_string(), "source": "/raw", "type": kind,
                "time": "2026-11-25T11:59:00Z", "datacontenttype": "application/json", "data": data,
            });
            if let Some((attribute, value)) = broken {
                event[attribute] = value;
            }
            event
        },
    )
}

fn record() -> impl Strategy<Value = Record> {
    let value = prop_oneof![
        6 => event().prop_map(|event| event.to_string().into_bytes()),
        // A few bytes of a whole event changed.
        2 => (event(), vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)).prop_map(|(event, changes)| {
            let mut bytes = event.to_string().into_bytes();
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        }),
        1 => vec(any::<u8>(), 0..60),
    ];
    let content = select(vec![
        None,
        Some("application/cloudevents+json"),
        Some("application/json"),
        Some("application/cloudevents-batch+json"),
        Some("text/plain"),
    ]);
    (value, content, 0..3i32, 0..1_000i64).prop_map(|(value, content, partition, offset)| Record {
        key: None,
        value: Some(value),
        headers: content
            .map(|content| Header { name: "content-type".to_owned(), value: Some(content.into()) })
            .into_iter()
            .collect(),
        origin: Origin::Kafka { topic: TOPIC.into(), partition, offset, timestamp: NOW.parse().ok() },
    })
}

/// Everybody whom the record's bytes could name, read by a reader of its own.
fn named(record: &Record) -> BTreeSet<(String, String)> {
    let value = record.value.as_deref().unwrap_or_default();
    let Ok(event) = serde_json::from_slice::<Value>(value) else { return BTreeSet::new() };
    let list = event["data"]["principals"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    list.iter().filter_map(|one| Some((text(&one["user"])?, text(&one["db"])?))).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_panics_and_nobody_is_cut_whom_no_rule_and_no_event_named(records in vec(record(), 1..4)) {
        let may: BTreeSet<(String, String)> = records.iter().flat_map(named).collect();
        let now: Timestamp = NOW.parse().unwrap();
        let count = records.len();
        let decoded = records.into_iter().map(|record| decode(record, now, false)).collect();
        let decided = decide(&WORLD.policy, decoded, &WORLD.context);
        prop_assert_eq!(decided.len(), count, "every record is answered");
        for one in decided {
            let Decision::Terminate(plan) = &one.decision else { continue };
            prop_assert!(one.case.rule.is_some() && one.case.class.is_some(), "by a rule: {one:?}");
            prop_assert!(!plan.clusters.is_empty());
            for principal in plan.target.principals() {
                let pair = (principal.user().to_owned(), principal.db().to_owned());
                prop_assert!(may.contains(&pair), "nobody named {principal}: {may:?}");
                prop_assert!(*principal != Principal::internal(), "the cluster itself");
                prop_assert!(principal.db() != "vault", "protected: {principal}");
                prop_assert!(!["me@admin", "lab-me@admin"].contains(&principal.to_string().as_str()), "ourselves");
            }
        }
    }
}
