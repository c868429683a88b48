//! Lists in an event's data that name somebody or something: principals, roles, sessions,
//! cases. None of them may be empty: nobody and everybody must never look alike.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize as _, de::value::StrDeserializer};
use uuid::Uuid;

use super::{Release, fault::Fault, node::Node};
use crate::{
    case::{CaseId, Class},
    pattern::SessionId,
    principal::{Digest, Principal, Principals},
};

/// A list of `{user, db}`.
pub(super) fn principals(list: &Node<'_>) -> Result<Principals, Fault> {
    let named = list.items("{user, db}", |item| {
        item.object("{user, db}")?;
        let user = item.need("user", "name a MongoDB user")?.text()?;
        let db = item
            .need("db", "name the user's authentication database, for example admin or $external")?
            .text()?;
        // Its errors are fixed sentences that quote neither name.
        Principal::new(user, db).map_err(|error| item.fault(error))
    })?;
    Principals::new(named).ok_or_else(|| list.fault("names nobody"))
}

/// A list of `role@db`. A role has a database as a user has: a bare name would be ambiguous.
pub(super) fn roles(list: &Node<'_>) -> Result<Vec<String>, Fault> {
    list.items("role@db", |item| {
        let text = item.text()?;
        match text.rsplit_once('@') {
            Some((role, db)) if !role.is_empty() && !db.is_empty() && !text.contains('\0') => {
                Ok(text.to_owned())
            }
            _ => Err(item.fault("must be written as role@db, for example readWrite@orders")),
        }
    })
}

/// A list of `{id, uid}` as `$listSessions` gives them.
pub(super) fn sessions(list: &Node<'_>) -> Result<Vec<SessionId>, Fault> {
    list.items("{id, uid}", |item| {
        item.object("{id, uid}")?;
        let id = uuid(&item.need("id", "give the session's UUID")?)?;
        let uid = digest(&item.need("uid", "give the owner's digest")?)?;
        Ok(SessionId { id, uid })
    })
}

/// What a reinstatement releases. A rehire in HR must not undo a SIEM's lock, so what is not
/// said is `offboarding` alone.
pub(super) fn releases(data: &Node<'_>) -> Result<Vec<Release>, Fault> {
    let Some(list) = data.get("releases") else { return Ok(vec![Release::Class(Class::Offboarding)]) };
    list.items("classes or case ids", |item| {
        let text = item.text()?;
        match Class::ALL.into_iter().find(|class| class.name() == text) {
            Some(class) => Ok(Release::Class(class)),
            None => case_id(&item).map(Release::Case).map_err(|_| {
                let classes = Class::ALL.map(Class::name).join(", ");
                item.fault(format_args!("must be a class ({classes}) or a case id (a UUID)"))
            }),
        }
    })
}

/// The UUID of a case.
pub(super) fn case_id(place: &Node<'_>) -> Result<CaseId, Fault> {
    uuid(place)?;
    let text: StrDeserializer<'_, serde::de::value::Error> = StrDeserializer::new(place.text()?);
    CaseId::deserialize(text).map_err(|_| place.fault("must be a case id (a UUID)"))
}

/// A UUID in its usual form with hyphens; the `uuid` crate alone reads several more.
fn uuid(place: &Node<'_>) -> Result<Uuid, Fault> {
    let text = place.text()?;
    Some(text)
        .filter(|text| text.len() == uuid::fmt::Hyphenated::LENGTH)
        .and_then(|text| Uuid::try_parse(text).ok())
        .ok_or_else(|| {
            place.fault("must be a UUID with hyphens, for example b3b50641-54c6-4d6d-a96e-a2239fadce3c")
        })
}

/// SHA-256 of `user@db`, in hex or as the shell prints it.
fn digest(place: &Node<'_>) -> Result<Digest, Fault> {
    let text = place.text()?;
    let bytes = if text.len() == 64 { hex(text) } else { BASE64_STANDARD.decode(text).ok() };
    bytes.and_then(|bytes| bytes.try_into().ok()).map(Digest::from_bytes).ok_or_else(|| {
        place.fault("must be the 32 bytes of the owner's digest, as 64 hex digits or in base64")
    })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes().chunks_exact(2).map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?)).collect()
}
