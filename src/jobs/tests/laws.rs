//! Laws, held against whatever comes to mind.

use proptest::prelude::*;

use super::{life::*, *};

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
