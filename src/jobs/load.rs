//! Loading a partition: its records in log order, the last of each key, and not a job run before
//! everything that could still appear has appeared.

use super::{Book, Bounds, Context, Effect, Entry, Filing, Generation, Illegal, Input, Notice, transition};

/// A partition that is being loaded. To be begun when the assignment's generation is known and
/// one's own transaction is finished or aborted.
#[derive(Clone, Debug)]
pub struct Load {
    book: Book,
    high_watermark: i64,
}

/// Why a partition may not be run yet. Reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotLoaded {
    /// Not everything has been read.
    #[error("read to {read_to} of {high_watermark}")]
    NotRead {
        /// How far it was read.
        read_to: i64,
        /// How far it has to be.
        high_watermark: i64,
    },
    /// Somebody's transaction is open: what is in it cannot be seen yet.
    #[error("a transaction is open at {last_stable}, before the high watermark {high_watermark}")]
    Unstable {
        /// Everything before it is decided.
        last_stable: i64,
        /// How far it has to be.
        high_watermark: i64,
    },
}

impl Load {
    /// Begins. `high_watermark`: the partition's, as a `read_uncommitted` reader sees it, taken
    /// after `generation` was known. `load` counts the loadings of this process.
    pub fn begin(
        partition: i32,
        generation: Generation,
        load: u64,
        high_watermark: i64,
        bounds: Bounds,
    ) -> Self {
        Self { book: Book::empty(partition, generation, load, bounds), high_watermark }
    }

    /// The next record, as a `read_committed` reader sees it.
    pub fn read(&mut self, offset: i64, key: &[u8], value: Option<&[u8]>) -> Result<Option<Notice>, Illegal> {
        match Filing::read(self.book.owner.partition, key, value) {
            Ok(filing) => self.file(offset, filing),
            Err(unknown) => self.book.in_order(offset).map(|()| Some(unknown.at(offset))),
        }
    }

    /// A record that was read before.
    pub fn file(&mut self, offset: i64, filing: Filing) -> Result<Option<Notice>, Illegal> {
        self.book.in_order(offset)?;
        let case = filing.case();
        let was_full = self.book.is_full();
        if !self.book.takes(case) {
            return Ok((!was_full).then_some(Notice::Full));
        }
        let mut entry = match self.book.entries.get(&case) {
            Some(entry) => entry.clone(),
            None => Entry { fresh: true, ..Entry::new(case) },
        };
        filing.put_on(&mut entry.shelf);
        self.book.put(entry);
        Ok(None)
    }

    /// Everything before `next` has been read, markers of transactions included.
    pub fn reached(&mut self, next: i64) {
        self.book.reached(next);
    }

    /// A later generation is known, and the partition is still ours without a break.
    pub fn kept(&mut self, generation: Generation) {
        self.book.owner.generation = self.book.owner.generation.max(generation);
    }

    /// Whether it may be run: read up to the high watermark, and `last_stable`, before which no
    /// transaction is open, has reached it too.
    pub fn check(&self, last_stable: i64) -> Result<(), NotLoaded> {
        let (read_to, high_watermark) = (self.book.owner.offset, self.high_watermark);
        if last_stable < high_watermark {
            Err(NotLoaded::Unstable { last_stable, high_watermark })
        } else if read_to < high_watermark {
            Err(NotLoaded::NotRead { read_to, high_watermark })
        } else {
            Ok(())
        }
    }

    /// The book, and what is to be done at once: known cancellations, and what a late creation has
    /// left behind. Gives the loading back where it is too early.
    pub fn finish(
        self,
        last_stable: i64,
        context: &Context<'_>,
    ) -> Result<(Book, Vec<Effect>), (Box<Self>, NotLoaded)> {
        match self.check(last_stable) {
            Ok(()) => Ok(self.run(context)),
            Err(not_loaded) => Err((Box::new(self), not_loaded)),
        }
    }

    fn run(self, context: &Context<'_>) -> (Book, Vec<Effect>) {
        let mut book = self.book;
        let mut effects = Vec::new();
        let cases: Vec<_> = book.entries.keys().copied().collect();
        for case in cases {
            let Some(entry) = book.entries.get(&case) else { continue };
            if let super::Current::Blocked(why) = entry.current() {
                effects.push(Effect::Notice(Notice::Blocked { case, why }));
            }
            book.owner.turn.number = book.owner.turn.number.saturating_add(1);
            // Hearing is never refused.
            if let Ok((entry, begun)) = transition::step(entry, Input::Heard, context, &book.owner) {
                book.put(entry);
                effects.extend(begun);
            }
        }
        (book, effects)
    }
}
