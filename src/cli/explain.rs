//! `severance explain`: what would be decided about events, and why. Changes nothing.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    path::PathBuf,
    sync::Arc,
};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Exit, events, respond::exit_of};
use crate::{
    case::CaseId,
    explain::{Desk, json, status, text},
    ingest::{Batch, Claim, Origin, Record},
    report::Message,
    responder::Responder,
    terminate::{ClusterReport, NodeReport},
};

/// What to explain and how to say it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  severance explain --config severance.yaml --event incident.json
  severance explain --config severance.yaml --event incident.json --topic security.siem
  severance explain --config severance.yaml --event incident.json --online
  severance explain --config severance.yaml --event - --json --at 2026-11-25T12:00:00Z < events.jsonl

Without --online it asks neither Kafka nor any cluster, and secrets need not be there; so what was heard before is not known
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
    /// Also ask every cluster who is at work there and would be cut; needs the secrets, cuts nobody
    #[arg(long)]
    online: bool,
    /// One JSON object an event, one a line, instead of text
    #[arg(long)]
    json: bool,
}

/// The command.
pub async fn run(args: &ExplainArgs) -> Exit {
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
    let mut seen = match args.online {
        true => match online(args, records.clone()).await {
            Ok(seen) => Some(seen),
            Err(exit) => return exit,
        },
        false => None,
    };
    let mut exit = Exit::Done;
    let mut written = String::new();
    for (index, explanation) in desk.explain(records, now).iter().enumerate() {
        let seen = seen.as_mut().map(|seen| seen.remove(&explanation.decided.case.id).unwrap_or_default());
        let one = exit_of(status(&explanation.decided.decision));
        exit = exit.max(one);
        match args.json {
            true => {
                let mut object = json(&desk, explanation, one as u8);
                if let Some(seen) = &seen {
                    object["online"] = serde_json::json!(seen);
                }
                written.push_str(&format!("{object}\n"));
            }
            false => {
                if index > 0 {
                    written.push('\n');
                }
                written.push_str(&text(&desk, index + 1, explanation));
                seen.iter().flatten().for_each(|cluster| written.push_str(&lines(cluster)));
            }
        }
    }
    // A reader that has gone away, as `head` does, still gets the exit code.
    let _ = io::stdout().write_all(written.as_bytes());
    exit
}

/// What every cluster shows of those who would be cut, by case: looked at as a dry run does.
async fn online(
    args: &ExplainArgs,
    mut records: Vec<Record>,
) -> Result<HashMap<CaseId, Vec<ClusterReport>>, Exit> {
    let mut config = super::load(&args.config)?;
    config.dry_run = true;
    let responder = match Responder::new(config, Arc::new(Timestamp::now)).await {
        Ok(responder) => responder,
        Err(error) => {
            eprintln!("severance: {error}");
            return Err(Exit::Usage);
        }
    };
    responder.warm_up().await;
    // Whether a topic may say them is explained, not asked of the servers.
    records.iter_mut().for_each(|record| record.origin = Origin::Local);
    let batch = Batch {
        id: Uuid::now_v7(),
        records,
        fresh: Default::default(),
        crashed: None,
        received_at: Timestamp::now(),
        claim: Claim::default(),
    };
    let messages = responder.pipeline.handle(batch).await.messages;
    let outcomes = messages.into_iter().filter_map(|message| match message {
        Message::Outcome(outcome) => Some((outcome.data.case_id, outcome.data.clusters)),
        Message::DeadLetter(_) | Message::State(_) | Message::Command(_) => None,
    });
    Ok(outcomes.collect())
}

/// One line a node.
fn lines(cluster: &ClusterReport) -> String {
    let node = |node: &NodeReport| {
        let found = match (node.found, node.errors.last()) {
            (Some(found), _) => format!("{found} would be cut"),
            (None, Some(error)) => format!("cannot be told: {}", error.message),
            (None, None) => "cannot be told".to_owned(),
        };
        let idle = match node.idle_connections {
            0 => String::new(),
            idle => format!(", {idle} idle connections"),
        };
        format!("  online    {} {} {}: {found}{idle}\n", cluster.name, node.host, node.role)
    };
    let errors =
        cluster.errors.iter().map(|error| format!("  online    {}: {}\n", cluster.name, error.message));
    cluster.nodes.iter().map(node).chain(errors).collect()
}
