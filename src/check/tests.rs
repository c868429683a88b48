//! What is said of clusters that no test can start: facts are made up, the rest is as it is.

use std::{collections::BTreeMap, time::Duration};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    facts::{Answers, ClusterFacts, Login, MemberFacts, Silence},
    judge,
    report::{About, Finding, Level, Reach, Report, Section},
    text,
};
use crate::{
    config,
    decide::Limits,
    privilege::role_privileges,
    terminate::{ErrorClass, NodeError},
};

fn answers() -> Answers {
    Answers {
        answers_in: Duration::from_micros(420),
        ahead: SignedDuration::from_micros(-150),
        ahead_error: SignedDuration::from_micros(1_210),
        router: false,
        version: Ok("7.0.14".to_owned()),
        authorization: Ok(true),
        wanted_for_roles: false,
        login: login(role_privileges(true)),
        unknown_commands: Ok(Vec::new()),
        names_owners: Ok(true),
    }
}

fn login(privileges: Vec<Value>) -> Result<Login, NodeError> {
    Ok(Login { accounts: vec!["severance@admin".parse().unwrap()], privileges })
}

fn member(host: &str, role: &str, answers: Answers) -> MemberFacts {
    MemberFacts { host: format!("{host}:27017"), role: role.to_owned(), answers: Ok(answers) }
}

fn silent(host: &str, class: ErrorClass, code: Option<i32>, message: &str) -> MemberFacts {
    let error = error(class, code, message);
    let answers = Err(Silence { error, open_to_strangers: None });
    MemberFacts { host: format!("{host}:27017"), role: "unknown".to_owned(), answers }
}

fn error(class: ErrorClass, code: Option<i32>, message: &str) -> NodeError {
    NodeError { class, code, node: "m".to_owned(), message: message.to_owned() }
}

fn judge(name: &str, members: Vec<MemberFacts>, incomplete: Option<NodeError>) -> Section {
    let config = config::Cluster {
        name: name.into(),
        labels: BTreeMap::new(),
        uri: "mongodb://m".to_owned().into(),
        members: BTreeMap::new(),
    };
    let limits = Limits {
        max_principals: 1,
        clock_skew: Duration::from_secs(30),
        max_event_age: BTreeMap::new(),
        window_cap: None,
        over_cap: None,
    };
    let account = vec!["severance@admin".parse().unwrap()];
    judge::cluster(ClusterFacts { name: name.into(), account, members, incomplete }, &config, &limits)
}

fn messages(section: &Section, level: Level) -> Vec<String> {
    let of_level = section.findings.iter().filter(|finding| finding.level == level);
    of_level.map(|Finding { subject, message, .. }| format!("{subject}: {message}")).collect()
}

#[test]
fn a_bad_night_reads_well() {
    let mut privileges = role_privileges(false);
    privileges[0]["actions"].as_array_mut().unwrap().retain(|action| action != "viewUser");
    let without_view_user = Answers { login: login(privileges), ..answers() };
    let mut narrow = role_privileges(false);
    narrow[0]["actions"] = json!(["inprog", "killop", "replSetGetConfig", "viewUser", "impersonate"]);
    let orders = judge(
        "orders",
        vec![
            member("orders-0.internal", "primary", without_view_user.clone()),
            member(
                "orders-1.internal",
                "secondary",
                Answers { login: login(narrow), ahead: SignedDuration::from_millis(-94_200), ..answers() },
            ),
            silent(
                "orders-2.internal",
                ErrorClass::Transient,
                None,
                "hello: I/O error: Connection refused (os error 111)",
            ),
            member("orders-3.internal", "hidden", without_view_user),
        ],
        None,
    );
    let billing = judge(
        "billing",
        vec![silent(
            "billing-0.internal",
            ErrorClass::Permanent,
            Some(18),
            "hello: AuthenticationFailed SCRAM failure: Authentication failed.",
        )],
        Some(error(ErrorClass::Permanent, Some(18), "no member told who is in the cluster")),
    );
    let shards = judge(
        "shards",
        vec![member("router-0.internal", "mongos", Answers { router: true, ..answers() })],
        None,
    );
    let legacy = judge(
        "legacy",
        vec![member(
            "legacy.internal",
            "standalone",
            Answers { authorization: Ok(false), login: login(Vec::new()), ..answers() },
        )],
        None,
    );
    let report = Report {
        file: "severance.yaml".to_owned(),
        reach: Reach::Everything,
        sections: vec![
            Section::new(
                About::Config,
                Vec::new(),
                vec![Finding::ok("protected", "16 entries"), Finding::warning("dry_run", "is on", None)],
            ),
            Section::new(
                About::Kafka,
                Vec::new(),
                vec![Finding::fault(
                    "severance.outcomes",
                    "does not exist",
                    "run `severance topics --create`".to_owned(),
                )],
            ),
            orders,
            billing,
            shards,
            legacy,
        ],
    };
    insta::assert_snapshot!(text(&report));
}

#[test]
fn a_clock_is_doubted_only_beyond_its_own_error() {
    let skewed = |ahead, error| {
        let ahead = SignedDuration::from_millis(ahead);
        let ahead_error = SignedDuration::from_millis(error);
        let section =
            judge("c", vec![member("m", "primary", Answers { ahead, ahead_error, ..answers() })], None);
        messages(&section, Level::Warning).len()
    };
    assert_eq!([skewed(30_500, 600), skewed(-30_500, 600)], [0, 0]);
    assert_eq!([skewed(31_200, 600), skewed(-31_200, 600)], [1, 1]);
}

#[test]
fn a_server_that_is_no_mongodb_is_told_by_what_it_cannot_do() {
    let other = Answers {
        unknown_commands: Ok(vec!["killAllSessionsByPattern"]),
        names_owners: Ok(false),
        ..answers()
    };
    let faults = messages(&judge("c", vec![member("m", "primary", other)], None), Level::Fault);
    assert_eq!(
        faults,
        [
            "m:27017: its `$currentOp` does not say whose an operation is",
            "m:27017: does not know the command `killAllSessionsByPattern`",
        ]
    );
}

#[test]
fn a_mongos_needs_config_mongos_and_others_do_not() {
    let answers = Answers { login: login(role_privileges(false)), ..answers() };
    let lacking = |router| {
        let member = member("m", "any", Answers { router, ..answers.clone() });
        messages(&judge("c", vec![member], None), Level::Fault)
    };
    assert_eq!(lacking(false), [""; 0]);
    assert_eq!(
        lacking(true),
        ["m:27017: severance@admin lacks `find` on config.mongos, to find every mongos"]
    );
}

#[test]
fn roles_are_to_be_viewed_only_where_a_rule_targets_them() {
    let lacking = |wanted_for_roles| {
        let answers = Answers { login: login(role_privileges(false)), wanted_for_roles, ..answers() };
        messages(&judge("c", vec![member("m", "primary", answers)], None), Level::Fault)
    };
    assert_eq!(lacking(false), [""; 0]);
    assert_eq!(
        lacking(true),
        [
            "m:27017: severance@admin lacks `viewRole` on every database, to know who has the roles that a rule targets"
        ]
    );
}

#[test]
fn members_that_may_be_missing_are_told_unless_a_missing_privilege_says_why() {
    let why = |code| Some(error(ErrorClass::Permanent, code, "hidden members cannot be known"));
    let told = |privileges, code| {
        let answers = Answers { login: login(privileges), ..answers() };
        messages(&judge("c", vec![member("m", "primary", answers)], why(code)), Level::Fault)
    };
    assert_eq!(
        told(role_privileges(true), None),
        [": there may be more members than these: hidden members cannot be known"]
    );
    let lacking = told(Vec::new(), Some(13));
    assert!(lacking.iter().all(|fault| fault.contains("lacks")), "{lacking:?}");
}

#[test]
fn a_question_that_is_not_answered_hides_no_other() {
    let late = || error(ErrorClass::Transient, None, "buildInfo: no answer within 5 s");
    let answers = Answers { version: Err(late()), login: login(Vec::new()), ..answers() };
    let section = judge("c", vec![member("m", "primary", answers)], None);
    assert!(messages(&section, Level::Fault)[0].contains("did not say which version it is"));
    assert!(messages(&section, Level::Fault)[1].contains("lacks `killAnySession`"));
}
