//! jobs: work that is not finished yet, and the protocol by which exactly one process carries it
//! on, through crashes, rebalances and owners who do not know yet that they are no longer owners.
//!
//! A *job* is a case with something left to do: a due time, what is left, and the number of the
//! last outcome. It lives as records on the compacted `state` topic. Who owns a partition of that
//! topic runs its jobs; there is no second store and nobody is elected. Everything here is pure:
//! time, dice and what was read come in as arguments, and what is to be done goes out as
//! [`Effect`]s. The edge does them and comes back with an [`Input`].
//!
//! # The protocol
//!
//! 1. **Two keys a case.** Anybody may create a job, under `<case>/create/<n>`, where `n` counts
//!    how often the case was redriven. Only the owner writes `<case>/state`. A state beats the
//!    creation with its `n` and all before; a done mark does so too. *Why*: a trigger can be
//!    delivered again at any time, and its creation would overwrite what the owner has done
//!    since; compaction would keep the older of the two.
//! 2. **The end is one transaction**: the final outcome, the done mark and the tombstone of the
//!    creation. *Why*: any two of them without the third are a second final, a job without an end,
//!    or a job that comes back.
//! 3. **A done mark is forgotten late.** Not before its trigger can no longer be accepted
//!    ([`Limits::done_until`]), then with tombstones for every creation it has beaten, and it stays
//!    in memory until its own tombstone has been read back. *Why*: a creation that was written
//!    before that tombstone must still be beaten, by us from memory and by the next owner from the
//!    log.
//! 4. **Commands are heard by everybody.** What comes from elsewhere (a cancellation, a
//!    reinstatement) is a record on the `commands` topic, which every process reads in full. It
//!    may be read before the job that it concerns exists, so all of them are kept ([`Heard`]) and
//!    asked whenever a job is looked at: the order of command and creation makes no difference.
//!    A cancellation names the case and the highest `n` that it ends; a reinstatement counts by
//!    event time, and within the clock skew the kill wins ([`takes_back`]).
//!    An approval or a denial concerns a job only while it waits, and only if it was said after the
//!    run was decided ([`rules_on`]); which of them came first is the order of their topic, since
//!    both have the case for a key. Expiry reads the commands before it is believed, as an attempt
//!    does.
//! 5. **A partition is loaded whole before it is run**: with the high watermark taken once the new
//!    generation is known, up to that watermark, and not before the last stable offset has reached
//!    it ([`Load::finish`] refuses to begin otherwise); one's own transaction is finished or aborted
//!    first, and what was told to stop has come back. *Why*: what the old owner, or a creator who
//!    has died, has written and not yet committed is invisible until it is committed or aborted.
//!    Whoever starts without it runs a job that has ended.
//! 6. **Each attempt first hears the commands**, up to a high watermark taken at its start, then
//!    kills; an open transaction before a cancellation is waited out, not read past. A cancellation
//!    is committed as soon as it is known, not when the job is due, and stops an attempt that runs.
//!    **No kill by whoever may have been replaced**: right before each kill the polling thread is
//!    asked whether it still is the same holding of the partition, and the broker has to have been
//!    heard of within the session timeout less a margin. *Why*: the group fences what an old owner
//!    says, nothing fences what it kills.
//! 7. **Each step is fenced.** Its transaction carries an offset of its state partition, sent after
//!    its last record was acknowledged, with the group metadata of the generation in which the step
//!    began: [`Step::generation`] stands for metadata that was taken where the assignment was heard
//!    and came with the news of it. *Why*: the broker knows generations, not who owns what; metadata
//!    asked for later, be it when the step begins, passes for a partition long lost. A step that is
//!    rejected is published again, without a second kill, once it is known that the partition was
//!    kept without a break; after any break, and after an answer that nobody can give, the book is
//!    dropped and loaded again.
//! 8. **A job stays in its partition.** It carries the number; one that is read elsewhere is not
//!    run, since somebody has changed the number of partitions and two owners could have it.
//! 9. **One step, one outcome, one number.** Each outcome of a case has the number after the one
//!    before, whoever publishes it: a step that did not commit has used none.
//! 10. **What cannot be read is not touched.** A record of a newer version is neither run nor
//!     overwritten nor deleted, and said aloud; a newer process will know what to do with it.
//! 11. **Ticks are in memory**; the topic is written when a job changes, and every record carries
//!     its `schema_version`.
//!
//! `tests/model.rs` runs these transitions through every order of what can happen around them, and
//! breaks each of these rules to see it found out.
//!
//! # A reader's way
//!
//! [`Key`] and the records: [`Job`] (as created and as it stands), [`State`], [`Command`]. What is
//! left to do is [`Work`]. [`transition`] has one case's whole life as one function; [`Book`] has
//! the cases of a partition, [`Load`] fills it.

mod approval;
mod book;
mod bounds;
mod command;
mod delays;
mod effect;
mod entry;
mod filing;
mod fold;
mod heard;
mod input;
mod job;
mod key;
mod left;
mod limits;
mod load;
mod named;
mod shelf;
mod shelves;
mod state;
mod steps;
pub mod transition;
mod wire;
mod work;

pub use approval::{Approval, Given};
pub use book::Book;
pub use bounds::Bounds;
pub use command::{Cancel, Command, Reinstated, Ruling};
pub use delays::Delays;
pub use effect::{Attempt, Effect, Ended, Notice, Said, Saying, Step, Write};
pub use entry::{Entry, Owner, Phase};
pub use filing::{Filing, NotFiled};
pub use fold::{Verdict, rules_on, takes_back};
pub use heard::Heard;
pub use input::{Answer, Attempted, Context, Generation, Illegal, Input, Turn};
pub use job::{Facts, Job, Kind};
pub use key::{Key, MAX_REDRIVES, UnknownKey};
pub use left::{Left, Leftover, Process};
pub use limits::Limits;
pub use load::{Load, NotLoaded};
pub use named::{Named, NobodyNamed};
pub use shelf::{Current, Filed, Shelf};
pub use shelves::Shelves;
pub use state::{Done, State};
pub use wire::{MAX_RECORD, SCHEMA_VERSION, TooLarge, Unreadable};
pub use work::{ClusterWork, NodeWork, Work};

#[cfg(test)]
mod tests;
