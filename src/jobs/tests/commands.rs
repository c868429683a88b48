//! Commands: before the job and after it, in time and too late.

use super::*;

#[test]
fn a_cancellation_is_committed_at_once_and_not_when_the_job_is_due() {
    let mut desk = Desk::with_a_job();
    let step = commit(&desk.at(2).hear(&cancel(0)));
    assert_eq!(
        line(&step),
        "[outcome 2 cancelled, final | done n0 seq 2 until +86502s | no create/0] in generation 1"
    );
    desk.commit(&step);
    assert_eq!(desk.at(1_000).tick(), []);
}

#[test]
fn a_cancellation_that_comes_before_its_job_holds() {
    let mut desk = Desk::with(&[]);
    assert_eq!(desk.hear(&cancel(0)), []);
    let step = commit(&desk.read(creation(&job(0))));
    assert!(line(&step).starts_with("[outcome 2 cancelled, final"), "{}", line(&step));
}

#[test]
fn a_cancellation_ends_the_run_that_it_names_and_those_before() {
    for (cancelled, n, ends) in [(0, 0, true), (0, 1, false), (1, 0, true), (1, 1, true), (1, 2, false)] {
        let mut desk = Desk::with(&[]);
        desk.hear(&cancel(cancelled));
        assert_eq!(!desk.read(creation(&job(n))).is_empty(), ends, "cancel {cancelled} of run {n}");
    }
}

#[test]
fn a_cancellation_does_not_ask_what_time_it_is() {
    let mut desk = Desk::with(&[]);
    let Command::Cancel(early) = cancel(0) else { unreachable!() };
    desk.hear(&Command::Cancel(Cancel { at: at(-1_000_000), ..early }));
    commit(&desk.read(creation(&job(0))));
}

#[test]
fn a_cancellation_while_the_commands_are_read_ends_the_job_and_the_attempt_never_begins() {
    let mut desk = Desk::with_a_job();
    let turn = catch_up(&desk.tick());
    let step = commit(&desk.hear(&cancel(0)));
    assert_eq!(desk.caught_up(turn), Err(Illegal::NotUnderWay { case: case(), turn }));
    assert!(line(&step).starts_with("[outcome 2 cancelled"));
}

#[test]
fn a_cancellation_while_servers_are_asked_stops_the_attempt_once_and_is_said_with_what_it_did() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    assert_eq!(desk.hear(&cancel(0)), [Effect::Stop { case: case(), turn }]);
    assert_eq!(desk.hear(&cancel(0)), []);
    let step = commit(&desk.attempted(turn, true));
    assert!(line(&step).starts_with("[outcome 2 cancelled, final"), "{}", line(&step));
    assert_eq!(step.outcome.as_ref().unwrap().job.attempts, 2);
}

#[test]
fn what_was_all_cut_before_the_cancellation_is_said_to_be_cut() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    desk.hear(&cancel(0));
    assert!(line(&commit(&desk.attempted(turn, false))).starts_with("[outcome 2 done, final"));
}

#[test]
fn a_cancellation_while_a_step_is_committed_is_the_next_step() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    let step = commit(&desk.attempted(turn, true));
    assert_eq!(desk.hear(&cancel(0)), []);
    assert!(line(&commit(&desk.commit(&step))).starts_with("[outcome 3 cancelled, final"));
}

#[test]
fn a_cancellation_of_a_case_that_has_ended_changes_nothing() {
    let mut desk = Desk::with(&[state(&done(0, 2))]);
    assert_eq!(desk.hear(&cancel(0)), []);
}

#[test]
fn who_is_reinstated_is_taken_out_and_the_others_are_hunted_on() {
    let mut desk = Desk::with_a_job();
    let step = commit(&desk.hear(&reinstated(&["alice"], 31)));
    assert_eq!(line(&step), "[outcome 2 deferred | pending n0 seq 2 due +10s] in generation 1");
    desk.commit(&step);
    let turn = catch_up(&desk.tick());
    let effects = desk.caught_up(turn).unwrap();
    let attempt = attempt(&effects);
    let targets: Vec<_> = attempt.job.principals.targets().iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["bob@admin"]);
    let alice = &attempt.job.principals.everybody()[0];
    assert_eq!((alice.spared, alice.spared_because), (true, Some(crate::case::SparedBecause::Reinstated)));
}

#[test]
fn a_job_with_nobody_left_has_ended() {
    let mut desk = Desk::with_a_job();
    let step = commit(&desk.hear(&reinstated(&["bob", "alice"], 31)));
    assert!(line(&step).starts_with("[outcome 2 reinstated, final | done n0 seq 2"), "{}", line(&step));
    assert!(step.outcome.as_ref().unwrap().principals.iter().all(|one| one.spared));
}

#[test]
fn a_reinstatement_while_servers_are_asked_stops_the_attempt_and_spares_in_the_next_step() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    assert_eq!(desk.hear(&reinstated(&["alice"], 31)), [Effect::Stop { case: case(), turn }]);
    let step = commit(&desk.attempted(turn, true));
    assert!(line(&step).starts_with("[outcome 2 deferred"));
    let step = commit(&desk.commit(&step));
    assert!(line(&step).starts_with("[outcome 3 deferred"), "{}", line(&step));
}

/// The others of the case must not lose their last attempt to somebody's reinstatement.
#[test]
fn a_reinstatement_does_not_make_a_job_give_up_early() {
    let mut desk = Desk::with_a_job();
    let turn = desk.at(3_600).begin_attempt();
    desk.hear(&reinstated(&["alice"], 31));
    let step = commit(&desk.attempted(turn, true));
    assert!(line(&step).starts_with("[outcome 2 deferred"));
    let step = commit(&desk.commit(&step));
    assert!(line(&step).starts_with("[outcome 3 deferred"));
    desk.commit(&step);
    let turn = desk.begin_attempt();
    assert!(line(&commit(&desk.attempted(turn, true))).starts_with("[outcome 4 gave up, final"));
}

/// By event time, within the skew the kill wins; on one partition by offset, whatever the times.
#[test]
fn a_reinstatement_takes_back_what_it_names_and_releases_and_follows() {
    let class = |class| vec![Release::Class(class)];
    let by_time = kafka("security.hr", 0, 4);
    let table = [
        ("later by more than the skew", at(31), by_time.clone(), class(Class::Compromise), true),
        ("within the skew", at(30), by_time.clone(), class(Class::Compromise), false),
        ("earlier", at(-31), by_time.clone(), class(Class::Compromise), false),
        ("another class", at(31), by_time.clone(), class(Class::Offboarding), false),
        ("the case itself", at(31), by_time.clone(), vec![Release::Case(case())], true),
        ("another case", at(31), by_time, vec![Release::Case(CaseId::of_event("/x", "1"))], false),
        ("after it", at(-31), kafka("security.siem", 0, 18), class(Class::Compromise), true),
        ("before it", at(31), kafka("security.siem", 0, 16), class(Class::Compromise), false),
        ("on another partition", at(31), kafka("security.siem", 1, 16), class(Class::Compromise), true),
        ("from a file", at(31), Origin::Local, class(Class::Compromise), true),
    ];
    let skew = limits().skew();
    for (what, at, origin, releases, takes) in table {
        let one = Reinstated {
            case_id: CaseId::of_event("/hr", "9"),
            at,
            origin,
            principals: vec![principal("alice")],
            releases,
        };
        assert_eq!(takes_back(&one, &principal("alice"), &job(0), skew), takes, "{what}");
        assert!(!takes_back(&one, &principal("bob"), &job(0), skew), "{what}");
    }
}

#[test]
fn a_redrive_is_not_taken_back_by_what_came_before_it() {
    let redriven = Job { facts: Arc::new(Facts { redriven_at: Some(at(100)), ..facts() }), ..job(1) };
    let mut desk = Desk::with(&[state(&done(0, 2))]);
    desk.hear(&reinstated(&["alice", "bob"], 50));
    assert_eq!(desk.read(creation(&redriven)), []);
    commit(&desk.hear(&reinstated(&["alice"], 131)));
}

#[test]
fn commands_are_kept_no_longer_than_their_topic_keeps_them() {
    let mut heard = Heard::default();
    heard.read(COMMANDS, 0, at(1), Some(&cancel(0).encode().unwrap())).unwrap();
    heard.read(COMMANDS, 1, at(2), Some(&reinstated(&["alice"], 100).encode().unwrap())).unwrap();
    let skew = limits().skew();
    heard.forget_before(at(1));
    assert!(matches!(heard.verdict(&job(0), skew), Some(Verdict::Cancel(_))));
    heard.forget_before(at(2));
    assert!(matches!(heard.verdict(&job(0), skew), Some(Verdict::Reinstate { .. })));
    heard.forget_before(at(3));
    assert_eq!((heard.verdict(&job(0), skew), heard.len()), (None, 0));
}

#[test]
fn a_cancellation_outlives_an_earlier_one_of_its_case() {
    let mut heard = Heard::default();
    heard.read(COMMANDS, 0, at(1), Some(&cancel(1).encode().unwrap())).unwrap();
    heard.read(COMMANDS, 1, at(2), Some(&cancel(0).encode().unwrap())).unwrap();
    heard.forget_before(at(2));
    let skew = limits().skew();
    assert!(matches!(heard.verdict(&job(0), skew), Some(Verdict::Cancel(_))));
    assert_eq!(heard.verdict(&job(1), skew), None);
}

#[test]
fn a_job_that_a_dropped_command_might_concern_does_not_kill() {
    let mut desk = Desk::with_a_job();
    desk.heard = Heard::at_most(1);
    desk.hear(&reinstated(&["somebody"], 40));
    desk.hear(&reinstated(&["else"], 41));
    assert_eq!(desk.heard.len(), 1);
    let turn = catch_up(&desk.tick());
    assert_eq!(desk.caught_up(turn), Ok(vec![Effect::Notice(Notice::MayLackCommands { case: case() })]));
    // It is older than the dropped one; one that is younger is not concerned.
    let young = Job { facts: Arc::new(Facts { event_time: at(71), ..facts() }), ..job(0) };
    assert!(!desk.heard.may_lack(&young, limits().skew()));
    // And a person can still end it.
    commit(&desk.hear(&cancel(0)));
}

#[test]
fn a_command_that_cannot_be_read_is_counted_and_passed_over() {
    let mut heard = Heard::default();
    for name in super::super::command::NOT_BUILT {
        let later = format!(r#"{{"schema_version":1,"command":"{name}","case_id":"{}"}}"#, case());
        let refused = heard.read(COMMANDS, 0, at(0), Some(later.as_bytes()));
        assert_eq!(refused, Err(Unreadable::NotBuilt { what: name.into() }));
    }
    assert_eq!(heard.read(COMMANDS, 9, at(0), None), Ok(None));
    assert_eq!((heard.unreadable(), heard.read_to()[&COMMANDS]), (3, 10));
}
