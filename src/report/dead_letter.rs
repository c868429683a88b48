//! A record that could not be read, kept as it came, with where it stood and why.

use crate::{
    decode::Poison,
    report::{Encoded, Form},
};

/// One dead letter.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The record and what is wrong with it.
    pub poison: Poison,
}

impl DeadLetter {
    /// As bytes: the original key, value and headers, with the position and the reason as
    /// `severance-*` headers.
    pub fn encode(&self, _form: Form) -> Encoded {
        todo!()
    }
}
