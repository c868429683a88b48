//! `severance check`: whether this configuration, Kafka and every cluster are ready for the job.

use std::{io::Write as _, path::PathBuf};

use clap::Args;

use super::Exit;
use crate::{
    check::{
        check, json,
        report::{About, Finding, Level, Reach, Report},
        text,
    },
    config::{Config, Process},
};

/// What to look at and how to say it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  severance check --config severance.yaml
  severance check --config severance.yaml --offline --strict     # in CI
  severance check --config severance.yaml --json

Exit codes: 0 ready; 2 the configuration is faulty; 4 warnings, with --strict; 6 something is missing or
cannot be reached.")]
pub struct CheckArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Read the configuration only; ask neither Kafka nor any cluster
    #[arg(long)]
    offline: bool,
    /// Warnings count: exit code 4
    #[arg(long)]
    strict: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Looks, and prints what was found. `kafka` says what is to be said of the topics.
pub async fn run<K>(args: &CheckArgs, kafka: K) -> Exit
where
    K: AsyncFnOnce(&Config) -> Vec<Finding>,
{
    let report = check(&args.config, &Process, args.offline, kafka).await;
    let written = match args.json {
        true => format!("{:#}\n", json(&report)),
        false => text(&report),
    };
    // A reader that has gone away, as `head` does, still gets the exit code.
    let _ = std::io::stdout().write_all(written.as_bytes());
    exit(&report, args.strict)
}

/// A configuration that cannot be used comes before whatever else is wrong: nothing else can be
/// mended until it is.
pub fn exit(report: &Report, strict: bool) -> Exit {
    let faulty = |about: &About| {
        report.findings().any(|(found, finding)| found == about && finding.level == Level::Fault)
    };
    if report.reach == Reach::ConfigFaulty || faulty(&About::Config) {
        Exit::Usage
    } else if report.count(Level::Fault) > 0 {
        Exit::Failed
    } else if strict && report.count(Level::Warning) > 0 {
        Exit::Partial
    } else {
        Exit::Done
    }
}
