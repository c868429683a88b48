//! Laws, held against whatever comes to mind.

use proptest::prelude::*;

use super::*;

type Record = (Key, Option<Vec<u8>>);

fn any_record() -> impl Strategy<Value = Record> {
    prop_oneof![
        (0..3u32).prop_map(|n| creation(&job(n))),
        (0..3u32).prop_map(|n| (Key::Create { case: case(), n }, None)),
        (0..3u32, 1..9u32).prop_map(|(n, seq)| state(&State::Pending(Arc::new(Job { seq, ..job(n) })))),
        (0..3u32, 1..9u32).prop_map(|(n, seq)| state(&done(n, seq))),
        Just((Key::State { case: case() }, None)),
        Just((Key::State { case: case() }, Some(b"{}".to_vec()))),
    ]
}

fn filed(records: impl IntoIterator<Item = (i64, Record)>) -> Load {
    let mut load = Load::begin(PARTITION, Generation(1), 1, 0, Bounds::default());
    for (offset, (key, value)) in records {
        load.read(offset, key.to_string().as_bytes(), value.as_deref()).unwrap();
    }
    load
}

fn numbered(records: Vec<Record>) -> Vec<(i64, Record)> {
    (0..).zip(records).collect()
}

/// What a loading says of the case, without who loads it.
fn shelf(load: Load) -> Option<Shelf> {
    let (heard, limits) = (Heard::default(), limits());
    let context = Context { now: at(10), heard: &heard, limits: &limits };
    let (book, _) = load.finish(i64::MAX, &context).map_err(|(_, not)| not).unwrap();
    book.entry(case()).map(|entry| entry.shelf.clone())
}

/// What happens to a desk next.
#[derive(Clone, Debug)]
enum Event {
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

fn any_event() -> impl Strategy<Value = Event> {
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
struct Life {
    desk: Desk,
    second: i64,
    generation: u64,
    load: u64,
    read_back: usize,
    attempt: Option<Attempt>,
    step: Option<Arc<Step>>,
    said: Vec<(u32, u32, bool)>,
    kills: Vec<(u32, usize)>,
}

impl Life {
    fn new() -> Self {
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

    fn happens(&mut self, event: Event) {
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

proptest! {
    #[test]
    fn reading_a_part_and_then_the_rest_is_reading_it_all(
        log in prop::collection::vec(any_record(), 0..12),
        cut in 0..12usize,
    ) {
        let log = numbered(log);
        let mut part = filed(log.iter().take(cut).cloned());
        for (offset, (key, value)) in log.iter().skip(cut) {
            part.read(*offset, key.to_string().as_bytes(), value.as_deref()).unwrap();
        }
        prop_assert_eq!(shelf(part), shelf(filed(log)));
    }

    #[test]
    fn compaction_changes_nothing(log in prop::collection::vec(any_record(), 0..12)) {
        let log = numbered(log);
        let is_last = |offset: i64, key: &Key| {
            !log.iter().any(|(other, (later, _))| *other > offset && later == key)
        };
        let compacted: Vec<_> =
            log.iter().filter(|(offset, (key, _))| is_last(*offset, key)).cloned().collect();
        let without_tombstones = compacted.iter().filter(|(_, (_, value))| value.is_some()).cloned();
        prop_assert_eq!(shelf(filed(compacted.clone())), shelf(filed(log)));
        prop_assert_eq!(shelf(filed(without_tombstones)), shelf(filed(compacted)));
    }

    #[test]
    fn it_does_not_matter_when_a_command_is_heard(
        n in 0..2u32,
        cancels in prop::collection::vec(0..3u32, 0..2),
        users in prop::sample::subsequence(vec!["alice", "bob"], 0..=2),
        second in 0..60i64,
        place in any::<prop::sample::Index>(),
    ) {
        let mut commands: Vec<Command> = cancels.into_iter().map(cancel).collect();
        if !users.is_empty() {
            commands.push(reinstated(&users, second));
        }
        let end = |before: usize| {
            let mut desk = Desk::with(&[]);
            let mut effects = Vec::new();
            for command in &commands[..before] {
                effects.extend(desk.hear(command));
            }
            effects.extend(desk.read(creation(&job(n))));
            for command in &commands[before..] {
                effects.extend(desk.hear(command));
            }
            // Whatever was begun is committed, until nothing is.
            let mut said = Vec::new();
            while let Some(Effect::Commit(step)) = effects.pop() {
                let outcome = step.outcome.clone().unwrap();
                said.push(outcome.saying.clone());
                effects = desk.commit(&step);
            }
            let rest = desk.entry().current();
            (said.pop().filter(|last| matches!(last, Saying::Final(_))), match rest {
                Current::Job(job) => Some(job.principals.clone()),
                _ => None,
            })
        };
        let first = end(0);
        prop_assert_eq!(&end(commands.len()), &first);
        prop_assert_eq!(&end(place.index(commands.len() + 1)), &first);
    }

    #[test]
    fn no_bytes_make_it_panic(key in "\\PC*", value in prop::collection::vec(any::<u8>(), 0..64), json in "\\PC*") {
        for value in [value.as_slice(), json.as_bytes()] {
            for key in [key.clone(), job(0).creation_key().to_string(), format!("{}/state", case())] {
                let mut load = Load::begin(PARTITION, Generation(1), 1, 0, Bounds::default());
                prop_assert!(load.read(0, key.as_bytes(), Some(value)).is_ok());
            }
            let _refused = Command::read(value);
        }
    }
}

proptest! {
    // Each of them is a life of up to 120 events; the model sees every short one.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn outcomes_are_numbered_without_gap_or_repeat_and_each_run_ends_once(
        events in prop::collection::vec(any_event(), 0..120),
    ) {
        let mut life = Life::new();
        for event in events {
            life.happens(event);
        }
        let numbers: Vec<u32> = life.said.iter().map(|(_, seq, _)| *seq).collect();
        let expected: Vec<u32> = (2..).take(numbers.len()).collect();
        prop_assert_eq!(numbers, expected);
        for n in 0..3 {
            let of_run: Vec<bool> =
                life.said.iter().filter(|(run, ..)| *run == n).map(|(_, _, is_final)| *is_final).collect();
            prop_assert!(of_run.iter().rev().skip(1).all(|is_final| !is_final), "{:?}", life.said);
        }
    }

    #[test]
    fn a_run_that_has_ended_never_kills(events in prop::collection::vec(any_event(), 0..120)) {
        let mut life = Life::new();
        for event in events {
            life.happens(event);
        }
        for (n, said_before) in &life.kills {
            let ended = life.said[..*said_before].iter().any(|(run, _, is_final)| run == n && *is_final);
            prop_assert!(!ended, "run {n}: {:?}", life.said);
        }
    }

    /// What the book believes is what the next owner will read.
    #[test]
    fn memory_and_topic_say_the_same(events in prop::collection::vec(any_event(), 0..120)) {
        let mut life = Life::new();
        for event in events {
            life.happens(event);
        }
        while life.step.is_some() {
            life.happens(Event::Answer(Answer::Committed));
        }
        while life.read_back < life.desk.log.len() {
            life.happens(Event::ReadBack);
            while life.step.is_some() {
                life.happens(Event::Answer(Answer::Committed));
            }
        }
        let state = |book: &Book| book.entry(case()).and_then(|entry| entry.shelf.state.clone());
        let (loaded, _) = loaded(&life.desk.log, &life.desk.heard);
        prop_assert_eq!(state(&life.desk.book), state(&loaded));
        let open = |book: &Book| match book.entry(case()).map(Entry::current) {
            Some(Current::Job(job)) => Some((job.n, job.seq)),
            _ => None,
        };
        prop_assert_eq!(open(&life.desk.book), open(&loaded));
    }
}
