//! `severance dead-letters`: what could not be read, why, and another chance for it.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::Exit;
use crate::{
    config::Kafka,
    edge::{
        kafka_reader::{ReadError, Reader, Start, fetch},
        kafka_send::Sender,
    },
    ingest::{Origin, Record},
    report::Letter,
};

/// How long Kafka may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long one poll for a letter lasts.
const POLL: Duration = Duration::from_millis(200);

/// What to do with dead letters.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  severance dead-letters list --config severance.yaml --reason invalid_data --since 2026-11-25T00:00:00Z
  severance dead-letters show --config severance.yaml 'severance.dead-letters[0]@17'
  severance dead-letters redrive --config severance.yaml --reason invalid_data --dry-run")]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One line a letter
    List {
        #[command(flatten)]
        which: Which,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// One letter, with its headers and its value
    Show {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Where it stands among the dead letters, as `list` shows it: TOPIC[PARTITION]@OFFSET
        position: String,
    },
    /// Send letters to their topics again; age and duplicates do not count for them
    Redrive {
        #[command(flatten)]
        which: Which,
        /// All of them, where nothing chooses
        #[arg(long)]
        all: bool,
        /// Only say what would be sent
        #[arg(long)]
        dry_run: bool,
    },
}

/// Chooses letters; all conditions must hold.
#[derive(Debug, Args)]
struct Which {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only those with this reason, for example invalid_data
    #[arg(long)]
    reason: Option<String>,
    /// Only those that stood on this topic
    #[arg(long)]
    topic: Option<String>,
    /// Only those that are dead since then (RFC 3339)
    #[arg(long)]
    since: Option<Timestamp>,
    /// Only the one that stands there, as `list` shows it
    #[arg(long)]
    position: Option<String>,
}

impl Which {
    fn chooses(&self, letter: &Letter) -> bool {
        let topic = letter.original.as_ref().map(|(topic, ..)| topic);
        self.reason.as_ref().is_none_or(|reason| *reason == letter.reason)
            && self.topic.as_ref().is_none_or(|wanted| Some(wanted) == topic)
            && self.since.is_none_or(|since| letter.position.timestamp().is_some_and(|at| at >= since))
            && self.position.as_ref().is_none_or(|position| *position == letter.position.to_string())
    }

    fn chooses_everything(&self) -> bool {
        self.reason.is_none() && self.topic.is_none() && self.since.is_none() && self.position.is_none()
    }
}

/// Does it. Blocks while Kafka is asked.
pub fn run(args: &DeadLettersArgs) -> Exit {
    let config = match &args.command {
        Command::List { which, .. } | Command::Redrive { which, .. } => &which.config,
        Command::Show { config, .. } => config,
    };
    let kafka = match super::load(config) {
        Ok(config) => config.kafka,
        Err(exit) => return exit,
    };
    let letters = match letters(&kafka) {
        Ok(letters) => letters,
        Err(error) => {
            eprintln!("severance: {error}");
            return Exit::Failed;
        }
    };
    match &args.command {
        Command::List { which, json } => list(letters.iter().filter(|letter| which.chooses(letter)), *json),
        Command::Show { position, .. } => {
            show(letters.iter().find(|letter| letter.position.to_string() == *position))
        }
        Command::Redrive { which, all, .. } if which.chooses_everything() && !all => {
            eprintln!(
                "severance: nothing chooses letters: name --reason, --topic, --since or --position, or --all"
            );
            Exit::Usage
        }
        Command::Redrive { which, dry_run, .. } => {
            redrive(&kafka, letters.iter().filter(|letter| which.chooses(letter)), *dry_run)
        }
    }
}

fn letters(kafka: &Kafka) -> Result<Vec<Letter>, ReadError> {
    let mut reader = Reader::open(kafka, &kafka.dead_letters, Start::Beginning)?;
    let mut letters = Vec::new();
    while !reader.has_caught_up() {
        letters.extend(reader.next(POLL)?.and_then(Letter::read));
    }
    Ok(letters)
}

fn list<'a>(letters: impl Iterator<Item = &'a Letter>, as_json: bool) -> Exit {
    let mut count = 0;
    for letter in letters {
        count += 1;
        let original = letter
            .original
            .as_ref()
            .map(|(topic, partition, offset)| format!("{topic}[{partition}]@{offset}"));
        let at = letter.position.timestamp().map(|at| at.to_string());
        if as_json {
            let line = json!({
                "position": letter.position.to_string(), "time": at, "reason": letter.reason, "detail": letter.detail,
                "original": original, "truncated": letter.truncated, "redriven": letter.redriven,
            });
            println!("{line}");
        } else {
            println!(
                "{}  {}  {}  from {}{}{}\n    {}",
                letter.position,
                at.as_deref().unwrap_or("-"),
                letter.reason,
                original.as_deref().unwrap_or("nowhere"),
                if letter.truncated { "  truncated" } else { "" },
                if letter.redriven > 0 {
                    format!("  redriven {} times", letter.redriven)
                } else {
                    String::new()
                },
                letter.detail,
            );
        }
    }
    if !as_json {
        println!("{count} dead letters");
    }
    Exit::Done
}

/// The one place that shows what somebody sent: who may read the topic may see it.
fn show(letter: Option<&Letter>) -> Exit {
    let Some(letter) = letter else {
        eprintln!("severance: there is no dead letter at that position (`dead-letters list` shows them)");
        return Exit::NothingFound;
    };
    let text = |bytes: &Option<Vec<u8>>| {
        bytes.as_ref().map_or("null".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    println!("reason  {}\ndetail  {}", letter.reason, letter.detail);
    println!("key     {}", text(&letter.record().key));
    for header in &letter.record().headers {
        println!("header  {}: {}", header.name, text(&header.value));
    }
    println!("\n{}", text(&letter.record().value));
    Exit::Done
}

fn redrive<'a>(kafka: &Kafka, letters: impl Iterator<Item = &'a Letter>, dry_run: bool) -> Exit {
    let sender = match Sender::new(kafka) {
        Ok(sender) => sender,
        Err(error) => {
            eprintln!("severance: {error}");
            return Exit::Usage;
        }
    };
    let mut exit = Exit::NothingFound;
    for letter in letters {
        let done = redrive_one(kafka, &sender, letter, dry_run);
        exit = match (&done, exit) {
            (Err(_), _) | (_, Exit::Failed) => Exit::Failed,
            (Ok(_), _) => Exit::Done,
        };
        match done {
            Ok(said) => println!("{}  {said}", letter.position),
            Err(reason) => eprintln!("severance: {}: {reason}", letter.position),
        }
    }
    exit
}

fn redrive_one(kafka: &Kafka, sender: &Sender, letter: &Letter, dry_run: bool) -> Result<String, String> {
    let (topic, partition, offset) = letter.original.as_ref().ok_or("its original stood on no topic")?;
    if !kafka.topics.iter().any(|(name, _)| **name == **topic) {
        return Err(format!("`{topic}` is not among kafka.topics any more"));
    }
    let found: Option<Record> = match letter.truncated {
        false => None,
        true => Some(
            fetch(kafka, topic, *partition, *offset, PATIENCE)
                .map_err(|error| error.to_string())?
                .ok_or_else(|| {
                    format!("it is truncated, and its original at {topic}[{partition}]@{offset} has expired")
                })?,
        ),
    };
    let encoded = letter.redrive(found.as_ref().unwrap_or_else(|| letter.record()));
    if dry_run {
        return Ok(format!("would be sent to {topic}"));
    }
    let sent: Result<Origin, String> = sender
        .send(&[(topic.as_str().into(), encoded)], PATIENCE)
        .pop()
        .unwrap_or_else(|| Err("nothing was sent".to_owned()));
    sent.map(|position| format!("sent to {position}"))
}
