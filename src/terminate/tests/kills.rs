//! One member: what is asked of it, and what is said of it.

use std::sync::atomic::Ordering;

use jiff::ToSpan as _;
use tokio::time::Instant;

use super::{
    fake::Temper::{Immortal, Lingering, Mortal, Returning},
    *,
};
use crate::terminate::survey::{Identity, Seen};

fn alice() -> Order {
    order(vec![part("1", &["alice@admin"])])
}

#[tokio::test]
async fn what_was_found_and_is_gone_was_killed() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], true, Mortal);
    member.runs(&["bob@admin"], true, Mortal);
    member.holds("alice@admin");
    member.idles(&["alice@admin"], "10.0.0.1");
    assert_eq!(cut_on(&member, &alice()).await, ["Clean found 3 killed 3 left 0 idle 1"]);
    assert_eq!(member.asked(), [format!("kill {}", case_of("1"))]);
}

#[tokio::test]
async fn a_kill_that_does_nothing_is_never_clean() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], true, Immortal);
    assert_eq!(
        cut_with(&member, &alice(), &short(), &Circuits::default()).await,
        ["Leftover found 1 killed 0 left 1"]
    );
    assert_eq!(member.asked().len(), 4, "once, and verify.rounds times more");
}

/// A cursor is idle at one look and at work for its client at the next, or the other way round.
#[tokio::test]
async fn a_cursor_is_the_same_thing_whether_it_is_idle_or_being_read() {
    let idle = |began: i64| {
        move |seen: &mut Vec<Seen>| {
            seen[0].identity = Identity::Cursor(7);
            seen[0].began = Some(Timestamp::now() + began.hours());
        }
    };
    let read = |began: i64| {
        move |seen: &mut Vec<Seen>| {
            seen[0].part_of = Some(Identity::Cursor(7));
            seen[0].began = Some(Timestamp::now() + began.hours());
        }
    };
    for idle_first in [true, false] {
        let member = Fake::new("m:1");
        member.runs(&["alice@admin"], true, Immortal);
        if idle_first {
            member.before_look(0, idle(-1));
            (1..=500).for_each(|look| member.before_look(look, read(1)));
        } else {
            member.before_look(0, read(-1));
            (1..=500).for_each(|look| member.before_look(look, idle(1)));
        }
        let lines = cut_with(&member, &alice(), &short(), &Circuits::default()).await;
        assert_eq!(lines, ["Leftover found 1 killed 0 left 1"], "idle first: {idle_first}");
    }
}

#[tokio::test]
async fn what_is_killed_and_does_not_end_is_left_over_at_the_end_of_the_budget() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], true, Lingering);
    let circuits = Circuits::default();
    let began = Instant::now();
    let lines = cut_with(&member, &alice(), &short(), &circuits).await;
    assert_eq!(lines, ["Leftover found 1 killed 0 left 1"]);
    assert!(began.elapsed() < SOON);
    assert_eq!(member.asked().len(), 1, "what is pending is not killed again");
    assert!(!circuits.is_open("m:1"), "it answered all the time");
}

#[tokio::test]
async fn a_client_that_comes_back_is_cut_again_for_a_few_rounds() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], true, Returning(2));
    assert_eq!(cut_on(&member, &alice()).await, ["Clean found 1 killed 1 left 0 returned 2"]);
    assert_eq!(member.asked().len(), 3);

    let tireless = Fake::new("m:2");
    tireless.runs(&["alice@admin"], true, Returning(100));
    assert_eq!(cut_on(&tireless, &alice()).await, ["Clean found 1 killed 1 left 0 returned 4 active 1"]);
    assert_eq!(tireless.asked().len(), 4, "once, and verify.rounds times more");
}

#[tokio::test]
async fn an_operation_without_a_session_is_ended_by_kill_op() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], false, Mortal);
    member.runs(&["bob@admin"], false, Mortal);
    assert_eq!(cut_on(&member, &alice()).await, ["Clean found 1 killed 1 left 0"]);
    assert_eq!(member.asked(), [format!("kill {}", case_of("1")), "killOp 1".to_owned()]);
}

#[tokio::test]
async fn what_also_carries_somebody_else_is_spared_and_said() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin", "bob@admin"], false, Mortal);
    assert_eq!(cut_on(&member, &alice()).await, ["Leftover found 0 killed 0 left 0 shared 1"]);
    assert!(member.asked().iter().all(|asked| !asked.starts_with("killOp")), "{:?}", member.asked());
}

#[tokio::test]
async fn an_operation_number_that_is_somebody_elses_by_now_is_not_killed() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], false, Mortal);
    // Look 0 is the one before the kill, look 1 the one just before killOp.
    for look in 1..400 {
        member.before_look(look, |seen| seen[0].users = vec![who("bob@admin")]);
    }
    cut_on(&member, &alice()).await;
    assert_eq!(member.asked(), [format!("kill {}", case_of("1"))]);
}

#[tokio::test]
async fn without_the_right_to_kill_op_it_is_left_over_and_nobody_waits() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], false, Mortal);
    *member.kill_op_error.lock().unwrap() = Some(error(ErrorClass::Permanent, 13));
    let began = Instant::now();
    assert_eq!(cut_on(&member, &alice()).await, ["Leftover found 1 killed 0 left 1 (13)"]);
    assert!(began.elapsed() < SOON, "asking again would end the same");
}

#[tokio::test]
async fn a_kill_that_fails_for_good_is_not_tried_again() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], true, Mortal);
    member.kills.lock().unwrap().push_back(Err(error(ErrorClass::Permanent, 13)));
    assert_eq!(cut_on(&member, &alice()).await, ["Leftover found 1 killed 0 left 1 (13)"]);
    assert_eq!(member.asked().len(), 1);

    let empty = Fake::new("m:2");
    empty.kills.lock().unwrap().push_back(Err(error(ErrorClass::Permanent, 13)));
    assert_eq!(cut_on(&empty, &alice()).await, ["Unverified found 0 killed 0 left 0 (13)"]);
}

#[tokio::test]
async fn a_merged_kill_that_fails_for_good_is_blamed_on_the_case_that_fails_alone() {
    let member = Fake::new("m:1");
    let three = order(vec![
        part("1", &["alice@admin"]),
        part("2", &["bob@admin"]),
        part("3", &["carol@admin", "alice@admin"]),
    ]);
    for name in ["alice@admin", "bob@admin", "carol@admin"] {
        member.runs(&[name], true, Mortal);
    }
    let refused = || Err(error(ErrorClass::Permanent, 20));
    member.kills.lock().unwrap().extend([refused(), Ok(()), refused(), Ok(())]);
    let began = Instant::now();
    assert_eq!(
        cut_on(&member, &three).await,
        [
            "Clean found 1 killed 1 left 0",
            "Leftover found 1 killed 0 left 1 (20)",
            "Clean found 2 killed 2 left 0",
        ]
    );
    let [one, two, three] = ["1", "2", "3"].map(case_of);
    assert_eq!(
        member.asked(),
        [
            format!("kill {one} {two} {three}"),
            format!("kill {one}"),
            format!("kill {two}"),
            format!("kill {three}")
        ]
    );
    assert!(began.elapsed() < SOON, "nobody waits for what failed for good");
}

#[tokio::test]
async fn what_comes_back_after_a_blamed_case_is_cut_without_it() {
    let member = Fake::new("m:1");
    let two = order(vec![part("1", &["alice@admin"]), part("2", &["bob@admin"])]);
    member.runs(&["alice@admin"], true, Mortal);
    member.runs(&["bob@admin"], true, Returning(1));
    let refused = || Err(error(ErrorClass::Permanent, 20));
    member.kills.lock().unwrap().extend([refused(), refused()]);
    assert_eq!(
        cut_on(&member, &two).await,
        ["Leftover found 1 killed 0 left 1 (20)", "Clean found 1 killed 1 left 0 returned 1"]
    );
    let (one, two) = (case_of("1"), case_of("2"));
    let asked =
        [format!("kill {one} {two}"), format!("kill {one}"), format!("kill {two}"), format!("kill {two}")];
    assert_eq!(member.asked(), asked);
}

#[tokio::test]
async fn a_passing_error_is_tried_again_within_the_budget() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], true, Mortal);
    let passing = |code| Err(error(ErrorClass::Transient, code));
    member.kills.lock().unwrap().extend([passing(11602), passing(91)]);
    assert_eq!(cut_on(&member, &alice()).await, ["Clean found 1 killed 1 left 0 (11602) (91)"]);
    assert_eq!(member.asked().len(), 3);
}

#[tokio::test]
async fn a_member_that_never_answers_is_unreachable_after_one_budget() {
    let member = Fake::new("m:1");
    member.dead.store(true, Ordering::SeqCst);
    let circuits = Circuits::default();
    let began = Instant::now();
    assert_eq!(
        cut_with(&member, &alice(), &short(), &circuits).await,
        ["Unreachable found ? killed ? left 0 (no code)"]
    );
    assert!((short().inline_budget..SOON).contains(&began.elapsed()));
    assert!(circuits.is_open("m:1"));

    let began = Instant::now();
    let lines = cut_with(&member, &alice(), &short(), &circuits).await;
    assert_eq!(lines, ["Unreachable found ? killed ? left 0 (no code)"]);
    assert!(began.elapsed() < SOON, "the next batch does not wait");
}

#[tokio::test]
async fn a_kill_without_a_check_proves_nothing() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], true, Mortal);
    *member.survey_error.lock().unwrap() = Some(error(ErrorClass::Permanent, 13));
    assert_eq!(cut_on(&member, &alice()).await, ["Unverified found ? killed ? left 0 (13)"]);
    assert_eq!(member.asked().len(), 1, "but it was killed");
}

#[tokio::test]
async fn the_look_before_does_not_hold_up_the_kill() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], true, Mortal);
    *member.first_look.lock().unwrap() = Duration::from_secs(60);
    let impatient = Pace { evidence_wait: Duration::from_millis(20), ..patient() };
    let began = Instant::now();
    let lines = cut_with(&member, &alice(), &impatient, &Circuits::default()).await;
    assert_eq!(lines, ["Clean found ? killed ? left 0"]);
    assert!(began.elapsed() < SOON);
}

#[tokio::test]
async fn a_member_that_restarted_since_the_look_has_ended_what_ran() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], true, Mortal);
    let passing = Err(error(ErrorClass::Transient, 91));
    member.kills.lock().unwrap().push_back(passing);
    let began = Instant::now();
    let restart = async {
        while member.asked().is_empty() {
            assert!(began.elapsed() < SOON, "it was not asked to kill");
            tokio::task::yield_now().await;
        }
        member.restarts();
    };
    let order = alice();
    let (lines, ()) = tokio::join!(cut_on(&member, &order), restart);
    assert_eq!(lines, ["EndedByRestart found 1 killed 1 left 0 (91)"]);
}

#[tokio::test]
async fn a_member_that_cannot_do_it_is_unsupported() {
    let member = Fake::new("m:1");
    member.kills.lock().unwrap().push_back(Err(error(ErrorClass::Unsupported, 59)));
    assert_eq!(cut_on(&member, &alice()).await, ["Unsupported found 0 killed 0 left 0 (59)"]);

    let open_to_all = Fake::new("m:2");
    open_to_all.authorized.store(false, Ordering::SeqCst);
    let lines = cut_on(&open_to_all, &alice()).await;
    assert!(lines[0].starts_with("Unsupported "), "{lines:?}");
}

#[tokio::test]
async fn a_member_that_shows_only_part_is_unverified() {
    let mongos = Fake::new("s:1");
    mongos.runs(&["alice@admin"], true, Mortal);
    mongos.sees_all.store(false, Ordering::SeqCst);
    assert_eq!(cut_on(&mongos, &alice()).await, ["Unverified found 1 killed 1 left 0"]);
}

#[tokio::test]
async fn looking_kills_nothing() {
    let member = Fake::new("m:1");
    member.runs(&["alice@admin"], true, Mortal);
    member.runs(&["alice@admin"], false, Mortal);
    let run = cut::look(&member, &alice(), &patient(), &Circuits::default()).await;
    let reports = tally::node_reports(&run, &alice(), 10);
    assert_eq!(reports.iter().map(line).collect::<Vec<_>>(), ["looked at found 2 killed 0 left 0"]);
    assert_eq!((member.asked().len(), reports[0].attempts), (0, 0));
}

#[tokio::test]
async fn lists_are_capped_and_counts_are_not() {
    let member = Fake::new("m:1");
    for number in 0..5 {
        member.runs(&["alice@admin"], true, Mortal);
        member.idles(&["alice@admin"], &format!("10.0.0.{number}"));
    }
    let pace = Pace { max_items: 2, ..patient() };
    let run = cut::cut(&member, &alice(), &pace, &Circuits::default()).await;
    let report = tally::node_reports(&run, &alice(), pace.max_items).remove(0);
    assert_eq!(line(&report), "Clean found 5 killed 5 left 0 idle 5");
    assert_eq!((report.evidence.len(), report.idle_clients.len(), report.truncated), (2, 2, true));
    assert!(report.evidence.iter().all(|one| one.principal.as_deref() == Some("alice@admin")));
}
