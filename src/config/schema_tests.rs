//! `schemas/config.schema.json` and `deploy/severance.yaml` against the parser: the three say the
//! same or the build is red.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};

use super::{
    Config, Faults,
    bounds::{EVIDENCE, LIMITS, MAX_EVENT_AGE, OVER_CAP, VERIFY, WINDOW_CAP},
    clusters::CLUSTER,
    kafka::{KAFKA, RESERVED, TOPIC},
    operator::{CANARY, LOG},
    protected::{PRINCIPAL, PROTECTED},
    reader::Keys,
    rules::{APPROVAL, ROLE, RULE, TARGET},
    secret::SECRET,
    tests::Machine,
};

/// Every section that the parser reads; `[]` is a list's entry, `{}` a value in a free map.
const SECTIONS: [(&str, &Keys); 21] = [
    ("", &super::ROOT),
    ("kafka", &KAFKA),
    ("kafka.properties.{}", &SECRET),
    ("kafka.instance", &SECRET),
    ("kafka.topics[]", &TOPIC),
    ("clusters[]", &CLUSTER),
    ("clusters[].uri", &SECRET),
    ("protected[]", &PROTECTED),
    ("rules[]", &RULE),
    ("rules[].target", &TARGET),
    ("rules[].target.principals[]", &PRINCIPAL),
    ("rules[].target.roles[]", &ROLE),
    ("rules[].approval", &APPROVAL),
    ("limits", &LIMITS),
    ("limits.max_event_age", &MAX_EVENT_AGE),
    ("limits.max_principals_per_window", &WINDOW_CAP),
    ("limits.over_cap", &OVER_CAP),
    ("evidence", &EVIDENCE),
    ("verify", &VERIFY),
    ("log", &LOG),
    ("canary", &CANARY),
];

fn schema() -> Value {
    serde_json::from_str(include_str!("../../schemas/config.schema.json")).unwrap()
}

const EXAMPLE: &str = include_str!("../../deploy/severance.yaml");

fn example() -> Value {
    serde_saphyr::from_str(EXAMPLE).unwrap()
}

/// The example without the default rules, which are compiled for each of the many documents here.
fn quick_example() -> Value {
    let mut example = example();
    example["default_rules"] = json!(false);
    example
}

fn read(text: &str) -> Result<Config, Faults> {
    Config::parse(text, Path::new("/etc/severance/severance.yaml"), &Machine::new()).map(|(config, _)| config)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Calls `see` with the path and the schema of every key below `at`.
fn walk(root: &Value, at: &Value, path: &str, see: &mut impl FnMut(&str, &Value)) {
    let Value::Object(at) = at else { return };
    if let Some(Value::String(reference)) = at.get("$ref") {
        walk(root, root.pointer(reference.trim_start_matches('#')).unwrap(), path, see);
    }
    for (key, schema) in at.get("properties").and_then(Value::as_object).into_iter().flatten() {
        see(&join(path, key), schema);
        walk(root, schema, &join(path, key), see);
    }
    if let Some(items) = at.get("items") {
        walk(root, items, &format!("{path}[]"), see);
    }
    if let Some(values) = at.get("additionalProperties") {
        walk(root, values, &join(path, "{}"), see);
    }
    for schema in at.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        walk(root, schema, path, see);
    }
}

fn schema_keys() -> BTreeSet<String> {
    let (schema, mut keys) = (schema(), BTreeSet::new());
    walk(&schema, &schema, "", &mut |path, _| {
        keys.insert(path.to_owned());
    });
    keys
}

#[test]
fn the_schema_and_the_parser_know_the_same_keys() {
    let keys = |(path, keys): (&str, &Keys)| keys.known.iter().map(|key| join(path, key)).collect::<Vec<_>>();
    assert_eq!(schema_keys(), SECTIONS.into_iter().flat_map(keys).collect());
}

#[test]
fn the_schema_refuses_every_reserved_property() {
    let schema = schema();
    let refused = &schema["properties"]["kafka"]["properties"]["properties"]["propertyNames"]["not"]["enum"];
    let refused: BTreeSet<_> = refused.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(refused, RESERVED.map(|(name, _)| name).into());
}

#[test]
fn every_key_is_described() {
    let schema = schema();
    walk(&schema, &schema, "", &mut |path, schema| {
        let described =
            schema.get("description").and_then(Value::as_str).is_some_and(|text| text.ends_with('.'));
        assert!(described, "{path}");
    });
}

#[test]
fn the_example_is_valid_loads_and_has_every_key() {
    let example = example();
    if let Err(error) = jsonschema::validate(&schema(), &example) {
        panic!("{}: {error}", error.instance_path());
    }
    let config = read(EXAMPLE).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.clusters.len(), 3);

    let mut used = BTreeSet::new();
    collect_keys(&example, "", &mut used);
    let unused: Vec<_> = schema_keys().into_iter().filter(|key| !used.contains(key)).collect();
    // Two forms of one secret: one of them is shown.
    assert_eq!(unused, ["kafka.instance.file", "kafka.properties.{}.env"]);
}

/// The paths of all keys, as [`walk`] names them.
fn collect_keys(value: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                keys.insert(join(path, key));
                let free = path == "kafka.properties";
                collect_keys(value, &join(path, if free { "{}" } else { key }), keys);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect_keys(value, &format!("{path}[]"), keys)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Calls `change` on every place of `value` in turn and gives what came of it.
fn changed(value: &Value, change: &impl Fn(&Value) -> Value) -> Vec<Value> {
    let mut all = vec![change(value)];
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                for inner in changed(inner, change) {
                    let mut map = map.clone();
                    map.insert(key.clone(), inner);
                    all.push(Value::Object(map));
                }
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                for inner in changed(inner, change) {
                    let mut list = list.clone();
                    list[index] = inner;
                    all.push(Value::Array(list));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    all
}

#[test]
fn both_refuse_what_has_the_wrong_type_at_any_key() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    // No key takes a list of lists, so this shows that each is really looked at.
    for broken in changed(&quick_example(), &|_| json!([[]])) {
        assert!(!validator.is_valid(&broken), "schema: {broken}");
        assert!(read(&broken.to_string()).is_err(), "parser: {broken}");
    }
}

#[test]
fn both_refuse_an_empty_value_at_any_key_but_those_that_may_be_null() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for broken in changed(&quick_example(), &|_| Value::Null) {
        let null = |value: Option<&Value>| value.is_some_and(Value::is_null);
        let allowed = null(broken["kafka"].get("instance")) || null(broken.get("listen"));
        assert_eq!(validator.is_valid(&broken), allowed, "schema: {broken}");
        assert_eq!(read(&broken.to_string()).is_ok(), allowed, "parser: {broken}");
    }
}

#[test]
fn both_refuse_an_unknown_key_in_every_section() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let add_a_key = |value: &Value| {
        let mut map = value.as_object().cloned().unwrap_or_default();
        map.insert("zzz".to_owned(), json!("zzz"));
        Value::Object(map)
    };
    let mut refused = BTreeSet::new();
    for broken in changed(&quick_example(), &add_a_key) {
        let Err(faults) = read(&broken.to_string()) else { continue };
        for fault in faults.iter().filter(|fault| fault.message == "is no key that we know") {
            refused.insert(section_of(&fault.key));
            assert!(!validator.is_valid(&broken), "schema: {broken}");
        }
    }
    let sections = SECTIONS.into_iter().map(|(path, _)| path.to_owned());
    assert_eq!(refused, sections.collect());
}

/// `kafka.topics[2].zzz` and `kafka.properties["sasl.password"].zzz` without what is their own.
fn section_of(key: &str) -> String {
    let path = key.strip_suffix("zzz").unwrap().trim_end_matches('.');
    let mut pieces = path.split('[');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |path, piece| match piece.rsplit_once(']') {
        Some((index, rest)) if index.starts_with('"') => format!("{path}.{{}}{rest}"),
        Some((_, rest)) => format!("{path}[]{rest}"),
        None => path,
    })
}

#[test]
fn both_know_the_same_required_keys() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let example = example();
    let mut pointers = Vec::new();
    collect_pointers(&example, "", &mut pointers);
    for pointer in pointers {
        let mut without = example.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        without.pointer_mut(parent).and_then(Value::as_object_mut).unwrap().remove(key);
        assert_eq!(validator.is_valid(&without), read(&without.to_string()).is_ok(), "{pointer}");
    }
}

fn collect_pointers(value: &Value, pointer: &str, pointers: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let pointer = format!("{pointer}/{key}");
                collect_pointers(value, &pointer, pointers);
                pointers.push(pointer);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                collect_pointers(value, &format!("{pointer}/{index}"), pointers);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn both_refuse_the_same_values() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (pointer, values) in [
        (
            "/kafka/properties/sasl.password",
            vec![json!("hunter2"), json!({}), json!({ "file": "a", "env": "b" })],
        ),
        ("/kafka/properties/group.id", vec![json!(""), json!([]), json!(null)]),
        ("/kafka/instance", vec![json!("severance 0"), json!(""), json!(0)]),
        ("/kafka/delivery", vec![json!("at-most-once"), json!("at_least_once"), json!(true)]),
        ("/kafka/topics", vec![json!([]), json!({}), json!("security.siem")]),
        ("/kafka/topics/0/name", vec![json!("^security.*"), json!(".."), json!("")]),
        ("/kafka/topics/0/accept_types", vec![json!([]), json!([""]), json!("*")]),
        ("/clusters", vec![json!([]), json!(null)]),
        ("/clusters/0/uri", vec![json!("mongodb://a:b@m1:27017/"), json!("http://m1"), json!("m1:27017")]),
        ("/clusters/1/members", vec![json!({ "m": "m:1" }), json!({ "m:1": "m" }), json!({ "m:1": 1 })]),
        ("/protected/0", vec![json!({}), json!({ "user": "a" }), json!({ "db": "a", "pattern": "a@a" })]),
        ("/protected/0/db", vec![json!("a@b"), json!("")]),
        ("/protected/2/pattern", vec![json!("svc-*"), json!("")]),
        ("/protected_defaults", vec![json!("yes"), json!(1)]),
        ("/rules/0/class", vec![json!("compromised"), json!("")]),
        ("/rules/0/on", vec![json!([]), json!("io.severance.*")]),
        ("/rules/0/when", vec![json!(""), json!(true)]),
        ("/rules/0/clusters", vec![json!([]), json!([{}]), json!("orders")]),
        ("/rules/1/target/principals", vec![json!([]), json!(""), json!([{ "user": "a" }])]),
        ("/rules/2/target/roles", vec![json!([]), json!(""), json!([{ "role": "a" }]), json!(["a@b"])]),
        ("/rules/3/target/everyone", vec![json!(false), json!("yes"), json!([])]),
        ("/allow_everyone", vec![json!(false), json!("yes")]),
        ("/limits/batch_max_records", vec![json!(0), json!(-1), json!(10_001), json!(1.5), json!("10")]),
        ("/limits/max_principals", vec![json!(0), json!(10_001), json!("all")]),
        ("/limits/max_principals_per_window/count", vec![json!(0), json!(100_001), json!("all")]),
        ("/limits/over_cap/on_expiry", vec![json!("cut"), json!(""), json!(true)]),
        ("/rules/0/approval/expires", vec![json!("1"), json!(60)]),
        ("/rules/0/approval/when", vec![json!(""), json!(true)]),
        ("/limits/inline_budget", vec![json!("2"), json!(2), json!("-2s"), json!("2 s"), json!("2w")]),
        ("/limits/give_up_after", vec![json!("-1h"), json!(1)]),
        ("/limits/max_event_age/window", vec![json!("1h30m"), json!("")]),
        ("/evidence/max_items", vec![json!(-1), json!(1_001)]),
        ("/verify/rounds", vec![json!(0), json!(11)]),
        (
            "/listen",
            vec![
                json!(""),
                json!(9464),
                json!(false),
                json!("localhost:9464"),
                json!("127.0.0.1"),
                json!(":1"),
            ],
        ),
        ("/log/hash_principals", vec![json!("yes"), json!(1)]),
    ] {
        for value in values {
            let mut broken = quick_example();
            *broken.pointer_mut(pointer).unwrap() = value.clone();
            assert!(!validator.is_valid(&broken), "schema: {pointer} = {value}");
            assert!(read(&broken.to_string()).is_err(), "parser: {pointer} = {value}");
        }
    }
}

#[test]
fn the_defaults_in_the_schema_are_the_ones_that_the_parser_uses() {
    let (schema, mut written) = (schema(), example());
    for section in ["limits", "evidence", "verify"] {
        written[section] = defaults_of(&schema["properties"][section]);
    }
    let mut left_out = example();
    for section in ["limits", "evidence", "verify"] {
        left_out.as_object_mut().unwrap().remove(section);
    }
    let numbers = |config: Config| format!("{:?} {:?}", config.limits, config.work);
    assert_eq!(numbers(read(&written.to_string()).unwrap()), numbers(read(&left_out.to_string()).unwrap()));
}

fn defaults_of(section: &Value) -> Value {
    // What has to say all of itself where it is written at all has no default.
    let has_default = |(_, schema): &(&String, &Value)| schema.get("required").is_none();
    let properties = section["properties"].as_object().unwrap().iter().filter(has_default);
    let default = |(key, schema): (&String, &Value)| {
        let value =
            if schema.get("properties").is_some() { defaults_of(schema) } else { schema["default"].clone() };
        (key.clone(), value)
    };
    Value::Object(properties.map(default).collect())
}
