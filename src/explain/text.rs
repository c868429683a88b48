//! An explanation for people. What a sender wrote is shown with its control characters escaped.

use std::fmt::Write as _;

use jiff::SignedDuration;
use serde_json::Value;

use super::{Desk, detail, kills, plan, reason};
use crate::{
    case::SparedBecause,
    decide::{
        Answer, Asked, Decision, Explanation, Guard, Meaning, Pass, Reading, Since, Timeliness, Trace, Whom,
    },
    edge::mongo_shown,
};

/// Longest value that is shown, in characters.
const LONGEST: usize = 160;
/// Most people who are listed to say that nothing protects them; whoever is spared is always listed.
const UNPROTECTED: usize = 10;
/// The first column.
const WIDTH: usize = 9;

/// One event; `number` counts from 1.
pub fn text(desk: &Desk, number: usize, explanation: &Explanation) -> String {
    let Explanation { decided, trace } = explanation;
    let case = &decided.case;
    let mut lines = Lines::default();
    match case.trigger.as_deref() {
        Some(trigger) => {
            lines.head(&format!("event {number}: {} from {}", shown(&trigger.id), shown(&trigger.source)));
            lines.put("type", &shown(&trigger.kind));
            if let Some(subject) = &trigger.subject {
                lines.put("subject", &shown(subject));
            }
            let time = match (trigger.time, case.event_time.suspect) {
                (Some(time), false) => time.to_string(),
                (Some(time), true) => {
                    format!("{time}: in the future and not believed; {} counts", case.event_time.at)
                }
                (None, _) => format!("not said; the record's counts, {}", case.event_time.at),
            };
            lines.put("time", &time);
        }
        None => lines.head(&format!("event {number}: cannot be read")),
    }
    lines.put("case", &case.id.to_string());
    if let Some(trace) = trace {
        topic(&mut lines, explanation, trace.pass);
        rules(&mut lines, trace);
        if let Some(meaning) = &trace.meaning {
            self::meaning(&mut lines, desk, meaning);
        }
    }
    decision(&mut lines, explanation);
    let mut text = lines.0;
    if let Some(plan) = plan(&decided.decision) {
        let kills = kills(decided, plan.target.principals());
        let commands = if kills.len() == 1 { String::new() } else { format!(", {} commands", kills.len()) };
        let clusters = plan.clusters.join(", ");
        let _ = writeln!(text, "\n  on every data-bearing member of {clusters}, hidden ones too{commands}:");
        for kill in &kills {
            let command = mongo_shown::mongosh(&kill.patterns, &kill.comment, &kill.whom);
            for line in command.lines() {
                let _ = writeln!(text, "    {line}");
            }
        }
    }
    text
}

/// Lines with a word in front of each group.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn head(&mut self, text: &str) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.0, "{text}");
    }

    fn put(&mut self, word: &str, text: &str) {
        let _ = writeln!(self.0, "{}", format!("  {word:<WIDTH$} {text}").trim_end());
    }
}

/// A sender's text.
fn shown(text: &str) -> String {
    let all: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() { format!("{all}…") } else { all }
}

fn value(value: Option<&Value>) -> String {
    match value {
        // JSON has escaped the control characters, and its quotation marks must stay as they are.
        Some(value) => {
            let text = value.to_string();
            let short: String = text.chars().take(LONGEST).collect();
            let visible: String = short
                .chars()
                .flat_map(|c| {
                    if c == '"' || c == '\\' || c == '\'' { vec![c] } else { c.escape_debug().collect() }
                })
                .collect();
            if short.len() < text.len() { format!("{visible}…") } else { visible }
        }
        None => "not there".to_owned(),
    }
}

fn topic(lines: &mut Lines, explanation: &Explanation, pass: Pass) {
    let name = explanation.decided.case.origin.partition().map(|partition| partition.topic);
    let name = name.as_deref().unwrap_or_default();
    match pass {
        Pass::NotJudged => lines.put("topic", "not judged: --topic NAME says from which it would come"),
        Pass::Accepted => lines.put("topic", &format!("{name} may say it")),
        Pass::Distrusted(distrust) => lines.put("topic", &format!("{name}: {distrust}")),
    }
}

fn rules(lines: &mut Lines, trace: &Trace) {
    let width = trace.rules.iter().map(|asked| asked.rule.len()).max().unwrap_or_default();
    for (index, asked) in trace.rules.iter().enumerate() {
        let answer = match &asked.answer {
            None => "not asked".to_owned(),
            Some(Answer::Deaf) => format!("no: listens to {}", asked.on.join(", ")),
            Some(Answer::No) => "no: `when` is false".to_owned(),
            Some(Answer::Yes) => "MATCHES".to_owned(),
            Some(Answer::Failed(error)) => format!("FAILS: `when`: {}", error.why()),
        };
        let word = if index == 0 { "rules" } else { "" };
        lines.put(word, &format!("{:<width$}  {answer}", asked.rule));
        condition(lines, asked);
    }
}

fn condition(lines: &mut Lines, asked: &Asked) {
    let was_evaluated = matches!(asked.answer, Some(Answer::Yes | Answer::No | Answer::Failed(_)));
    if let Some(when) = asked.when.as_deref().filter(|_| was_evaluated) {
        lines.put("", &format!("  when {when}"));
        readings(lines, &asked.readings);
    }
}

fn readings(lines: &mut Lines, readings: &[Reading]) {
    for reading in readings {
        lines.put("", &format!("    {} = {}", reading.path, value(reading.value.as_ref())));
    }
}

fn meaning(lines: &mut Lines, desk: &Desk, meaning: &Meaning) {
    let age = &meaning.age;
    let seconds = |duration: SignedDuration| format!("{:#}", SignedDuration::from_secs(duration.as_secs()));
    let from = match age.from {
        Since::EventTime => "since it happened",
        Since::EffectiveAt => "since effective_at",
        Since::Redrive => "since the redrive",
    };
    let allowed = seconds(SignedDuration::try_from(age.allowed).unwrap_or(SignedDuration::MAX));
    let how_old = match age.age.is_negative() {
        true => format!("{} from now", seconds(-age.age)),
        false => format!("{} old {from}", seconds(age.age)),
    };
    let verdict = match age.timeliness {
        Timeliness::InTime => "",
        Timeliness::Expired => ": TOO OLD",
        Timeliness::Future => ": NOT YET",
    };
    lines.put("class", &format!("{}: {how_old}, {allowed} are allowed{verdict}", meaning.class));
    if let Some(what) = meaning.untaken {
        lines.put("", &format!("not supported by this version: {what}"));
    }
    match &meaning.clusters {
        Ok(clusters) => lines.put("clusters", &clusters.join(", ")),
        Err(why) => lines.put("clusters", &format!("NONE: {}", shown(why))),
    }
    match &meaning.target {
        Some(expression) => match meaning.readings.as_slice() {
            [reading] if reading.path == *expression => {
                lines.put("target", &format!("{expression} = {}", value(reading.value.as_ref())));
            }
            several => {
                lines.put("target", expression);
                readings(lines, several);
            }
        },
        None => lines.put("target", "always the same"),
    }
    match &meaning.named {
        Ok(named) => {
            let verdict = if meaning.is_above_cap() { ": TOO MANY" } else { "" };
            lines.put(
                "cap",
                &format!("{} named, limits.max_principals is {}{verdict}", named.len(), meaning.cap),
            );
        }
        Err(why) => lines.put("", &format!("FAILS: {why}")),
    }
    guards(lines, desk, meaning);
}

fn guards(lines: &mut Lines, desk: &Desk, meaning: &Meaning) {
    let whom = match &meaning.guards {
        Some(Ok(whom)) => whom,
        Some(Err(cluster)) => {
            return lines
                .put("guards", &format!("cluster {cluster} could not tell which account is our own"));
        }
        None => return,
    };
    let name = |whom: &Whom| shown(&whom.principal.to_string());
    let width = whom.iter().map(|whom| name(whom).chars().count()).max().unwrap_or_default();
    let mut unprotected = 0;
    let mut word = "guards";
    for whom in whom {
        let guard = match &whom.guard {
            None => {
                unprotected += 1;
                if unprotected > UNPROTECTED {
                    continue;
                }
                "not protected".to_owned()
            }
            Some(Guard::Internal) => "SPARED: the cluster's own account".to_owned(),
            Some(Guard::OwnAccount(cluster)) => format!("SPARED: our own account on {cluster}"),
            Some(Guard::Entry(index)) => {
                let entry = desk.policy.protected.get(*index).map(ToString::to_string).unwrap_or_default();
                format!("SPARED by the entry {} of `protected`", shown(&entry))
            }
        };
        lines.put(std::mem::take(&mut word), &format!("{:<width$}  {guard}", name(whom)));
    }
    if unprotected > UNPROTECTED {
        lines.put(
            std::mem::take(&mut word),
            &format!("and {} more, not protected", unprotected - UNPROTECTED),
        );
    }
    let Ok(clusters) = &meaning.clusters else { return };
    let own: Vec<String> = clusters
        .iter()
        .map(|cluster| match desk.own_accounts.get(cluster) {
            Some(Some(own)) => format!("{cluster}: {} by its URI", shown(&own.to_string())),
            Some(None) | None => format!("{cluster}: not known here"),
        })
        .collect();
    lines.put("", &format!("(our own account is never cut; only a server knows it: {})", own.join(", ")));
}

fn decision(lines: &mut Lines, explanation: &Explanation) {
    let decided = &explanation.decided;
    let mut text = decided.decision.word().to_uppercase();
    if let Some(reason) = reason(&decided.decision) {
        let _ = write!(text, " {reason}");
    }
    if let Some(detail) = detail(&decided.decision) {
        let _ = write!(text, ": {}", shown(&detail));
    }
    if let Some(plan) = plan(&decided.decision) {
        let count = plan.target.principals().len();
        let who = if count == 1 { "principal" } else { "principals" };
        let _ = write!(text, " {count} {who} on {}", plan.clusters.join(", "));
        if matches!(decided.decision, Decision::Simulate(_)) {
            text.push_str(" (dry run: nobody is cut)");
        }
    }
    lines.put("decision", &text);
    for spared in &decided.case.spared {
        let because = match spared.because {
            SparedBecause::Protected => "protected",
            SparedBecause::Reinstated => "reinstated by a later event of the same batch",
        };
        lines.put("", &format!("spared: {}, {because}", shown(&spared.principal.to_string())));
    }
}
