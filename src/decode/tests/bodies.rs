//! The data of our own types: what is refused, and how that is said.

use super::*;
use crate::{
    case::{CaseId, Class},
    decode::{Body, Release},
    principal::Principal,
};

const OFFBOARDED: &str = "io.severance.account.offboarded.v1";
const REINSTATED: &str = "io.severance.account.reinstated.v1";
const INACTIVE: &str = "io.severance.session.inactive.v1";
const CASE: &str = "b3b50641-54c6-4d6d-a96e-a2239fadce3c";

fn body(kind: &str, data: Value) -> Body {
    trigger(binary(kind, &data)).body
}

#[track_caller]
fn refused(kind: &str, data: Value, detail: &str) {
    assert_poison(binary(kind, &data), PoisonReason::InvalidData, detail);
}

fn with(field: &str, value: Value) -> Value {
    let mut data = jsmith();
    data[field] = value;
    data
}

#[test]
fn principals_arrive_each_once_and_in_order() {
    let data = json!({"principals": [{"user": "b@c", "db": "$external"}, {"user": "a", "db": "admin", "more": 1},
        {"user": "b@c", "db": "$external"}]});
    let Body::Compromised { principals } = body(COMPROMISED, data) else { panic!("another type") };
    let expected = [Principal::new("b@c", "$external").unwrap(), Principal::new("a", "admin").unwrap()];
    assert!(principals.iter().eq(&expected));
}

#[test]
fn nobody_is_refused() {
    refused(COMPROMISED, json!({}), "`data.principals`: is missing; name at least one {user, db}");
    refused(COMPROMISED, json!({"principals": null}), "`data.principals`: is missing");
    refused(COMPROMISED, json!({"principals": []}), "`data.principals`: is an empty list");
    refused(COMPROMISED, json!({"principals": {"user": "a"}}), "`data.principals`: must be a list");
    refused("io.severance.access-window.closed.v1", json!({"window": "night"}), "`data`: names nobody");
}

#[test]
fn a_faulty_principal_is_named_by_its_place_and_never_quoted() {
    let second = |entry: Value| json!({"principals": [{"user": "a", "db": "b"}, entry]});
    let cases = [
        (json!("SECRET@admin"), "`data.principals[1]`: must be an object {user, db}"),
        (json!({"user": "SECRET"}), "`data.principals[1].db`: is missing"),
        (json!({"user": ["SECRET"], "db": "admin"}), "`data.principals[1].user`: must be a string"),
        (json!({"user": "SECRET", "db": ""}), "`data.principals[1]`: `db` is empty"),
        (json!({"user": "SECRET", "db": "SECRET@x"}), "`data.principals[1]`: `db` contains `@`"),
        (json!({"user": "SECRET\u{0}", "db": "admin"}), "`data.principals[1]`: the name contains a NUL byte"),
    ];
    for (entry, detail) in cases {
        let poison = poison(binary(COMPROMISED, &second(entry)));
        assert!(poison.detail.contains(detail), "{detail:?} is not in {:?}", poison.detail);
        assert!(!poison.detail.contains("SECRET"), "{}", poison.detail);
    }
}

#[test]
fn principals_that_are_there_twice_are_refused() {
    let text = br#"{"principals": [{"user": "a", "db": "b"}], "principals": [{"user": "c", "db": "b"}]}"#;
    let twice = record(binary_headers(COMPROMISED), Some(text));
    assert_poison(twice, PoisonReason::MalformedJson, "the value repeats a key");
}

#[test]
fn a_date_without_an_offset_is_refused() {
    for date in [json!("2026-11-25T01:02:03"), json!("2026-11-25"), json!(1_764_032_523)] {
        refused(
            OFFBOARDED,
            with("effective_at", date),
            "`data.effective_at`: must be a date and time as in RFC 3339",
        );
    }
    let Body::Offboarded { effective_at, .. } =
        body(OFFBOARDED, with("effective_at", json!("2026-11-25T02:02:03+01:00")))
    else {
        panic!("another type")
    };
    assert_eq!(effective_at, "2026-11-25T01:02:03Z".parse().ok());
}

#[test]
fn a_reinstatement_releases_offboarding_unless_it_says_more() {
    let releases = |data| match body(REINSTATED, data) {
        Body::Reinstated { releases, .. } => releases,
        _ => panic!("another type"),
    };
    assert_eq!(releases(jsmith()), [Release::Class(Class::Offboarding)]);
    let case = CaseId::of_event("/siem/acme", "01J9");
    assert_eq!(
        releases(with("releases", json!(["compromise", case.to_string()]))),
        [Release::Class(Class::Compromise), Release::Case(case)]
    );
    refused(REINSTATED, with("releases", json!([])), "`data.releases`: is an empty list");
    refused(REINSTATED, with("releases", json!(["everything"])), "`data.releases[0]`: must be a class");
    refused(REINSTATED, with("releases", json!([CASE.replace('-', "")])), "`data.releases[0]`");
}

#[test]
fn a_session_is_named_by_its_uuid_and_its_owners_digest() {
    let hex = "fa0f87e10ec7a1045a71af9dd85178ad3ceeb7137fc0c0456eaf398b6e2e71fb";
    let base64 = "+g+H4Q7HoQRaca+d2FF4rTzutxN/wMBFbq85i24ucfs=";
    let digest = Principal::new("jsmith", "admin").unwrap().digest();
    for uid in [hex, &hex.to_uppercase(), base64] {
        let data = json!({"cluster": "orders", "sessions": [{"id": CASE, "uid": uid}], "idle_seconds": 900});
        let Body::SessionInactive { sessions, idle_seconds, .. } = body(INACTIVE, data) else {
            panic!("another type")
        };
        assert_eq!(
            (sessions[0].id.to_string(), sessions[0].uid, idle_seconds),
            (CASE.to_owned(), digest, 900)
        );
    }
    for uid in
        ["", "zz", &hex[1..], &hex.replace('f', "x"), &base64[..43], &base64.replace("fs=", "ft="), "é"]
    {
        let data = json!({"cluster": "orders", "sessions": [{"id": CASE, "uid": uid}], "idle_seconds": 900});
        refused(INACTIVE, data, "`data.sessions[0].uid`: must be the 32 bytes of the owner's digest");
    }
}

#[test]
fn confidence_is_a_number_from_0_to_1() {
    for confidence in [json!(0), json!(1), json!(0.97), Value::Null] {
        body(COMPROMISED, with("confidence", confidence));
    }
    for confidence in [json!(1.01), json!(-0.1), json!("0.9"), json!(97)] {
        refused(
            COMPROMISED,
            with("confidence", confidence),
            "`data.confidence`: must be a number from 0 to 1",
        );
    }
}

#[test]
fn tags_are_strings_or_numbers() {
    let mut data = with("incident", json!("INC-42"));
    data["ticket"] = json!(4711);
    data["severity"] = Value::Null;
    let tags = trigger(binary(COMPROMISED, &data)).tags;
    assert_eq!((tags.incident.as_deref(), tags.ticket.as_deref()), (Some("INC-42"), Some("4711")));
    assert_eq!((tags.initiator, tags.severity), (None, None));
    for wrong in [json!(true), json!(["a"]), json!({"a": 1})] {
        refused(
            COMPROMISED,
            with("severity", wrong.clone()),
            "`data.severity`: must be a string or a number",
        );
        let foreign = trigger(binary("com.example.alert", &json!({"severity": wrong, "ticket": "T"}))).tags;
        assert_eq!((foreign.severity, foreign.ticket.as_deref()), (None, Some("T")));
    }
}

#[test]
fn another_version_is_another_type() {
    for kind in ["io.severance.account.compromised.v2", "io.severance.account.compromised", "x"] {
        assert_eq!(body(kind, json!("anything")), Body::Other);
    }
}
