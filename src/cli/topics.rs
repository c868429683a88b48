//! `severance topics`: whether the topics are there and as they should be, and the fix.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use super::Exit;
use crate::{
    config::Config,
    edge::{
        kafka_admin::{Admin, AdminError, Wanted},
        kafka_client,
        kafka_topics::{self, Judged, Needs, Role, Seen, Verdict},
    },
};

/// Shows the topics and what is missing or wrong about them.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  severance topics --config severance.yaml
  severance topics --config severance.yaml --create --partitions 6 --replication 3

Exit codes: 0 all is well; 6 a topic is missing or wrong, or Kafka cannot be reached. What exists is never changed.")]
pub struct TopicsArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Create the topics that are missing.
    #[arg(long)]
    pub create: bool,
    /// How many partitions a created topic gets [default: the broker's; for `state` as many as the triggers
    /// have]. `commands` gets one.
    #[arg(long, value_name = "N", requires = "create", value_parser = clap::value_parser!(u16).range(1..))]
    pub partitions: Option<u16>,
    /// How many replicas a created topic gets [default: the broker's].
    #[arg(long, value_name = "N", requires = "create", value_parser = clap::value_parser!(u16).range(1..))]
    pub replication: Option<u16>,
}

/// The command.
pub async fn run(args: &TopicsArgs) -> Exit {
    match super::load(&args.config) {
        Ok(config) => topics(&config, args, &mut io::stdout().lock()).await,
        Err(exit) => exit,
    }
}

/// The command with its configuration read; what it finds goes to `out`, what prevents it to
/// standard error.
pub async fn topics(config: &Config, args: &TopicsArgs, out: &mut impl Write) -> Exit {
    let faults = kafka_client::validate(&config.kafka);
    if !faults.is_empty() {
        for fault in faults {
            eprintln!("severance: kafka.properties: {fault}");
        }
        return Exit::Usage;
    }
    match look_and_create(config, args, out).await {
        Ok(exit) => exit,
        Err(Ended::Kafka(error)) => {
            eprintln!("severance: {error}");
            match error {
                AdminError::Config(_) => Exit::Usage,
                AdminError::Unreachable(_) | AdminError::Refused(_) => Exit::Failed,
            }
        }
        Err(Ended::Output(error)) => {
            eprintln!("severance: cannot write: {error}");
            Exit::OurFault
        }
    }
}

/// Why the command ended early.
enum Ended {
    Kafka(AdminError),
    Output(io::Error),
}

impl From<AdminError> for Ended {
    fn from(error: AdminError) -> Self {
        Self::Kafka(error)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

async fn look_and_create(config: &Config, args: &TopicsArgs, out: &mut impl Write) -> Result<Exit, Ended> {
    let needs = Needs::of(config);
    let admin = Admin::new(&config.kafka)?;
    let seen = admin.look(&needs.names()).await?;
    let judged = kafka_topics::judge(&needs, &seen);
    table(&judged, out)?;
    let missing: Vec<&Judged> = judged.iter().filter(|topic| topic.verdict() == Verdict::Missing).collect();
    let mut exit =
        if judged.iter().any(|topic| topic.verdict() == Verdict::Wrong) { Exit::Failed } else { Exit::Done };
    if missing.is_empty() {
        return Ok(exit);
    }
    if !args.create {
        return Ok(Exit::Failed);
    }
    let replication = match args.replication {
        Some(replication) => Some(usize::from(replication)),
        None => admin.default_replication(&seen).await,
    };
    let wanted: Vec<Wanted> = missing
        .iter()
        .map(|topic| Wanted {
            name: topic.name.clone(),
            partitions: partitions(topic.role, args, &needs, &seen),
            replication: args.replication,
            settings: needs.settings(topic.role, replication),
        })
        .collect();
    for (name, created) in admin.create(&wanted).await? {
        match created {
            Ok(()) => writeln!(out, "created {name}")?,
            Err(reason) => {
                exit = Exit::Failed;
                writeln!(out, "not created {name}: {reason}")?;
            }
        }
    }
    Ok(exit)
}

/// The number of `state`'s partitions cannot be changed once there are cases, and it bounds how many
/// processes carry them on.
fn partitions(role: Role, args: &TopicsArgs, needs: &Needs, seen: &Seen) -> Option<u16> {
    match role {
        Role::Triggers | Role::Outcomes | Role::DeadLetters => args.partitions,
        Role::State => {
            let triggers = kafka_topics::most_partitions(&needs.topics, seen);
            args.partitions.or_else(|| u16::try_from(triggers?).ok())
        }
        Role::Commands => Some(1),
    }
}

fn table(judged: &[Judged], out: &mut impl Write) -> io::Result<()> {
    let width = judged.iter().map(|topic| topic.name.len()).max().unwrap_or(0).max("TOPIC".len());
    writeln!(out, "{:width$}  {:12}  PARTITIONS  REPLICATION  STATE", "TOPIC", "ROLE")?;
    for topic in judged {
        let number = |number: Option<usize>| number.map_or("-".to_owned(), |number| number.to_string());
        writeln!(
            out,
            "{:width$}  {:12}  {:10}  {:11}  {}",
            topic.name,
            topic.role.name(),
            number(topic.topic.as_ref().map(|topic| topic.partitions)),
            number(topic.topic.as_ref().map(|topic| topic.replication)),
            topic.verdict().name(),
        )?;
        for finding in &topic.findings {
            writeln!(out, "  {}: {}", finding.verdict.name(), finding.what)?;
            writeln!(out, "    fix: {}", finding.fix)?;
        }
    }
    Ok(())
}
