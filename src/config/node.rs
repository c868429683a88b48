//! The file as it is written: YAML values, each with its place. Nothing is interpreted here.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Error, Location, Spanned, options::DuplicateKeyPolicy};

use super::fault::{Fault, Place};

/// A value and where it stands.
pub(super) struct Node {
    pub(super) place: Option<Place>,
    pub(super) value: Value,
}

/// What YAML can say.
pub(super) enum Value {
    Nothing,
    Flag(bool),
    Whole(i128),
    Fraction,
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; a key may repeat.
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
pub(super) struct Key {
    pub(super) place: Option<Place>,
    pub(super) name: String,
}

impl Node {
    /// Reads one YAML document. The fault of what is no YAML quotes nothing of the file, which
    /// may hold a secret.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let options = serde_saphyr::options! {
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            // `user: no` is a name, not a flag.
            strict_booleans: true,
            reject_unsupported_tags: true,
            with_snippet: false,
        };
        serde_saphyr::from_str_with_options(text, options).map_err(|error| Fault {
            key: String::new(),
            place: error.location().and_then(place),
            message: match &error {
                Error::MultipleDocuments { .. } => "holds more than one YAML document".to_owned(),
                other => format!("is no valid YAML: {}", without_place(&other.to_string())),
            },
            fix: None,
        })
    }
}

fn place(location: Location) -> Option<Place> {
    (location != Location::UNKNOWN).then(|| Place { line: location.line(), column: location.column() })
}

/// The parser ends its messages with the place, which is said elsewhere already.
fn without_place(message: &str) -> &str {
    message.find(" at line ").map_or(message, |end| &message[..end])
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { place: place(referenced), value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Whole(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Whole(number.into()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Value, E> {
        Ok(Value::Whole(number))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Value, E> {
        // Far above every range that a key has, and that is all that matters here.
        Ok(Value::Whole(i128::try_from(number).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Fraction)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = map.next_entry::<Spanned<String>, Node>()? {
            entries.push((Key { place: place(key.referenced), name: key.value }, node));
        }
        Ok(Value::Map(entries))
    }
}
