//! What the demo shows: plain text, aligned, the same in a pipe as on a terminal.

use serde_json::Value;

use super::cast::{Actor, CAST};
use crate::{
    principal::Principal,
    terminate::{Kind, survey::Survey},
};

/// A table of who runs what on which member.
pub fn table(title: &str, looks: &[(String, String, Survey)]) -> String {
    let mut rows: Vec<Vec<String>> = vec![
        std::iter::once(title.to_owned())
            .chain(looks.iter().enumerate().map(|(number, (_, role, _))| match role.as_str() {
                "secondary" => format!("m{}", number + 1),
                role => format!("m{} {role}", number + 1),
            }))
            .chain([String::new()])
            .collect(),
    ];
    for actor in CAST {
        let cells = looks.iter().map(|(.., survey)| cell(&actor, survey));
        rows.push(std::iter::once(actor.name()).chain(cells).chain([actor.note.to_owned()]).collect());
    }
    aligned(&rows)
}

fn cell(actor: &Actor, survey: &Survey) -> String {
    let Ok(principal) = Principal::new(actor.user, actor.db) else { return String::new() };
    let digest = principal.digest();
    let theirs: Vec<_> = survey
        .seen
        .iter()
        .filter(|seen| {
            seen.uid() == Some(digest) || (seen.session.is_none() && seen.users.contains(&principal))
        })
        .collect();
    let of = |kind: Kind| theirs.iter().filter(|seen| seen.kind() == kind).count();
    let counts = [(of(Kind::Operation), "op"), (of(Kind::Cursor), "cursor"), (of(Kind::Transaction), "txn")];
    let mut parts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| plural(*count, word)).collect();
    if theirs.iter().any(|seen| seen.session.is_none()) {
        parts.push("(no session)".to_owned());
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join(" ") }
}

/// `1 op`, `2 ops`.
pub fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("   ").trim_end().to_owned()
    };
    rows.iter().map(|row| line(row) + "\n").collect()
}

/// What an outcome says, in two or three lines.
pub fn outcome(data: &Value, agreeing: usize) -> String {
    let nodes: Vec<&Value> = data["clusters"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|cluster| cluster["nodes"].as_array().into_iter().flatten())
        .collect();
    let killed = nodes.iter().filter(|node| !node["killed_at"].is_null()).count();
    let clean = nodes.iter().filter(|node| node["status"] == "clean").count();
    let since = |key: &str| {
        let event = instant(&data["event_time"])?;
        let last = nodes.iter().filter_map(|node| instant(&node[key])).max()?;
        Some(format!("{:.1} ms", last.duration_since(event).as_secs_f64() * 1_000.0))
    };
    let never = || "never".to_owned();
    let kinds: Vec<String> = ["operation", "cursor", "transaction"]
        .iter()
        .map(|kind| {
            let evidence = nodes.iter().flat_map(|node| node["evidence"].as_array().into_iter().flatten());
            (evidence.filter(|item| item["kind"] == **kind).count(), *kind)
        })
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| plural(count, kind))
        .collect();
    let mut text = format!(
        "  killed on {killed} of {} nodes {} after the event, verified clean on {clean} at {}: {}\n",
        nodes.len(),
        since("killed_at").unwrap_or_else(never),
        since("verified_at").unwrap_or_else(never),
        if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") },
    );
    let case = data["case_id"].as_str().unwrap_or_default();
    text += &format!(
        "  mongod's own log agrees on {agreeing} of {} nodes (id 558701, case {case})\n",
        nodes.len()
    );
    text += &format!("  outcome: {}", data["status"].as_str().unwrap_or("?"));
    if let Some(reason) = data["reason"].as_str() {
        text += &format!(", {reason}");
    }
    let idle: u64 = nodes.iter().filter_map(|node| node["idle_connections"].as_u64()).sum();
    text += &format!("; still connected and idle: {idle} (a kill ends work, not logins)\n");
    for node in nodes.iter().filter(|node| node["status"] != "clean") {
        let error = node["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .next_back()
            .and_then(|error| error["message"].as_str());
        text += &format!(
            "  {} {}: {}, {} left; {}\n",
            node["host"].as_str().unwrap_or("?"),
            node["role"].as_str().unwrap_or("?"),
            node["status"].as_str().unwrap_or("?"),
            node["left"],
            error.unwrap_or("no error"),
        );
    }
    text
}

fn instant(value: &Value) -> Option<jiff::Timestamp> {
    value.as_str()?.parse().ok()
}
