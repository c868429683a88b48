//! Tests of rules: events, and what should be decided about them. For `severance test`.
//!
//! Each case is decided alone, by [`Desk`], which is `explain`'s. Its schema is
//! `schemas/rules-test.schema.json`.

mod file;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt::Write as _};

use jiff::Timestamp;
use serde_json::Value;

use self::file::{Case, Expect, Unusable};
use crate::{
    canary,
    decide::Explanation,
    explain::{Desk, detail, plan, reason, text},
    ingest::{Header, Origin, Record},
};

/// What came of one file.
#[derive(Debug)]
pub struct Tested {
    /// One line a case, and what was different.
    pub text: String,
    /// How many cases.
    pub cases: usize,
    /// How many were decided differently.
    pub failed: usize,
    /// The rules that decided a case.
    pub rules: BTreeSet<String>,
}

/// Decides every case of the file `name`. `whole` shows the explanation of what is different. An error
/// says why the file cannot be used.
pub fn test(desk: &Desk, name: &str, written: &str, whole: bool) -> Result<Tested, String> {
    let unusable = |Unusable { place, message }| match place {
        Some((line, column)) => format!("{name}:{line}:{column}: {message}"),
        None => format!("{name}: {message}"),
    };
    let file = file::read(written).map_err(unusable)?;
    let mut tested =
        Tested { text: format!("{name}\n"), cases: file.cases.len(), failed: 0, rules: BTreeSet::new() };
    for case in &file.cases {
        let place = file::place(case.referenced);
        let case = &case.value;
        let explanation = decided(desk, case, file.at).map_err(|message| {
            unusable(Unusable { place, message: format!("{:?}: {message}", case.name) })
        })?;
        tested.rules.extend(explanation.decided.case.rule.as_deref().map(str::to_owned));
        let differences = differences(&case.expect, &explanation);
        // Writing to a string cannot fail, here and below.
        let _ = match (differences.is_empty(), place) {
            (true, _) => writeln!(tested.text, "  ok    {}", shown(&case.name)),
            (false, Some((line, _))) => {
                writeln!(tested.text, "  FAIL  {}  ({name}:{line})", shown(&case.name))
            }
            (false, None) => writeln!(tested.text, "  FAIL  {}", shown(&case.name)),
        };
        tested.failed += usize::from(!differences.is_empty());
        for difference in &differences {
            let _ =
                writeln!(tested.text, "          {:<10}  expected {}", difference.what, difference.expected);
            let _ = writeln!(tested.text, "          {:<10}       got {}", "", difference.got);
        }
        if whole && !differences.is_empty() {
            for line in text(desk, 1, &explanation).lines() {
                let _ = writeln!(tested.text, "{}", format!("        | {line}").trim_end());
            }
        }
    }
    Ok(tested)
}

/// The rules that decided none of the cases. The canary's is not the user's.
pub fn untested<'a>(desk: &'a Desk, rules: &BTreeSet<String>) -> Vec<&'a str> {
    desk.rules().filter(|rule| *rule != canary::RULE && !rules.contains(*rule)).collect()
}

/// As of the case's time, else the file's, else the event's own, so that a test does not grow old.
fn decided(desk: &Desk, case: &Case, at: Option<Timestamp>) -> Result<Explanation, String> {
    let own = || case.event.get("time").and_then(Value::as_str).and_then(|time| time.parse().ok());
    let now = case.at.or(at).or_else(own).unwrap_or_else(Timestamp::now);
    let origin = match &case.topic {
        None => Origin::Local,
        Some(name) => match desk.topic(name) {
            Some(topic) => Origin::Kafka { topic, partition: 0, offset: 0, timestamp: Some(now) },
            None => return Err(format!("topic {name:?} is not one of kafka.topics")),
        },
    };
    let content_type =
        Header { name: "content-type".to_owned(), value: Some(b"application/cloudevents+json".to_vec()) };
    let value = Some(case.event.to_string().into_bytes());
    let record = Record { key: None, value, headers: vec![content_type], origin };
    desk.explain(vec![record], now).pop().ok_or_else(|| "nothing was decided".to_owned())
}

/// One thing that is not as it should be.
#[derive(Debug)]
struct Difference {
    what: &'static str,
    expected: String,
    got: String,
}

fn differences(expect: &Expect, explanation: &Explanation) -> Vec<Difference> {
    let decided = &explanation.decided;
    let (case, decision) = (&decided.case, &decided.decision);
    let plan = plan(decision);
    let mut differences = Vec::new();
    let mut compare = |what, expected: String, got: String, more: &str| {
        if expected != got {
            differences.push(Difference { what, expected, got: format!("{got}{more}") });
        }
    };
    let why = [reason(decision).map(str::to_owned), detail(decision)];
    let why: Vec<String> = why.into_iter().flatten().map(|why| shown(&why)).collect();
    let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join(": ")) };
    compare("decision", expect.decision.word().to_owned(), decision.word().to_owned(), &why);
    if let Some(rule) = &expect.rule {
        compare("rule", or_none(rule.as_deref()), or_none(case.rule.as_deref()), "");
    }
    if let Some(class) = &expect.class {
        compare(
            "class",
            or_none(class.map(|class| class.name())),
            or_none(case.class.map(|class| class.name())),
            "",
        );
    }
    if let Some(expected) = &expect.reason {
        compare("reason", or_none(expected.as_deref()), or_none(reason(decision)), "");
    }
    if let Some(principals) = &expect.principals {
        let expected = set(principals.iter().map(|name| &name.0));
        compare("principals", expected, set(plan.into_iter().flat_map(|plan| plan.target.principals())), "");
    }
    if let Some(clusters) = &expect.clusters {
        compare("clusters", set(clusters), set(plan.into_iter().flat_map(|plan| &plan.clusters)), "");
    }
    if let Some(spared) = &expect.spared {
        let expected = set(spared.iter().map(|name| &name.0));
        compare("spared", expected, set(case.spared.iter().map(|spared| &spared.principal)), "");
    }
    differences
}

fn or_none(text: Option<&str>) -> String {
    text.map_or_else(|| "none".to_owned(), shown)
}

/// Each once, in the order of the alphabet: whom a rule names first does not matter.
fn set(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: BTreeSet<String> = items.into_iter().map(|item| shown(&item.to_string())).collect();
    match items.is_empty() {
        true => "none".to_owned(),
        false => items.into_iter().collect::<Vec<_>>().join(", "),
    }
}

/// Without anything that moves the cursor.
fn shown(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '"' | '\'' | '\\' => vec![c],
            c => c.escape_debug().collect(),
        })
        .collect()
}
