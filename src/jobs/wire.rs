//! Records as bytes: JSON with its `schema_version` in front, strict, and never larger than a
//! broker takes.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// The version of every record that this program writes and reads.
pub const SCHEMA_VERSION: u64 = 1;
/// Most bytes of a record, with room for its key, headers and batch below the broker's default
/// `max.message.bytes` of 1,048,588.
pub const MAX_RECORD: usize = 900_000;

/// Why a record is left as it is. No value of the record is ever quoted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unreadable {
    /// Longer than anything that we write.
    #[error("{bytes} bytes, and none of ours is longer than {MAX_RECORD}")]
    TooLarge {
        /// How long.
        bytes: usize,
    },
    /// Not a JSON object.
    #[error("not a JSON object")]
    NotJson,
    /// No version at all.
    #[error("without schema_version")]
    NoVersion,
    /// Of another version.
    #[error(
        "schema_version {found}, this program reads {SCHEMA_VERSION}: a process of the version that wrote \
         it has to take this partition"
    )]
    Version {
        /// What it says.
        found: u64,
    },
    /// Part of the design, not of this version of the program.
    #[error("`{what}` is not built in this version")]
    NotBuilt {
        /// The word.
        what: String,
    },
    /// A job in another partition than the one that it names.
    #[error(
        "it lives in partition {lives_in} and stands in {found_in}: the number of partitions was changed"
    )]
    Elsewhere {
        /// The partition that it names.
        lives_in: i32,
        /// The partition in which it was read.
        found_in: i32,
    },
    /// Of our version, and not as it should be.
    #[error("not a record of schema_version {SCHEMA_VERSION}: {why}")]
    Invalid {
        /// What is wrong with it.
        why: String,
    },
}

/// A record that cannot be written, however short it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{bytes} bytes at the shortest, and no record may be longer than {MAX_RECORD}")]
pub struct TooLarge {
    /// How long it would be.
    pub bytes: usize,
}

impl Unreadable {
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid { why: why.into() }
    }
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    schema_version: u64,
    #[serde(flatten)]
    tag: Tag<'a>,
    #[serde(flatten)]
    body: &'a T,
}

/// Which of the records of a topic it is.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tag<'a> {
    Record(&'a str),
    Command(&'a str),
}

/// `body` as a record.
pub(super) fn encode<T: Serialize>(tag: Tag<'_>, body: &T) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "plain structs with string keys always serialize")]
    serde_json::to_vec(&Versioned { schema_version: SCHEMA_VERSION, tag, body })
        .expect("a record is plain data")
}

/// A record of our version, open for its fields to be read.
#[derive(Debug)]
pub(super) struct Opened(Map<String, Value>);

/// Looks at size, form and version.
pub(super) fn open(bytes: &[u8]) -> Result<Opened, Unreadable> {
    if bytes.len() > MAX_RECORD {
        return Err(Unreadable::TooLarge { bytes: bytes.len() });
    }
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(bytes) else {
        return Err(Unreadable::NotJson);
    };
    match fields.remove("schema_version") {
        None => Err(Unreadable::NoVersion),
        Some(version) => match version.as_u64() {
            Some(SCHEMA_VERSION) => Ok(Opened(fields)),
            Some(found) => Err(Unreadable::Version { found }),
            None => Err(Unreadable::invalid("schema_version is not a whole number")),
        },
    }
}

impl Opened {
    /// Takes out the word that says which record it is.
    pub(super) fn word(&mut self, field: &str) -> Result<String, Unreadable> {
        match self.0.remove(field) {
            Some(Value::String(word)) => Ok(word),
            Some(_) => Err(Unreadable::invalid(format!("`{field}` is not a text"))),
            None => Err(Unreadable::invalid(format!("missing field `{field}`"))),
        }
    }

    /// Looks at a word without taking it out.
    pub(super) fn peek(&self, field: &str) -> Option<&str> {
        self.0.get(field)?.as_str()
    }

    /// Reads what is left, and refuses what would not be written the same: what this program does
    /// not know of would be lost when it writes the record again.
    pub(super) fn read_exactly<T: DeserializeOwned + Serialize>(self) -> Result<T, Unreadable> {
        let fields = Value::Object(self.0.clone());
        let read: T = self.read()?;
        match serde_json::to_value(&read) {
            Ok(written) if written == fields => Ok(read),
            Ok(_) | Err(_) => Err(Unreadable::invalid("it would not be written as it was read")),
        }
    }

    /// Reads what is left, all of it.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, Unreadable> {
        serde_json::from_value(Value::Object(self.0)).map_err(|error| {
            let says = error.to_string();
            // Only these two sentences quote nothing but names of fields.
            let of_fields = ["missing field", "unknown field"].iter().any(|start| says.starts_with(start));
            Unreadable::invalid(if of_fields { says } else { "a field has a value that is not read".into() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: String,
    }

    fn read(text: &str) -> Result<Body, Unreadable> {
        let mut opened = open(text.as_bytes())?;
        match opened.word("record")?.as_str() {
            "body" => opened.read(),
            other => Err(Unreadable::NotBuilt { what: other.to_owned() }),
        }
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        let bytes = encode(Tag::Record("body"), &Body { name: "x".into() });
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, r#"{"schema_version":1,"record":"body","name":"x"}"#);
        assert_eq!(read(&text), Ok(Body { name: "x".into() }));
    }

    #[test]
    fn what_is_not_of_our_version_is_refused_in_words() {
        for (text, says) in [
            (r#"{"schema_version":2,"record":"body","name":"x"}"#, "schema_version 2, this program reads 1"),
            (r#"{"schema_version":"1","record":"body","name":"x"}"#, "schema_version is not a whole number"),
            (r#"{"record":"body","name":"x"}"#, "without schema_version"),
            (r#"{"schema_version":1,"name":"x"}"#, "missing field `record`"),
            (r#"{"schema_version":1,"record":7,"name":"x"}"#, "`record` is not a text"),
            (r#"{"schema_version":1,"record":"other","name":"x"}"#, "`other` is not built"),
            (r#"{"schema_version":1,"record":"body"}"#, "missing field `name`"),
            (r#"{"schema_version":1,"record":"body","name":"x","more":1}"#, "unknown field `more`"),
            ("[]", "not a JSON object"),
            ("", "not a JSON object"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn no_value_of_a_record_is_quoted() {
        let error = read(r#"{"schema_version":1,"record":"body","name":{"hunter2":1}}"#).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn a_record_of_any_size_is_refused_before_it_is_parsed() {
        let long = vec![b' '; MAX_RECORD + 1];
        assert!(matches!(open(&long), Err(Unreadable::TooLarge { bytes }) if bytes == MAX_RECORD + 1));
    }
}
