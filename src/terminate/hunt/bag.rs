//! What an attempt adds to its case on one node: what was found, what is gone, what is left. Pure.

use std::collections::HashSet;

use super::chase::Chased;
use crate::terminate::{
    NodeReport, Remains,
    order::Order,
    remains::is_worth_another_try,
    survey::{Identity, Seen},
    tally,
};

/// What the attempt's outcome says of the node, and what the next attempt would hunt there.
pub(super) fn of(chased: &Chased, order: &Order, max_items: usize) -> Option<(NodeReport, Option<Remains>)> {
    let Chased { node, run, met, looked, stopped: _ } = chased;
    let left: HashSet<&Identity> = run.watch.left().iter().map(Seen::whole).collect();
    let mut report = tally::node_reports(run, order, max_items).pop()?;
    if *looked {
        let known = node.leftovers();
        let all: HashSet<&Identity> = known.iter().chain(met.keys()).collect();
        let new = (all.len() as u64).saturating_sub(node.outstanding);
        report.found = Some(new);
        report.killed = Some((node.outstanding + new).saturating_sub(left.len() as u64));
    }
    report.evidence.clear();
    met.values().for_each(|seen| tally::add_evidence(&mut report, order, seen, max_items));
    let remains = is_worth_another_try(run, &report, 0).then(|| remains(chased));
    Some((report, remains))
}

/// A node that was looked at is known as it is now; of one that was not, nothing new is known.
fn remains(chased: &Chased) -> Remains {
    let Chased { run, looked, .. } = chased;
    let process = run.hello.as_ref().map(|hello| hello.process.clone());
    match looked {
        true => Remains {
            process,
            killed_at: run.watch.acknowledged_at(),
            ..Remains::of(run.watch.left().iter())
        },
        false => Remains { process, ..Remains::default() },
    }
}
