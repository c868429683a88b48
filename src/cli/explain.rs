//! `severance explain`: what would be decided about events, and why. Asks nobody, changes nothing.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use jiff::Timestamp;

use super::{Exit, events, respond::exit_of};
use crate::{
    explain::{Desk, json, status, text},
    ingest::Origin,
};

/// What to explain and how to say it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  severance explain --config severance.yaml --event incident.json
  severance explain --config severance.yaml --event incident.json --topic security.siem
  severance explain --config severance.yaml --event - --json --at 2026-11-25T12:00:00Z < events.jsonl

It asks neither Kafka nor any cluster, and secrets need not be there; so what was heard before is not known
here, nor for certain which account is our own. Several events are one batch, as
they are for `respond`. It shows what rules read of an event: mind who looks. The command that it prints
is the one that is sent, for this case alone: a run merges the cases of a batch, and has an id for the
batch where zeros stand here.

The exit code is that of the decision, of several the highest: 0 terminate, simulate, release; 3 no
rule; 5 refused, expired; 7 cannot be read.")]
pub struct ExplainArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One event, a list of events, or one a line, as JSON; `-` is standard input
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// As if they came from this topic; without it, whether their topic may say them is not judged
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// As of this time, for example 2026-11-25T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// One JSON object an event, one a line, instead of text
    #[arg(long)]
    json: bool,
}

/// The command.
pub fn run(args: &ExplainArgs) -> Exit {
    let desk = match super::load_without_secrets(&args.config) {
        Ok(config) => Desk::new(config),
        Err(exit) => return exit,
    };
    let topic = args.topic.as_deref().and_then(|name| desk.topic(name));
    if let (Some(name), None) = (&args.topic, &topic) {
        let topics: Vec<_> = desk.topics().map(|topic| &**topic).collect();
        eprintln!("severance: --topic {name}: kafka.topics has {}", topics.join(", "));
        return Exit::Usage;
    }
    let bytes = match events::read(&args.event) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("severance: {}: {error}", args.event.display());
            return Exit::Usage;
        }
    };
    let now = args.at.unwrap_or_else(Timestamp::now);
    let records = events::records(&bytes, |index| match &topic {
        None => Origin::Local,
        Some(topic) => Origin::Kafka {
            topic: topic.clone(),
            partition: 0,
            offset: i64::try_from(index).unwrap_or(i64::MAX),
            timestamp: Some(now),
        },
    });
    let mut exit = Exit::Done;
    let mut written = String::new();
    for (index, explanation) in desk.explain(records, now).iter().enumerate() {
        let one = exit_of(status(&explanation.decided.decision));
        exit = exit.max(one);
        match args.json {
            true => written.push_str(&format!("{}\n", json(&desk, explanation, one as u8))),
            false => {
                if index > 0 {
                    written.push('\n');
                }
                written.push_str(&text(&desk, index + 1, explanation));
            }
        }
    }
    // A reader that has gone away, as `head` does, still gets the exit code.
    let _ = io::stdout().write_all(written.as_bytes());
    exit
}
