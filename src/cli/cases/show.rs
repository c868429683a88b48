//! `severance cases show`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Exit,
    beginning::Beginning,
    failed,
    list::{left_line, waits_line, wanted_line},
    outcomes::Said,
    print,
    seen::{Seen, Stand, cases, left_on},
    words::{plain, until, word},
};
use crate::{
    config::{Config, JobTopics},
    jobs::{Job, State},
    unfinished::{Unfinished, read_all},
};

/// Which case, and how it is written.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The records themselves, one a line: how the case stands, then its outcomes
    #[arg(long)]
    json: bool,
    /// The case: its id, or the first 8 characters of it or more
    case: Beginning,
}

/// Reads the topics and prints what is there about it.
pub fn show(config: &Config, jobs: &JobTopics, args: &ShowArgs) -> Result<Exit, Exit> {
    let kafka = &config.kafka;
    let unfinished = Unfinished::read(kafka, jobs).map_err(|error| failed(&error))?;
    let mut seen = cases(&unfinished, config.limits.clock_skew);
    let mut said = Vec::new();
    let keep = |said: &Said| args.case.fits(said.case);
    read_all(kafka, &kafka.outcomes, |record| said.extend(Said::read(&record).filter(keep)))
        .map_err(|error| failed(&error))?;
    let known = seen.iter().map(|seen| seen.case).chain(said.iter().map(|said| said.case));
    let case = args.case.choose(known).map_err(|unchosen| {
        unchosen.said(&args.case, "nothing is known of such a case, or its outcomes are no longer kept")
    })?;
    seen.retain(|seen| seen.case == case);
    said.retain(|said| said.case == case);
    said.sort_by_key(Said::order);
    match args.json {
        true => print(&json(&seen, &said)),
        false => print(&format!("case        {case}\n{}", text(&seen, &said, Timestamp::now()))),
    }
    Ok(Exit::Done)
}

fn json(seen: &[Seen], said: &[Said]) -> String {
    let record = |bytes: Vec<u8>| serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let stands = seen.iter().map(|seen| match &seen.stand {
        Stand::Open(job, _) => record(State::Pending(job.clone()).encode()),
        Stand::Ended(done) => record(State::Done(done.clone()).encode()),
        Stand::Unreadable(_) => seen.json(),
    });
    stands.chain(said.iter().map(|said| said.raw.clone())).map(|line| format!("{line}\n")).collect()
}

/// For people.
pub fn text(seen: &[Seen], said: &[Said], now: Timestamp) -> String {
    let mut lines = Vec::new();
    for seen in seen {
        match &seen.stand {
            Stand::Open(job, wanted) => {
                lines.push(("status", format!("open, {}", word(&job.kind))));
                lines.extend(waits_line(job).map(|line| ("waits", line)));
                lines.extend(wanted.iter().map(|wanted| ("wanted", wanted_line(wanted, now))));
                lines.extend(facts(job));
                lines.extend(work(job, now));
            }
            Stand::Unreadable(why) => {
                lines.push(("status", format!("unreadable in partition {}: {why}", seen.partition)));
            }
            Stand::Ended(done) => lines.push((
                "status",
                format!(
                    "ended {:.0} with outcome {}; remembered until {:.0}",
                    done.ended_at, done.seq, done.until
                ),
            )),
        }
    }
    if seen.is_empty() {
        lines.push(("status", "not among unfinished work: it has ended, or was never put off".to_owned()));
    }
    let mut text: String = lines.iter().map(|(name, value)| format!("{name:10}  {value}\n")).collect();
    text += match said.is_empty() {
        true => "\nno outcome of it is kept\n",
        false => "\noutcomes\n",
    };
    text + &said.iter().map(|said| format!("  {}\n", said.line())).collect::<String>()
}

fn facts(job: &Job) -> Vec<(&'static str, String)> {
    let facts = &job.facts;
    let mut lines = Vec::new();
    if let Some(trigger) = &facts.trigger {
        let (source, id) = (plain(&trigger.source), plain(&trigger.id));
        lines.push(("trigger", format!("{id} from {source}, {}", plain(&trigger.r#type))));
    }
    lines.push(("origin", facts.origin.to_string()));
    lines.push(("happened", format!("{:.0}", facts.event_time)));
    if let Some(at) = facts.redriven_at {
        lines.push(("redriven", format!("{at:.0}, for the {}. time", job.n)));
    }
    lines
        .push(("rule", format!("{} ({})", facts.rule.as_deref().map_or("-".to_owned(), plain), facts.class)));
    let sender = [
        ("incident", &facts.incident),
        ("ticket", &facts.ticket),
        ("initiator", &facts.initiator),
        ("severity", &facts.severity),
    ];
    lines.extend(sender.into_iter().filter_map(|(name, text)| Some((name, plain(text.as_ref()?)))));
    lines.extend(job.principals.everybody().iter().map(|who| {
        let spared = match &who.spared_because {
            Some(because) => format!(", spared ({})", word(because)),
            None if who.spared => ", spared".to_owned(),
            None => String::new(),
        };
        (
            "principal",
            format!("{}, known: {}{spared}", plain(&format!("{}@{}", who.user, who.db)), word(&who.known)),
        )
    }));
    lines
}

fn work(job: &Job, now: Timestamp) -> Vec<(&'static str, String)> {
    let when = |at: Timestamp| format!("{at:.0} ({})", until(at, now));
    let mut lines = vec![
        ("partition", job.partition.to_string()),
        ("attempts", format!("{}; the last outcome is number {}", job.attempts, job.seq)),
        ("next", when(job.due)),
        ("gives up", when(job.give_up_at)),
    ];
    lines.extend(left_on(job).iter().map(|left| ("left", left_line(left))));
    let number = |count: Option<u64>| count.map_or("unknown".to_owned(), |count| count.to_string());
    for cluster in &job.work.0 {
        lines.extend(cluster.nodes.iter().filter(|node| node.left.is_none()).map(|node| {
            let report = &node.report;
            let status = report.status.as_ref().map_or("-".to_owned(), word);
            let (found, killed) = (number(report.found), number(report.killed));
            let host = plain(&report.host);
            ("done", format!("{} {host}: {status}, found {found}, killed {killed}", cluster.name))
        }));
    }
    lines
}
