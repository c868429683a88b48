//! A job's way through the book.

use super::*;

#[test]
fn a_job_is_hunted_until_nothing_is_left() {
    let mut desk = Desk::with_a_job();
    assert_eq!(desk.book.next_due(), Some(at(10)));
    let turn = desk.begin_attempt();
    assert_eq!(desk.book.next_due(), None);

    let step = commit(&desk.attempted(turn, true));
    assert_eq!(line(&step), "[outcome 2 deferred | pending n0 seq 2 due +14s] in generation 1");
    assert_eq!(desk.commit(&step), []);

    let turn = desk.at(14).begin_attempt();
    let step = commit(&desk.at(15).attempted(turn, false));
    assert_eq!(
        line(&step),
        "[outcome 3 done, final | done n0 seq 3 until +86515s | no create/0] in generation 1"
    );
    assert_eq!(desk.commit(&step), []);
    assert_eq!(desk.at(10_000).tick(), []);
}

#[test]
fn the_outcomes_counts_are_of_all_attempts() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    let tried = Work(vec![cluster(vec![node("m2:27017", None)])]);
    let attempted = Attempted::Tried { work: tried, principals: Vec::new() };
    let effects = desk.tell(|book, context| book.attempted(case(), turn, attempted, 20, context)).unwrap();
    let step = commit(&effects);
    let said = step.outcome.as_ref().unwrap();
    assert_eq!((said.cumulative.found, said.cumulative.killed), (Some(4), Some(4)));
    assert_eq!(said.clusters[0].nodes.len(), 2, "the node that was done before is still told of");
    assert_eq!((said.id(), said.previous()), (case().outcome(2), Some(case().outcome(1))));
}

#[test]
fn the_last_attempt_is_the_first_after_the_time_is_up() {
    let mut desk = Desk::with_a_job();
    let turn = desk.at(3_599).begin_attempt();
    let step = commit(&desk.attempted(turn, true));
    assert_eq!(line(&step), "[outcome 2 deferred | pending n0 seq 2 due +3600s] in generation 1");
    desk.commit(&step);
    let turn = desk.at(3_600).begin_attempt();
    let step = commit(&desk.attempted(turn, true));
    assert!(line(&step).starts_with("[outcome 3 gave up, final | done n0 seq 3"), "{}", line(&step));
}

#[test]
fn only_the_first_outcome_after_loading_may_be_a_rerun() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    let step = commit(&desk.attempted(turn, true));
    assert!(step.outcome.as_ref().unwrap().maybe_rerun);
    desk.commit(&step);
    let turn = desk.at(100).begin_attempt();
    let step = commit(&desk.attempted(turn, false));
    assert!(!step.outcome.as_ref().unwrap().maybe_rerun);
}

#[test]
fn a_step_that_nothing_came_of_is_tried_again_without_another_kill() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    let first = commit(&desk.attempted(turn, false));
    let second = commit(&desk.answer(&first, Answer::Aborted));
    assert_ne!(first.turn, second.turn);
    assert_eq!((&first.writes, &first.outcome), (&second.writes, &second.outcome));
}

#[test]
fn a_rejected_step_waits_until_the_partition_is_known_to_be_kept() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    let first = commit(&desk.attempted(turn, false));
    assert_eq!(desk.answer(&first, Answer::Rejected), []);
    assert_eq!(desk.at(1_000).tick(), [], "and nothing else is begun meanwhile");
    let kept = desk.tell(|book, context| book.kept(Generation(2), context)).unwrap();
    let second = commit(&kept);
    assert_eq!(second.generation, Generation(2));
    assert_eq!((&first.writes, &first.outcome), (&second.writes, &second.outcome));
}

#[test]
fn a_step_that_is_rejected_after_the_partition_was_kept_goes_out_again_at_once() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    assert_eq!(desk.tell(|book, context| book.kept(Generation(2), context)), Ok(vec![]));
    let first = commit(&desk.attempted(turn, false));
    assert_eq!(first.generation, Generation(1), "it began in the earlier one");
    assert_eq!(commit(&desk.answer(&first, Answer::Rejected)).generation, Generation(2));
}

#[test]
fn an_answer_that_nobody_can_give_is_looked_up_on_the_topic() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    let step = commit(&desk.attempted(turn, false));
    assert_eq!(desk.answer(&step, Answer::Unknown), [Effect::Reload]);
    assert_eq!(desk.tell(|book, context| book.tick(context)), Err(Illegal::Dropped));
}

#[test]
fn nobody_kills_who_has_not_heard_of_the_broker() {
    let mut desk = Desk::with_a_job();
    let turn = catch_up(&desk.tick());
    let silent = |book: &mut Book, context: &Context<'_>| {
        book.caught_up(case(), turn, BTreeMap::new(), Duration::from_secs(4), context)
    };
    assert_eq!(desk.tell(silent), Ok(vec![]));
    assert_eq!(desk.book.next_due(), Some(at(11)), "it is asked again soon, and has used no number");

    let turn = desk.at(11).begin_attempt();
    assert_eq!(
        desk.entry().phase,
        Phase::Attempting { turn, generation: Generation(1), job: Arc::new(job(0)), stopping: false }
    );
}

#[test]
fn an_attempt_says_how_long_it_may_begin_to_kill() {
    let mut desk = Desk::with_a_job();
    let turn = catch_up(&desk.tick());
    assert_eq!(attempt(&desk.caught_up(turn).unwrap()).kill_within, Duration::from_secs(3));
}

#[test]
fn an_attempt_does_not_begin_before_the_commands_were_heard() {
    let mut desk = Desk::with_a_job();
    let turn = catch_up(&desk.tick());
    let early = |book: &mut Book, context: &Context<'_>| {
        book.caught_up(case(), turn, BTreeMap::from([(COMMANDS, 1)]), Duration::ZERO, context)
    };
    assert_eq!(desk.tell(early), Err(Illegal::NotHeard { partition: COMMANDS, read_to: 0 }));
    desk.hear(&reinstated(&["somebody else"], 100));
    attempt(&desk.tell(early).unwrap());
}

#[test]
fn an_attempt_that_was_not_begun_has_used_nothing() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    let not_begun = |book: &mut Book, context: &Context<'_>| {
        book.attempted(case(), turn, Attempted::NotBegun, 20, context)
    };
    assert_eq!(desk.tell(not_begun), Ok(vec![]));
    assert_eq!(desk.book.next_due(), Some(at(12)));
    let turn = desk.at(12).begin_attempt();
    assert!(line(&commit(&desk.attempted(turn, false))).starts_with("[outcome 2 done"));
}

#[test]
fn where_nobody_can_be_asked_a_job_ends_when_its_time_is_up_and_not_before() {
    let mut desk = Desk::with_a_job();
    let not_asked = |desk: &mut Desk, turn| {
        desk.tell(|book, context| book.attempted(case(), turn, Attempted::NotAsked, 20, context)).unwrap()
    };
    let turn = desk.begin_attempt();
    assert_eq!(not_asked(&mut desk, turn), [], "it is no attempt");
    let give_up = job(0).give_up_at;
    let turn = desk.at(3_599).begin_attempt();
    assert_eq!(not_asked(&mut desk, turn), []);
    assert_eq!(desk.book.next_due(), Some(give_up), "the last one is not later than its time");
    let turn = desk.at(3_600).begin_attempt();
    let effects = not_asked(&mut desk, turn);
    assert!(line(&commit(&effects)).starts_with("[outcome 2 gave up"), "{effects:?}");
}

#[test]
fn a_clock_that_jumps_back_loses_no_job_and_gives_none_up_before_its_time() {
    let mut desk = Desk::with_a_job();
    let turn = desk.at(3_599).begin_attempt();
    let step = commit(&desk.at(20).attempted(turn, true)).clone();
    assert!(line(&step).starts_with("[outcome 2 deferred"), "{}", line(&step));
    desk.commit(&step);
    assert!(desk.book.next_due().is_some_and(|due| due > at(20) && due < at(60)), "by the clock as it is");
    assert_eq!(desk.at(15).tick(), [], "not before it is due");
    let turn = desk.at(3_600).begin_attempt();
    assert!(line(&commit(&desk.attempted(turn, true))).starts_with("[outcome 3 gave up"));
}

#[test]
fn whoever_may_not_kill_gives_up_no_job() {
    let mut desk = Desk::with_a_job();
    let turn = desk.at(4_000).begin_attempt();
    let not_begun = |book: &mut Book, context: &Context<'_>| {
        book.attempted(case(), turn, Attempted::NotBegun, 20, context)
    };
    assert_eq!(desk.tell(not_begun), Ok(vec![]));
}

#[test]
fn a_cluster_that_is_heard_of_again_wakes_its_jobs() {
    let mut desk = Desk::with_a_job();
    desk.at(5);
    desk.tell(|book, context| book.wake("payments", context)).unwrap();
    assert_eq!(desk.book.next_due(), Some(at(10)));
    desk.tell(|book, context| book.wake("orders", context)).unwrap();
    assert_eq!(desk.book.next_due(), Some(at(5)));
    catch_up(&desk.tick());
}

#[test]
fn a_late_creation_is_beaten_and_deleted() {
    let mut desk = Desk::with(&[state(&done(0, 2))]);
    let effects = desk.read(creation(&job(0)));
    assert_eq!(effects[0], Effect::Notice(Notice::Beaten { case: case(), n: 0 }));
    let step = commit(&effects);
    assert_eq!(line(&step), "[no create/0] in generation 1");
    assert_eq!(desk.commit(&step), []);
    assert_eq!(desk.at(1_000).tick(), []);
}

#[test]
fn a_state_beats_the_creation_of_its_run() {
    let mut pending = job(0);
    pending.seq = 7;
    pending.attempts = 7;
    let mut desk = Desk::with(&[state(&State::Pending(Arc::new(pending)))]);
    assert_eq!(desk.read(creation(&job(0))), []);
    let turn = desk.begin_attempt();
    assert!(line(&commit(&desk.attempted(turn, false))).starts_with("[outcome 8 done"));
}

#[test]
fn a_redrive_goes_on_counting_from_the_final_outcome() {
    let mut desk = Desk::with(&[state(&done(0, 4))]);
    assert_eq!(desk.read(creation(&job(1))), []);
    let turn = desk.begin_attempt();
    let step = commit(&desk.attempted(turn, false));
    assert!(line(&step).starts_with("[outcome 5 done, final | done n1 seq 5"), "{}", line(&step));
}

#[test]
fn a_redrive_of_a_case_that_has_not_ended_waits_for_its_end() {
    let mut desk = Desk::with_a_job();
    assert_eq!(desk.read(creation(&job(1))), []);
    let turn = desk.begin_attempt();
    let step = commit(&desk.attempted(turn, false));
    assert!(line(&step).contains("no create/0] "), "its creation is left alone: {}", line(&step));
    desk.commit(&step);
    let turn = desk.at(20).begin_attempt();
    assert!(
        line(&commit(&desk.attempted(turn, false))).starts_with("[outcome 3 done, final | done n1 seq 3")
    );
}

#[test]
fn a_mark_is_forgotten_when_its_time_is_over_and_beats_on_until_it_was_read_back() {
    let mut desk = Desk::with(&[state(&done(1, 4))]);
    assert_eq!(desk.at(90_000).tick(), []);
    let step = commit(&desk.at(90_001).tick());
    assert_eq!(line(&step), "[no create/0 | no create/1 | no state] in generation 1");
    assert_eq!(desk.commit(&step), []);
    assert_eq!(desk.tick(), []);
    // Written before the tombstone, read after it was committed.
    let late = commit(&desk.read(creation(&job(1))));
    assert_eq!(line(&late), "[no create/1] in generation 1");
    assert_eq!(desk.commit(&late), []);
    assert_eq!(desk.read((Key::State { case: case() }, None)), []);
    assert_eq!(desk.book.entry(case()), None, "and nothing of it is left in memory");
}

#[test]
fn a_tombstone_read_back_before_the_answer_is_remembered() {
    let mut desk = Desk::with(&[state(&done(0, 4))]);
    let step = commit(&desk.at(90_001).tick());
    assert_eq!(desk.read((Key::State { case: case() }, None)), []);
    assert_eq!(desk.commit(&step), []);
    assert_eq!(desk.book.entry(case()), None);
}

#[test]
fn what_was_written_here_is_known_when_it_is_read_back() {
    let mut desk = Desk::with_a_job();
    let mut written = Vec::new();
    for (second, is_left) in [(10, true), (100, true), (200, false)] {
        let turn = desk.at(second).begin_attempt();
        let step = commit(&desk.attempted(turn, is_left));
        if second == 100 {
            // Read back before its answer has come.
            let (key, value) = (step.writes[0].key(), step.writes[0].value());
            assert_eq!(desk.read((key, value)), []);
        }
        desk.commit(&step);
        written.extend(step.writes.iter().map(|write| (write.key(), write.value())));
    }
    for record in written {
        assert_eq!(desk.read(record), []);
    }
}

#[test]
fn a_state_that_somebody_else_has_written_is_believed_over_memory() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    let effects = desk.read(state(&done(0, 2)));
    assert_eq!(
        effects,
        [
            Effect::Stop { case: case(), turn },
            Effect::Notice(Notice::Foreign { case: case() }),
            Effect::Reload
        ]
    );
}

#[test]
fn a_book_that_is_closed_stops_what_runs() {
    let mut desk = Desk::with_a_job();
    let turn = desk.begin_attempt();
    assert_eq!(desk.book.close(), [Effect::Stop { case: case(), turn }]);
}

#[test]
fn a_job_that_somebody_deletes_is_said_to_be_gone() {
    let mut desk = Desk::with_a_job();
    let effects = desk.read((job(0).creation_key(), None));
    assert_eq!(effects, [Effect::Notice(Notice::CreationGone { case: case(), n: 0 })]);
    assert_eq!(desk.at(1_000).tick(), []);
}

#[test]
fn no_more_attempts_run_at_once_than_allowed() {
    let bounds = Bounds { attempts: 2, ..Bounds::default() };
    let mut load = Load::begin(PARTITION, Generation(1), 1, 5, bounds);
    let jobs: Vec<Job> =
        (0..5).map(|i| Job { case_id: CaseId::of_event("/s", &i.to_string()), ..job(0) }).collect();
    for (offset, job) in (0..).zip(&jobs) {
        load.read(offset, job.creation_key().to_string().as_bytes(), Some(&job.creation().unwrap())).unwrap();
    }
    let (heard, limits) = (Heard::default(), limits());
    let context = Context { now: at(10), heard: &heard, limits: &limits };
    let (mut book, _) = load.finish(5, &context).map_err(|(_, not)| not).unwrap();
    assert_eq!(book.tick(&context).unwrap().len(), 2);
    assert_eq!(book.tick(&context).unwrap(), []);
}
