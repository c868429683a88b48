//! The protocol with one rule broken: each time the model finds the way on which it goes wrong.
//! A rule that could be broken without that would be no rule, or the model blind.

use std::sync::Mutex;

use crate::{
    SHORT, run,
    setting::{Broken, Budget, Setting},
};

const Q: Budget = Budget::QUIET;

const SECOND_FINAL: &str = "a second final outcome";
const KILL_AFTER_FINAL: &str = "after its final outcome";
const LOST_CANCEL: &str = "a lost cancel";

#[track_caller]
fn assert_found_out(broken: Broken, budget: Budget, says: &str) {
    let found = run(&format!("{broken:?}"), &Setting { replicas: 2, budget, broken }, SHORT);
    let wrong = found.wrong.unwrap_or_else(|| panic!("{broken:?} is not found out"));
    println!("{wrong}");
    assert!(wrong.what.contains(says), "{wrong}");
    // The same without the breach, unless another test looks at it.
    static KEPT: Mutex<Vec<Budget>> = Mutex::new(Vec::new());
    {
        let mut kept = KEPT.lock().expect("nobody panics while they hold it");
        if kept.contains(&budget) {
            return;
        }
        kept.push(budget);
    }
    let found = run("  and kept", &Setting { replicas: 2, budget, broken: Broken::Nothing }, SHORT / 6);
    if let Some(wrong) = found.wrong {
        panic!("{broken:?} kept: {wrong}");
    }
}

#[test]
fn fresh_group_metadata_is_found_out() {
    assert_found_out(Broken::FreshMetadata, Budget { rebalances: 1, ..Q }, KILL_AFTER_FINAL);
}

/// Between the revoke and the moment in which the keeper of the book hears of it, a step may begin.
#[test]
fn metadata_asked_for_when_the_step_begins_is_found_out() {
    let budget = Budget { rebalances: 1, cancels: 1, ..Q };
    assert_found_out(Broken::MetadataOfTheStepsBeginning, budget, KILL_AFTER_FINAL);
}

#[test]
fn a_step_without_a_fence_is_found_out() {
    assert_found_out(Broken::NotFenced, Budget { rebalances: 1, ..Q }, KILL_AFTER_FINAL);
}

#[test]
fn records_written_after_the_fence_are_found_out() {
    assert_found_out(Broken::FencedBeforeWriting, Budget { rebalances: 1, ..Q }, KILL_AFTER_FINAL);
}

#[test]
fn loading_to_the_end_of_what_can_be_seen_is_found_out() {
    assert_found_out(Broken::EofWithoutLastStable, Budget { rebalances: 1, ..Q }, KILL_AFTER_FINAL);
}

#[test]
fn one_key_for_creation_and_state_is_found_out() {
    assert_found_out(Broken::OneKey, Budget { deliveries: 2, rebalances: 1, ..Q }, KILL_AFTER_FINAL);
}

#[test]
fn an_end_without_a_mark_is_found_out() {
    assert_found_out(Broken::NoDoneMark, Budget { deliveries: 2, rebalances: 1, ..Q }, KILL_AFTER_FINAL);
}

#[test]
fn an_end_in_two_transactions_is_found_out() {
    assert_found_out(Broken::EndInTwoTransactions, Budget { crashes: 1, ..Q }, KILL_AFTER_FINAL);
}

#[test]
fn a_mark_forgotten_at_once_is_found_out() {
    assert_found_out(Broken::ForgottenAtOnce, Budget { deliveries: 2, ..Q }, KILL_AFTER_FINAL);
}

#[test]
fn a_mark_forgotten_before_the_longest_batch_has_ended_is_found_out() {
    let budget = Budget { deliveries: 2, clock: 2, ..Q };
    assert_found_out(Broken::ForgottenBeforeTransactionsEnd, budget, KILL_AFTER_FINAL);
}

#[test]
fn an_attempt_that_hears_no_commands_first_is_found_out() {
    assert_found_out(Broken::CommandsUnheard, Budget { cancels: 1, ..Q }, LOST_CANCEL);
}

#[test]
fn commands_read_to_the_end_of_what_can_be_seen_are_found_out() {
    assert_found_out(Broken::CommandsWithoutLastStable, Budget { cancels: 1, pins: 1, ..Q }, LOST_CANCEL);
}

#[test]
fn commands_dropped_once_they_were_read_are_found_out() {
    assert_found_out(Broken::CommandsNotKept, Budget { cancels: 1, ..Q }, LOST_CANCEL);
}

#[test]
fn a_kill_by_whoever_may_have_been_replaced_is_found_out() {
    assert_found_out(Broken::NoLease, Budget { silences: 1, ..Q }, KILL_AFTER_FINAL);
}

#[test]
fn a_kill_after_the_revoke_is_found_out() {
    assert_found_out(Broken::KillsAfterRevoke, Budget { rebalances: 1, ..Q }, KILL_AFTER_FINAL);
}

#[test]
fn another_holding_of_the_partition_taken_for_the_same_is_found_out() {
    assert_found_out(Broken::HeldAgainTakenForHeldStill, Budget { rebalances: 2, ..Q }, KILL_AFTER_FINAL);
}

#[test]
fn a_break_taken_for_none_is_found_out() {
    let budget = Budget { rebalances: 1, silences: 1, ..Q };
    assert_found_out(Broken::PublishedAgainAfterABreak, budget, KILL_AFTER_FINAL);
}

#[test]
fn an_answer_that_nobody_can_give_taken_for_a_no_is_found_out() {
    assert_found_out(Broken::UnknownTakenForAborted, Budget { unknowns: 1, ..Q }, SECOND_FINAL);
}
