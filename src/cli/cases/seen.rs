//! A case as it is seen on the topics of unfinished work.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::words::word;
use crate::{
    case::CaseId,
    jobs::{Current, Done, Job, Ruling, Unreadable, Verdict},
    principal::Principal,
    terminate::NodeError,
    unfinished::Unfinished,
};

/// One case.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which.
    pub case: CaseId,
    /// The partition of the state topic in which it stands.
    pub partition: i32,
    /// How it stands.
    pub stand: Stand,
}

/// How a case stands.
#[derive(Clone, Debug)]
pub enum Stand {
    /// It is worked on. What was wanted of it meanwhile and is not applied yet, if anything.
    Open(Arc<Job>, Option<Verdict>),
    /// Nobody of this version works on it.
    Unreadable(Unreadable),
    /// It has ended.
    Ended(Done),
}

/// Where something is left to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOn {
    /// The cluster.
    pub cluster: Arc<str>,
    /// The member; `null` where the cluster's members are not known.
    pub node: Option<String>,
    /// How the member ended the last time.
    pub status: Option<String>,
    /// What came back from it.
    pub why: Option<String>,
}

/// All of them: open ones first, the oldest first; then what cannot be read; then what has ended.
pub fn cases(unfinished: &Unfinished, skew: Duration) -> Vec<Seen> {
    let skew = SignedDuration::try_from(skew).unwrap_or(SignedDuration::MAX);
    let mut cases: Vec<Seen> = unfinished
        .shelves
        .iter()
        .filter_map(|(case, partition, current)| {
            let stand = match current {
                Current::Job(job) => {
                    let wanted = unfinished.heard.verdict(&job, skew);
                    Stand::Open(job, wanted)
                }
                Current::Blocked(why) => Stand::Unreadable(why),
                Current::Ended(done) => Stand::Ended(done),
                Current::Nothing => return None,
            };
            Some(Seen { case, partition, stand })
        })
        .collect();
    cases.sort_by_key(|seen| match &seen.stand {
        Stand::Open(job, _) => (0, Some(opened_at(job))),
        Stand::Unreadable(_) => (1, None),
        Stand::Ended(done) => (2, Some(done.ended_at)),
    });
    cases
}

/// When it was opened, or opened again by hand.
pub fn opened_at(job: &Job) -> Timestamp {
    job.facts.redriven_at.unwrap_or(job.facts.received_at)
}

/// Where something is left to do.
pub fn left_on(job: &Job) -> Vec<LeftOn> {
    let last = |errors: &[NodeError]| errors.last().map(|error| error.message.clone());
    let mut left = Vec::new();
    for cluster in &job.work.0 {
        if job.is_untried() {
            let why = Some("nobody was asked yet".to_owned());
            left.push(LeftOn { cluster: cluster.name.clone(), node: None, status: None, why });
            continue;
        }
        if !cluster.complete {
            let why = last(&cluster.errors).unwrap_or_else(|| "not all of its members are known".to_owned());
            left.push(LeftOn { cluster: cluster.name.clone(), node: None, status: None, why: Some(why) });
        }
        left.extend(cluster.nodes.iter().filter(|node| node.left.is_some()).map(|node| LeftOn {
            cluster: cluster.name.clone(),
            node: Some(node.report.host.clone()),
            status: node.report.status.as_ref().map(word),
            why: last(&node.report.errors),
        }));
    }
    left
}

impl Seen {
    /// Whether it is about this person and this cluster, where they are named; `None` where nobody
    /// can say.
    pub fn is_about(&self, user: Option<&Principal>, cluster: Option<&str>) -> Option<bool> {
        if user.is_none() && cluster.is_none() {
            return Some(true);
        }
        match &self.stand {
            Stand::Open(job, _) => Some(
                user.is_none_or(|user| job.principals.targets().contains(user))
                    && cluster.is_none_or(|name| left_on(job).iter().any(|left| &*left.cluster == name)),
            ),
            Stand::Unreadable(_) => None,
            // What it was about is forgotten.
            Stand::Ended(_) => Some(false),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let mut line = json!({ "case_id": self.case, "partition": self.partition });
        let more = match &self.stand {
            Stand::Open(job, wanted) => {
                let ruling = wanted.as_ref().and_then(|wanted| match wanted {
                    Verdict::Approve(ruling) => Some(("approve", ruling)),
                    Verdict::Deny(ruling) => Some(("deny", ruling)),
                    Verdict::Cancel(_) | Verdict::Reinstate { .. } => None,
                });
                let ruling = ruling.map(|(word, ruling)| {
                    let Ruling { at, by, reason, .. } = &**ruling;
                    json!({ "word": word, "at": at, "by": by, "reason": reason })
                });
                let (cancel, reinstated) = match wanted {
                    Some(Verdict::Cancel(cancel)) => (
                        Some(json!({ "at": cancel.at, "by": cancel.by, "reason": cancel.reason })),
                        Vec::new(),
                    ),
                    Some(Verdict::Reinstate { back }) => {
                        let back = back
                            .iter()
                            .map(|(who, by)| json!({ "user": who.user(), "db": who.db(), "by": by }));
                        (None, back.collect())
                    }
                    Some(Verdict::Approve(_) | Verdict::Deny(_)) | None => (None, Vec::new()),
                };
                let principals = job.principals.targets().iter();
                let principals: Vec<Value> =
                    principals.map(|who| json!({ "user": who.user(), "db": who.db() })).collect();
                json!({
                    "status": "open", "kind": job.kind, "n": job.n, "seq": job.seq, "rule": job.facts.rule,
                    "class": job.facts.class, "incident": job.facts.incident, "principals": principals,
                    "left": left_on(job), "attempts": job.attempts, "opened_at": opened_at(job), "due": job.due,
                    "gives_up_at": job.give_up_at, "cancel_requested": cancel, "reinstated": reinstated,
                    "approval": job.approval, "ruling": ruling,
                })
            }
            Stand::Unreadable(why) => json!({ "status": "unreadable", "why": why.to_string() }),
            Stand::Ended(done) => {
                json!({ "status": "ended", "n": done.n, "seq": done.seq, "ended_at": done.ended_at })
            }
        };
        if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
            line.extend(more);
        }
        line
    }
}
