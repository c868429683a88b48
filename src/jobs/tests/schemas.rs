//! `schemas/` and the code say the same of what stands on the topics.

use jsonschema::Validator;
use serde_json::{Value, json};

use super::*;

const STATE: &str = include_str!("../../../schemas/state.v1.schema.json");
const COMMAND: &str = include_str!("../../../schemas/command.v1.schema.json");

fn document(text: &str) -> Value {
    serde_json::from_str(text).expect("a schema is JSON")
}

fn validator(text: &str) -> Validator {
    jsonschema::options().should_validate_formats(true).build(&document(text)).expect("a valid schema")
}

fn examples(text: &str) -> Vec<Value> {
    document(text)["examples"].as_array().expect("examples").clone()
}

/// Under the key that its own words give it.
fn state_is_read(record: &Value) -> Result<(), String> {
    let bytes = record.to_string();
    let id: CaseId = serde_json::from_value(record["case_id"].clone()).unwrap_or_else(|_| case());
    let n = record["n"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let read = match record["record"] == "create" {
        true => Job::read_creation(id, n, bytes.as_bytes()).map(drop),
        false => State::read(id, bytes.as_bytes()).map(drop),
    };
    read.map_err(|unreadable| unreadable.to_string())
}

fn command_is_read(record: &Value) -> Result<(), String> {
    Command::read(record.to_string().as_bytes()).map(drop).map_err(|unreadable| unreadable.to_string())
}

/// JSON pointers to every place in `document`, itself first.
fn places(document: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    match document {
        Value::Object(object) => {
            object.iter().for_each(|(key, inner)| places(inner, &format!("{here}/{key}"), all));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, inner)| places(inner, &format!("{here}/{index}"), all));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `document` with one place in it changed, left out or added to, for every place. What JSON
/// Schema cannot tell apart is not among the changes: 2.0 from 2, and two spellings of a moment.
fn small_changes(document: &Value) -> Vec<Value> {
    let strange = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(101),
        json!(-1),
        json!(0.5),
        json!(5_000_000_000_u64),
        json!(""),
        json!("x"),
        json!("a@b"),
        json!("a\u{0}b"),
        json!("17"),
        json!("007"),
        json!("2026-11-25T01:02:03Z"),
        json!("2026-11-25T01:02:03"),
        json!("2026-02-30T01:02:03Z"),
        json!("b3b50641-54c6-4d6d-a96e-a2239fadce3c"),
        json!("B3B50641-54C6-4D6D-A96E-A2239FADCE3C"),
        json!("offboarding"),
        json!("deferred"),
        json!("approval"),
        json!("proceed"),
        json!("hold"),
        json!("clean"),
        json!("local"),
        json!([]),
        json!([null]),
        json!(["x"]),
        json!({}),
        json!([{}]),
        json!([{"user": "u", "db": "d"}]),
        json!([{"cursor": "17"}]),
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

fn assert_agree(schema: &str, read: fn(&Value) -> Result<(), String>) {
    let validator = validator(schema);
    for example in examples(schema) {
        assert_eq!(read(&example), Ok(()), "{example:#}");
        let disagree: Vec<String> = std::iter::once(example.clone())
            .chain(small_changes(&example))
            .filter_map(|changed| {
                let (code, valid) = (read(&changed), validator.is_valid(&changed));
                (valid != code.is_ok())
                    .then(|| format!("{}\nsays the code: {code:?}", difference(&example, &changed)))
            })
            .collect();
        assert!(disagree.is_empty(), "{}", disagree.join("\n"));
    }
}

/// Where two documents first differ.
fn difference(before: &Value, after: &Value) -> String {
    let mut pointers = Vec::new();
    places(after, "", &mut pointers);
    let differs = |pointer: &&String| before.pointer(pointer) != after.pointer(pointer);
    // The deepest place tells the most; where something was left out there is none but those above.
    let deepest = pointers.iter().filter(differs).max_by_key(|pointer| pointer.matches('/').count());
    deepest.map_or_else(String::new, |pointer| {
        format!("{pointer}: {}", after.pointer(pointer).unwrap_or(&Value::Null))
    })
}

#[test]
fn code_and_schema_agree_on_every_small_change_of_a_state() {
    assert_agree(STATE, state_is_read);
}

#[test]
fn code_and_schema_agree_on_every_small_change_of_a_command() {
    assert_agree(COMMAND, command_is_read);
}

#[test]
fn whatever_is_written_is_as_the_schema_says() {
    let (state, command) = (validator(STATE), validator(COMMAND));
    let of = |bytes: Vec<u8>| document(std::str::from_utf8(&bytes).unwrap());
    for record in [
        of(job(0).creation().unwrap()),
        of(State::Pending(Arc::new(job(1))).encode()),
        of(parked().creation().unwrap()),
        of(done(0, 2).encode()),
    ] {
        assert!(state.is_valid(&record), "{record:#}");
    }
    for record in [cancel(0), reinstated(&["alice"], 3), approve(5), deny(5)] {
        let record = of(record.encode().unwrap());
        assert!(command.is_valid(&record), "{record:#}");
    }
}

/// A shape that is shared with the outcome changes there, and then here by a new version.
#[test]
fn every_field_is_described() {
    for schema in [STATE, COMMAND] {
        let schema = document(schema);
        let mut pointers = Vec::new();
        places(&schema["$defs"], "", &mut pointers);
        for pointer in pointers.iter().filter(|pointer| pointer.ends_with("/properties")) {
            for (field, says) in schema["$defs"].pointer(pointer).unwrap().as_object().unwrap() {
                let described = ["description", "$ref", "const"].iter().any(|word| says.get(word).is_some());
                assert!(described, "{pointer}: {field}");
            }
        }
    }
}
