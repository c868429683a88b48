//! What a file of cases says, and how it is told.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::config::{Config, WithoutSecrets};

fn desk() -> Desk {
    let text = include_str!("../../deploy/severance.yaml");
    match Config::parse(text, Path::new("/nowhere/severance.yaml"), &WithoutSecrets) {
        Ok((config, _)) => Desk::new(config),
        Err(faults) => panic!("{faults}"),
    }
}

fn tested(written: &str) -> Result<Tested, String> {
    test(&desk(), "rules.yaml", written, false)
}

const EVENT: &str = "{ specversion: '1.0', id: '1', source: /siem/acme, type: io.severance.account.compromised.v1, \
    time: 2026-11-25T11:00:00Z, data: { principals: [{ user: a, db: admin }, { user: svc-x, db: admin }], \
    confidence: 0.9 } }";

/// One case with this expectation.
fn case(expect: &str) -> String {
    format!("cases:\n  - name: one\n    event: {EVENT}\n    expect: {expect}\n")
}

#[test]
fn the_shipped_cases_are_decided_as_they_say_and_leave_no_rule_out() {
    let desk = desk();
    let written = include_str!("../../deploy/rules-test.yaml");
    let tested = test(&desk, "rules-test.yaml", written, true).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(tested.failed, 0, "{}", tested.text);
    assert!(tested.cases > 10);
    assert_eq!(untested(&desk, &tested.rules), [""; 0]);
}

#[test]
fn what_is_expected_and_not_so_is_told_each_with_what_came_instead() {
    let right = "{ decision: terminated, rule: siem-compromise, class: compromise, reason: null, \
        principals: [a@admin], clusters: [billing, orders], spared: [svc-x@admin] }";
    assert_eq!(tested(&case(right)).unwrap().failed, 0);
    let wrong = "{ decision: simulate, rule: null, class: window, reason: guard, \
        principals: [a@admin, b@admin], clusters: [], spared: [] }";
    let tested = tested(&case(wrong)).unwrap();
    assert_eq!((tested.cases, tested.failed), (1, 1));
    insta::assert_snapshot!(tested.text);
}

#[test]
fn a_refusal_says_why() {
    let silent = case("{ decision: terminate }").replace("confidence: 0.9", "sure: true");
    let text = tested(&silent).unwrap().text;
    assert!(
        text.contains(
            "got refuse (rule_error: rule `siem-compromise`: `when`: the event has no `confidence`)"
        ),
        "{text}"
    );
}

#[test]
fn a_case_is_judged_as_of_its_own_time_else_the_files_else_the_events() {
    let expired = "{ decision: expired }";
    assert_eq!(tested(&case("{ decision: terminate }")).unwrap().failed, 0, "the event's own");
    let file = format!("at: 2026-12-25T00:00:00Z\n{}", case(expired));
    assert_eq!(tested(&file).unwrap().failed, 0, "the file's");
    let own = file.replace("name: one", "name: one\n    at: 2026-11-25T12:00:00Z");
    assert_eq!(tested(&own).unwrap().failed, 1, "the case's");
}

#[test]
fn a_file_that_cannot_be_used_says_where() {
    let fault = |written: &str| tested(written).unwrap_err();
    for (written, expected) in [
        ("cases: []", "rules.yaml: `cases` is empty: it would test nothing"),
        (&case("{ decision: terminate, principals: [a] }"), "not written as user@db"),
        (&case("{ decision: kill }"), "unknown variant `kill`, expected one of terminate,"),
        (&case("{ decision: terminate, rules: x }"), "rules.yaml:4:"),
        (&case("{}"), "missing field `decision`"),
        (
            &case("{ decision: expired }").replace("name: one", "name: one\n    topic: elsewhere"),
            "rules.yaml:2:5: \"one\": topic \"elsewhere\" is not one of kafka.topics",
        ),
        (": : :", "rules.yaml:1:"),
    ] {
        let fault = fault(written);
        assert!(fault.contains(expected), "{fault}");
    }
}

#[test]
fn the_schema_and_the_reader_agree() {
    let schema: Value = serde_json::from_str(include_str!("../../schemas/rules-test.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let shipped: Value = serde_saphyr::from_str(include_str!("../../deploy/rules-test.yaml")).unwrap();
    let errors: Vec<_> = validator.iter_errors(&shipped).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");

    let expect = &schema["$defs"]["case"]["properties"]["expect"]["properties"];
    for word in expect["decision"]["enum"].as_array().unwrap() {
        let read = serde_json::from_value::<file::Word>(word.clone());
        assert!(read.is_ok(), "{word}");
    }
    let full = json!({"at": "2026-11-25T12:00:00Z", "cases": [{"name": "n", "topic": null, "at": null, "event": {},
        "expect": {"decision": "no_rule", "rule": null, "class": null, "reason": null, "principals": null,
            "clusters": null, "spared": null}}]});
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let described = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .values()
            .all(|key| key["description"].as_str().is_some_and(|text| text.ends_with('.')))
    };
    let case = &schema["$defs"]["case"]["properties"];
    for (document, properties) in
        [(&full, &schema["properties"]), (&full["cases"][0], case), (&full["cases"][0]["expect"], expect)]
    {
        assert_eq!(keys(document), keys(properties));
        assert!(described(properties), "{properties:#}");
    }
    assert!(
        file::read(&full.to_string()).is_ok(),
        "every key is read, and every one may be null that says so"
    );
    for wrong in
        [json!({}), json!({"cases": []}), json!({"cases": [{"name": "n"}]}), json!({"cases": [], "more": 1})]
    {
        assert!(!validator.is_valid(&wrong) && file::read(&wrong.to_string()).is_err(), "{wrong}");
    }
}
