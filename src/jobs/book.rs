//! The owner's book of one state partition: every case that has something to do, or a mark that
//! still has to beat late creations. It joins the records of the partition, the commands, the
//! clock and the answers of the edge to the [`transition`] of each case.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Answer, Attempted, Bounds, Command, Context, Current, Effect, Entry, Filing, Generation, Illegal, Input,
    Owner, Phase, Turn, bounds::Weight, transition,
};
use crate::{case::CaseId, principal::Principal};

/// Most cases that one tick looks at: marks to forget come in thousands after a long stop.
const AT_ONCE: usize = 1_000;

/// The cases of one partition that this process owns.
#[derive(Clone, Debug)]
pub struct Book {
    pub(super) owner: Owner,
    pub(super) entries: BTreeMap<CaseId, Entry>,
    /// When each case is due; of those, the first are looked at first.
    due: BTreeSet<(Timestamp, CaseId)>,
    in_hand: Weight,
    bounds: Bounds,
    full: bool,
    dropped: bool,
}

impl Book {
    pub(super) fn empty(partition: i32, generation: Generation, load: u64, bounds: Bounds) -> Self {
        Self {
            owner: Owner { partition, offset: 0, generation, turn: Turn { load, number: 0 } },
            entries: BTreeMap::new(),
            due: BTreeSet::new(),
            in_hand: Weight::default(),
            bounds,
            full: false,
            dropped: false,
        }
    }

    /// A record of the partition, written by whomever.
    pub fn read(
        &mut self,
        offset: i64,
        key: &[u8],
        value: Option<&[u8]>,
        context: &Context<'_>,
    ) -> Result<Vec<Effect>, Illegal> {
        match Filing::read(self.owner.partition, key, value) {
            Ok(filing) => self.file(offset, filing, context),
            Err(unknown) => self.in_order(offset).map(|()| vec![Effect::Notice(unknown.at(offset))]),
        }
    }

    /// A record that was read before.
    pub fn file(
        &mut self,
        offset: i64,
        filing: Filing,
        context: &Context<'_>,
    ) -> Result<Vec<Effect>, Illegal> {
        self.in_order(offset)?;
        let (case, input) = filing.into_input();
        if self.takes(case) { self.tell(case, input, context) } else { Ok(Vec::new()) }
    }

    /// Everything before `next` has been read, markers of transactions included.
    pub fn reached(&mut self, next: i64) {
        self.owner.offset = self.owner.offset.max(next);
    }

    /// A command was heard: whichever cases it concerns are asked.
    pub fn heard(&mut self, command: &Command, context: &Context<'_>) -> Result<Vec<Effect>, Illegal> {
        let cases: Vec<CaseId> = match command {
            Command::Cancel(cancel) => {
                self.entries.contains_key(&cancel.case_id).then_some(cancel.case_id).into_iter().collect()
            }
            Command::Reinstated(reinstated) => self.naming(&reinstated.principals),
            Command::Approve(ruling) | Command::Deny(ruling) => {
                self.entries.contains_key(&ruling.case_id).then_some(ruling.case_id).into_iter().collect()
            }
        };
        self.tell_each(cases, &Input::Heard, context)
    }

    fn naming(&self, principals: &[Principal]) -> Vec<CaseId> {
        let wanted: std::collections::HashSet<_> = principals.iter().collect();
        self.entries
            .values()
            .filter(|entry| match entry.current() {
                Current::Job(job) => job.principals.targets().iter().any(|one| wanted.contains(one)),
                Current::Blocked(_) | Current::Ended(_) | Current::Nothing => false,
            })
            .map(|entry| entry.case)
            .collect()
    }

    /// When [`Book::tick`] has something to do.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Begins what is due, up to the bound of attempts at once.
    pub fn tick(&mut self, context: &Context<'_>) -> Result<Vec<Effect>, Illegal> {
        self.alive()?;
        if self.full && !self.in_hand.crowds(&self.bounds, 2) {
            self.dropped = true;
            return Ok(self.all_stopped().chain([Effect::Reload]).collect());
        }
        let due =
            self.due.iter().take_while(|(due, _)| *due <= context.now).take(AT_ONCE).map(|(_, case)| *case);
        let due: Vec<CaseId> = due.collect();
        let mut effects = Vec::new();
        for case in due {
            if self.in_hand.attempts >= self.bounds.attempts {
                break;
            }
            effects.extend(self.tell(case, Input::Due, context)?);
        }
        Ok(effects)
    }

    /// A cluster is heard of again: jobs with something left there are due at once.
    pub fn wake(&mut self, cluster: &str, context: &Context<'_>) -> Result<(), Illegal> {
        let waits = |entry: &&Entry| match entry.current() {
            // What waits for a person does not wait for a server.
            Current::Job(job) => {
                job.parked().is_none()
                    && job.work.0.iter().any(|work| &*work.name == cluster && !work.is_done())
            }
            Current::Blocked(_) | Current::Ended(_) | Current::Nothing => false,
        };
        let cases: Vec<CaseId> = self.entries.values().filter(waits).map(|entry| entry.case).collect();
        self.tell_each(cases, &Input::Wake, context).map(drop)
    }

    /// The commands were read for an attempt: up to the high `watermark`s taken after
    /// [`Effect::CatchUp`].
    pub fn caught_up(
        &mut self,
        case: CaseId,
        turn: Turn,
        watermark: BTreeMap<i32, i64>,
        broker_heard_ago: std::time::Duration,
        context: &Context<'_>,
    ) -> Result<Vec<Effect>, Illegal> {
        self.tell(case, Input::CaughtUp { turn, watermark, broker_heard_ago }, context)
    }

    /// An attempt came back. `dice` is any number.
    pub fn attempted(
        &mut self,
        case: CaseId,
        turn: Turn,
        attempted: Attempted,
        dice: u32,
        context: &Context<'_>,
    ) -> Result<Vec<Effect>, Illegal> {
        self.tell(case, Input::Attempted { turn, attempted, dice }, context)
    }

    /// A transaction came back.
    pub fn answered(
        &mut self,
        case: CaseId,
        turn: Turn,
        answer: Answer,
        context: &Context<'_>,
    ) -> Result<Vec<Effect>, Illegal> {
        self.tell(case, Input::Answered { turn, answer }, context)
    }

    /// The group has a new generation, and the partition was ours all the time in between.
    pub fn kept(&mut self, generation: Generation, context: &Context<'_>) -> Result<Vec<Effect>, Illegal> {
        let known = self.owner.generation;
        if generation <= known {
            return Err(Illegal::OldGeneration { told: generation, known });
        }
        self.alive()?;
        self.owner.generation = generation;
        let rejected = |entry: &&Entry| matches!(entry.phase, Phase::Rejected { .. });
        let cases: Vec<CaseId> = self.entries.values().filter(rejected).map(|entry| entry.case).collect();
        self.tell_each(cases, &Input::Kept, context)
    }

    /// The partition is no longer ours: what runs is to be stopped, what is not committed is the
    /// next owner's.
    pub fn close(self) -> Vec<Effect> {
        self.all_stopped().collect()
    }

    fn all_stopped(&self) -> impl Iterator<Item = Effect> {
        self.entries.values().filter_map(|entry| match &entry.phase {
            Phase::Attempting { turn, stopping: false, .. } => {
                Some(Effect::Stop { case: entry.case, turn: *turn })
            }
            Phase::Idle
            | Phase::CatchingUp { .. }
            | Phase::Attempting { .. }
            | Phase::Committing { .. }
            | Phase::Rejected { .. } => None,
        })
    }

    /// The cases in hand.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// One case.
    pub fn entry(&self, case: CaseId) -> Option<&Entry> {
        self.entries.get(&case)
    }

    /// The partition, the generation in which it is held, and how far it was read.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Whether cases were left on the topic for want of room.
    pub fn is_full(&self) -> bool {
        self.full
    }

    fn alive(&self) -> Result<(), Illegal> {
        if self.dropped { Err(Illegal::Dropped) } else { Ok(()) }
    }

    pub(super) fn in_order(&mut self, offset: i64) -> Result<(), Illegal> {
        self.alive()?;
        let read_to = self.owner.offset;
        if offset < read_to {
            return Err(Illegal::OutOfOrder { offset, read_to });
        }
        self.owner.offset = offset.saturating_add(1);
        Ok(())
    }

    /// Whether there is room for a record of this case. Once there was none, no new case is taken
    /// until the partition is loaded again: a creation must not be taken whose done mark was not.
    pub(super) fn takes(&mut self, case: CaseId) -> bool {
        if self.entries.contains_key(&case) {
            return true;
        }
        self.full |= self.in_hand.crowds(&self.bounds, 1);
        !self.full
    }

    fn tell_each(
        &mut self,
        cases: Vec<CaseId>,
        input: &Input,
        context: &Context<'_>,
    ) -> Result<Vec<Effect>, Illegal> {
        let mut effects = Vec::new();
        for case in cases {
            effects.extend(self.tell(case, input.clone(), context)?);
        }
        Ok(effects)
    }

    fn tell(&mut self, case: CaseId, input: Input, context: &Context<'_>) -> Result<Vec<Effect>, Illegal> {
        self.alive()?;
        let owner = Owner {
            turn: Turn { number: self.owner.turn.number.saturating_add(1), ..self.owner.turn },
            ..self.owner
        };
        let (entry, mut effects) = match self.entries.get(&case) {
            Some(entry) => transition::step(entry, input, context, &owner)?,
            None => transition::step(&Entry::new(case), input, context, &owner)?,
        };
        self.owner.turn = owner.turn;
        self.put(entry);
        if effects.contains(&Effect::Reload) {
            self.dropped = true;
            effects.splice(0..0, self.all_stopped().collect::<Vec<_>>());
        }
        Ok(effects)
    }

    pub(super) fn put(&mut self, entry: Entry) {
        if let Some(before) = self.entries.remove(&entry.case) {
            self.in_hand.take(Weight::of(&before));
            if let Some(due) = before.next_due() {
                self.due.remove(&(due, before.case));
            }
        }
        if entry.is_empty() {
            return;
        }
        self.in_hand.add(Weight::of(&entry));
        if let Some(due) = entry.next_due() {
            self.due.insert((due, entry.case));
        }
        self.entries.insert(entry.case, entry);
    }
}
