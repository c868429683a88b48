//! What an event says, typed where it is one of Severance's own.

use cloudevents::{AttributesReader as _, AttributesWriter as _, Data, Event, event::ExtensionValue};
use jiff::Timestamp;
use serde_json::Value;

use super::{attributes, body, fault::Fault};
use crate::{
    case::{CaseId, Class},
    pattern::SessionId,
    principal::Principals,
};

/// A valid CloudEvent that reached us.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// Unique within `source`.
    pub id: String,
    /// Who says it.
    pub source: String,
    /// The CloudEvents `type`.
    pub kind: String,
    /// The CloudEvents `subject`.
    pub subject: Option<String>,
    /// The CloudEvents `time`.
    pub time: Option<Timestamp>,
    /// W3C trace context, carried on into the outcome.
    pub traceparent: Option<String>,
    /// W3C trace state, carried on into the outcome.
    pub tracestate: Option<String>,
    /// The data as JSON, for rules; null where there is none.
    pub data: serde_json::Value,
    /// The data, typed.
    pub body: Body,
    /// References copied into every outcome.
    pub tags: Tags,
}

impl Trigger {
    /// An event of a type that says nothing more: what a rule for somebody else's type is tried on.
    pub fn without_data(kind: &str) -> Self {
        Self {
            id: "example".to_owned(),
            source: "/example".to_owned(),
            kind: kind.to_owned(),
            subject: None,
            time: None,
            traceparent: None,
            tracestate: None,
            data: serde_json::json!({}),
            body: Body::Other,
            tags: Tags::default(),
        }
    }

    /// From an event whose attributes have been checked: what is left is its data.
    pub(super) fn from_event(mut event: Event) -> Result<Self, Fault> {
        let data = match event.take_data() {
            (_, _, Some(Data::Json(value))) => value,
            (_, _, Some(Data::String(text))) => Value::String(text),
            // Bytes that are no text are nothing that a rule could read.
            (_, _, Some(Data::Binary(_)) | None) => Value::Null,
        };
        let (body, tags) = body::read(event.ty(), &data)?;
        let extension = |name| event.extension(name).map(ExtensionValue::to_string);
        Ok(Self {
            subject: event.subject().map(str::to_owned),
            time: attributes::time_of(&event),
            traceparent: extension("traceparent"),
            tracestate: extension("tracestate"),
            id: event.set_id(""),
            source: event.set_source(""),
            kind: event.set_type(""),
            data,
            body,
            tags,
        })
    }

    /// The case that this event opens.
    pub fn case(&self) -> CaseId {
        CaseId::of_event(&self.source, &self.id)
    }
}

/// References of the sender's, copied into every outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// An incident in the sender's system.
    pub incident: Option<String>,
    /// A ticket in the sender's system.
    pub ticket: Option<String>,
    /// Who or what set it off.
    pub initiator: Option<String>,
    /// How bad, in the sender's words.
    pub severity: Option<String>,
}

/// The data of Severance's own event types, checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `io.severance.account.compromised.v1`
    Compromised {
        /// Whose accounts.
        principals: Principals,
    },
    /// `io.severance.account.offboarded.v1`
    Offboarded {
        /// Whose accounts.
        principals: Principals,
        /// From when on; at once where it is not said.
        effective_at: Option<Timestamp>,
    },
    /// `io.severance.account.reinstated.v1`
    Reinstated {
        /// Whose accounts.
        principals: Principals,
        /// What is released; `offboarding` where it is not said.
        releases: Vec<Release>,
    },
    /// `io.severance.access-window.closed.v1`
    WindowClosed {
        /// Which window.
        window: String,
        /// Whom it covers by name; either this or `roles` is there.
        principals: Option<Principals>,
        /// Whom it covers by role.
        roles: Vec<String>,
    },
    /// `io.severance.session.inactive.v1`
    SessionInactive {
        /// Where.
        cluster: String,
        /// Which sessions, at least one.
        sessions: Vec<SessionId>,
        /// For how long, in seconds.
        idle_seconds: u64,
    },
    /// `io.severance.termination.requested.v1`: what it targets is for a rule to say.
    TerminationRequested {
        /// Whom it covers by role.
        roles: Vec<String>,
        /// Which sessions it covers.
        sessions: Vec<SessionId>,
        /// On which clusters; on all where none is named.
        clusters: Vec<String>,
        /// Why.
        reason: String,
    },
    /// `io.severance.termination.everyone-requested.v1`
    EveryoneRequested {
        /// On which clusters; on all where none is named.
        clusters: Vec<String>,
        /// Why.
        reason: String,
    },
    /// `io.severance.termination.approved.v1`
    Approved {
        /// Which case.
        case: CaseId,
        /// By whom.
        approver: String,
    },
    /// `io.severance.termination.denied.v1`
    Denied {
        /// Which case.
        case: CaseId,
        /// By whom.
        approver: String,
    },
    /// Any other type: rules read its data as it is.
    Other,
}

/// What a reinstatement releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Every case of a class.
    Class(Class),
    /// One case.
    Case(CaseId),
}
