//! `severance cases list`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::{
    Exit, failed, print,
    seen::{LeftOn, Seen, Stand, cases, left_on, opened_at},
    words::{plain, since, until, word},
};
use crate::{
    case::CaseId,
    config::{Config, JobTopics},
    jobs::{Cancel, Job, Ruling, Verdict},
    principal::Principal,
    unfinished::Unfinished,
};

/// Which cases, and how they are written.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Also those that have ended and are remembered
    #[arg(long)]
    all: bool,
    /// Only those against this person
    #[arg(long, value_name = "USER@DB")]
    user: Option<Principal>,
    /// Only those with something left on this cluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
}

/// Reads the topics and prints what is there.
pub fn list(config: &Config, jobs: &JobTopics, args: &ListArgs) -> Result<Exit, Exit> {
    let unfinished = Unfinished::read(&config.kafka, jobs).map_err(|error| failed(&error))?;
    let mut unsure = 0;
    let mut chosen = cases(&unfinished, config.limits.clock_skew);
    chosen.retain(|seen| match seen.is_about(args.user.as_ref(), args.cluster.as_deref()) {
        Some(is_about) => is_about && (args.all || !matches!(seen.stand, Stand::Ended(_))),
        None => {
            unsure += 1;
            false
        }
    });
    match args.json {
        true => print(&chosen.iter().map(|seen| format!("{}\n", seen.json())).collect::<String>()),
        false => print(&text(&chosen, Timestamp::now())),
    }
    if unsure > 0 {
        eprintln!(
            "severance: {unsure} more cannot be read and may be meant too (without --user and --cluster they are shown)"
        );
    }
    if unfinished.shelves.not_filed() > 0 {
        eprintln!(
            "severance: {} records of {} are about no case",
            unfinished.shelves.not_filed(),
            jobs.state
        );
    }
    if unfinished.heard.unreadable() > 0 {
        eprintln!(
            "severance: {} records of {} are no commands",
            unfinished.heard.unreadable(),
            jobs.commands
        );
    }
    Ok(Exit::Done)
}

const HEAD: [&str; 9] =
    ["CASE", "KIND", "CLASS", "RULE", "PRINCIPALS", "ATTEMPTS", "NEXT", "GIVES UP", "AGE"];

/// For people: a table with what is left below each case.
pub fn text(cases: &[Seen], now: Timestamp) -> String {
    let length = telling_length(cases);
    let rows: Vec<[String; HEAD.len()]> = cases.iter().map(|seen| row(seen, length, now)).collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; HEAD.len()]| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut text = String::new();
    if !cases.is_empty() {
        text += &line(&HEAD.map(str::to_owned));
    }
    for (seen, row) in cases.iter().zip(&rows) {
        text += &line(row);
        text += &below(seen, now);
    }
    text + &summary(cases)
}

fn row(seen: &Seen, length: usize, now: Timestamp) -> [String; HEAD.len()] {
    let case = seen.case.to_string().chars().take(length).collect();
    let nothing = || "-".to_owned();
    match &seen.stand {
        Stand::Open(job, _) => [
            case,
            word(&job.kind),
            job.facts.class.to_string(),
            job.facts.rule.as_deref().map_or_else(nothing, plain),
            principals(job),
            job.attempts.to_string(),
            until(job.due, now),
            until(job.give_up_at, now),
            since(opened_at(job), now),
        ],
        Stand::Unreadable(_) => {
            let mut row = std::array::from_fn(|_| nothing());
            row[0] = case;
            row[1] = "unreadable".to_owned();
            row
        }
        Stand::Ended(done) => {
            let mut row = std::array::from_fn(|_| nothing());
            row[0] = case;
            row[1] = "ended".to_owned();
            row[HEAD.len() - 1] = since(done.ended_at, now);
            row
        }
    }
}

/// The first three, and how many more.
fn principals(job: &Job) -> String {
    let targets = job.principals.targets();
    let shown = targets.iter().take(3).map(|who| plain(&who.to_string()));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match targets.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn below(seen: &Seen, now: Timestamp) -> String {
    let lines = match &seen.stand {
        Stand::Open(job, wanted) => waits_line(job)
            .into_iter()
            .chain(left_on(job).iter().map(left_line))
            .chain(wanted.iter().map(|wanted| wanted_line(wanted, now)))
            .collect(),
        Stand::Unreadable(why) => vec![why.to_string()],
        Stand::Ended(_) => Vec::new(),
    };
    lines.into_iter().map(|line| format!("    {line}\n")).collect()
}

/// What it waits for, where that is a person.
pub fn waits_line(job: &Job) -> Option<String> {
    let approval = job.parked()?;
    Some(format!(
        "waits for approval: {}; {} if nobody comes",
        plain(&approval.detail),
        approval.on_expiry.says()
    ))
}

/// `orders m2:27017: unreachable: connection refused`.
pub fn left_line(left: &LeftOn) -> String {
    let place = left.node.as_ref().map(|node| format!(" {}", plain(node))).unwrap_or_default();
    let said = left.status.iter().chain(&left.why).map(|text| plain(text)).collect::<Vec<_>>().join(": ");
    format!("{}{place}: {said}", left.cluster)
}

/// What its owner will do as soon as it hears it.
pub fn wanted_line(wanted: &Verdict, now: Timestamp) -> String {
    match wanted {
        Verdict::Cancel(cancel) => {
            let Cancel { at, by, reason, .. } = &**cancel;
            let by = by.as_ref().map(|by| format!(" by {}", plain(by))).unwrap_or_default();
            let reason = reason.as_ref().map(|reason| format!(": {}", plain(reason))).unwrap_or_default();
            format!("cancel requested{by} {} ago{reason}", since(*at, now))
        }
        Verdict::Reinstate { back } => {
            let who = back.iter().map(|(who, _)| plain(&who.to_string())).collect::<Vec<_>>().join(", ");
            format!("reinstated: {who}")
        }
        Verdict::Approve(ruling) => ruled("approved", ruling, now),
        Verdict::Deny(ruling) => ruled("denied", ruling, now),
    }
}

fn ruled(word: &str, ruling: &Ruling, now: Timestamp) -> String {
    let by = ruling.by.as_ref().map(|by| format!(" by {}", plain(by))).unwrap_or_default();
    format!("{word}{by} {} ago", since(ruling.at, now))
}

fn summary(cases: &[Seen]) -> String {
    let count = |is: fn(&Stand) -> bool| cases.iter().filter(|seen| is(&seen.stand)).count();
    let many = |count: usize, one: &str, more: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {more}"),
    };
    let mut said = vec![match count(|stand| matches!(stand, Stand::Open(..))) {
        0 => "no open cases".to_owned(),
        open => many(open, "open case", "open cases"),
    }];
    let unreadable = count(|stand| matches!(stand, Stand::Unreadable(_)));
    if unreadable > 0 {
        said.push(format!("{unreadable} that cannot be read"));
    }
    let ended = count(|stand| matches!(stand, Stand::Ended(_)));
    if ended > 0 {
        said.push(many(ended, "that has ended", "that have ended"));
    }
    format!("{}\n", said.join(", "))
}

/// How many characters of an identifier tell these cases apart.
fn telling_length(cases: &[Seen]) -> usize {
    let mut ids: Vec<String> =
        cases.iter().map(|seen| seen.case).map(|case: CaseId| case.to_string()).collect();
    ids.sort();
    ids.dedup();
    let shared = |pair: &[String]| match pair {
        [one, other] => one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count(),
        _ => 0,
    };
    ids.windows(2).map(shared).max().unwrap_or(0).saturating_add(1).max(8)
}
