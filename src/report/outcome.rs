//! The CloudEvent that says what came of a case: schemas/termination.v1.schema.json is its shape.
//!
//! Every field is always there; what is not known is `null`. Counts are exact, lists are capped,
//! and the minimal form, which names no node's details, always fits.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Encoded, Form};
use crate::{
    case::{CaseId, Class},
    decode::Trigger,
    ingest::{Header, Origin},
    terminate::{ClusterReport, ClusterStatus, NodeReport, NodeStatus, PrincipalReport},
};

/// The outcome's CloudEvents type.
pub const OUTCOME_TYPE: &str = "io.severance.termination.v1";
/// Its media type on the topic.
const STRUCTURED_JSON: &[u8] = b"application/cloudevents+json; charset=utf-8";
/// Most principals that are listed; `principals_total` says how many there are.
const MAX_PRINCIPALS: usize = 1_000;
/// In the minimal form: most principals and clusters, most nodes over all clusters, and bytes of a
/// text as JSON has it, enough for any host name. Together they stay well below 100 kB.
const MINIMAL_ITEMS: usize = 20;
const MINIMAL_NODES: usize = 50;
const MINIMAL_TEXT: usize = 200;

/// How a case stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything was cut and the check is clean on every node.
    Terminated,
    /// Every node was asked, and nothing of theirs was there. Not a success: see `known` and `near`.
    NothingFound,
    /// Some of it is left, or some node could not be checked.
    Partial,
    /// A job still works on it.
    Deferred,
    /// Cut again and again while a hold runs.
    Holding,
    /// Waits for a person.
    AwaitingApproval,
    /// Only looked at.
    Simulated,
    /// Not done, for a reason that somebody should read.
    Refused,
    /// Too old.
    Expired,
    /// The same event as one before.
    Duplicate,
    /// Taken back by a later event before it was acted on.
    Superseded,
    /// Ended by a release.
    Cancelled,
    /// Given back.
    Released,
    /// Heard; there was nothing to do.
    Acknowledged,
    /// No rule matched.
    NoRule,
    /// The record could not be read.
    Undecodable,
    /// No node can do it.
    Unsupported,
    /// No node did it.
    Failed,
}

/// How much a person should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alert {
    /// As it should be.
    Info,
    /// Look when there is time.
    Warning,
    /// Somebody who should be cut off may not be.
    Error,
}

/// What is said of a case once. Its fields are the event's `data`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutcomeData {
    /// The case.
    pub case_id: CaseId,
    /// Which outcome of the case this is, from 1.
    pub seq: u32,
    /// Whether it is the case's last.
    pub r#final: bool,
    /// The id of the outcome before.
    pub previous: Option<Uuid>,
    /// Whether the case was opened again by hand.
    pub redriven: bool,
    /// What was decided, in the words of `decide`.
    pub decision: Arc<str>,
    /// How the case stands.
    pub status: Status,
    /// Why, as a word.
    pub reason: Option<String>,
    /// Why, for a person.
    pub detail: Option<String>,
    /// How much a person should care.
    pub alert: Alert,
    /// The rule that matched.
    pub rule: Option<Arc<str>>,
    /// The rule's class.
    pub class: Option<Class>,
    /// Where the trigger came from, also where a job's later attempt is told.
    pub origin: Origin,
    /// The trigger: its source, id and type.
    pub trigger: Option<TriggerRef>,
    /// An earlier run may have cut already what this one did not find.
    pub maybe_rerun: bool,
    /// Only pretended.
    pub dry_run: bool,
    /// Another case of the same batch did the cutting.
    pub cut_by: Option<CaseId>,
    /// For a release, the cases that it ended.
    pub cancels: Vec<CaseId>,
    /// Who approved it.
    pub approver: Option<String>,
    /// Over all outcomes of the case.
    pub cumulative: Cumulative,
    /// The hold, while there is one.
    pub hold: Option<Hold>,
    /// Locks that the case holds.
    pub locks: Vec<String>,
    /// Who was named, and what is known of them.
    pub principals: Vec<PrincipalReport>,
    /// How many were named.
    pub principals_total: u64,
    /// What came of it, by cluster.
    pub clusters: Vec<ClusterReport>,
    /// A list was cut short to make the outcome fit.
    pub truncated: bool,
    /// When the event happened.
    pub event_time: Option<Timestamp>,
    /// When we took its record.
    pub received_at: Timestamp,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// The event's own time was in the future and not believed.
    pub clock_suspect: bool,
    /// The sender's incident.
    pub incident: Option<String>,
    /// The sender's ticket.
    pub ticket: Option<String>,
    /// The sender's initiator.
    pub initiator: Option<String>,
    /// The sender's severity.
    pub severity: Option<String>,
    /// The trigger's trace context.
    pub traceparent: Option<String>,
    /// The program's version.
    pub version: Arc<str>,
    /// Which configuration decided: the first 16 hex digits of its SHA-256.
    pub config_hash: Arc<str>,
}

/// What names a trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerRef {
    /// The CloudEvents source.
    pub source: String,
    /// The CloudEvents id.
    pub id: String,
    /// The CloudEvents type.
    pub r#type: String,
}

impl From<&Trigger> for TriggerRef {
    fn from(trigger: &Trigger) -> Self {
        Self { source: trigger.source.clone(), id: trigger.id.clone(), r#type: trigger.kind.clone() }
    }
}

/// Counts over all outcomes of a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cumulative {
    /// Operations, cursors and transactions found; `null` where a look was not finished.
    pub found: Option<u64>,
    /// Of those, gone at the check.
    pub killed: Option<u64>,
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Until when.
    pub until: Timestamp,
    /// How often somebody came back.
    pub returns: u64,
    /// How often they were cut again.
    pub cuts: u64,
}

/// One outcome, with its envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The CloudEvents id: the same for the same step of the same case, whenever it is made.
    pub id: Uuid,
    /// The CloudEvents source.
    pub source: Arc<str>,
    /// The CloudEvents time.
    pub time: Timestamp,
    /// W3C trace state.
    pub tracestate: Option<String>,
    /// What it says.
    pub data: OutcomeData,
}

#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: Uuid,
    source: &'a str,
    r#type: &'static str,
    subject: CaseId,
    time: Timestamp,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<&'a str>,
    data: &'a OutcomeData,
}

impl Outcome {
    /// As a record: structured JSON, keyed by the case.
    pub fn encode(&self, form: Form) -> Encoded {
        Encoded {
            key: Some(self.data.case_id.to_string().into_bytes()),
            value: Some(match form {
                Form::Full if self.data.principals.len() <= MAX_PRINCIPALS => self.to_json(&self.data),
                Form::Full => self.to_json(&capped(&self.data)),
                Form::Minimal => self.to_json(&minimal(&self.data)),
            }),
            headers: vec![Header { name: "content-type".to_owned(), value: Some(STRUCTURED_JSON.to_vec()) }],
            partition: None,
        }
    }

    fn to_json(&self, data: &OutcomeData) -> Vec<u8> {
        let envelope = Envelope {
            specversion: "1.0",
            id: self.id,
            source: &self.source,
            r#type: OUTCOME_TYPE,
            subject: data.case_id,
            time: self.time,
            datacontenttype: "application/json",
            traceparent: data.traceparent.as_deref(),
            tracestate: self.tracestate.as_deref().filter(|_| !data.truncated),
            data,
        };
        #[expect(clippy::expect_used, reason = "plain structs with string keys always serialize")]
        serde_json::to_vec(&envelope).expect("an outcome is plain data")
    }
}

fn capped(data: &OutcomeData) -> OutcomeData {
    let principals = data.principals.iter().take(MAX_PRINCIPALS).cloned().collect();
    OutcomeData { principals, truncated: true, ..data.clone() }
}

/// As much of a text as takes [`MINIMAL_TEXT`] bytes in JSON, where a control character takes six.
fn short(text: &str) -> String {
    let mut bytes = 0;
    text.chars()
        .take_while(|c| {
            bytes += match c {
                '"' | '\\' => 2,
                c if c.is_ascii_control() => 6,
                c => c.len_utf8(),
            };
            bytes <= MINIMAL_TEXT
        })
        .collect()
}

/// The clusters and nodes where something is not done come first, so that they are never the ones
/// that are left out.
fn minimal_clusters(all: &[ClusterReport]) -> Vec<ClusterReport> {
    let is_done = |status: ClusterStatus| match status {
        ClusterStatus::Terminated | ClusterStatus::NothingFound | ClusterStatus::Simulated => true,
        ClusterStatus::Partial | ClusterStatus::Failed | ClusterStatus::Unsupported => false,
    };
    let mut room = MINIMAL_NODES;
    let mut clusters: Vec<&ClusterReport> = all.iter().collect();
    clusters.sort_by_key(|cluster| is_done(cluster.status));
    clusters
        .into_iter()
        .take(MINIMAL_ITEMS)
        .map(|cluster| {
            let mut nodes: Vec<&NodeReport> = cluster.nodes.iter().collect();
            nodes.sort_by_key(|node| node.status.is_some_and(NodeStatus::is_done));
            nodes.truncate(room);
            room -= nodes.len();
            ClusterReport {
                name: short(&cluster.name).into(),
                status: cluster.status,
                nodes: nodes.into_iter().map(minimal_node).collect(),
                errors: Vec::new(),
            }
        })
        .collect()
}

fn minimal_node(node: &NodeReport) -> NodeReport {
    NodeReport {
        host: short(&node.host),
        role: short(&node.role),
        idle_clients: Vec::new(),
        evidence: Vec::new(),
        errors: Vec::new(),
        truncated: true,
        ..node.clone()
    }
}

/// Statuses and counts, no lists to speak of, no text of any length: below 100 kB whatever was found.
fn minimal(data: &OutcomeData) -> OutcomeData {
    let shorten = |text: &Option<String>| text.as_deref().map(short);
    OutcomeData {
        detail: shorten(&data.detail),
        rule: data.rule.as_deref().map(|rule| short(rule).into()),
        trigger: data.trigger.as_ref().map(|trigger| TriggerRef {
            source: short(&trigger.source),
            id: short(&trigger.id),
            r#type: short(&trigger.r#type),
        }),
        cancels: data.cancels.iter().take(MINIMAL_ITEMS).copied().collect(),
        locks: Vec::new(),
        principals: data
            .principals
            .iter()
            .take(MINIMAL_ITEMS)
            .map(|principal| PrincipalReport {
                user: short(&principal.user),
                db: short(&principal.db),
                near: Vec::new(),
                ..principal.clone()
            })
            .collect(),
        clusters: minimal_clusters(&data.clusters),
        truncated: true,
        approver: shorten(&data.approver),
        incident: shorten(&data.incident),
        ticket: shorten(&data.ticket),
        initiator: shorten(&data.initiator),
        severity: shorten(&data.severity),
        traceparent: shorten(&data.traceparent),
        ..data.clone()
    }
}
