//! `schemas/` and the code say the same: whatever one of them takes, the other takes too.

use std::collections::BTreeMap;

use jsonschema::Validator;

use super::*;
use crate::decode::{
    body::OwnType,
    example,
    examples::{examples, schema},
    own_types,
};

const ENVELOPE: &str = include_str!("../../../schemas/envelope.schema.json");

fn document(text: &str) -> Value {
    serde_json::from_str(text).expect("a schema is JSON")
}

fn validator(text: &str) -> Validator {
    jsonschema::options().should_validate_formats(true).build(&document(text)).expect("a valid schema")
}

fn accepts(record: Record) -> Result<(), String> {
    read(record).content.map(drop).map_err(|poison| format!("{:?}: {}", poison.reason, poison.detail))
}

/// The code and the schema on one document.
#[track_caller]
fn assert_agree(schema: &Validator, document: &Value, code: Result<(), String>) {
    assert_eq!(schema.is_valid(document), code.is_ok(), "{document}\nsays the code: {code:?}");
}

/// JSON pointers to every place in `document`, itself first.
fn places(document: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    match document {
        Value::Object(object) => {
            object.iter().for_each(|(key, inner)| places(inner, &format!("{here}/{key}"), all))
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, inner)| places(inner, &format!("{here}/{index}"), all))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `document` with one place in it changed, left out or added to, for every place.
fn small_changes(document: &Value) -> Vec<Value> {
    let strange = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(0.5),
        json!(2.0),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("a@b"),
        json!("@"),
        json!("a\u{0}b"),
        json!("a\nb"),
        json!("é@ü"),
        json!("2026-11-25T01:02:03"),
        json!("2026-11-25t01:02:03.123456789z"),
        json!("2026-02-30T01:02:03Z"),
        json!("b3b50641-54c6-4d6d-a96e-a2239fadce3c"),
        json!("B3B5064154C64D6DA96EA2239FADCE3C"),
        json!("offboarding"),
        json!([]),
        json!([null]),
        json!(["x"]),
        json!(["a@b", "a@b"]),
        json!({}),
        json!([{}]),
        json!([{"user": "u", "db": "d"}]),
        json!([{"user": "u", "db": "d"}, {"user": "u"}]),
    ];
    let mut all = Vec::new();
    let mut pointers = Vec::new();
    places(document, "", &mut pointers);
    for pointer in &pointers {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut changed = document.clone();
            change(changed.pointer_mut(pointer).expect("a place in this document"));
            changed
        };
        all.extend(strange.iter().map(|value| with(&|place| *place = value.clone())));
        if let Some(Value::Object(object)) = document.pointer(pointer) {
            all.push(with(&|place| place["something else"] = json!([1])));
            all.extend(
                object.keys().map(|key| with(&|place| drop(place.as_object_mut().unwrap().remove(key)))),
            );
        }
    }
    all
}

#[test]
fn every_example_of_a_schema_is_valid_and_decodes() {
    for own in OwnType::ALL {
        let (schema, validator) = (schema(own), validator(schema(own)));
        assert!(examples(schema).len() > 1, "{}", own.kind());
        for data in examples(schema) {
            assert!(validator.is_valid(&data), "{}: {data}", own.kind());
            assert_eq!(accepts(binary(own.kind(), &data)), Ok(()), "{}: {data}", own.kind());
        }
    }
    for event in examples(ENVELOPE) {
        assert!(validator(ENVELOPE).is_valid(&event), "{event}");
        assert_eq!(accepts(structured(&event)), Ok(()), "{event}");
    }
}

#[test]
fn every_own_type_has_an_example_with_all_its_fields() {
    for kind in own_types() {
        let trigger = example(kind).unwrap_or_else(|| panic!("no example of {kind}"));
        assert_eq!(trigger.kind, kind);
        let own = OwnType::ALL.into_iter().find(|own| own.kind() == kind).unwrap();
        let schema = document(schema(own));
        for (field, _) in schema["properties"].as_object().unwrap() {
            assert!(!trigger.data[field].is_null(), "{kind}: no {field}");
        }
    }
    assert_eq!(example("com.example.other"), None);
}

#[test]
fn every_schema_is_named_after_its_type_and_describes_every_field() {
    for own in OwnType::ALL {
        let schema = document(schema(own));
        assert_eq!(schema["title"], own.kind());
        let name = own.kind().trim_start_matches("io.severance.");
        assert_eq!(schema["$id"], format!("https://severance.io/schemas/{name}.schema.json"));
        for (field, says) in schema["properties"].as_object().unwrap() {
            let described = says.get("description").is_some() || says.get("$ref").is_some();
            assert!(described, "{}: {field}", own.kind());
        }
    }
}

#[test]
fn the_same_word_means_the_same_in_every_schema() {
    let mut seen = BTreeMap::new();
    for own in OwnType::ALL {
        for (name, says) in document(schema(own))["$defs"].as_object().unwrap() {
            let first = seen.entry(name.clone()).or_insert_with(|| says.clone());
            assert_eq!(first, says, "{name} in {}", own.kind());
        }
    }
}

#[test]
fn code_and_schema_agree_on_every_small_change_of_an_example() {
    for own in OwnType::ALL {
        let validator = validator(schema(own));
        for data in examples(schema(own)).iter().flat_map(small_changes) {
            assert_agree(&validator, &data, accepts(binary(own.kind(), &data)));
        }
    }
}

#[test]
fn code_and_schema_agree_on_every_small_change_of_the_envelope() {
    let validator = validator(ENVELOPE);
    for mut event in examples(ENVELOPE) {
        // What data means is the other schemas' matter.
        event["type"] = json!("com.example.other");
        for event in small_changes(&event) {
            let kind = event["datacontenttype"].as_str();
            if event["data"].is_object() && kind.is_some_and(|kind| kind != "application/json") {
                continue; // The schema says in words that such data must be a string.
            }
            let code = accepts(structured(&event));
            if code.as_ref().is_err_and(|fault| fault.contains("`data_base64` is not JSON")) {
                continue; // No schema can look into base64.
            }
            assert_agree(&validator, &event, code);
        }
    }
}

/// Documents that one small change does not make.
#[test]
fn code_and_schema_agree_on_a_table_of_documents() {
    let uuid = "b3b50641-54c6-4d6d-a96e-a2239fadce3c";
    let base64 = "+g+H4Q7HoQRaca+d2FF4rTzutxN/wMBFbq85i24ucfs=";
    let inactive = |id: &str, uid: &str, idle: Value| json!({"cluster": "c", "sessions": [{"id": id, "uid": uid}], "idle_seconds": idle});
    let offboarded = |date: &str| json!({"principals": [{"user": "u", "db": "d"}], "effective_at": date});
    let table = [
        (OwnType::SessionInactive, inactive(uuid, base64, json!(900)), true),
        (OwnType::SessionInactive, inactive(&uuid.to_uppercase(), base64, json!(900.0)), true),
        (OwnType::SessionInactive, inactive(&uuid.replace('-', ""), base64, json!(900)), false),
        (OwnType::SessionInactive, inactive(&format!("{{{uuid}}}"), base64, json!(900)), false),
        (OwnType::SessionInactive, inactive(uuid, &base64[..43], json!(900)), false),
        (OwnType::SessionInactive, inactive(uuid, &base64.replace("s=", "t="), json!(900)), false),
        (OwnType::SessionInactive, inactive(uuid, &base64.replace('+', "-"), json!(900)), false),
        (OwnType::SessionInactive, inactive(uuid, &"aF".repeat(32), json!(0)), true),
        (OwnType::SessionInactive, inactive(uuid, &"aF".repeat(31), json!(0)), false),
        (OwnType::SessionInactive, inactive(uuid, &"aG".repeat(32), json!(0)), false),
        (OwnType::SessionInactive, inactive(uuid, base64, json!(9_007_199_254_740_991_u64)), true),
        (OwnType::SessionInactive, inactive(uuid, base64, json!(9_007_199_254_740_992_u64)), false),
        (OwnType::SessionInactive, inactive(uuid, base64, json!(u64::MAX)), false),
        (OwnType::Offboarded, offboarded("2026-11-30T17:00:00+01:00"), true),
        (OwnType::Offboarded, offboarded("2026-11-30T17:00:00-00:00"), true),
        (OwnType::Offboarded, offboarded("2026-11-30T17:00:00"), false),
        (OwnType::Offboarded, offboarded("2026-11-30T17:00:00+24:00"), false),
        (OwnType::Offboarded, offboarded("2026-11-30T17:00:00.+01:00"), false),
        (OwnType::Offboarded, offboarded("2026-11-30 17:00:00Z"), false),
        (OwnType::Offboarded, offboarded("2026-11-30T17:00:00Z[UTC]"), false),
        (OwnType::Offboarded, offboarded("2026-13-30T17:00:00Z"), false),
        (OwnType::Offboarded, offboarded("2016-12-31T23:59:60Z"), true),
        (OwnType::WindowClosed, json!({"window": "w", "principals": null, "roles": ["a@b"]}), true),
        (OwnType::WindowClosed, json!({"window": "w", "principals": [], "roles": ["a@b"]}), false),
        (OwnType::WindowClosed, json!({"window": "w", "principals": null, "roles": null}), false),
        (OwnType::WindowClosed, json!({"window": "w", "roles": ["a"]}), false),
        (OwnType::WindowClosed, json!({"window": "w", "roles": ["a@b@c"]}), true),
        (OwnType::TerminationRequested, json!({"reason": "r"}), false),
        (OwnType::TerminationRequested, json!({"reason": "r", "roles": ["a@b"], "clusters": []}), false),
        (OwnType::Compromised, json!([{"principals": [{"user": "u", "db": "d"}]}]), false),
    ];
    for (own, data, valid) in table {
        let code = accepts(binary(own.kind(), &data));
        assert_eq!(code.is_ok(), valid, "{data}: {code:?}");
        assert_agree(&validator(schema(own)), &data, code);
    }
}
