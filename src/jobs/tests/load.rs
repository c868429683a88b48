//! Loading, and what is not ours to read.

use super::*;

fn begin(high_watermark: i64) -> Load {
    Load::begin(PARTITION, Generation(1), 1, high_watermark, Bounds::default())
}

#[test]
fn a_partition_is_not_run_before_everything_is_there_and_decided() {
    let table = [
        (5, 0, 5, Some(NotLoaded::NotRead { read_to: 0, high_watermark: 5 })),
        (5, 4, 5, Some(NotLoaded::NotRead { read_to: 4, high_watermark: 5 })),
        (5, 5, 3, Some(NotLoaded::Unstable { last_stable: 3, high_watermark: 5 })),
        (5, 3, 3, Some(NotLoaded::Unstable { last_stable: 3, high_watermark: 5 })),
        (5, 5, 5, None),
        (5, 9, 9, None),
        (0, 0, 0, None),
    ];
    for (high_watermark, read_to, last_stable, expected) in table {
        let mut load = begin(high_watermark);
        load.reached(read_to);
        assert_eq!(load.check(last_stable).err(), expected, "{high_watermark} {read_to} {last_stable}");
    }
}

#[test]
fn records_come_in_order_and_once() {
    let mut load = begin(9);
    let (key, value) = creation(&job(0));
    let key = key.to_string();
    assert_eq!(load.read(3, key.as_bytes(), value.as_deref()), Ok(None));
    for offset in [3, 0] {
        assert_eq!(
            load.read(offset, key.as_bytes(), value.as_deref()),
            Err(Illegal::OutOfOrder { offset, read_to: 4 })
        );
    }
}

#[test]
fn a_cancellation_that_is_known_is_committed_with_the_loading() {
    let mut heard = Heard::default();
    heard.read(COMMANDS, 0, at(5), Some(&cancel(0).encode().unwrap())).unwrap();
    let (_, effects) = loaded(&[creation(&job(0))], &heard);
    assert!(line(&commit(&effects)).starts_with("[outcome 2 cancelled, final | done n0 seq 2"));
}

#[test]
fn what_a_late_creation_has_left_is_deleted_with_the_loading() {
    let (_, effects) = loaded(&[state(&done(0, 2)), creation(&job(0))], &Heard::default());
    assert_eq!(line(&commit(&effects)), "[no create/0] in generation 1");
}

/// The case is neither run nor overwritten nor deleted, whatever else happens.
#[test]
fn a_record_of_a_newer_version_is_left_alone() {
    let newer = |text: &[u8]| {
        String::from_utf8(text.to_vec()).unwrap().replace(r#""schema_version":1"#, r#""schema_version":2"#)
    };
    let (key, value) = creation(&job(0));
    let creation_of_2 = (key, Some(newer(&value.unwrap()).into_bytes()));
    let state_of_2 = (Key::State { case: case() }, Some(newer(&done(0, 2).encode()).into_bytes()));
    let why = Unreadable::Version { found: 2 };
    for log in [
        vec![creation_of_2],
        vec![state_of_2.clone()],
        vec![creation(&job(0)), state_of_2.clone()],
        vec![state_of_2, creation(&job(0)), creation(&job(1))],
    ] {
        let (mut book, effects) = loaded(&log, &Heard::default());
        assert_eq!(effects, [Effect::Notice(Notice::Blocked { case: case(), why: why.clone() })]);
        let (mut heard, limits) = (Heard::default(), limits());
        let command = heard.read(COMMANDS, 0, at(5), Some(&cancel(9).encode().unwrap())).unwrap().unwrap();
        let context = Context { now: at(1_000_000), heard: &heard, limits: &limits };
        assert_eq!(book.heard(&command, &context), Ok(vec![]));
        assert_eq!(book.tick(&context), Ok(vec![]));
    }
}

#[test]
fn a_creation_that_is_beaten_need_not_be_read() {
    let unreadable = (job(0).creation_key(), Some(b"{}".to_vec()));
    let (_, effects) = loaded(&[unreadable, state(&done(0, 2))], &Heard::default());
    assert_eq!(line(&commit(&effects)), "[no create/0] in generation 1");
}

#[test]
fn a_job_is_not_run_in_another_partition_than_its_own() {
    let stray = Job { partition: PARTITION + 1, ..job(0) };
    let (mut book, effects) = loaded(&[creation(&stray)], &Heard::default());
    match one(&effects) {
        Effect::Notice(Notice::Blocked { why, .. }) => {
            assert_eq!(*why, Unreadable::Elsewhere { lives_in: 4, found_in: 3 });
        }
        other => panic!("{other:?}"),
    }
    let (heard, limits) = (Heard::default(), limits());
    assert_eq!(book.tick(&Context { now: at(99), heard: &heard, limits: &limits }), Ok(vec![]));
}

#[test]
fn standing_jobs_and_foreign_keys_are_said_and_passed_over() {
    let mut load = begin(2);
    let key = Key::Window { name: "night".into() };
    assert_eq!(load.read(0, b"window/night", Some(b"{}")), Ok(Some(Notice::NotBuilt { key })));
    assert_eq!(load.read(1, b"\xff", None), Ok(Some(Notice::UnknownKey { offset: 1 })));
    assert_eq!(load.check(2), Ok(()));
}

/// Beyond the bound, cases stay on the topic; when some have ended, it is loaded again.
#[test]
fn what_does_not_fit_waits_on_the_topic() {
    let bounds = Bounds { jobs: 4, ..Bounds::default() };
    let mut load = Load::begin(PARTITION, Generation(1), 1, 7, bounds);
    let jobs: Vec<Job> =
        (0..6).map(|i| Job { case_id: CaseId::of_event("/s", &i.to_string()), ..job(0) }).collect();
    let mut notices = Vec::new();
    for (offset, job) in (0..).zip(&jobs) {
        let key = job.creation_key().to_string();
        notices.extend(load.read(offset, key.as_bytes(), Some(&job.creation().unwrap())).unwrap());
    }
    assert_eq!(notices, [Notice::Full]);
    // The first has ended, which makes room; but what came before the mark of a case that was left
    // out must not be taken for all there is of it.
    let ended = State::Done(Done { case_id: jobs[0].case_id, n: 0, seq: 2, ended_at: at(8), until: at(9) });
    let key = Key::State { case: jobs[0].case_id }.to_string();
    load.read(6, key.as_bytes(), Some(&ended.encode())).unwrap();
    let (heard, limits) = (Heard::default(), limits());
    let context = Context { now: at(5), heard: &heard, limits: &limits };
    let (mut book, _) = load.finish(7, &context).map_err(|(_, not)| not).unwrap();
    assert!(book.is_full());
    assert_eq!(book.entries().count(), 4);
    let key = jobs[5].creation_key().to_string();
    assert_eq!(book.read(7, key.as_bytes(), Some(&jobs[5].creation().unwrap()), &context), Ok(vec![]));
    assert_eq!(book.entries().count(), 4);
    assert_eq!(book.tick(&context), Ok(vec![]));

    let mut heard = heard;
    for (offset, job) in (0..).zip(&jobs[1..3]) {
        let cancel = Cancel { case_id: job.case_id, n: 0, at: at(5), by: None, reason: None };
        let command = Command::Cancel(cancel).encode().unwrap();
        let command = heard.read(COMMANDS, offset, at(5), Some(&command)).unwrap().unwrap();
        let context = Context { now: at(5), heard: &heard, limits: &limits };
        let step = commit(&book.heard(&command, &context).unwrap());
        assert_eq!(book.answered(step.case, step.turn, Answer::Committed, &context), Ok(vec![]));
    }
    let context = Context { now: at(5), heard: &heard, limits: &limits };
    assert_eq!(book.tick(&context), Ok(vec![Effect::Reload]));
}
