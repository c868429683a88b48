//! The data of Severance's own event types, checked field by field. What it demands is written
//! down a second time for senders, as JSON Schemas in `schemas/`; a test holds the two together.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Body, Tags,
    fault::Fault,
    instant::{self, rfc3339},
    node::Node,
    targets::{case_id, principals, releases, roles, sessions},
};
use crate::{case::CaseId, principal::Principals};

/// Largest whole number that every JSON reader keeps exact: 2^53 - 1.
const MAX_WHOLE: f64 = 9_007_199_254_740_991.0;

/// Severance's own types; another version of one of them is another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnType {
    Compromised,
    Offboarded,
    Reinstated,
    WindowClosed,
    SessionInactive,
    TerminationRequested,
    EveryoneRequested,
    Approved,
    Denied,
}

impl OwnType {
    pub(super) const ALL: [Self; 9] = [
        Self::Compromised,
        Self::Offboarded,
        Self::Reinstated,
        Self::WindowClosed,
        Self::SessionInactive,
        Self::TerminationRequested,
        Self::EveryoneRequested,
        Self::Approved,
        Self::Denied,
    ];

    /// The CloudEvents `type`.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Compromised => "io.severance.account.compromised.v1",
            Self::Offboarded => "io.severance.account.offboarded.v1",
            Self::Reinstated => "io.severance.account.reinstated.v1",
            Self::WindowClosed => "io.severance.access-window.closed.v1",
            Self::SessionInactive => "io.severance.session.inactive.v1",
            Self::TerminationRequested => "io.severance.termination.requested.v1",
            Self::EveryoneRequested => "io.severance.termination.everyone-requested.v1",
            Self::Approved => "io.severance.termination.approved.v1",
            Self::Denied => "io.severance.termination.denied.v1",
        }
    }
}

/// What the data of an event of type `kind` says. Another's type is not looked into: its words,
/// `severity` for one, may mean what they like there.
pub(super) fn read(kind: &str, data: &Value) -> Result<(Body, Tags), Fault> {
    match OwnType::ALL.into_iter().find(|own| own.kind() == kind) {
        None => Ok((Body::Other, Tags::of_another(data))),
        Some(own) => {
            let data = Node::data(data);
            data.object("with the fields of its type; see schemas/")?;
            Ok((body(own, &data)?, Tags::of_own(&data)?))
        }
    }
}

fn body(own: OwnType, data: &Node<'_>) -> Result<Body, Fault> {
    match own {
        OwnType::Compromised => {
            confidence(data)?;
            remark(data)?;
            Ok(Body::Compromised { principals: named(data)? })
        }
        OwnType::Offboarded => {
            remark(data)?;
            Ok(Body::Offboarded { principals: named(data)?, effective_at: effective_at(data)? })
        }
        OwnType::Reinstated => {
            remark(data)?;
            Ok(Body::Reinstated { principals: named(data)?, releases: releases(data)? })
        }
        OwnType::WindowClosed => {
            let window = data.need("window", "name the access window that has closed")?.filled_text()?;
            let principals = data.get("principals").map(|list| principals(&list)).transpose()?;
            let roles = data.get("roles").map(|list| roles(&list)).transpose()?.unwrap_or_default();
            if principals.is_none() && roles.is_empty() {
                return Err(data.fault("names nobody; give `principals`, `roles` or both"));
            }
            Ok(Body::WindowClosed { window: window.to_owned(), principals, roles })
        }
        OwnType::SessionInactive => {
            let cluster = data.need("cluster", "name a configured cluster")?.filled_text()?;
            let list = data.need("sessions", "name at least one session")?;
            Ok(Body::SessionInactive {
                cluster: cluster.to_owned(),
                sessions: sessions(&list)?,
                idle_seconds: idle_seconds(data)?,
            })
        }
        OwnType::TerminationRequested => {
            let principals = data.get("principals").map(|list| principals(&list)).transpose()?;
            let roles = data.get("roles").map(|list| roles(&list)).transpose()?;
            let sessions = data.get("sessions").map(|list| sessions(&list)).transpose()?;
            if principals.is_none() && roles.is_none() && sessions.is_none() {
                return Err(data.fault("names nobody; give `principals`, `roles` or `sessions`"));
            }
            Ok(Body::TerminationRequested {
                roles: roles.unwrap_or_default(),
                sessions: sessions.unwrap_or_default(),
                clusters: clusters(data)?,
                reason: reason(data)?,
            })
        }
        OwnType::EveryoneRequested => {
            Ok(Body::EveryoneRequested { clusters: clusters(data)?, reason: reason(data)? })
        }
        OwnType::Approved => {
            let (case, approver) = verdict(data)?;
            Ok(Body::Approved { case, approver })
        }
        OwnType::Denied => {
            let (case, approver) = verdict(data)?;
            Ok(Body::Denied { case, approver })
        }
    }
}

fn named(data: &Node<'_>) -> Result<Principals, Fault> {
    principals(&data.need("principals", "name at least one {user, db}")?)
}

/// Which case was decided, and by whom.
fn verdict(data: &Node<'_>) -> Result<(CaseId, String), Fault> {
    remark(data)?;
    let case = case_id(&data.need("case_id", "name the case that is decided")?)?;
    let approver = data.need("approver", "name who decided it")?.filled_text()?;
    Ok((case, approver.to_owned()))
}

/// A reason that may be left out: nobody but the reader of an outcome needs it.
fn remark(data: &Node<'_>) -> Result<(), Fault> {
    data.get("reason").map_or(Ok(()), |reason| reason.text().map(drop))
}

/// A reason that somebody has to answer for.
fn reason(data: &Node<'_>) -> Result<String, Fault> {
    Ok(data.need("reason", "say why")?.filled_text()?.to_owned())
}

fn confidence(data: &Node<'_>) -> Result<(), Fault> {
    match data.get("confidence") {
        Some(place) if !place.value().as_f64().is_some_and(|number| (0.0..=1.0).contains(&number)) => {
            Err(place.fault("must be a number from 0 to 1"))
        }
        Some(_) | None => Ok(()),
    }
}

fn effective_at(data: &Node<'_>) -> Result<Option<Timestamp>, Fault> {
    let read = |place: Node<'_>| {
        let expected = || place.fault(format_args!("must be {}", instant::FORM));
        rfc3339(place.value().as_str().unwrap_or_default()).ok_or_else(expected)
    };
    data.get("effective_at").map(read).transpose()
}

/// Whole seconds; `900.0` is whole too, as in JSON Schema.
fn idle_seconds(data: &Node<'_>) -> Result<u64, Fault> {
    let place = data.need("idle_seconds", "say for how many seconds nothing was done")?;
    place
        .value()
        .as_f64()
        .filter(|number| number.fract() == 0.0 && (0.0..=MAX_WHOLE).contains(number))
        .map(|number| number as u64)
        .ok_or_else(|| place.fault("must be a whole number of seconds, 0 or more"))
}

/// Names that are left out mean all clusters; an empty list would have to mean none.
fn clusters(data: &Node<'_>) -> Result<Vec<String>, Fault> {
    let read = |list: Node<'_>| list.items("cluster names", |name| name.filled_text().map(str::to_owned));
    data.get("clusters").map_or(Ok(Vec::new()), read)
}
