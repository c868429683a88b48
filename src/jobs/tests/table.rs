//! Every phase and every input: each pair has an answer, and the snapshot is where it is read.

use std::fmt::Write as _;

use super::*;
use crate::jobs::transition::step;

const TURN: Turn = Turn { load: 1, number: 1 };
const STALE: Turn = Turn { load: 1, number: 0 };
const GENERATION: Generation = Generation(4);

fn entry() -> Entry {
    Entry::new(case())
}

fn filed<T>(record: T) -> Filed<T> {
    Filed::Read(Arc::new(record))
}

fn pending() -> Job {
    Job { seq: 3, attempts: 3, ..job(0) }
}

/// What a case is found in.
fn phases() -> Vec<(&'static str, Entry)> {
    let mut created = entry();
    created.shelf.creations.insert(0, filed(job(0)));
    let mut kept = created.clone();
    kept.shelf.state = Some(filed(State::Pending(Arc::new(pending()))));
    let mut ended = entry();
    ended.shelf.state = Some(filed(done(0, 4)));
    let forgotten = Entry { forgotten: done(0, 4).done().cloned(), ..entry() };
    let mut blocked = created.clone();
    blocked.shelf.state = Some(Filed::Unreadable(Unreadable::Version { found: 2 }));

    let hunted = Arc::new(pending());
    let catching = Phase::CatchingUp { turn: TURN, generation: GENERATION };
    let attempting =
        |stopping| Phase::Attempting { turn: TURN, generation: GENERATION, job: hunted.clone(), stopping };
    let committing = |step: &Step| Phase::Committing { step: Arc::new(step.clone()), read_back: false };
    let with = |entry: &Entry, phase: Phase| Entry { phase, ..entry.clone() };
    let step_after = |entry: &Entry, phase: Phase, input: Input, now| {
        let (heard, limits) = (Heard::default(), limits());
        let context = Context { now, heard: &heard, limits: &limits };
        let (_, effects) = step(&with(entry, phase), input, &context, &owner(GENERATION, TURN)).unwrap();
        commit(&effects)
    };
    let back = |is_left| Input::Attempted {
        turn: TURN,
        attempted: Attempted::Tried { work: work(is_left), principals: Vec::new() },
        dice: 20,
    };
    let deferring = step_after(&kept, attempting(false), back(true), at(10));
    let ending = step_after(&kept, attempting(false), back(false), at(10));
    let forgetting = step_after(&ended, Phase::Idle, Input::Due, at(90_001));
    vec![
        ("unknown", entry()),
        ("created", created),
        ("pending", kept.clone()),
        ("ended", ended.clone()),
        ("forgotten, not read back", forgotten),
        ("blocked", blocked),
        ("catching up", with(&kept, catching)),
        ("attempting", with(&kept, attempting(false))),
        ("attempting, told to stop", with(&kept, attempting(true))),
        ("committing a deferral", with(&kept, committing(&deferring))),
        ("committing the end", with(&kept, committing(&ending))),
        ("committing a forgetting", with(&ended, committing(&forgetting))),
        ("rejected", with(&kept, Phase::Rejected { step: deferring })),
    ]
}

fn owner(generation: Generation, turn: Turn) -> Owner {
    Owner { partition: PARTITION, offset: 77, generation, turn }
}

struct Told {
    what: &'static str,
    input: Input,
    cancelled: bool,
    generation: Generation,
    second: i64,
}

fn inputs() -> Vec<Told> {
    let told = |what, input| Told { what, input, cancelled: false, generation: GENERATION, second: 10 };
    let caught_up = |turn, second, watermark| Input::CaughtUp {
        turn,
        watermark: BTreeMap::from([(COMMANDS, watermark)]),
        broker_heard_ago: Duration::from_secs(second),
    };
    let attempted = |turn, attempted| Input::Attempted { turn, attempted, dice: 20 };
    let tried = |is_left| Attempted::Tried { work: work(is_left), principals: Vec::new() };
    let answered = |turn, answer| Input::Answered { turn, answer };
    let newer = Unreadable::Version { found: 2 };
    let later = |told: Told| Told { generation: Generation(5), ..told };
    vec![
        told("creation 0", Input::Creation { n: 0, filed: filed(job(0)) }),
        told("creation 1", Input::Creation { n: 1, filed: filed(job(1)) }),
        told(
            "creation 0 of a newer version",
            Input::Creation { n: 0, filed: Filed::Unreadable(newer.clone()) },
        ),
        told("creation 0 gone", Input::CreationGone { n: 0 }),
        told("state known", Input::State(filed(State::Pending(Arc::new(pending()))))),
        told("state strange", Input::State(filed(done(0, 9)))),
        told("state of a newer version", Input::State(Filed::Unreadable(newer))),
        told("state gone", Input::StateGone),
        told("heard nothing", Input::Heard),
        Told { cancelled: true, ..told("heard a cancel", Input::Heard) },
        told("due", Input::Due),
        Told { second: 9, ..told("not yet due", Input::Due) },
        Told { second: 90_001, ..told("long due", Input::Due) },
        told("woken", Input::Wake),
        told("caught up", caught_up(TURN, 0, 0)),
        Told { cancelled: true, ..told("caught up with a cancel", caught_up(TURN, 0, 1)) },
        told("caught up, broker silent", caught_up(TURN, 5, 0)),
        told("caught up too early", caught_up(TURN, 0, 9)),
        told("stale caught up", caught_up(STALE, 0, 0)),
        told("tried, something left", attempted(TURN, tried(true))),
        told("tried, nothing left", attempted(TURN, tried(false))),
        Told { cancelled: true, ..told("tried, left and cancelled", attempted(TURN, tried(true))) },
        Told { second: 3_600, ..told("tried, left and the time is up", attempted(TURN, tried(true))) },
        told("not begun", attempted(TURN, Attempted::NotBegun)),
        told("not asked", attempted(TURN, Attempted::NotAsked)),
        Told { second: 3_600, ..told("not asked and the time is up", attempted(TURN, Attempted::NotAsked)) },
        told("stale attempt", attempted(STALE, tried(true))),
        told("committed", answered(TURN, Answer::Committed)),
        Told { cancelled: true, ..told("committed with a cancel", answered(TURN, Answer::Committed)) },
        told("rejected", answered(TURN, Answer::Rejected)),
        later(told("rejected, kept since", answered(TURN, Answer::Rejected))),
        told("aborted", answered(TURN, Answer::Aborted)),
        told("nobody can say", answered(TURN, Answer::Unknown)),
        told("stale answer", answered(STALE, Answer::Committed)),
        later(told("kept", Input::Kept)),
    ]
}

fn name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Idle => "idle",
        Phase::CatchingUp { .. } => "catching up",
        Phase::Attempting { stopping: false, .. } => "attempting",
        Phase::Attempting { stopping: true, .. } => "stopping",
        Phase::Committing { .. } => "committing",
        Phase::Rejected { .. } => "rejected",
    }
}

fn render(effect: &Effect) -> String {
    match effect {
        Effect::CatchUp { .. } => "CATCH UP".into(),
        Effect::Attempt(_) => "ATTEMPT".into(),
        Effect::Stop { .. } => "STOP".into(),
        Effect::Commit(step) => format!("COMMIT {}", line(step)),
        Effect::Reload => "RELOAD".into(),
        Effect::Notice(notice) => {
            let text = format!("{notice:?}");
            text.split([' ', '{']).next().unwrap_or_default().to_owned()
        }
    }
}

fn answer(before: &Entry, told: &Told) -> String {
    let mut heard = Heard::default();
    if told.cancelled {
        heard.read(COMMANDS, 0, at(5), Some(&cancel(0).encode().unwrap())).unwrap();
    }
    let limits = limits();
    let context = Context { now: at(told.second), heard: &heard, limits: &limits };
    let turn = Turn { load: 1, number: 2 };
    match step(before, told.input.clone(), &context, &owner(told.generation, turn)) {
        Err(Illegal::NotUnderWay { .. }) => "illegal: not under way".into(),
        Err(Illegal::NotHeard { .. }) => "illegal: not heard".into(),
        Err(illegal) => format!("illegal: {illegal}"),
        Ok((after, effects)) => {
            let mut parts: Vec<String> = effects.iter().map(render).collect();
            if name(&after.phase) != name(&before.phase) {
                parts.insert(0, format!("-> {}", name(&after.phase)));
            }
            if after.due != before.due {
                parts.push(format!("due +{}s", after.due.map_or(0, since)));
            }
            match parts.is_empty() {
                true if after.shelf == before.shelf && after.forgotten == before.forgotten => {
                    "as it was".into()
                }
                true => "filed".into(),
                false => parts.join(", "),
            }
        }
    }
}

#[test]
fn every_input_in_every_phase_has_an_answer() {
    let mut text = String::new();
    for (phase, entry) in phases() {
        writeln!(text, "{phase}").unwrap();
        let mut answers: Vec<(String, Vec<&str>)> = Vec::new();
        for told in inputs() {
            let answer = answer(&entry, &told);
            match answers.iter_mut().find(|(known, _)| *known == answer) {
                Some((_, whats)) => whats.push(told.what),
                None => answers.push((answer, vec![told.what])),
            }
        }
        for (answer, whats) in answers {
            writeln!(text, "    {}\n        {answer}", whats.join("; ")).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}
