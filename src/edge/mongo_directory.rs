//! Who has a role, and who is there: asked of a cluster when a target is more than names.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bson::{Bson, Document, doc};
use futures::future::join_all;

use super::{mongo_error::node_error, mongo_member::MongoMember, mongo_users};
use crate::{
    directory::{Holders, Live, RoleName, Roles},
    principal::{Digest, Principal},
    terminate::{NodeError, member::Member as _},
};

/// The server gives up on a question after this many milliseconds, whatever became of us.
const MAX_TIME_MS: i32 = 4_000;
/// Roles of one question.
const ROLES_AT_ONCE: usize = 1_000;
/// The database of users whom a directory keeps.
const EXTERNAL: &str = "$external";

/// Everybody of this cluster who has one of these roles, as `member` knows them.
///
/// Users are listed with the roles that were granted to them; which others those inherit is asked
/// of the roles. The server itself does not list users with what they inherit.
pub(super) async fn holders(member: &MongoMember, roles: &[RoleName]) -> Result<Holdings, NodeError> {
    let command = doc! {"usersInfo": {"forAllDBs": true}, "maxTimeMS": MAX_TIME_MS};
    let reply = member.command("usersInfo", command).await?;
    let users: Vec<(Principal, Vec<RoleName>)> = documents(&reply, "users")
        .filter_map(|user| Some((mongo_users::principal(user)?, granted(user, "roles"))))
        .collect();
    let known: HashSet<&RoleName> = users.iter().flat_map(|(_, roles)| roles).collect();
    let known: Vec<&RoleName> = known.into_iter().collect();
    let mut inherited: HashMap<RoleName, HashSet<RoleName>> = HashMap::new();
    for some in known.chunks(ROLES_AT_ONCE) {
        let asked: Vec<Document> =
            some.iter().map(|role| doc! {"role": role.role(), "db": role.db()}).collect();
        let command = doc! {"rolesInfo": asked, "maxTimeMS": MAX_TIME_MS};
        let reply = member.command("rolesInfo", command).await?;
        for document in documents(&reply, "roles") {
            let Some(role) = role(document) else { continue };
            inherited.entry(role).or_default().extend(granted(document, "inheritedRoles"));
        }
    }
    // A role that is granted and that the server does not tell of grants nothing but its own name.
    let has = |granted: &[RoleName], wanted: &RoleName| {
        granted.iter().any(|role| {
            role == wanted || inherited.get(role).is_some_and(|inherited| inherited.contains(wanted))
        })
    };
    let holders = roles.iter().map(|wanted| Holders {
        role: wanted.clone(),
        principals: users
            .iter()
            .filter(|(_, granted)| has(granted, wanted))
            .map(|(principal, _)| principal.clone())
            .collect(),
    });
    Ok(Holdings {
        holders: holders.collect(),
        documents: users.iter().map(|(principal, _)| principal.clone()).collect(),
    })
}

/// Who has which role, and everybody of whom there is a document.
pub(super) struct Holdings {
    holders: Vec<Holders>,
    documents: HashSet<Principal>,
}

impl Holdings {
    /// Together with who is there.
    pub(super) fn beside(self, live: Option<&Live>) -> Roles {
        let unread = live.filter(|live| live.silent.is_empty()).map(|live| {
            let external = live.principals.iter().filter(|one| one.db() == EXTERNAL);
            external.filter(|one| !self.documents.contains(*one)).cloned().collect()
        });
        Roles { holders: self.holders, unread }
    }
}

/// Who is there on any of these members, of which one has to answer.
pub(super) async fn live(members: &[Arc<MongoMember>]) -> Result<Live, NodeError> {
    let answers = join_all(members.iter().map(|member| on(member))).await;
    let mut live = Live::default();
    let mut error = None;
    let mut known: HashSet<Digest> = HashSet::new();
    let mut owners: HashSet<Digest> = HashSet::new();
    let mut ambiguous: HashSet<(String, String)> = HashSet::new();
    let mut answered = false;
    for (member, answer) in members.iter().zip(answers) {
        match answer {
            Ok(here) => {
                answered = true;
                for principal in here.principals {
                    if known.insert(principal.digest()) {
                        live.principals.push(principal);
                    }
                }
                owners.extend(here.owners);
                ambiguous.extend(here.ambiguous);
            }
            Err(failed) => {
                live.silent.push(member.host().to_owned());
                error = Some(failed);
            }
        }
    }
    match error {
        Some(error) if !answered => Err(error),
        Some(_) | None => {
            live.nameless = owners.difference(&known).count();
            live.ambiguous = ambiguous.len();
            live.principals.sort();
            Ok(live)
        }
    }
}

/// Who is there on one member.
#[derive(Default)]
struct Here {
    principals: Vec<Principal>,
    owners: HashSet<Digest>,
    ambiguous: HashSet<(String, String)>,
}

async fn on(member: &MongoMember) -> Result<Here, NodeError> {
    let everything =
        doc! {"allUsers": true, "idleConnections": true, "idleSessions": true, "idleCursors": true};
    let command = doc! {
        "aggregate": 1,
        "pipeline": [
            {"$currentOp": everything},
            {"$project": {"_id": 0, "who": {"$ifNull": ["$effectiveUsers", [Bson::Null]]}, "uid": "$lsid.uid"}},
            {"$unwind": "$who"},
            {"$group": {"_id": {"user": "$who.user", "db": "$who.db", "uid": "$uid"}}},
        ],
        "cursor": {},
        "maxTimeMS": MAX_TIME_MS,
    };
    let translate = |error| node_error(member.host(), "$currentOp", &error);
    let mut cursor = member.admin().run_cursor_command(command).await.map_err(translate)?;
    let mut here = Here::default();
    while let Some(row) = futures::TryStreamExt::try_next(&mut cursor).await.map_err(translate)? {
        let Ok(row) = row.get_document("_id") else { continue };
        if let (Ok(user), Ok(db)) = (row.get_str("user"), row.get_str("db")) {
            match Principal::new(user, db) {
                Ok(principal) => here.principals.push(principal),
                Err(_) => drop(here.ambiguous.insert((user.to_owned(), db.to_owned()))),
            }
        }
        if let Ok(uid) = row.get_binary_generic("uid")
            && let Ok(uid) = <[u8; 32]>::try_from(uid.as_slice())
        {
            here.owners.insert(Digest::from_bytes(uid));
        }
    }
    Ok(here)
}

fn documents<'a>(reply: &'a Document, key: &str) -> impl Iterator<Item = &'a Document> {
    reply.get_array(key).into_iter().flatten().filter_map(Bson::as_document)
}

fn granted(document: &Document, key: &str) -> Vec<RoleName> {
    documents(document, key).filter_map(role).collect()
}

fn role(document: &Document) -> Option<RoleName> {
    RoleName::new(document.get_str("role").ok()?, document.get_str("db").ok()?).ok()
}
