//! What was said of a case: its outcomes, off their topic.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::words::plain;
use crate::{case::CaseId, ingest::Record, report::Status};

/// An outcome, read no further than is shown.
#[derive(Clone, Debug)]
pub struct Said {
    /// Of which case.
    pub case: CaseId,
    /// As it is on the topic.
    pub raw: Value,
    seen: Seen,
}

#[derive(Clone, Debug, Deserialize)]
struct Seen {
    time: Timestamp,
    data: Data,
}

#[derive(Clone, Debug, Deserialize)]
struct Data {
    case_id: CaseId,
    seq: u32,
    r#final: bool,
    status: String,
    reason: Option<String>,
    detail: Option<String>,
    cumulative: Counts,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Counts {
    found: Option<u64>,
    killed: Option<u64>,
}

impl Said {
    /// `None` where the record is no outcome.
    pub fn read(record: &Record) -> Option<Self> {
        let raw: Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
        let seen = Seen::deserialize(&raw).ok()?;
        Some(Self { case: seen.data.case_id, raw, seen })
    }

    /// The order in which it was said.
    pub fn order(&self) -> (u32, Timestamp) {
        (self.seen.data.seq, self.seen.time)
    }

    /// Whether it ends what an earlier outcome had left open.
    pub fn ends(&self, case: CaseId, after: u32) -> bool {
        self.case == case && self.seen.data.r#final && self.seen.data.seq > after
    }

    /// Whether somebody had it ended.
    pub fn is_cancelled(&self) -> bool {
        self.seen.data.status == "cancelled"
    }

    /// Whether somebody had it refused.
    pub fn is_denied(&self) -> bool {
        self.seen.data.status == "refused" && self.seen.data.reason.as_deref() == Some("denied")
    }

    /// How the case stands; `None` where that is a word of another version.
    pub fn status(&self) -> Option<Status> {
        Status::deserialize(Value::String(self.seen.data.status.clone())).ok()
    }

    /// On one line.
    pub fn line(&self) -> String {
        let Data { seq, r#final, status, reason, detail, cumulative, .. } = &self.seen.data;
        let number = |count: Option<u64>| count.map_or("unknown".to_owned(), |count| count.to_string());
        let mut line = format!(
            "{seq}  {:.0}  {}{}  found {}, killed {}",
            self.seen.time,
            plain(status),
            if *r#final { " (final)" } else { "" },
            number(cumulative.found),
            number(cumulative.killed),
        );
        for text in [reason, detail].into_iter().flatten() {
            line += &format!("  {}", plain(text));
        }
        line
    }
}
