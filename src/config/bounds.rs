//! `limits`, `evidence` and `verify`: the numbers.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Work,
    duration::write,
    fault::Told,
    reader::{Field, Keys, Section},
};
use crate::{
    case::{Class, OnExpiry},
    decide::{Limits, Wait, WindowCap},
};

pub(super) const LIMITS: Keys = Keys {
    known: &[
        "batch_max_records",
        "depth",
        "max_principals",
        "max_principals_per_window",
        "over_cap",
        "inline_budget",
        "give_up_after",
        "drain",
        "clock_skew",
        "max_event_age",
    ],
    later: &[],
};

pub(super) const WINDOW_CAP: Keys = Keys { known: &["count", "window"], later: &[] };

pub(super) const OVER_CAP: Keys = Keys { known: &["expires", "on_expiry"], later: &[] };

pub(super) const MAX_EVENT_AGE: Keys =
    Keys { known: &["compromise", "offboarding", "window", "inactivity", "request"], later: &[] };

pub(super) const EVIDENCE: Keys = Keys { known: &["wait", "max_items"], later: &[] };

pub(super) const VERIFY: Keys = Keys { known: &["rounds"], later: &[] };

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How old an event of each class may be when nothing is configured.
fn usual_age(class: Class) -> Duration {
    match class {
        Class::Compromise => DAY,
        Class::Offboarding => 7 * DAY,
        Class::Window | Class::Request => HOUR,
        Class::Inactivity => 5 * MINUTE,
    }
}

/// `has_jobs`: there are topics for unfinished work, as far as is known.
pub(super) fn bounds(root: &Section<'_>, has_jobs: bool) -> Result<(Limits, Work), Told> {
    let limits = root.section("limits", &LIMITS);
    let evidence = root.section("evidence", &EVIDENCE);
    let verify = root.section("verify", &VERIFY);
    let (limits, evidence, verify) = (limits?, evidence?, verify?);

    let max_principals = limits.or("max_principals", 100, |field| field.number(1..=10_000));
    let clock_skew = limits.or("clock_skew", 30 * SECOND, |field| field.duration(Duration::ZERO..=HOUR));
    let max_event_age = max_event_age(&limits);
    let window_cap = limits.maybe("max_principals_per_window", window_cap);
    let over_cap = over_cap(&limits, has_jobs);
    let give_up_after = give_up_after(&limits, has_jobs);

    let batch_max_records = limits.or("batch_max_records", 1_000, |field| field.number(1..=10_000));
    let depth = limits.or("depth", 2, |field| field.number(1..=4));
    let inline_budget = limits.or("inline_budget", 2 * SECOND, |field| field.duration(100 * MS..=MINUTE));
    let drain = limits.or("drain", 20 * SECOND, |field| field.duration(SECOND..=10 * MINUTE));
    let wait = evidence.or("wait", 100 * MS, |field| field.duration(Duration::ZERO..=10 * SECOND));
    let max_items = evidence.or("max_items", 100, |field| field.number(0..=1_000));
    let rounds = verify.or("rounds", 3, |field| field.number(1..=10));
    if let (Ok(wait), Ok(budget)) = (wait, inline_budget)
        && wait >= budget
    {
        let message =
            format!("is {}, which leaves nothing of `limits.inline_budget` ({})", write(wait), write(budget));
        return Err(evidence.wrong("wait", message, Some("make it shorter than the budget".to_owned())));
    }

    let limits = Limits {
        max_principals: max_principals?,
        clock_skew: clock_skew?,
        max_event_age: max_event_age?,
        window_cap: window_cap?,
        over_cap: over_cap?,
    };
    let work = Work {
        batch_max_records: batch_max_records?,
        depth: depth?,
        inline_budget: inline_budget?,
        give_up_after: give_up_after?,
        drain: drain?,
        evidence_wait: wait?,
        evidence_max_items: max_items?,
        verify_rounds: rounds?,
    };
    Ok((limits, work))
}

fn window_cap(field: Field<'_>) -> Result<WindowCap, Told> {
    let section = field.section(&WINDOW_CAP)?;
    let count = section.must("count", |field| field.number(1..=100_000));
    let window = section.must("window", |field| field.duration(SECOND..=DAY));
    Ok(WindowCap { count: count?, window: window? })
}

/// How a case waits that goes over a cap: where there are topics on which it can.
fn over_cap(limits: &Section<'_>, has_jobs: bool) -> Result<Option<Wait>, Told> {
    let usual = Wait { expires: HOUR, on_expiry: OnExpiry::Refuse };
    let Some(field) = limits.field("over_cap") else { return Ok(has_jobs.then_some(usual)) };
    let wait = wait(&field.section(&OVER_CAP)?)?;
    match has_jobs {
        true => Ok(Some(wait)),
        false => Err(limits.wrong(
            "over_cap",
            "is set, but there is no topic on which a case can wait",
            Some("write `kafka.state` and `kafka.commands`, or remove it".to_owned()),
        )),
    }
}

/// `expires` and `on_expiry`.
pub(super) fn wait(section: &Section<'_>) -> Result<Wait, Told> {
    let expires = section.or("expires", HOUR, |field| field.duration(SECOND..=7 * DAY));
    let on_expiry = section.or("on_expiry", OnExpiry::Refuse, |field| field.one_of(&OnExpiry::ALL));
    Ok(Wait { expires: expires?, on_expiry: on_expiry? })
}

fn max_event_age(limits: &Section<'_>) -> Result<BTreeMap<Class, Duration>, Told> {
    let section = limits.section("max_event_age", &MAX_EVENT_AGE)?;
    let ages = Class::ALL.map(|class| {
        let age = section.or(class.name(), usual_age(class), |field| field.duration(SECOND..=365 * DAY));
        Ok((class, age?))
    });
    ages.into_iter().collect()
}

/// The time after which unfinished work is given up. Deferring needs topics to write it to.
fn give_up_after(limits: &Section<'_>, has_jobs: bool) -> Result<Duration, Told> {
    let usual = if has_jobs { DAY } else { Duration::ZERO };
    let after = limits.or("give_up_after", usual, |field| field.duration(Duration::ZERO..=30 * DAY))?;
    if after > Duration::ZERO && !has_jobs {
        let fix = "write `kafka.state` and `kafka.commands`, or 0 here";
        return Err(limits.wrong(
            "give_up_after",
            "is more than 0, but there is no topic for what is deferred",
            Some(fix.to_owned()),
        ));
    }
    if !has_jobs && limits.field("give_up_after").is_none() {
        limits.warn(
            "give_up_after",
            "is 0, since there are no topics for unfinished work: what is not done within `limits.inline_budget` is given up",
            "write `kafka.state` and `kafka.commands`, or `give_up_after: 0` if that is meant",
        );
    }
    Ok(after)
}
