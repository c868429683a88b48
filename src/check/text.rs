//! A report for people: plain text, the worst first, the sum at the end.

use std::{fmt::Write as _, time::Duration};

use super::{
    facts::{Answers, MemberFacts},
    judge,
    report::{About, Finding, Level, Report, Section},
};

/// Where a finding's text begins: behind the longest level.
const INDENT: &str = "           ";
/// A time is as wide as this, so that columns stay where they are from one run to the next.
const TIME: usize = 8;

/// The whole report.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail, here and below.
    for section in report.sections.iter().filter(|section| !is_empty(section)) {
        let _ = match &section.about {
            About::Config => writeln!(text, "config {}", report.file),
            About::Kafka => writeln!(text, "kafka"),
            About::Cluster(name) => writeln!(text, "cluster {name}"),
        };
        text.push_str(&table(&section.members));
        section.findings.iter().for_each(|finding| text.push_str(&line(finding)));
        text.push('\n');
    }
    let _ = writeln!(text, "{}", report.summary());
    text
}

fn is_empty(section: &Section) -> bool {
    section.findings.is_empty() && section.members.is_empty()
}

fn line(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Fault => "FAULT",
        Level::Warning => "warning",
        Level::Ok => "ok",
    };
    let subject = match finding.subject.as_str() {
        "" => String::new(),
        subject => format!("{subject}: "),
    };
    let mut text = format!("  {level:<7}  {subject}{}\n", finding.message);
    if let Some(fix) = &finding.fix {
        let _ = writeln!(text, "{INDENT}fix: {fix}");
    }
    text
}

fn table(members: &[MemberFacts]) -> String {
    if members.is_empty() {
        return String::new();
    }
    let head = ["member", "role", "version", "answers in", "clock", "privileges"].map(str::to_owned);
    let rows: Vec<[String; 6]> = [head].into_iter().chain(members.iter().map(row)).collect();
    let widths: [usize; 6] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    rows.iter().fold(String::new(), |mut text, row| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "  {}", cells.join("  ").trim_end());
        text
    })
}

fn row(member: &MemberFacts) -> [String; 6] {
    let rest = match &member.answers {
        Ok(answers) => [
            answers.version.clone().unwrap_or_else(|_| "?".to_owned()),
            format!("{:>TIME$}", milliseconds(answers.answers_in)),
            clock(answers),
            privileges(answers),
        ],
        Err(_) => ["-", "no answer", "-", "-"].map(str::to_owned),
    };
    let [version, answers_in, clock, privileges] = rest;
    [member.host.clone(), member.role.clone(), version, answers_in, clock, privileges]
}

fn clock(answers: &Answers) -> String {
    let sign = if answers.ahead.is_negative() { '-' } else { '+' };
    let ahead = format!("{sign}{}", milliseconds(answers.ahead.unsigned_abs()));
    let error = milliseconds(answers.ahead_error.unsigned_abs());
    format!("{ahead:>width$} ±{error:<TIME$}", width = TIME + 1)
}

fn privileges(answers: &Answers) -> String {
    match (&answers.authorization, &answers.login) {
        (Ok(false), _) | (_, Err(_)) => "-".to_owned(),
        (_, Ok(login)) if login.accounts.is_empty() => "not logged in".to_owned(),
        (_, Ok(login)) => match judge::missing(answers, login)[..] {
            [] => "all".to_owned(),
            ref missing => {
                let names: Vec<_> = missing.iter().map(|privilege| privilege.action).collect();
                format!("no {}", names.join(", "))
            }
        },
    }
}

fn milliseconds(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{:.1} ms", time.as_secs_f64() * 1_000.0),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}
