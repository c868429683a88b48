//! report: everything ends in a [`Commit`]: outcomes, dead letters and offsets, as one value.

mod commit;
mod dead_letter;
mod outcome;

pub use commit::{Commit, Encoded, Form, Message};
pub use dead_letter::DeadLetter;
pub use outcome::{Outcome, Status};
