//! The commands, one file each, and how they end.

pub mod check;

/// How a command ends; the number is the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done as asked.
    Done = 0,
    /// Our own fault.
    OurFault = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Nothing was found, or no rule matched.
    NothingFound = 3,
    /// Not all was done; for `check --strict`, there are warnings.
    Partial = 4,
    /// Refused.
    Refused = 5,
    /// Failed; for `check`, something that is needed is missing or not reached.
    Failed = 6,
    /// An event could not be read.
    Undecodable = 7,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
