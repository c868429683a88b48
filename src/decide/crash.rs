//! A record that crashes the deciding is poison: the others of its batch are decided as if it were
//! not there.
//!
//! Each record is decided by itself, so a crash there has a culprit at once. Only the fold looks at
//! a whole batch. Should it crash, the records are let in one after the other, each in its place:
//! reinstatements first, since without one there is nothing to fold, then the others. The one with
//! which it crashes stays out, and those after it are let in all the same.

use std::{sync::Arc, time::Duration};

use super::{Case, Decided, Decision, fold};
use crate::{
    case::CaseId,
    decode::{Decoded, Poison, PoisonReason},
    ingest::Record,
    last_resort::{self, Crash},
};

const DECIDING: &str = "deciding about";

/// Decides one record; where that crashes, it is decided as poison.
pub(super) fn blame(decoded: Decoded, decide: impl Fn(Decoded) -> Decided) -> Decided {
    let Decoded { record, received_at, maybe_rerun, redriven, .. } = &decoded;
    let (record, received_at, maybe_rerun, redriven) =
        (record.clone(), *received_at, *maybe_rerun, *redriven);
    last_resort::guard(DECIDING, || decide(decoded)).unwrap_or_else(|crash| {
        let content = Err(poison(record.clone(), &crash));
        decide(Decoded { record, received_at, maybe_rerun, redriven, content })
    })
}

/// Takes reinstated principals out of the plans of this batch.
pub(super) fn fold(decided: &mut Vec<Decided>, records: &[Arc<Record>], clock_skew: Duration) {
    if !decided.iter().any(is_release) {
        return;
    }
    let folded = |batch: &[Decided]| {
        let mut batch = batch.to_vec();
        last_resort::guard(DECIDING, || {
            fold::fold(&mut batch, clock_skew);
            batch
        })
    };
    if let Ok(done) = folded(decided) {
        *decided = done;
        return;
    }
    // A crash is worth the square of the batch: a second at most, once.
    let mut left_in: Vec<Decided> = decided.iter().map(left_out).collect();
    let (first, then): (Vec<_>, Vec<_>) = (0..decided.len()).partition(|index| is_release(&decided[*index]));
    let mut done = left_in.clone();
    for index in first.into_iter().chain(then) {
        let placeholder = std::mem::replace(&mut left_in[index], decided[index].clone());
        match folded(&left_in) {
            Ok(batch) => done = batch,
            Err(crash) => {
                left_in[index] = crashed(placeholder.case, poison(records[index].clone(), &crash));
                done[index] = left_in[index].clone();
            }
        }
    }
    *decided = done;
}

fn is_release(one: &Decided) -> bool {
    matches!(one.decision, Decision::Release { .. })
}

/// Stands where a record is not in yet: the fold passes it by.
fn left_out(one: &Decided) -> Decided {
    Decided {
        case: Case { trigger: None, spared: Vec::new(), ..one.case.clone() },
        decision: Decision::Acknowledge,
    }
}

/// As a record that could not be read: its case is its position.
fn crashed(case: Case, poison: Poison) -> Decided {
    let id = CaseId::of_position(&case.origin);
    let case = Case { id, trigger: None, rule: None, class: None, spared: Vec::new(), ..case };
    Decided { case, decision: Decision::Undecodable(poison) }
}

fn poison(record: Arc<Record>, crash: &Crash) -> Poison {
    Poison { record, reason: PoisonReason::Panicked, detail: crash.to_string() }
}
