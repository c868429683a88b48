//! The protocol as it is: whatever happens, nothing goes wrong, and from wherever that leads every
//! job can still end.

use crate::{
    LONG, assert_holds, run,
    setting::{Broken, Budget, Setting},
};

const Q: Budget = Budget::QUIET;

#[test]
fn a_job_whose_attempts_fail_ends() {
    assert_holds("failures", 1, Budget { failures: 3, clock: 2, ..Q });
}

#[test]
fn a_trigger_that_is_delivered_again_opens_no_second_job() {
    assert_holds("redelivery", 1, Budget { deliveries: 3, failures: 1, ..Q });
    assert_holds("redelivery to another owner", 2, Budget { deliveries: 2, rebalances: 1, ..Q });
}

#[test]
fn a_cancellation_holds_before_and_after_the_job_is_there() {
    assert_holds("cancel", 1, Budget { deliveries: 2, cancels: 1, failures: 1, ..Q });
    assert_holds("cancel and rebalance", 2, Budget { cancels: 1, rebalances: 1, ..Q });
}

#[test]
fn a_cancellation_behind_an_open_transaction_is_waited_for() {
    assert_holds("pin", 1, Budget { cancels: 1, pins: 1, failures: 1, ..Q });
}

#[test]
fn an_owner_who_does_not_know_yet_does_no_harm() {
    assert_holds("rebalance", 2, Budget { rebalances: 1, failures: 1, ..Q });
    assert_holds("silence", 2, Budget { silences: 1, ..Q });
}

#[test]
fn a_crash_at_any_step_loses_and_doubles_nothing() {
    assert_holds("crash", 2, Budget { crashes: 1, failures: 1, ..Q });
    assert_holds("two crashes", 2, Budget { crashes: 2, ..Q });
}

#[test]
fn a_commit_of_which_nobody_knows_is_looked_up() {
    assert_holds("unknown", 1, Budget { unknowns: 1, timeouts: 1, failures: 1, ..Q });
}

#[test]
fn a_forgotten_mark_was_needed_no_more() {
    assert_holds("forget", 1, Budget { deliveries: 2, clock: 2, failures: 1, ..Q });
}

#[test]
fn a_redrive_goes_on_from_the_final_outcome() {
    assert_holds("redrive", 1, Budget { deliveries: 2, redrives: 1, cancels: 1, ..Q });
}

#[test]
fn a_case_that_waits_is_carried_out_only_if_somebody_said_yes_and_ends_once() {
    let waits = Budget { parked: true, clock: 2, ..Q };
    assert_holds("approve, or expire", 1, Budget { deliveries: 2, approvals: 1, failures: 1, ..waits });
    assert_holds("approve and deny", 1, Budget { approvals: 1, denials: 1, cancels: 1, ..waits });
    assert_holds("approve and move", 2, Budget { approvals: 1, rebalances: 1, clock: 1, ..waits });
    assert_holds("approve behind an open transaction", 1, Budget { approvals: 1, pins: 1, ..waits });
}

#[test]
fn compaction_changes_nothing() {
    assert_holds("compaction", 2, Budget { deliveries: 2, compactions: 1, crashes: 1, ..Q });
}

/// Minutes, and gigabytes: by `SEVERANCE_LONG=1` alone.
#[test]
fn the_protocol_holds_in_the_long_form() {
    if std::env::var_os("SEVERANCE_LONG").is_none() {
        return;
    }
    let two = [
        ("zombies", Budget { rebalances: 2, silences: 1, failures: 1, ..Q }),
        ("zombies and cancels", Budget { rebalances: 1, silences: 1, cancels: 1, failures: 1, ..Q }),
        ("crashes", Budget { deliveries: 2, crashes: 2, rebalances: 1, failures: 1, ..Q }),
        ("lost answers", Budget { rebalances: 1, unknowns: 1, timeouts: 1, crashes: 1, failures: 1, ..Q }),
        ("forgetting", Budget { deliveries: 2, clock: 2, rebalances: 1, crashes: 1, ..Q }),
        ("redrives", Budget { deliveries: 3, redrives: 1, cancels: 1, rebalances: 1, ..Q }),
        ("two cancels", Budget { deliveries: 2, cancels: 2, pins: 1, crashes: 1, failures: 1, ..Q }),
        ("waiting", Budget { parked: true, approvals: 1, denials: 1, rebalances: 1, clock: 2, ..Q }),
        ("compaction", Budget { deliveries: 2, compactions: 1, rebalances: 2, failures: 1, ..Q }),
        (
            "everything once",
            Budget {
                deliveries: 2,
                cancels: 1,
                rebalances: 1,
                silences: 1,
                crashes: 1,
                failures: 1,
                clock: 2,
                ..Q
            },
        ),
    ];
    let three = [
        ("three zombies", Budget { rebalances: 2, silences: 1, failures: 1, ..Q }),
        ("three and cancels", Budget { deliveries: 2, rebalances: 1, cancels: 1, failures: 1, ..Q }),
        ("three and crashes", Budget { rebalances: 1, crashes: 1, silences: 1, ..Q }),
    ];
    let all = two.into_iter().map(|one| (2, one)).chain(three.into_iter().map(|one| (3, one)));
    let mut states = 0;
    for (replicas, (name, budget)) in all {
        let found = run(name, &Setting { replicas, budget, broken: Broken::Nothing }, LONG);
        states += found.states;
        if let Some(wrong) = found.wrong {
            panic!("{name}: {wrong}");
        }
    }
    println!("{states} states in all");
}
