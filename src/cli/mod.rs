//! The command line: one file a command. Each takes its parsed arguments and gives an [`Exit`].

mod cases;
pub mod check;
mod dead_letters;
mod demo;
mod events;
mod explain;
mod generated;
mod health;
mod lint_runbook;
mod publish;
mod respond;
mod role;
mod run;
mod sessions;
mod test;
mod topics;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    config::{Config, Process, Surroundings, WithoutSecrets},
    telemetry::{self, LogFormat},
};

/// How a command ended: the exit codes that scripts may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Our own fault.
    OurFault = 1,
    /// The arguments or the configuration are wrong.
    Usage = 2,
    /// Nothing was found, or no rule matched.
    NothingFound = 3,
    /// Partly done, or deferred.
    Partial = 4,
    /// Refused, expired, or waiting for approval.
    Refused = 5,
    /// Failed, unsupported, or something is missing or unreachable.
    Failed = 6,
    /// The event could not be read.
    Undecodable = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Ends the MongoDB sessions of whoever a security event names, on every node, and proves it.
#[derive(Debug, Parser)]
#[command(name = "severance", version, about, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    /// How the log on standard error is written; RUST_LOG sets its level
    #[arg(long, global = true, value_enum, default_value = "text")]
    log: LogFormat,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done; 1 our own fault; 2 wrong arguments or configuration; 3 nothing found or no rule;
4 partial; 5 refused or expired; 6 failed, unsupported or unreachable; 7 undecodable.

To see it work on this machine, with nothing set up:  severance demo";

#[derive(Debug, Subcommand)]
enum Command {
    /// Listen to the topics and cut off whoever an event names, until told to stop
    Run(run::RunArgs),
    /// Ask beforehand whether the job could be done: configuration, topics, every member, privileges
    Check(check::CheckArgs),
    /// Say what would be decided about events, and why; asks nobody, changes nothing
    Explain(explain::ExplainArgs),
    /// Say whether the rules decide what they should, by a file of events
    Test(test::TestArgs),
    /// Find commands in runbooks that end everybody's sessions, or nobody's, and print the right ones
    LintRunbook(lint_runbook::LintRunbookArgs),
    /// See it work: real servers on this machine, three events, nothing to set up
    Demo(demo::DemoArgs),
    /// Say what is missing or wrong about the topics, or make them
    Topics(topics::TopicsArgs),
    /// Show who is connected, from where, and what they have open
    Sessions(sessions::SessionsArgs),
    /// Put events on the topic that may say them
    Publish(publish::PublishArgs),
    /// Cut off whoever the events in a file name, once, and say what came of it
    Respond(respond::RespondArgs),
    /// Ask a running `severance run` how it is, for probes in containers
    Health(health::HealthArgs),
    /// List what could not be read, show it, or send it again
    DeadLetters(dead_letters::DeadLettersArgs),
    /// List work that is not finished, show a case with its outcomes, or end one
    Cases(cases::CasesArgs),
    /// Print the responder's least-privilege role and user as a script for mongosh
    Role(role::RoleArgs),
    /// Print what a shell needs to complete commands and options
    Completions(generated::CompletionsArgs),
    /// Print a page of the manual, or write all of them
    Man(generated::ManArgs),
}

impl Cli {
    /// Carries out the command.
    pub fn execute(self) -> Exit {
        // The demo talks to a person itself; its log shows only what goes wrong.
        let level = if matches!(self.command, Command::Demo(_)) { "error" } else { "warn,severance=info" };
        telemetry::start(self.log, level);
        match self.command {
            Command::Check(args) => block_on(check::run(&args, crate::check::kafka::findings)),
            Command::Explain(args) => block_on(explain::run(&args)),
            Command::Test(args) => test::run(&args),
            Command::LintRunbook(args) => lint_runbook::run(&args),
            Command::Demo(args) => block_on(demo::run(&args)),
            Command::Run(args) => run::run(&args),
            Command::Topics(args) => block_on(topics::run(&args)),
            Command::Sessions(args) => block_on(sessions::run(&args)),
            Command::Publish(args) => block_on(publish::run(&args)),
            Command::Respond(args) => block_on(respond::run(&args)),
            Command::Health(args) => health::health(&args),
            Command::DeadLetters(args) => dead_letters::run(&args),
            Command::Cases(args) => cases::run(&args),
            Command::Role(args) => role::role(&args),
            Command::Completions(args) => generated::completions(&args),
            Command::Man(args) => generated::man(&args),
        }
    }
}

/// The configuration at `path`, or everything that is wrong with it, on standard error.
fn load(path: &std::path::Path) -> Result<Config, Exit> {
    load_in(path, &Process)
}

/// The same for a command that asks nobody: secrets need not be there.
fn load_without_secrets(path: &std::path::Path) -> Result<Config, Exit> {
    load_in(path, &WithoutSecrets)
}

fn load_in(path: &std::path::Path, surroundings: &dyn Surroundings) -> Result<Config, Exit> {
    match Config::load(path, surroundings) {
        Ok((config, warnings)) => {
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            Ok(config)
        }
        Err(faults) => {
            eprintln!("{faults}");
            Err(Exit::Usage)
        }
    }
}

/// Runs a command's future; a runtime that cannot be made is our own fault.
fn block_on(future: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(future);
            // Ends with the process. Shut down, it would cancel the MongoDB driver's tasks in any order,
            // and one that says goodbye to a server panics, aloud, where its pool has gone before it.
            std::mem::forget(runtime);
            exit
        }
        Err(error) => {
            eprintln!("severance: no runtime: {error}");
            Exit::OurFault
        }
    }
}
