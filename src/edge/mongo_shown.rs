//! The kill as it goes on the wire, for eyes and other tools: extended JSON, and text for mongosh.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bson::{Bson, Document, spec::BinarySubtype};

use super::mongo_wire;
use crate::{pattern::Patterns, terminate::member::Comment};

/// As extended JSON, for tools: mongosh reads it with `EJSON.parse` and not as it stands.
pub fn extended_json(patterns: &Patterns, comment: &Comment) -> serde_json::Value {
    Bson::Document(mongo_wire::kill(patterns, comment)).into_relaxed_extjson()
}

/// As it is typed into mongosh. `whom` says behind each pattern, as a comment, whom it means.
pub fn mongosh(patterns: &Patterns, comment: &Comment, whom: &[String]) -> String {
    let command = mongo_wire::kill(patterns, comment);
    let fields: Vec<String> = command
        .iter()
        .map(|(key, value)| match value {
            Bson::Array(patterns) => format!("  {key}: [\n{}  ]", lines(patterns, whom)),
            other => format!("  {key}: {}", value_text(other)),
        })
        .collect();
    format!("db.adminCommand({{\n{}\n}})", fields.join(",\n"))
}

fn lines(patterns: &[Bson], whom: &[String]) -> String {
    let line = |(index, pattern): (usize, &Bson)| {
        let comma = if index + 1 < patterns.len() { "," } else { "" };
        // Nothing in a name may end the comment or the line.
        let whom = whom.get(index).map(|whom| format!("  // {}", whom.escape_debug())).unwrap_or_default();
        format!("    {}{comma}{whom}\n", value_text(pattern))
    };
    patterns.iter().enumerate().map(line).collect()
}

/// Text in JSON's form is text in mongosh's.
fn value_text(value: &Bson) -> String {
    match value {
        Bson::Document(document) => document_text(document),
        Bson::Array(items) => format!("[{}]", items.iter().map(value_text).collect::<Vec<_>>().join(", ")),
        Bson::Binary(binary) if binary.subtype == BinarySubtype::Generic => {
            format!("BinData(0, \"{}\")", BASE64_STANDARD.encode(&binary.bytes))
        }
        other => match other.clone().into_relaxed_extjson() {
            plain @ (serde_json::Value::String(_) | serde_json::Value::Number(_)) => plain.to_string(),
            extended => format!("EJSON.deserialize({extended})"),
        },
    }
}

fn document_text(document: &Document) -> String {
    let fields: Vec<String> =
        document.iter().map(|(key, value)| format!("{key}: {}", value_text(value))).collect();
    format!("{{ {} }}", fields.join(", "))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        case::CaseId,
        principal::{Principal, Principals},
    };

    fn shown(users: &[&str]) -> (serde_json::Value, String) {
        let named: Vec<_> = users.iter().map(|user| Principal::new(*user, "admin").unwrap()).collect();
        let names: Vec<_> = named.iter().map(ToString::to_string).collect();
        let patterns = Patterns::of_principals(&Principals::new(named).unwrap()).remove(0);
        let comment = Comment { batch: Uuid::nil(), cases: vec![CaseId::of_event("/siem", "1")] };
        (extended_json(&patterns, &comment), mongosh(&patterns, &comment, &names))
    }

    #[test]
    fn what_is_shown_is_what_is_sent() {
        let (json, text) = shown(&["jsmith", "alice"]);
        insta::assert_snapshot!(format!("{json:#}\n{text}"));
    }

    #[test]
    fn a_name_cannot_end_its_comment() {
        let (_, text) = shown(&["a\ndb.dropDatabase() //", "b\u{2028}db.dropDatabase() //"]);
        assert_eq!(text.lines().count(), 7, "{text}");
        assert!(!text.contains('\u{2028}'), "{text}");
    }
}
