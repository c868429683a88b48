//! A job that waits for a person: let go, denied, expired, and everything else that may come first.

use super::*;

fn waiting() -> Desk {
    Desk::with(&[creation(&parked())])
}

fn given(step: &Step) -> Given {
    step.outcome.as_ref().unwrap().job.approval.as_ref().unwrap().given.clone().unwrap()
}

#[test]
fn what_waits_is_not_tried_and_a_server_that_answers_again_does_not_wake_it() {
    let mut desk = waiting();
    assert_eq!(desk.at(3_599).tick(), []);
    desk.tell(|book, context| book.wake("orders", context)).unwrap();
    assert_eq!(desk.tick(), []);
}

#[test]
fn an_approval_lets_the_whole_kill_begin_at_once_and_the_outcome_names_the_approver() {
    let mut desk = waiting();
    let step = commit(&desk.at(60).hear(&approve(59)));
    assert_eq!(line(&step), "[outcome 2 deferred | pending n0 seq 2 due +60s] in generation 1");
    assert_eq!(given(&step), Given { by: Some("mmeier".into()), reason: None, at: at(59), expired: false });
    desk.commit(&step);
    let turn = catch_up(&desk.tick());
    let effects = desk.caught_up(turn).unwrap();
    let job = &attempt(&effects).job;
    // A day from now on, as it would have been from the expiry on.
    assert_eq!((job.kind, job.give_up_at), (Kind::Deferred, at(60 + 86_400)));
    let hunt = job.hunt(uuid::Uuid::nil());
    let [on] = hunt.clusters.as_slice() else { panic!("one cluster") };
    assert_eq!((&*on.name, on.asked_at, on.nodes.len()), ("orders", at(60), 0));
    let step = commit(&desk.attempted(turn, false));
    assert!(line(&step).starts_with("[outcome 3 done, final"), "{}", line(&step));
    assert_eq!(given(&step).by.as_deref(), Some("mmeier"));
}

#[test]
fn an_approval_may_be_read_before_the_job_that_it_is_about() {
    let mut desk = Desk::with(&[]);
    assert_eq!(desk.hear(&approve(5)), []);
    let step = commit(&desk.read(creation(&parked())));
    assert!(line(&step).starts_with("[outcome 2 deferred"), "{}", line(&step));
}

#[test]
fn what_was_said_before_the_run_was_decided_is_about_something_else() {
    let mut desk = waiting();
    assert_eq!(desk.hear(&approve(-40)), [], "more than the clock skew before");
    assert_eq!(desk.hear(&Command::Approve(Ruling { n: Some(1), ..ruling(5) })), [], "another run");
    commit(&desk.hear(&Command::Approve(Ruling { n: Some(0), ..ruling(-20) })));
}

#[test]
fn a_denial_ends_it_and_the_first_word_counts() {
    let mut desk = waiting();
    let step = commit(&desk.hear(&deny(20)));
    assert!(line(&step).starts_with("[outcome 2 denied, final | done n0 seq 2"), "{}", line(&step));
    assert_eq!(desk.hear(&approve(21)), [], "what is under way is finished first");
    assert_eq!(desk.commit(&step), []);
    let mut heard = Heard::default();
    for (offset, command) in (0..).zip([approve(20), deny(10)]) {
        heard.read(COMMANDS, offset, at(21), Some(&command.encode().unwrap())).unwrap();
    }
    assert!(matches!(heard.verdict(&parked(), limits().skew()), Some(Verdict::Approve(_))));
    assert_eq!(heard.verdict(&job(0), limits().skew()), None, "it does not wait");
}

#[test]
fn a_cancellation_wins_over_an_approval() {
    let mut desk = Desk::with(&[]);
    desk.hear(&approve(5));
    desk.hear(&cancel(0));
    let step = commit(&desk.read(creation(&parked())));
    assert!(line(&step).starts_with("[outcome 2 cancelled, final"), "{}", line(&step));
}

#[test]
fn who_is_reinstated_is_taken_out_while_the_others_wait_on() {
    let mut desk = waiting();
    let step = commit(&desk.hear(&reinstated(&["alice"], 31)));
    assert_eq!(line(&step), "[outcome 2 deferred | pending n0 seq 2 due +3600s] in generation 1");
    assert!(step.outcome.as_ref().unwrap().job.parked().is_some());
    desk.commit(&step);
    let step = commit(&desk.hear(&reinstated(&["bob"], 32)));
    assert!(line(&step).starts_with("[outcome 3 reinstated, final"), "{}", line(&step));
}

#[test]
fn when_nobody_comes_it_is_refused_after_the_commands_were_read() {
    let mut desk = waiting();
    let turn = catch_up(&desk.at(3_600).tick());
    let step = commit(&desk.caught_up(turn).unwrap());
    assert!(line(&step).starts_with("[outcome 2 expired, final | done n0 seq 2"), "{}", line(&step));
    assert_eq!(step.outcome.as_ref().unwrap().clusters, [], "nobody was asked");
}

#[test]
fn an_approval_that_is_read_while_it_expires_still_counts() {
    let mut desk = waiting();
    let turn = catch_up(&desk.at(3_600).tick());
    let step = commit(&desk.hear(&approve(3_599)));
    assert!(line(&step).starts_with("[outcome 2 deferred"), "{}", line(&step));
    assert!(desk.caught_up(turn).is_err(), "that attempt is over");
}

#[test]
fn when_nobody_comes_it_may_be_carried_out() {
    let approval = Approval::wanted(Parked::Approval, "", OnExpiry::Proceed);
    let mut desk = Desk::with(&[creation(&Job { approval: Some(approval), ..parked() })]);
    let turn = catch_up(&desk.at(3_600).tick());
    let step = commit(&desk.caught_up(turn).unwrap());
    assert_eq!(line(&step), "[outcome 2 deferred | pending n0 seq 2 due +3600s] in generation 1");
    assert_eq!(given(&step), Given { by: None, reason: None, at: at(3_600), expired: true });
    desk.commit(&step);
    desk.begin_attempt();
}

#[test]
fn it_waits_on_where_an_approval_may_be_missing() {
    let mut desk = waiting();
    desk.heard.lacks_before(at(10));
    let turn = catch_up(&desk.at(3_600).tick());
    assert_eq!(desk.caught_up(turn), Ok(vec![Effect::Notice(Notice::MayLackCommands { case: case() })]));
}
