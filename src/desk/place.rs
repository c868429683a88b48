//! A state partition that the group has given us.

use crate::jobs::{Book, Generation, Load};

/// One partition.
pub(super) struct Place {
    /// Which assignment gave it to us.
    pub holding: u64,
    /// The last generation in which it is known to be ours.
    pub generation: Generation,
    /// Which loading of it is the last.
    pub load: u64,
    pub stand: Stand,
}

/// How far it is.
pub(super) enum Stand {
    /// Something of an earlier book is still under way.
    Clearing,
    /// It is being read; `None` until its watermark is known.
    Loading(Option<Box<Load>>),
    /// Its jobs are run.
    Running(Box<Book>),
}

impl Place {
    pub fn new(holding: u64, generation: Generation) -> Self {
        Self { holding, generation, load: 0, stand: Stand::Clearing }
    }
}
