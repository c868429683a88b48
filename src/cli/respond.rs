//! `severance respond`: the whole pipeline once, for events from a file or standard input.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Exit, events};
use crate::{
    config::Kafka,
    edge::{
        kafka_client,
        kafka_publisher::{PublishError, Publishable as _, Topics},
        kafka_send::Sender,
    },
    ingest::{Batch, Claim, Origin},
    report::{Encoded, Form, Message, Status},
    responder::Responder,
};

/// Cuts off whoever the events name, now, and says what came of it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  severance respond --config severance.yaml --event incident.json
  severance respond --config severance.yaml --event - --no-publish --dry-run < incident.json

The events are trusted: whoever runs this may say every type. Several events are one batch, and a
reinstatement takes back what stands before it. Nothing is deferred: what a node does not do within
limits.inline_budget ends as partial or failed, and what needs an approval is refused before anybody
is cut.")]
pub struct RespondArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One event, a list of events, or one a line, as JSON; `-` is standard input
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// Print the outcomes and publish nothing; needs no Kafka
    #[arg(long)]
    no_publish: bool,
    /// Look and say what would be cut
    #[arg(long)]
    dry_run: bool,
}

/// How long the brokers may take to acknowledge.
const PATIENCE: Duration = Duration::from_secs(15);

/// The command.
pub async fn run(args: &RespondArgs) -> Exit {
    let mut config = match super::load(&args.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    config.dry_run |= args.dry_run;
    // Whoever stands at the terminal is told what is left; a service that runs may have no say in it.
    config.work.give_up_after = Duration::ZERO;
    config.limits.over_cap = None;
    let bytes = match events::read(&args.event) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("severance: {}: {error}", args.event.display());
            return Exit::Usage;
        }
    };
    if !args.no_publish {
        let faults = kafka_client::validate(&config.kafka);
        if !faults.is_empty() {
            faults.iter().for_each(|fault| eprintln!("severance: kafka.properties: {fault}"));
            return Exit::Usage;
        }
    }
    let responder = match Responder::new(config, Arc::new(Timestamp::now)).await {
        Ok(responder) => responder,
        Err(error) => {
            eprintln!("severance: {error}");
            return Exit::Usage;
        }
    };
    responder.warm_up().await;
    let batch = Batch {
        id: Uuid::now_v7(),
        records: events::records(&bytes, |_| Origin::Local),
        fresh: Default::default(),
        crashed: Default::default(),
        received_at: Timestamp::now(),
        claim: Claim::default(),
    };
    let messages = responder.pipeline.handle(batch).await.messages;
    let mut exit = Exit::Done;
    for message in &messages {
        if let Message::Outcome(outcome) = message {
            exit = exit.max(exit_of(outcome.data.status));
            if let Err(error) = print(&message.encode(Form::Full)) {
                eprintln!("severance: cannot write: {error}");
                exit = exit.max(Exit::OurFault);
            }
        }
    }
    match args.no_publish {
        true => exit,
        false => exit.max(publish(&responder.kafka, &messages)),
    }
}

fn print(encoded: &Encoded) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(encoded.value.as_deref().unwrap_or_default())?;
    out.write_all(b"\n")
}

/// With a plain producer: beside a running service of the same configuration it fences nothing.
fn publish(kafka: &Kafka, messages: &[Message]) -> Exit {
    let most = kafka_client::message_max_bytes(kafka);
    let sized = |message: &Message| match message.encode(Form::Full) {
        full if full.size() <= most => full,
        _ => message.encode(Form::Minimal),
    };
    let topics = Topics::of(kafka);
    let records: Result<Vec<(Arc<str>, Encoded)>, PublishError> = messages
        .iter()
        .filter(|message| match message {
            Message::Outcome(_) | Message::State(_) | Message::Command(_) => true,
            // It is in the file that was read.
            Message::DeadLetter(_) => false,
        })
        .map(|message| Ok((topics.to(message.destination())?.clone(), sized(message))))
        .collect();
    let records = match records {
        Ok(records) => records,
        Err(error) => return unpublished(&error),
    };
    let sender = match Sender::new(kafka) {
        Ok(sender) => sender,
        Err(error) => {
            eprintln!("severance: {error}");
            return Exit::Usage;
        }
    };
    // It ends with this command, so nobody else waits while it blocks.
    let answers = tokio::task::block_in_place(|| sender.send(&records, PATIENCE));
    let mut exit = Exit::Done;
    for reason in answers.into_iter().filter_map(Result::err) {
        exit = unpublished(&reason);
    }
    exit
}

fn unpublished(reason: &impl std::fmt::Display) -> Exit {
    eprintln!("severance: an outcome, or a command to unfinished work, is not published: {reason}");
    Exit::Failed
}

/// The exit code of one outcome; of several the highest counts.
pub(super) fn exit_of(status: Status) -> Exit {
    match status {
        Status::Terminated
        | Status::Simulated
        | Status::Acknowledged
        | Status::Released
        | Status::Superseded
        | Status::Cancelled
        | Status::Duplicate => Exit::Done,
        Status::NothingFound | Status::NoRule => Exit::NothingFound,
        Status::Partial | Status::Deferred | Status::Holding => Exit::Partial,
        Status::Refused | Status::Expired | Status::AwaitingApproval => Exit::Refused,
        Status::Failed | Status::Unsupported => Exit::Failed,
        Status::Undecodable => Exit::Undecodable,
    }
}
