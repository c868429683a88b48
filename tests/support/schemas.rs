//! Whether what the program says is what `schemas/` says that it says.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::Value;

/// A schema is compiled once: that takes longer than a thousand documents.
static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Fails with every place where `document` is not as its schema says.
pub fn assert_valid(name: &str, document: &Value) {
    let compile = || {
        let path = format!("{}/schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
        Arc::new(jsonschema::validator_for(&schema).expect("a valid schema"))
    };
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let validator = compiled.entry(name.to_owned()).or_insert_with(compile).clone();
    drop(compiled);
    let faults: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(faults.is_empty(), "not as {name} says:\n{}\n{document:#}", faults.join("\n"));
}
