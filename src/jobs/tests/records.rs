//! Records, written and read.

use super::*;

fn read_state(text: &str) -> Result<State, Unreadable> {
    State::read(case(), text.as_bytes())
}

#[test]
fn every_record_reads_as_it_was_written() {
    let full = job(2);
    assert_eq!(Job::read_creation(case(), 2, &full.creation().unwrap()), Ok(full.clone()));
    for state in [State::Pending(Arc::new(full)), done(2, 9)] {
        assert_eq!(State::read(case(), &state.encode()), Ok(state));
    }
    for command in [cancel(3), reinstated(&["alice", "bob"], 40)] {
        assert_eq!(Command::read(&command.encode().unwrap()), Ok(command));
    }
}

#[test]
fn a_record_is_refused_under_a_key_that_is_not_its_own() {
    let other = CaseId::of_event("/siem/acme", "other");
    for refused in [
        Job::read_creation(other, 0, &job(0).creation().unwrap()).err(),
        Job::read_creation(case(), 1, &job(0).creation().unwrap()).err(),
        Job::read_creation(case(), 0, &done(0, 1).encode()).err(),
        State::read(other, &done(0, 1).encode()).err(),
        State::read(case(), &job(0).creation().unwrap()).err(),
    ] {
        assert!(matches!(refused, Some(Unreadable::Invalid { .. })), "{refused:?}");
    }
}

#[test]
fn kinds_of_later_parts_are_refused_by_name() {
    for kind in ["hold", "lock", "dated"] {
        let text = String::from_utf8(State::Pending(Arc::new(job(0))).encode()).unwrap();
        let later = text.replace(r#""kind":"deferred""#, &format!(r#""kind":"{kind}""#));
        assert_eq!(read_state(&later), Err(Unreadable::NotBuilt { what: kind.into() }));
    }
}

#[test]
fn a_number_that_could_not_be_counted_on_from_is_refused() {
    for (from, to) in [(r#""seq":4"#, r#""seq":4294967295"#), (r#""n":1"#, r#""n":4294967295"#)] {
        let text = String::from_utf8(done(1, 4).encode()).unwrap().replace(from, to);
        assert!(matches!(read_state(&text), Err(Unreadable::Invalid { .. })), "{text}");
    }
}

#[test]
fn a_reinstatement_of_a_crowd_is_split_and_names_each_once() {
    let Command::Reinstated(mut one) = reinstated(&[], 40) else { unreachable!() };
    one.principals = (0..20_000).map(|i| principal(&format!("somebody {i}"))).collect();
    let everybody = one.principals.clone();
    let parts = one.split();
    assert!(parts.len() > 1);
    assert!(parts.iter().all(|part| Command::Reinstated(part.clone()).encode().is_ok()));
    let named: Vec<_> = parts.into_iter().flat_map(|part| part.principals).collect();
    assert_eq!(named, everybody);
}

#[test]
fn a_mark_stays_until_no_trigger_of_its_case_can_be_accepted() {
    let limits = limits();
    let after = |seconds: i64| at(seconds + 86_400 + 30 + 10 + 60);
    assert_eq!(limits.done_until(&job(0), at(0)), after(1), "from when its record was taken");
    assert_eq!(limits.done_until(&job(0), at(100)), after(100), "from when it ended");
    let dated = Job { facts: Arc::new(Facts { effective_at: Some(at(500)), ..facts() }), ..job(0) };
    assert_eq!(limits.done_until(&dated, at(100)), after(500), "from when a dated event counts");
    let redriven = Job { facts: Arc::new(Facts { redriven_at: Some(at(700)), ..facts() }), ..job(1) };
    assert_eq!(limits.done_until(&redriven, at(100)), after(700), "from the redrive");
}

#[test]
fn a_kill_may_begin_within_the_session_less_a_margin() {
    let limits = limits();
    let seconds = Duration::from_secs;
    assert_eq!(limits.may_kill_for(Duration::ZERO), Some(seconds(4)));
    assert_eq!(limits.may_kill_for(seconds(3)), Some(seconds(1)));
    assert_eq!(limits.may_kill_for(seconds(4)), None);
    assert_eq!(limits.may_kill_for(Duration::MAX), None);
    assert_eq!(Limits { margin: seconds(9), ..limits }.may_kill_for(Duration::ZERO), None);
}
