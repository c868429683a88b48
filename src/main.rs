//! The `severance` command: parse, carry out, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use severance::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().execute().into()
}
