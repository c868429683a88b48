//! Two events about one person in one batch: a reinstatement takes back what came before it.
//!
//! On one partition "before" is the offset. Across partitions it is the event's time, and within
//! `clock_skew` the kill wins, because a cut that was not needed costs a login and a missed one
//! costs the data.

use std::{collections::HashSet, time::Duration};

use jiff::SignedDuration;

use super::{Case, Decided, Decision};
use crate::{
    case::{CaseId, Class, Spared, SparedBecause},
    decode::{Body, Release},
    ingest::Origin,
    principal::{Principal, Principals},
};

/// A reinstatement of this batch, out of the way of the borrow on the cases it is held against.
struct Reinstatement {
    case: CaseId,
    origin: Origin,
    at: jiff::Timestamp,
    index: usize,
    principals: Principals,
    releases: Vec<Release>,
}

impl Reinstatement {
    fn takes_back(
        &self,
        principal: &Principal,
        case: &Case,
        class: Class,
        index: usize,
        skew: SignedDuration,
    ) -> bool {
        let releases = self.releases.iter().any(|release| match release {
            Release::Class(released) => *released == class,
            Release::Case(released) => *released == case.id,
        });
        releases && self.principals.contains(principal) && self.is_later_than(case, index, skew)
    }

    fn is_later_than(&self, case: &Case, index: usize, skew: SignedDuration) -> bool {
        match (&self.origin, &case.origin) {
            (
                Origin::Kafka { topic, partition, offset, .. },
                Origin::Kafka {
                    topic: topic_before, partition: partition_before, offset: offset_before, ..
                },
            ) if topic == topic_before && partition == partition_before => offset > offset_before,
            (Origin::Local, Origin::Local) => self.index > index,
            _ => self.at.duration_since(case.event_time.at) > skew,
        }
    }
}

/// Takes reinstated principals out of the plans of this batch.
pub(super) fn fold(decided: &mut [Decided], clock_skew: Duration) {
    let skew = SignedDuration::try_from(clock_skew).unwrap_or(SignedDuration::MAX);
    let reinstatements: Vec<Reinstatement> = decided
        .iter()
        .enumerate()
        .filter(|(_, one)| matches!(one.decision, Decision::Release { .. }))
        .filter_map(|(index, one)| match &one.case.trigger.as_ref()?.body {
            Body::Reinstated { principals, releases } => Some(Reinstatement {
                case: one.case.id,
                origin: one.case.origin.clone(),
                at: one.case.event_time.at,
                index,
                principals: principals.clone(),
                releases: releases.clone(),
            }),
            _ => None,
        })
        .collect();
    if reinstatements.is_empty() {
        return;
    }
    let mut cancelled: Vec<(CaseId, CaseId)> = Vec::new();
    #[cfg(test)]
    for trigger in decided.iter().filter_map(|one| one.case.trigger.as_ref()) {
        crate::last_resort::trap::spring("fold", &trigger.id);
    }
    for (index, one) in decided.iter_mut().enumerate() {
        let (
            Decision::Terminate(plan) | Decision::Simulate(plan) | Decision::AwaitApproval { plan, .. },
            Some(class),
        ) = (&mut one.decision, one.case.class)
        else {
            continue;
        };
        let mut by = None;
        let back: Vec<Principal> = plan
            .target
            .principals()
            .iter()
            .filter(|principal| {
                let taker =
                    reinstatements.iter().find(|r| r.takes_back(principal, &one.case, class, index, skew));
                by = taker.map(|taker| taker.case).or(by);
                taker.is_some()
            })
            .cloned()
            .collect();
        let Some(by) = by else { continue };
        let left = {
            let back: HashSet<&Principal> = back.iter().collect();
            plan.only(|principal| !back.contains(principal))
        };
        one.case.spared.extend(
            back.into_iter().map(|principal| Spared { principal, because: SparedBecause::Reinstated }),
        );
        match left {
            Some(left) => *plan = left,
            None => {
                cancelled.push((by, one.case.id));
                one.decision = Decision::Superseded { by };
            }
        }
    }
    for one in decided {
        if let Decision::Release { cancels } = &mut one.decision {
            cancels.extend(cancelled.iter().filter(|(by, _)| *by == one.case.id).map(|(_, case)| *case));
        }
    }
}
