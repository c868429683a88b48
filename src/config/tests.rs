//! The configuration as its user meets it.

use std::{collections::HashMap, io, path::Path};

use secrecy::ExposeSecret;

use super::{Config, Faults, RESERVED, Surroundings, Warning};
use crate::{case::Class, principal::Principal};

/// A machine with these files and variables.
#[derive(Default)]
pub(super) struct Machine {
    files: HashMap<&'static str, &'static str>,
    variables: HashMap<&'static str, &'static str>,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self {
            files: HashMap::from([
                ("/run/secrets/orders-uri", "mongodb://severance:hunter2@m1:27017/?replicaSet=rs0\n"),
                ("/etc/severance/kafka-password", "hunter2\n"),
                ("/run/secrets/kafka-password", "hunter2\n"),
                ("/run/secrets/empty", "\n"),
            ]),
            variables: HashMap::from([
                ("BILLING_URI", "mongodb://severance:hunter2@b1:27017/"),
                ("POD_NAME", "severance-0"),
            ]),
        }
    }
}

impl Surroundings for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|&value| value.to_owned())
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let text = path.to_str().and_then(|path| self.files.get(path));
        text.map(|&text| text.to_owned())
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }
}

fn read(text: &str) -> Result<(Config, Vec<Warning>), Faults> {
    Config::parse(text, Path::new("/etc/severance/severance.yaml"), &Machine::new())
}

const GOOD: &str = r#"
kafka:
  properties: { bootstrap.servers: "k1:9092", group.id: severance }
  topics:
    - { name: security.siem, accept_types: ["io.severance.account.compromised.*"] }
  outcomes: severance.outcomes
  dead_letters: severance.dead-letters
clusters:
  - { name: orders, labels: { env: prod }, uri: { file: /run/secrets/orders-uri } }
rules:
  - name: siem-compromise
    class: compromise
    on: ["io.severance.account.compromised.*"]
    target: { principals: event.data.principals }
"#;

fn good() -> Config {
    read(GOOD).unwrap_or_else(|faults| panic!("{faults}")).0
}

/// The faults of the good configuration after one replacement, `key: message`, one a line.
#[track_caller]
fn broken(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old}");
    let faults = read(&GOOD.replace(old, new)).err();
    let faults = faults.unwrap_or_else(|| panic!("{new} was accepted"));
    faults.iter().map(|fault| format!("{}: {}", fault.key, fault.message)).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_left_out_has_the_default_of_the_contract() {
    let config = good();
    assert_eq!(config.kafka.group, "severance");
    assert_eq!(config.kafka.instance, None);
    assert!(!config.dry_run);
    insta::assert_debug_snapshot!((config.limits, config.work));
}

#[test]
fn the_internal_account_is_protected_even_without_the_built_in_list() {
    let config = read(&format!("{GOOD}\nprotected_defaults: false\n")).unwrap().0;
    assert_eq!(config.protected.len(), 1);
    assert!(config.protected[0].covers(&Principal::internal()));
    assert!(good().protected.len() > 10);
}

#[test]
fn protected_entries_take_a_person_a_database_or_a_pattern() {
    let protected = r#"
protected: [{ user: app, db: orders }, { db: reports }, { pattern: "svc-*@admin" }, { pattern: 'a\*b@admin' }]
protected_defaults: false
"#;
    let config = read(&format!("{GOOD}{protected}")).unwrap().0;
    let covered = |user: &str, db: &str| {
        let principal = Principal::new(user, db).unwrap();
        config.protected.iter().any(|entry| entry.covers(&principal))
    };
    assert!(covered("app", "orders") && covered("anybody", "reports") && covered("svc-9", "admin"));
    assert!(covered("a*b", "admin"));
    assert!(!covered("app", "admin") && !covered("svc-9", "orders") && !covered("axb", "admin"));
}

#[test]
fn a_secret_comes_from_a_file_or_a_variable_and_is_never_shown() {
    let text =
        GOOD.replace("group.id: severance", "group.id: severance, sasl.password: { file: kafka-password }");
    let text = text.replace("\nrules:", "\n  - { name: billing, uri: { env: BILLING_URI } }\nrules:");
    let config = read(&text).unwrap_or_else(|faults| panic!("{faults}")).0;
    assert_eq!(config.kafka.properties["sasl.password"].expose_secret(), "hunter2");
    assert_eq!(config.clusters[1].uri.expose_secret(), "mongodb://severance:hunter2@b1:27017/");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn an_address_without_a_password_may_stand_in_clear() {
    let text = GOOD.replace("{ file: /run/secrets/orders-uri }", "\"mongodb://m1:27017/?tls=true\"");
    assert_eq!(read(&text).unwrap().0.clusters[0].uri.expose_secret(), "mongodb://m1:27017/?tls=true");
}

#[test]
fn a_property_may_be_written_as_a_number_or_a_flag() {
    let text = GOOD.replace(
        "group.id: severance",
        "group.id: severance, session.timeout.ms: 6000, socket.keepalive.enable: true",
    );
    let properties = read(&text).unwrap().0.kafka.properties;
    assert_eq!(properties["session.timeout.ms"].expose_secret(), "6000");
    assert_eq!(properties["socket.keepalive.enable"].expose_secret(), "true");
}

#[test]
fn an_instance_may_come_from_the_environment_and_is_checked_without_being_quoted() {
    let with = |instance: &str| GOOD.replace("  outcomes:", &format!("  instance: {instance}\n  outcomes:"));
    let config = read(&with("{ env: POD_NAME }")).unwrap().0;
    assert_eq!(config.kafka.instance.as_deref(), Some("severance-0"));
    let faults = read(&with("{ env: BILLING_URI }")).unwrap_err().to_string();
    assert!(faults.contains("is no name") && !faults.contains("hunter2"), "{faults}");
}

#[test]
fn the_same_text_has_the_same_hash_and_another_text_another() {
    assert_eq!(good().hash, good().hash);
    assert_ne!(good().hash, read(&format!("{GOOD}\n")).unwrap().0.hash);
}

#[test]
fn ages_are_set_class_by_class() {
    let config = read(&format!("{GOOD}\nlimits: {{ max_event_age: {{ compromise: 15m }} }}\n")).unwrap().0;
    assert_eq!(config.limits.max_event_age[&Class::Compromise].as_secs(), 900);
    assert_eq!(config.limits.max_event_age[&Class::Offboarding].as_secs(), 604_800);
}

#[test]
fn no_is_a_name_and_not_a_flag() {
    assert!(read(&GOOD.replace("env: prod", "country: no")).is_ok());
}

#[test]
fn a_number_where_a_text_belongs_is_not_guessed_at() {
    insta::assert_snapshot!(broken("name: orders", "name: 0123"), @"clusters[0].name: is a number, not a text");
}

#[test]
fn an_empty_condition_does_not_mean_always_nor_an_empty_place_everywhere() {
    let keys = "    class: compromise\n    when:\n    clusters:\n    dry_run: null\n";
    insta::assert_snapshot!(broken("    class: compromise\n", keys), @r#"
    rules[0].when: is empty
    rules[0].clusters: is empty
    rules[0].dry_run: is empty
    "#);
    insta::assert_snapshot!(broken("outcomes: severance.outcomes", "outcomes: null"), @"kafka.outcomes: is empty");
    assert!(read(&GOOD.replace("  outcomes:", "  instance: null\n  outcomes:")).is_ok());
}

#[test]
fn text_that_is_no_yaml_is_refused_with_its_place_and_without_an_excerpt() {
    let faults =
        read("kafka:\n  properties: { sasl.password: hunter2\nclusters: []\n").unwrap_err().to_string();
    assert!(!faults.contains("hunter2"), "{faults}");
    insta::assert_snapshot!(faults, @r#"
    1 fault in /etc/severance/severance.yaml

    /etc/severance/severance.yaml:3:9
        is no valid YAML: while parsing a flow mapping, did not find expected ',' or '}'
    "#);
    insta::assert_snapshot!(read("").unwrap_err(), @r#"
    1 fault in /etc/severance/severance.yaml

    /etc/severance/severance.yaml:1:1
        is empty
        fix: write a map with kafka, clusters, protected, protected_defaults, rules, default_rules, dry_run, allow_everyone, limits, evidence, verify, listen, log, pause_file, canary
    "#);
    insta::assert_snapshot!(read("kafka: {}\n---\nkafka: {}\n").unwrap_err(), @r#"
    1 fault in /etc/severance/severance.yaml

    /etc/severance/severance.yaml:3:1
        holds more than one YAML document
    "#);
    insta::assert_snapshot!(read("kafka: !vault hunter2\n").unwrap_err(), @r#"
    1 fault in /etc/severance/severance.yaml

    /etc/severance/severance.yaml:1:15
        is no valid YAML: unsupported tag `!vault`
    "#);
    insta::assert_snapshot!(read("kafka: *hunter2\n").unwrap_err(), @r#"
    1 fault in /etc/severance/severance.yaml

    /etc/severance/severance.yaml:1:8
        is no valid YAML: alias references unknown anchor
    "#);
    insta::assert_snapshot!(read("kafka: !!int hunter2\n").unwrap_err(), @r#"
    1 fault in /etc/severance/severance.yaml

    /etc/severance/severance.yaml:1:14
        is no valid YAML: invalid u64
    "#);
}

#[test]
fn a_key_that_is_written_twice_is_refused() {
    let twice = "outcomes: severance.outcomes\n  outcomes: severance.other";
    insta::assert_snapshot!(broken("outcomes: severance.outcomes", twice), @"kafka.outcomes: is written twice");
}

#[test]
fn anchors_and_merge_keys_are_read_as_yaml_means_them() {
    let second = "\n  - { <<: *orders, name: billing }\nrules:";
    let text = GOOD.replace("- { name: orders", "- &orders { name: orders").replace("\nrules:", second);
    let clusters = read(&text).unwrap_or_else(|faults| panic!("{faults}")).0.clusters;
    assert_eq!(&*clusters[1].name, "billing");
    assert_eq!(clusters[1].labels["env"], "prod");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_or_pass(text in "(kafka|clusters|rules|on|[a-z0-9.:{}\\[\\]\\-,\"'&*!|>#%@ \n]){0,60}") {
        proptest::prop_assert!(read(&text).is_err());
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let faults = Config::load(Path::new("/etc/severance/other.yaml"), &Machine::new()).unwrap_err();
    insta::assert_snapshot!(faults, @r#"
    1 fault in /etc/severance/other.yaml

    /etc/severance/other.yaml
        cannot be read: no such file
        fix: correct the path, or let this user read the file
    "#);
}

#[test]
fn a_broken_key_hides_no_other_fault() {
    insta::assert_snapshot!(
        broken("    class: compromise\n", "    class: compromised\n    when: 7\n    clusters: [order]\n"),
        @r#"
    rules[0].class: is `compromised`, a word that we do not know
    rules[0].when: is a number, not a text
    rules[0].clusters[0]: `order` is no cluster
    "#
    );
}

#[test]
fn a_rule_is_not_blamed_for_a_cluster_that_could_not_be_read() {
    insta::assert_snapshot!(broken("name: orders, labels", "name: \"orders!\", labels"), @"clusters[0].name: `orders!` is no name");
}

#[test]
fn every_property_that_correctness_rests_on_is_refused() {
    for (property, _) in RESERVED {
        let faults = broken("group.id: severance", &format!("group.id: severance, {property}: x"));
        assert!(faults.contains("may not be set: "), "{property}: {faults}");
    }
}

#[test]
fn every_property_that_is_a_secret_is_refused_in_clear() {
    for property in [
        "sasl.password",
        "ssl.key.password",
        "ssl.keystore.password",
        "ssl.key.pem",
        "ssl_key",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.assertion.private.key.passphrase",
    ] {
        let faults = broken("group.id: severance", &format!("group.id: severance, {property}: hunter2"));
        assert!(faults.contains("is written in clear"), "{property}: {faults}");
        assert!(!faults.contains("hunter2"), "{property}: {faults}");
    }
}

#[test]
fn what_a_later_version_brings_is_named_as_such() {
    for (old, new) in [
        ("\nclusters:", "\nwindows: []\nclusters:"),
        ("\nclusters:", "\nidentities: { file: people.csv }\nclusters:"),
    ] {
        let faults = broken(old, new);
        assert!(faults.ends_with("is not in this version"), "{faults}");
    }
}

#[test]
fn health_is_answered_on_loopback_unless_somebody_says_otherwise() {
    let listen = |extra: &str| read(&format!("{GOOD}{extra}")).unwrap().0.listen.map(|it| it.to_string());
    assert_eq!(listen("").as_deref(), Some("127.0.0.1:9464"));
    assert_eq!(listen("\nlisten: \"[::]:80\"\n").as_deref(), Some("[::]:80"));
    assert_eq!(listen("\nlisten: null\n"), None);
}

#[test]
fn principals_stand_in_the_log_by_name_unless_they_are_to_be_hashed() {
    assert!(!good().log.hash_principals);
    assert!(read(&format!("{GOOD}\nlog: {{ hash_principals: true }}\n")).unwrap().0.log.hash_principals);
}

#[test]
fn faults_read_well() {
    let text = r#"
kafka:
  properties:
    bootstrap.servers: "k1:9092"
    group.id: severance
    sasl.password: hunter2
    enable.auto.commit: true
  delivery: exactly-onse
  topics:
    - { name: security.siem, accept_typs: ["io.severance.account.compromised.*"] }
  outcomes: security.siem
  state: severance.state
clusters:
  - name: orders
    labels: { env: prod }
    uri: mongodb://severance:hunter2@m1:27017/
  - name: orders
    uri: { file: orders-uri }
    members: { mongo-0: "10.0.0.10:27017" }
protected:
  - { user: app }
  - { pattern: "svc-*" }
rules:
  - name: siem-compromise
    class: compromised
    on: ["io.severance.account.[compromised"]
    target: { principals: event.data.principals }
    clusters: [ordres, { env: test }]
  - name: hr
    class: offboarding
    on: ["io.severance.account.offboarded.*"]
    when: evnt.data.reason == "left"
    target: { principals: [{ user: jsmith, db: "admin@prod" }] }
limits:
  inline_budget: 2
  max_principals: 0
  give_up_after: 24h
evidence: { wait: -5s }
"#;
    let faults = read(text).unwrap_err().to_string();
    assert!(!faults.contains("hunter2"));
    insta::assert_snapshot!(faults);
}

#[test]
fn warnings_say_what_works_otherwise_than_it_was_meant() {
    let text = GOOD
        .replace(", accept_types: [\"io.severance.account.compromised.*\"]", "")
        .replace(
            "  outcomes:",
            "    - { name: security.hr, accept_types: [\"io.severance.*\"] }\n  outcomes:",
        )
        .replace("group.id: severance", "group.id: severance, auto.offset.reset: latest");
    let text = text.replace("on: [\"", "on: [\"io.severance.account.reinstated.v1\", \"");
    let text = format!("{text}\ndry_run: true\nprotected: [{{ pattern: \"*@*\" }}]\n");
    let warnings = read(&text).unwrap().1;
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n\n"));
}

#[test]
fn unfinished_work_needs_both_topics_and_without_them_nothing_is_deferred() {
    let with = |lines: &str| GOOD.replace("  dead_letters:", &format!("{lines}  dead_letters:"));
    let both = read(&with("  state: s.state\n  commands: s.commands\n")).unwrap();
    assert_eq!(both.0.work.give_up_after.as_secs(), 24 * 60 * 60);
    let none = read(GOOD).unwrap();
    assert_eq!(none.0.work.give_up_after.as_secs(), 0);
    assert!(none.1.iter().any(|warning| warning.to_string().contains("limits.give_up_after")));
    let half = read(&with("  state: s.state\n")).unwrap_err().to_string();
    assert!(half.contains("kafka.commands"), "{half}");
    let nowhere = read(&format!("{GOOD}\nlimits: {{ give_up_after: 24h }}\n")).unwrap_err().to_string();
    assert!(nowhere.contains("write `kafka.state` and `kafka.commands`"), "{nowhere}");
    let same = read(&with("  state: severance.outcomes\n  commands: s.commands\n")).unwrap_err().to_string();
    assert!(same.contains("kafka.state"), "{same}");
}

#[test]
fn a_case_can_wait_only_where_there_are_topics_for_it() {
    let jobs = |text: &str| {
        text.replace("  dead_letters:", "  state: s.state\n  commands: s.commands\n  dead_letters:")
    };
    let over_cap = format!("{GOOD}\nlimits: {{ over_cap: {{ expires: 2h, on_expiry: proceed }} }}\n");
    let wait = read(&jobs(&over_cap)).unwrap().0.limits.over_cap.unwrap();
    assert_eq!((wait.expires.as_secs(), wait.on_expiry), (7_200, crate::case::OnExpiry::Proceed));
    assert_eq!(read(&jobs(GOOD)).unwrap().0.limits.over_cap.unwrap().expires.as_secs(), 3_600);
    assert_eq!(read(GOOD).unwrap().0.limits.over_cap, None);
    let nowhere = read(&over_cap).unwrap_err().to_string();
    assert!(nowhere.contains("limits.over_cap") && nowhere.contains("write `kafka.state`"), "{nowhere}");
    let asks = broken("    class: compromise", "    class: compromise\n    approval: { expires: 5m }");
    assert!(asks.contains("rules[0].approval: is set, but there is no topic"), "{asks}");
}

#[test]
fn a_canary_needs_a_topic_that_takes_it_and_has_a_rule_of_its_own_in_front() {
    let faults = |extra: &str| read(&format!("{GOOD}{extra}")).unwrap_err().to_string();
    assert!(faults("\ncanary: { every: 1m }\n").contains("canary.topic"));
    assert!(faults("\ncanary: { topic: elsewhere }\n").contains("is no topic that is read"));
    assert!(faults("\ncanary: { topic: security.siem }\n").contains("does not take canaries"));
    let own = "    - { name: canary, accept_types: [\"io.severance.canary.v1\"] }\n  outcomes:";
    let text = format!("{}\ncanary: {{ topic: canary }}\n", GOOD.replace("  outcomes:", own));
    let config = read(&text).unwrap().0;
    assert_eq!(config.canary.unwrap().every.as_secs(), 60);
    assert_eq!(&*config.rules[0].name, "canary");
    assert!(read(GOOD).unwrap().0.rules.iter().all(|rule| &*rule.name != "canary"));
}
