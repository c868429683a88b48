//! Whether what the program says is what `schemas/` says that it says.

use serde_json::Value;

/// Fails with every place where `document` is not as its schema says.
pub fn assert_valid(name: &str, document: &Value) {
    let path = format!("{}/schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let faults: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(faults.is_empty(), "not as {name} says:\n{}\n{document:#}", faults.join("\n"));
}
