//! A report for programs.

use serde_json::{Value, json};

use super::{
    facts::{MemberFacts, Silence},
    judge,
    report::{About, Level, Report, Section},
};

/// The whole report: `{file, reach, faults, warnings, sections: [{about, cluster, members, findings}]}`.
pub fn json(report: &Report) -> Value {
    json!({
        "file": report.file,
        "reach": report.reach,
        "faults": report.count(Level::Fault),
        "warnings": report.count(Level::Warning),
        "sections": report.sections.iter().map(section).collect::<Vec<_>>(),
    })
}

fn section(section: &Section) -> Value {
    let (about, cluster) = match &section.about {
        About::Config => ("config", None),
        About::Kafka => ("kafka", None),
        About::Cluster(name) => ("cluster", Some(&**name)),
    };
    json!({
        "about": about,
        "cluster": cluster,
        "members": section.members.iter().map(member).collect::<Vec<_>>(),
        "findings": section.findings,
    })
}

/// What is not known is `null`.
fn member(member: &MemberFacts) -> Value {
    let MemberFacts { host, role, answers } = member;
    let answers = match answers {
        Ok(answers) => answers,
        Err(Silence { error, .. }) => {
            return json!({"host": host, "role": role, "reached": false, "error": error});
        }
    };
    let login = answers.login.as_ref().ok();
    let missing = login.map(|login| {
        judge::missing(answers, login).iter().map(|privilege| privilege.action).collect::<Vec<_>>()
    });
    json!({
        "host": host,
        "role": role,
        "reached": true,
        "error": null,
        "version": answers.version.as_ref().ok(),
        "answers_in_ms": answers.answers_in.as_secs_f64() * 1_000.0,
        "clock_ahead_ms": answers.ahead.as_secs_f64() * 1_000.0,
        "clock_error_ms": answers.ahead_error.as_secs_f64() * 1_000.0,
        "authorization": answers.authorization.as_ref().ok(),
        "accounts": login.map(|login| login.accounts.iter().map(ToString::to_string).collect::<Vec<_>>()),
        "missing_privileges": missing,
    })
}
