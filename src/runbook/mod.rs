//! Finds commands in runbooks that end other sessions than they seem to: for `severance lint-runbook`.
//!
//! The manual and the STIG's fix text name people by `users` in `killAllSessionsByPattern`. The server
//! reads only `uid` and `lsid`; a pattern with neither ends everybody's sessions, and so do `{}` and
//! `[]`, whatever stands beside them. `scan` finds the commands in any text, `value` reads their
//! arguments as far as they are written out, and here is what they do.

mod instead;
mod scan;
#[cfg(test)]
mod tests;
mod value;

use serde::Serialize;

use self::{
    instead::Instead,
    scan::{Call, Command},
    value::{Map, Value},
};
use crate::principal::{Principal, Principals};

pub use instead::Dialect;

/// A line with this, or the one before, means what it says: nothing is reported for it.
pub const ALLOW: &str = "lint-runbook: allow";

/// One command that does something else than it seems to, or that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// Whether it is a trap, or only not written out.
    pub level: Level,
    /// The command's name.
    pub command: &'static str,
    /// What it really does.
    pub message: String,
    /// Whom it probably means, as `user@db`, as far as that is written out.
    pub meant: Vec<String>,
    /// What to write instead.
    pub instead: Option<String>,
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The argument is not written out.
    Unclear,
    /// It does something else than it seems to.
    Trap,
}

/// Everything that is found in `bytes`, whatever they are, in their order.
pub fn lint(bytes: &[u8], dialect: Dialect) -> Vec<Finding> {
    let text = String::from_utf8_lossy(bytes);
    let mut place = Place { text: &text, at: 0, line: 1, line_start: 0 };
    let mut findings = Vec::new();
    for call in scan::calls(&text) {
        place.advance_to(call.at);
        if place.is_allowed() {
            continue;
        }
        if let Some(verdict) = judge(&call) {
            let (line, column) = place.line_and_column();
            let Verdict { level, message, meant, instead } = verdict;
            findings.push(Finding {
                line,
                column,
                level,
                command: call.command.name(),
                message,
                meant: meant.iter().map(|one| one.to_string()).collect(),
                instead: instead.map(|instead| instead.written(dialect)),
            });
        }
    }
    findings
}

/// Where we are in a text; it only goes forward.
struct Place<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    line_start: usize,
}

impl Place<'_> {
    fn advance_to(&mut self, at: usize) {
        let passed = self.text.get(self.at..at).unwrap_or_default();
        self.line += passed.matches('\n').count();
        if let Some(last) = passed.rfind('\n') {
            self.line_start = self.at + last + 1;
        }
        self.at = at;
    }

    fn line_and_column(&self) -> (usize, usize) {
        let before = self.text.get(self.line_start..self.at).unwrap_or_default();
        (self.line, before.chars().count() + 1)
    }

    /// Looks at this line and the one before.
    fn is_allowed(&self) -> bool {
        let before = self.text.get(..self.line_start.saturating_sub(1)).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = self.at + rest.find('\n').unwrap_or(rest.len());
        self.text.get(start..end).unwrap_or_default().contains(ALLOW)
    }
}

struct Verdict {
    level: Level,
    message: String,
    meant: Vec<Principal>,
    instead: Option<Instead>,
}

const EVERYBODY: &str = "ends EVERYBODY's sessions";

fn judge(call: &Call) -> Option<Verdict> {
    let Value::List(items) = &call.argument else {
        return Some(unclear("what it ends is not written out here: it has to be `uid` or `lsid {id, uid}`"));
    };
    match call.command {
        Command::ByPattern => by_pattern(items),
        Command::AllSessions => Some(all_sessions(items)),
        Command::Sessions => sessions(items),
    }
}

fn by_pattern(patterns: &[Value]) -> Option<Verdict> {
    if patterns.is_empty() {
        return Some(trap(
            format!("{EVERYBODY}: `[]` is a pattern for all"),
            Vec::new(),
            Instead::uids(None),
        ));
    }
    let maps =
        || patterns.iter().filter_map(|pattern| if let Value::Map(map) = pattern { Some(map) } else { None });
    let selects = |map: &&Map| map.get("uid").is_some() || map.get("lsid").is_some() || map.has_more;
    if let Some(open) = maps().find(|map| !selects(map)) {
        let why = if open.entries.is_empty() {
            "`{}` is a pattern for all"
        } else if open.get("users").is_some() || open.get("roles").is_some() {
            "`users` and `roles` select nobody, and a pattern with neither `uid` nor `lsid` matches every session"
        } else {
            "a pattern with neither `uid` nor `lsid` matches every session, unless the server refuses it"
        };
        let others = if patterns.len() > 1 { "; the patterns beside it do not matter" } else { "" };
        let (named, has_others) = named(maps());
        let by_role = maps().any(|map| map.get("roles").is_some());
        return Some(trap(
            format!("{EVERYBODY}: {why}{others}"),
            named.clone(),
            Instead::uids(Principals::new(named).filter(|_| !has_others)).by_role(by_role),
        ));
    }
    let lacks_owner = |map: &Map| {
        map.get("uid").is_none()
            && matches!(map.get("lsid"), Some(Value::Map(lsid)) if lsid.get("uid").is_none() && !lsid.has_more)
    };
    if maps().any(lacks_owner) {
        let message = "fails (40414) and ends nothing: an `lsid` needs its owner's `uid`";
        return Some(trap(message.to_owned(), Vec::new(), Instead::session()));
    }
    let is_open = |pattern: &Value| match pattern {
        Value::Map(map) => map.get("uid").is_none() && map.get("lsid").is_none(),
        Value::Opaque | Value::Text(_) | Value::List(_) => true,
    };
    patterns.iter().any(is_open).then(|| {
        unclear("one of its patterns is not written out here: one with neither `uid` nor `lsid` ends everybody's sessions")
    })
}

fn all_sessions(users: &[Value]) -> Verdict {
    if users.is_empty() {
        return trap(format!("{EVERYBODY}: `[]` means all"), Vec::new(), Instead::uids(None));
    }
    let (named, has_others) = people(users);
    trap(
        "fails whole (11, UserNotFound) and ends nothing where one of them is not there, for example after dropUser"
            .to_owned(),
        named.clone(),
        Instead::uids(Principals::new(named).filter(|_| !has_others)),
    )
}

fn sessions(sessions: &[Value]) -> Option<Verdict> {
    if sessions.is_empty() {
        let message = "ends all sessions of whoever runs it, and nobody else's";
        return Some(trap(message.to_owned(), Vec::new(), Instead::uids(None)));
    }
    let lacks_owner =
        |session: &Value| matches!(session, Value::Map(map) if map.get("uid").is_none() && !map.has_more);
    if sessions.iter().any(lacks_owner) {
        let message = "answers ok and ends nothing of anybody else's: a session needs its owner's `uid`";
        return Some(trap(message.to_owned(), Vec::new(), Instead::session()));
    }
    let is_open = |session: &Value| !matches!(session, Value::Map(_));
    sessions.iter().any(is_open).then(|| {
        unclear("one of its sessions is not written out here: without its owner's `uid` nothing ends")
    })
}

/// Whom patterns name by `users`, and whether they name somebody who is not written out.
fn named<'a>(patterns: impl Iterator<Item = &'a Map>) -> (Vec<Principal>, bool) {
    let (mut named, mut has_others) = (Vec::new(), false);
    for users in patterns.filter_map(|pattern| pattern.get("users")) {
        match users {
            Value::List(users) => {
                let (these, more) = people(users);
                named.extend(these);
                has_others |= more;
            }
            Value::Text(_) | Value::Opaque | Value::Map(_) => has_others = true,
        }
    }
    (named, has_others)
}

/// The people of a list of `{user, db}`, and whether there is somebody who is not written out.
fn people(users: &[Value]) -> (Vec<Principal>, bool) {
    let person = |user: &Value| {
        let Value::Map(map) = user else { return None };
        let (Some(Value::Text(user)), Some(Value::Text(db))) = (map.get("user"), map.get("db")) else {
            return None;
        };
        Principal::new(user, db).ok()
    };
    let known: Vec<_> = users.iter().filter_map(person).collect();
    let has_others = known.len() < users.len();
    (known, has_others)
}

fn trap(message: String, meant: Vec<Principal>, instead: Instead) -> Verdict {
    Verdict { level: Level::Trap, message, meant, instead: Some(instead) }
}

fn unclear(message: &str) -> Verdict {
    Verdict { level: Level::Unclear, message: message.to_owned(), meant: Vec::new(), instead: None }
}
