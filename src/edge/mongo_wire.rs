//! How what we say stands on the wire: the only place where a pattern becomes a document.

use bson::{Binary, Document, doc, spec::BinarySubtype};

use crate::{
    pattern::{Pattern, Patterns},
    principal::Digest,
    terminate::member::Comment,
};

/// The kill.
pub(super) fn kill(patterns: &Patterns, comment: &Comment) -> Document {
    let patterns: Vec<Document> = patterns.iter().map(pattern).collect();
    doc! {"killAllSessionsByPattern": patterns, "comment": comment_document(comment)}
}

/// A pattern: `uid`, or `lsid` with its `uid`, and never anything else.
fn pattern(pattern: &Pattern) -> Document {
    match pattern {
        Pattern::Uid(uid) => doc! {"uid": binary(uid)},
        Pattern::Lsid(session) => doc! {"lsid": {
            "id": Binary { subtype: BinarySubtype::Uuid, bytes: session.id.as_bytes().to_vec() },
            "uid": binary(&session.uid),
        }},
    }
}

/// A digest as the server stores it: generic binary.
pub(super) fn binary(digest: &Digest) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: digest.as_bytes().to_vec() }
}

/// What the server's log will hold.
pub(super) fn comment_document(comment: &Comment) -> Document {
    let cases: Vec<String> = comment.cases.iter().map(ToString::to_string).collect();
    doc! {"severance": comment.batch.to_string(), "cases": cases}
}
