//! `severance cases`: work that is not finished, what is known of a case, and how to end one or let it go by hand.

mod beginning;
mod list;
mod outcomes;
mod seen;
mod show;
#[cfg(test)]
mod tests;
mod wish;
mod words;

use std::{io::Write as _, path::Path};

use clap::{Args, Subcommand};

use self::wish::Wish;
use super::Exit;
use crate::{
    config::{Config, JobTopics},
    edge::kafka_reader::ReadError,
};

/// What to do with cases.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CasesArgs {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  severance cases list   --config severance.yaml --cluster orders
  severance cases show   --config severance.yaml 2f8a4bd1
  severance cases cancel --config severance.yaml 2f8a4bd1 --reason 'account is locked'
  severance cases release --config severance.yaml 2f8a4bd1 --by mmeier --wait 2m

A case is named by its id, or by how that begins: at least 8 characters.";

#[derive(Debug, Subcommand)]
enum Command {
    /// The cases that are still worked on, the oldest first
    List(list::ListArgs),
    /// One case: what is left to do, and everything that was said of it
    Show(show::ShowArgs),
    /// End a case: nothing more is tried, and its last outcome says `cancelled`
    Cancel(wish::WishArgs),
    /// Carry out a case that waits for approval
    Release(wish::WishArgs),
    /// Refuse a case that waits for approval
    Deny(wish::WishArgs),
}

/// Does it. Blocks while Kafka is asked.
pub fn run(args: &CasesArgs) -> Exit {
    let done = match &args.command {
        Command::List(args) => load(&args.config).and_then(|(config, jobs)| list::list(&config, &jobs, args)),
        Command::Show(args) => load(&args.config).and_then(|(config, jobs)| show::show(&config, &jobs, args)),
        Command::Cancel(args) => wish(Wish::Cancel, args),
        Command::Release(args) => wish(Wish::Release, args),
        Command::Deny(args) => wish(Wish::Deny, args),
    };
    done.unwrap_or_else(|exit| exit)
}

fn wish(wish: Wish, args: &wish::WishArgs) -> Result<Exit, Exit> {
    load(&args.config).and_then(|(config, jobs)| wish::wish(wish, &config, &jobs, args))
}

fn load(path: &Path) -> Result<(Config, JobTopics), Exit> {
    let config = super::load(path)?;
    match config.kafka.jobs.clone() {
        Some(jobs) => Ok((config, jobs)),
        None => {
            let file = path.display();
            eprintln!(
                "{file}: kafka.state and kafka.commands are not set, so no work is ever left unfinished\n  fix: write \
                 both, and make the topics with `severance topics --config {file} --create`"
            );
            Err(Exit::Usage)
        }
    }
}

/// A reader that has gone away, as `head` does, still gets the exit code.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn failed(error: &ReadError) -> Exit {
    eprintln!("severance: {error}");
    match error {
        ReadError::Config(_) => Exit::Usage,
        ReadError::Unreachable(_) | ReadError::Missing(_) | ReadError::Refused { .. } => Exit::Failed,
    }
}
