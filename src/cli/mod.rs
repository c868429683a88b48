//! The commands: each takes its parsed arguments and answers with an exit code.

pub mod publish;
pub mod topics;

use std::{path::Path, process::ExitCode};

use crate::config::Config;

/// How a command ended, as its exit code. Where several events end differently, the highest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// Our own fault.
    OurFault = 1,
    /// The arguments or the configuration are wrong.
    Usage = 2,
    /// Nothing was found, or no rule matched.
    NothingFound = 3,
    /// Done in part, or deferred.
    Partial = 4,
    /// Refused, expired or awaiting approval.
    Refused = 5,
    /// Failed, unsupported, or something cannot be reached.
    Failed = 6,
    /// The event cannot be read.
    Undecodable = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Reads the configuration, or says on standard error what is wrong with it.
fn load(path: &Path) -> Result<Config, Exit> {
    // The one line to be wired: `Config::load`, its faults printed, `Exit::Usage`.
    eprintln!("severance: {}: reading a configuration is not built yet", path.display());
    Err(Exit::Usage)
}
