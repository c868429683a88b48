//! A case's life at one desk after another: whatever is drawn happens.

use proptest::prelude::*;

use super::*;

/// What happens to a desk next.
#[derive(Clone, Debug)]
pub enum Event {
    Deliver(u32),
    Cancel(u32),
    Reinstate(bool),
    Tick,
    Attempt { is_left: bool, begun: bool },
    Answer(Answer),
    Kept,
    ReadBack,
    Reload,
    Later(i64),
}

pub fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..3u32).prop_map(Event::Deliver),
        1 => (0..3u32).prop_map(Event::Cancel),
        1 => any::<bool>().prop_map(Event::Reinstate),
        6 => Just(Event::Tick),
        6 => (any::<bool>(), prop::bool::weighted(0.8))
            .prop_map(|(is_left, begun)| Event::Attempt { is_left, begun }),
        6 => prop_oneof![
            6 => Just(Answer::Committed),
            1 => Just(Answer::Rejected),
            1 => Just(Answer::Aborted)
        ].prop_map(Event::Answer),
        2 => Just(Event::Kept),
        3 => Just(Event::ReadBack),
        1 => Just(Event::Reload),
        3 => (1..5_000i64).prop_map(Event::Later),
    ]
}

/// One owner after another, a log, and servers that answer what the test says.
pub struct Life {
    pub desk: Desk,
    pub second: i64,
    pub generation: u64,
    pub load: u64,
    pub read_back: usize,
    pub attempt: Option<Attempt>,
    pub step: Option<Arc<Step>>,
    pub said: Vec<(u32, u32, bool)>,
    pub kills: Vec<(u32, usize)>,
}

impl Life {
    pub fn new() -> Self {
        Self {
            desk: Desk::with(&[]),
            second: 10,
            generation: 1,
            load: 1,
            read_back: 0,
            attempt: None,
            step: None,
            said: Vec::new(),
            kills: Vec::new(),
        }
    }

    pub fn happens(&mut self, event: Event) {
        let effects = match event {
            // Redrives come after the final of the run before, and know its number.
            Event::Deliver(n) => {
                let before = self.said.iter().filter(|(run, _, is_final)| *is_final && run + 1 == n);
                let before = before.map(|(_, seq, _)| *seq).max();
                if n > 0 && before.is_none() {
                    return;
                }
                let job = Job { seq: before.map_or(1, |seq| seq), ..job(n) };
                self.desk.log.push(creation(&job));
                Vec::new()
            }
            Event::Cancel(n) => self.desk.hear(&cancel(n)),
            Event::Reinstate(both) => {
                let users: &[&str] = if both { &["alice", "bob"] } else { &["alice"] };
                self.desk.hear(&reinstated(users, 31))
            }
            Event::Tick => {
                let effects = self.desk.tick();
                match effects.as_slice() {
                    [Effect::CatchUp { turn, .. }] => self.desk.caught_up(*turn).unwrap(),
                    _ => effects,
                }
            }
            Event::Attempt { is_left, begun } => {
                let Some(attempt) = self.attempt.take() else { return };
                let attempted = match begun {
                    true => {
                        self.kills.push((attempt.job.n, self.said.len()));
                        Attempted::Tried { work: work(is_left), principals: Vec::new() }
                    }
                    false => Attempted::NotBegun,
                };
                self.desk
                    .tell(|book, context| book.attempted(case(), attempt.turn, attempted, 20, context))
                    .unwrap()
            }
            Event::Answer(answer) => {
                let Some(step) = self.step.take() else { return };
                if answer == Answer::Committed {
                    self.said.extend(step.outcome.iter().map(|said| (said.job.n, said.seq, said.is_final())));
                    self.desk.log.extend(step.writes.iter().map(|write| (write.key(), write.value())));
                }
                self.desk.answer(&step, answer)
            }
            Event::Kept => {
                self.generation += 1;
                let generation = Generation(self.generation);
                self.desk.tell(|book, context| book.kept(generation, context)).unwrap()
            }
            Event::ReadBack => {
                let Some((key, value)) = self.desk.log.get(self.read_back).cloned() else { return };
                let offset = i64::try_from(self.read_back).unwrap();
                self.read_back += 1;
                let key = key.to_string();
                let read = |book: &mut Book, context: &Context<'_>| {
                    book.read(offset, key.as_bytes(), value.as_deref(), context)
                };
                self.desk.tell(read).unwrap()
            }
            Event::Reload => {
                (self.attempt, self.step) = (None, None);
                self.load += 1;
                self.read_back = self.desk.log.len();
                let end = i64::try_from(self.read_back).unwrap();
                let generation = Generation(self.generation);
                let mut load = Load::begin(PARTITION, generation, self.load, end, Bounds::default());
                for (offset, (key, value)) in (0..).zip(&self.desk.log) {
                    load.read(offset, key.to_string().as_bytes(), value.as_deref()).unwrap();
                }
                let context =
                    Context { now: self.desk.now, heard: &self.desk.heard, limits: &self.desk.limits };
                let (book, effects) = load.finish(end, &context).map_err(|(_, not)| not).unwrap();
                self.desk.book = book;
                effects
            }
            Event::Later(seconds) => {
                self.second += seconds;
                self.desk.at(self.second);
                Vec::new()
            }
        };
        for effect in effects {
            match effect {
                Effect::Attempt(attempt) => self.attempt = Some(*attempt),
                Effect::Commit(step) => self.step = Some(step),
                Effect::Stop { .. } | Effect::Notice(Notice::Beaten { .. }) => {}
                Effect::CatchUp { .. } | Effect::Reload | Effect::Notice(_) => panic!("{effect:?}"),
            }
        }
    }
}
