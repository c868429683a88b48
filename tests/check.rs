//! `check` on real servers: it names what is wrong, all of it and nothing else, and shows no secret.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use severance::{
    check::{
        check, json as as_json,
        report::{About, Finding, Level, Report},
        text,
    },
    cli::{Exit, check::exit},
    lab::{Credentials, ReplicaSet, Signal, Standalone},
    privilege::{NEEDED, Privilege, role_privileges},
};
use support::responder::{Nothing, account};
use support::{block_on, replica_set};

/// What `check` says of a configuration with one cluster, `lab`, at this URI.
async fn check_cluster(uri: &str, extra: &str) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("uri"), uri).expect("a file");
    let config = folder.path().join("severance.yaml");
    let text = format!(
        "kafka:\n  properties: {{bootstrap.servers: 'localhost:1', group.id: test}}\n  topics: [{{name: t, accept_types: ['io.severance.account.compromised.*']}}]\n  outcomes: out\n  dead_letters: dead\n\
         limits: {{give_up_after: 0}}\nclusters:\n  - name: lab\n    uri: {{file: uri}}\n{extra}"
    );
    std::fs::write(&config, text).expect("a file");
    let topics = async |_: &_| vec![Finding::ok("t", "12 partitions")];
    check(&config, &Nothing, false, topics).await
}

/// What is wrong, `level subject: message`, one a line.
fn wrong(report: &Report) -> Vec<String> {
    report
        .findings()
        .filter(|(_, finding)| finding.level != Level::Ok)
        .map(|(_, Finding { level, subject, message, .. })| format!("{level:?} {subject}: {message}"))
        .collect()
}

/// An account of a role of its own with these privileges.
async fn account_with(set: &ReplicaSet, name: &str, privileges: Vec<Value>) -> Credentials {
    let definition = json!({"privileges": privileges, "roles": []});
    set.create_role("admin", name, definition).await.expect("a role");
    set.create_user(name, "admin", json!([{"role": name, "db": "admin"}])).await.expect("an account")
}

fn granted(privileges: impl Iterator<Item = Privilege>) -> Vec<Value> {
    privileges
        .map(|privilege| json!({"resource": privilege.resource.document(), "actions": [privilege.action]}))
        .collect()
}

/// The report with steady times and names in place of ports, so that two runs read alike.
fn redacted(mut report: Report, set: &ReplicaSet) -> String {
    report.file = "severance.yaml".to_owned();
    for section in &mut report.sections {
        section.members.sort_by_key(|member| {
            (0..set.size()).find(|number| set.host(*number) == member.host).expect("a member")
        });
        for (number, member) in section.members.iter_mut().enumerate() {
            member.host = format!("m{number}:27017");
            if number != set.size() - 1 {
                member.role = "visible".to_owned();
            }
            if let Ok(answers) = &mut member.answers {
                answers.answers_in = std::time::Duration::from_micros(300);
                answers.ahead = jiff::SignedDuration::from_micros(-200);
                answers.ahead_error = jiff::SignedDuration::from_micros(1_150);
                answers.version = Ok("6.0.5".to_owned());
            }
        }
    }
    let hash = text(&report).split("hash ").nth(1).map(|rest| rest[..16].to_owned()).expect("a hash");
    text(&report).replace(&hash, "0123456789abcdef")
}

#[test]
fn a_healthy_cluster_reads_well() {
    let set = replica_set();
    block_on(async {
        let own = account(set, "check-healthy").await;
        let report = check_cluster(&set.uri(&own), "").await;
        assert_eq!(wrong(&report), [""; 0], "{}", text(&report));
        assert_eq!(exit(&report, true), Exit::Done);
        insta::assert_snapshot!(redacted(report, set));
    });
}

#[test]
fn each_privilege_that_is_missing_is_named_alone_with_its_purpose() {
    let set = replica_set();
    block_on(async {
        for dropped in NEEDED {
            let rest = granted(NEEDED.into_iter().filter(|privilege| *privilege != dropped));
            let own = account_with(set, &format!("without-{}", dropped.action), rest).await;
            let report = check_cluster(&set.uri(&own), "").await;

            let wrong = wrong(&report);
            assert_eq!(wrong.len(), 1, "{}", text(&report));
            assert!(wrong[0].contains(&format!("lacks `{}`", dropped.action)), "{}", text(&report));
            assert!(wrong[0].contains(dropped.purpose), "{}", text(&report));
            let expected = if dropped.essential { Exit::Failed } else { Exit::Done };
            assert_eq!(exit(&report, false), expected, "{}", text(&report));
            let members = &as_json(&report)["sections"][2]["members"];
            for member in members.as_array().expect("members") {
                assert_eq!(member["missing_privileges"], json!([dropped.action]), "{member:#}");
            }
        }
    });
}

#[test]
fn an_account_without_any_role_lacks_everything() {
    let set = replica_set();
    block_on(async {
        let own = set.create_user("check-bare", "admin", json!([])).await.expect("an account");
        let report = check_cluster(&set.uri(&own), "").await;
        assert_eq!(wrong(&report).len(), NEEDED.len(), "{}", text(&report));
    });
}

#[test]
fn impersonate_is_warned_of() {
    let set = replica_set();
    block_on(async {
        let mut privileges = role_privileges(false);
        privileges.push(json!({"resource": {"cluster": true}, "actions": ["impersonate"]}));
        let own = account_with(set, "check-impersonate", privileges).await;
        let report = check_cluster(&set.uri(&own), "").await;

        let wrong = wrong(&report);
        assert_eq!(wrong.len(), 1, "{}", text(&report));
        assert!(wrong[0].starts_with("Warning every member: check-impersonate@admin has `impersonate`"));
        assert_eq!((exit(&report, false), exit(&report, true)), (Exit::Done, Exit::Partial));
    });
}

#[test]
fn a_wrong_password_is_told_as_such_and_not_shown() {
    let set = replica_set();
    block_on(async {
        let own = account(set, "check-password").await;
        let wrong_one = Credentials { proof: severance::lab::Proof::Password("hunter2".into()), ..own };
        let report = check_cluster(&set.uri(&wrong_one), "").await;

        let wrong = wrong(&report);
        assert_eq!(wrong.len(), 1, "{}", text(&report));
        assert!(wrong[0].contains("refuses our login as check-password@admin"), "{}", text(&report));
        assert!(!format!("{}{}", text(&report), as_json(&report)).contains("hunter2"));
        assert_eq!(exit(&report, false), Exit::Failed);
    });
}

#[test]
fn a_uri_without_an_account_is_told() {
    let set = replica_set();
    block_on(async {
        let report = check_cluster(&format!("mongodb://{}/", set.address(0)), "").await;
        let said = text(&report);
        assert!(said.contains("the `uri` names no account"), "{said}");
        assert!(!said.contains("lacks"), "{said}");
    });
}

#[test]
fn members_that_are_down_or_stopped_are_named() {
    block_on(async {
        let set = ReplicaSet::builder().voting(1).hidden(true).start().await.expect("a set");
        let own = account(&set, "severance").await;
        let hidden = set.hidden().expect("a hidden member");
        for signal in [Signal::Stop, Signal::Kill] {
            set.signal(hidden, signal).expect("a signal");
            let report = check_cluster(&set.uri(&own), "").await;

            let wrong = wrong(&report);
            assert_eq!(wrong.len(), 1, "{}", text(&report));
            assert!(
                wrong[0].starts_with(&format!("Fault {}: cannot be reached", set.host(hidden))),
                "{}",
                text(&report)
            );
            assert_eq!(exit(&report, false), Exit::Failed);
            println!("{}", text(&report));
        }
    });
}

#[test]
fn a_server_without_authorization_is_told_whether_we_log_in_or_not() {
    block_on(async {
        let server = Standalone::start().await.expect("a server");
        let with_login = format!("mongodb://severance:hunter2@{}/", server.address());
        for uri in [server.uri(), with_login] {
            let report = check_cluster(&uri, "").await;
            let wrong = wrong(&report);
            assert_eq!(wrong.len(), 1, "{}", text(&report));
            assert!(wrong[0].contains("authorization is off"), "{}", text(&report));
        }
    });
}

#[test]
fn a_name_that_nobody_knows_is_told() {
    block_on(async {
        let report = check_cluster("mongodb://severance:hunter2@nowhere.invalid:27017/", "").await;
        let wrong = wrong(&report);
        assert_eq!(wrong.len(), 1, "{}", text(&report));
        assert!(wrong[0].starts_with("Fault nowhere.invalid:27017: cannot be reached"), "{}", wrong[0]);
        println!("{}", text(&report));
    });
}

#[test]
fn an_address_that_no_driver_could_use_is_told_without_its_secrets() {
    block_on(async {
        let uri = "mongodb://severance:hunter2@m1/?tls=true&tlsCAFile=/nowhere/ca.pem";
        let report = check_cluster(uri, "").await;
        assert_eq!(wrong(&report).len(), 1, "{}", text(&report));
        assert!(!text(&report).contains("hunter2"), "{}", text(&report));
        println!("{}", text(&report));
    });
}

#[test]
fn an_address_for_somebody_who_is_no_member_is_warned_of() {
    let set = replica_set();
    block_on(async {
        let own = account(set, "check-members").await;
        let extra = "    members: { 'mongo-0.internal:27017': '10.0.0.10:27017' }\n";
        let report = check_cluster(&set.uri(&own), extra).await;
        assert_eq!(
            wrong(&report),
            ["Warning mongo-0.internal:27017: stands under `members`, but is no member"]
        );
    });
}

#[test]
fn nothing_is_changed_and_nobody_is_cut() {
    let set = replica_set();
    block_on(async {
        let own = account(set, "check-harmless").await;
        let kills =
            || (0..set.size()).map(|member| set.logged_kills(member).expect("a log").len()).sum::<usize>();
        let before = kills();
        check_cluster(&set.uri(&own), "").await;
        assert_eq!(kills(), before);
    });
}

#[test]
fn every_fault_of_a_configuration_is_told_at_once_and_nothing_is_asked() {
    let text_of = |yaml: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("severance.yaml");
        std::fs::write(&path, yaml).expect("a file");
        let topics = async |_: &_| -> Vec<Finding> { panic!("Kafka was asked") };
        let report = block_on(check(&path, &Nothing, false, topics));
        assert_eq!(exit(&report, false), Exit::Usage);
        text(&report).replace(&format!("{}/", folder.path().display()), "")
    };
    insta::assert_snapshot!(text_of(
        "kafka:\n  properties: { bootstrap.servers: 'k1:9092', acks: 1 }\n  topics: [{ name: security.siem }]\n  outcomes: security.siem\n\
         clusters:\n  - { name: orders, uri: { env: SEVERANCE_NO_SUCH_VARIABLE } }\n\
         limits: { inline_budget: 2, drian: 20s }\n"
    ));
}

#[test]
fn offline_reads_the_configuration_and_asks_nobody() {
    let topics = async |_: &_| -> Vec<Finding> { panic!("Kafka was asked") };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("severance.yaml");
    let yaml = "kafka:\n  properties: { bootstrap.servers: 'k1:9092', group.id: severance }\n  topics: [{ name: security.siem }]\n  outcomes: out\n  dead_letters: dead\n\
                clusters:\n  - { name: orders, uri: 'mongodb+srv://nowhere.invalid/' }\nprotected_defaults: false\n";
    std::fs::write(&path, yaml).expect("a file");
    let report = block_on(check(&path, &Nothing, true, topics));
    assert!(report.findings().all(|(about, _)| *about == About::Config));
    assert_eq!((exit(&report, false), exit(&report, true)), (Exit::Done, Exit::Partial), "{}", text(&report));
    insta::assert_snapshot!(text(&report).replace(&format!("{}/", folder.path().display()), ""));
}

#[test]
fn a_uri_that_cannot_be_read_is_a_fault_of_the_configuration_and_not_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("uri"), "mongodb://u:hunter2@h:1/?w=1&bogus").expect("a file");
    let path = folder.path().join("severance.yaml");
    let yaml = "kafka:\n  properties: { bootstrap.servers: 'k1:9092', group.id: severance }\n  topics: [{ name: security.siem }]\n  outcomes: out\n  dead_letters: dead\n\
                clusters:\n  - { name: orders, uri: { file: uri } }\n";
    std::fs::write(&path, yaml).expect("a file");
    let report = block_on(check(Path::new(&path), &Nothing, true, async |_: &_| Vec::new()));
    assert_eq!(exit(&report, false), Exit::Usage, "{}", text(&report));
    assert!(!text(&report).contains("hunter2"), "{}", text(&report));
    println!("{}", text(&report));
}
