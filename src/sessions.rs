//! Who is connected: what members show, added up for a person to read. Pure.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;

use crate::principal::{Digest, Principal};

/// What one entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A running operation, on a connection of its own.
    Operation,
    /// An authenticated connection that does nothing, or one of nobody.
    Connection,
    /// An open transaction between two requests.
    Transaction,
    /// A cursor between two requests.
    Cursor,
    /// A logical session, with the time of its last use.
    Session,
}

/// One thing that a member shows.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Whose, where the member says so.
    pub users: Vec<Principal>,
    /// Whose, by the session.
    pub uid: Option<Digest>,
    /// The client's application name.
    pub app: Option<String>,
    /// The client's address.
    pub client: Option<String>,
    /// How long ago it was used.
    pub idle: Option<Duration>,
}

/// One look at one member.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// What it shows.
    pub entries: Vec<Entry>,
    /// Names of session owners that it knows.
    pub names: HashMap<Digest, Principal>,
}

/// One line: somebody, on one node, from one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The cluster's configured name.
    pub cluster: Arc<str>,
    /// The member.
    pub node: String,
    /// `user@db`; a session owner of nobody knows what name by the first digits of its digest.
    pub principal: String,
    /// The client's application name, where it is known.
    pub app: Option<String>,
    /// The client's address, where it is known.
    pub client: Option<String>,
    /// Connections, busy or not.
    pub connections: u64,
    /// Logical sessions.
    pub sessions: u64,
    /// Running operations.
    pub operations: u64,
    /// Open transactions.
    pub transactions: u64,
    /// Open cursors.
    pub cursors: u64,
    /// Seconds since the last use on this node, the least over their sessions; 0 while something runs.
    pub idle_seconds: Option<u64>,
}

/// Adds up what the members of a cluster show, by principal, node, application and address. What
/// belongs to a session alone has no application and no address.
pub fn lines(cluster: &Arc<str>, looks: &[(String, Look)]) -> Vec<Line> {
    let mut names: HashMap<Digest, Principal> = HashMap::new();
    for (_, look) in looks {
        names.extend(look.names.iter().map(|(uid, principal)| (*uid, principal.clone())));
        let users = look.entries.iter().flat_map(|entry| &entry.users);
        names.extend(users.map(|user| (user.digest(), user.clone())));
    }
    let mut lines: BTreeMap<(String, String, Option<String>, Option<String>), Line> = BTreeMap::new();
    for (node, look) in looks {
        for entry in &look.entries {
            for principal in whose(entry, &names) {
                let key = (principal.clone(), node.clone(), entry.app.clone(), entry.client.clone());
                let line = lines.entry(key).or_insert_with(|| Line {
                    cluster: cluster.clone(),
                    node: node.clone(),
                    principal,
                    app: entry.app.clone(),
                    client: entry.client.clone(),
                    connections: 0,
                    sessions: 0,
                    operations: 0,
                    transactions: 0,
                    cursors: 0,
                    idle_seconds: None,
                });
                count(line, entry);
            }
        }
    }
    lines.into_values().collect()
}

fn whose(entry: &Entry, names: &HashMap<Digest, Principal>) -> Vec<String> {
    if !entry.users.is_empty() {
        return entry.users.iter().map(ToString::to_string).collect();
    }
    let by_session = |uid: &Digest| match names.get(uid) {
        Some(principal) => principal.to_string(),
        None => format!("uid {}", uid.to_string().chars().take(12).collect::<String>()),
    };
    // A connection of nobody is a driver's own look at the server.
    entry.uid.iter().map(by_session).collect()
}

fn count(line: &mut Line, entry: &Entry) {
    match entry.kind {
        Kind::Operation => {
            line.connections += 1;
            line.operations += 1;
            line.idle_seconds = Some(0);
        }
        Kind::Connection => line.connections += 1,
        Kind::Transaction => line.transactions += 1,
        Kind::Cursor => line.cursors += 1,
        Kind::Session => {
            line.sessions += 1;
            let idle = entry.idle.map(|idle| idle.as_secs());
            line.idle_seconds = match (line.idle_seconds, idle) {
                (Some(known), Some(idle)) => Some(known.min(idle)),
                (known, idle) => known.or(idle),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Principal {
        Principal::new("alice", "admin").unwrap()
    }

    fn entry(kind: Kind) -> Entry {
        Entry { kind, users: Vec::new(), uid: None, app: None, client: None, idle: None }
    }

    fn table(looks: &[(String, Look)]) -> Vec<String> {
        let line = |line: Line| {
            format!(
                "{} {} {} c{} s{} o{} t{} k{} idle {:?}",
                line.principal,
                line.node,
                line.app.as_deref().unwrap_or("-"),
                line.connections,
                line.sessions,
                line.operations,
                line.transactions,
                line.cursors,
                line.idle_seconds
            )
        };
        lines(&"orders".into(), looks).into_iter().map(line).collect()
    }

    #[test]
    fn what_belongs_to_a_session_is_theirs_who_were_seen_with_its_digest_anywhere() {
        let busy = Entry { users: vec![alice()], app: Some("web".into()), ..entry(Kind::Operation) };
        let cursor = Entry { uid: Some(alice().digest()), ..entry(Kind::Cursor) };
        let used = |seconds| Entry {
            uid: Some(alice().digest()),
            idle: Some(Duration::from_secs(seconds)),
            ..entry(Kind::Session)
        };
        let here = Look { entries: vec![busy], ..Look::default() };
        let there = Look { entries: vec![cursor, used(9), used(4)], ..Look::default() };
        assert_eq!(
            table(&[("m1".into(), here), ("m2".into(), there)]),
            [
                "alice@admin m1 web c1 s0 o1 t0 k0 idle Some(0)",
                "alice@admin m2 - c0 s2 o0 t0 k1 idle Some(4)"
            ]
        );
    }

    #[test]
    fn a_session_of_nobody_knows_whom_is_shown_by_its_digest_and_a_connection_of_nobody_is_not() {
        let cursor = Entry { uid: Some(alice().digest()), ..entry(Kind::Cursor) };
        let look = Look { entries: vec![cursor, entry(Kind::Connection)], ..Look::default() };
        let table = table(&[("m1".into(), look)]);
        assert!(table.len() == 1 && table[0].starts_with("uid "), "{table:?}");
    }
}
