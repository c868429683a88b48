//! JSON that can be read in one way only.
//!
//! RFC 8259 lets an object repeat a key and leaves the meaning open: parsers take the first, the
//! last or both. A document whose `principals` mean one person to the sender and another to us
//! must not cut anybody, so a repeated key at any depth makes it malformed. Nesting is bounded
//! by serde_json (128 levels), a number beyond an `f64` and a lone surrogate are its errors too.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, error::Category};

use super::{PoisonReason, fault::Fault};

/// One JSON document; `place` says in a fault which one it is.
pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Value, Fault> {
    match serde_json::from_slice::<Unambiguous>(bytes) {
        Ok(Unambiguous(value)) => Ok(value),
        Err(error) => Err(Fault::new(PoisonReason::MalformedJson, describe(&error, place))),
    }
}

/// serde_json's own text is not used: it is free to quote the document in some later version.
fn describe(error: &serde_json::Error, place: &str) -> String {
    let what = match error.classify() {
        Category::Eof => "ends too early",
        Category::Data => "repeats a key within one object, so it can be read in two ways",
        Category::Io | Category::Syntax => {
            "is not JSON in UTF-8 (nesting may be 127 deep, numbers must fit a double)"
        }
    };
    format!("{place} {what}: line {}, column {}", error.line(), error.column())
}

/// A [`Value`] without repeated keys.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom("repeated key"));
            }
            let Unambiguous(value) = entries.next_value()?;
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(text: &str) -> String {
        parse(text.as_bytes(), "`data`").unwrap_err().detail
    }

    #[test]
    fn it_reads_what_serde_json_reads() {
        let text =
            r#" {"a": [1, -2, 3.5, 1e30, 18446744073709551615, true, null, "é\u0000\n"], "b": {"": {}}} "#;
        assert_eq!(parse(text.as_bytes(), "").ok(), serde_json::from_str(text).ok());
    }

    #[test]
    fn a_repeated_key_is_malformed_at_any_depth() {
        assert!(detail(r#"{"principals": [], "principals": []}"#).contains("repeats a key"));
        assert!(detail(r#"[{"a": {"user": "x", "user": "y"}}]"#).contains("repeats a key"));
        assert!(detail(r#"{"user": 1, "us\u0065r": 2}"#).contains("repeats a key"));
    }

    #[test]
    fn a_fault_says_where_and_does_not_quote() {
        assert_eq!(
            detail("{\n\"secret\": }"),
            "`data` is not JSON in UTF-8 (nesting may be 127 deep, numbers must fit a double): line 2, column 11"
        );
        for text in [
            r#"{"secret": "\ud800"}"#,
            "{\"secret\": 1e999}",
            "secret",
            "{\"secret\":\"a\nb\"}",
            "{\"secret",
            r#"{"secret":1,"secret":2}"#,
        ] {
            assert!(!detail(text).contains("secret"), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_malformed_and_no_overflow() {
        assert!(parse("[".repeat(1_000_000).as_bytes(), "").is_err());
        assert!(parse("{\"a\":".repeat(200_000).as_bytes(), "").is_err());
        let deepest = format!("{}{}", "[".repeat(127), "]".repeat(127));
        assert!(parse(deepest.as_bytes(), "").is_ok());
    }
}
