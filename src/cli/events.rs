//! Events in a file or on standard input: one, a list, or one a line.

use std::{
    io::{self, Read as _},
    path::Path,
};

use serde::de::IgnoredAny;

use crate::ingest::{Header, Origin, Record};

/// Everything in the file; `-` is standard input.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path.as_os_str() != "-" {
        return std::fs::read(path);
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
}

/// One record an event, from where `origin` says for its index. What is no JSON stays one record: an
/// outcome says what is wrong with it.
pub(super) fn records(bytes: &[u8], origin: impl Fn(usize) -> Origin) -> Vec<Record> {
    let events = match split(bytes) {
        Some(events) if !events.is_empty() => events,
        Some(_) | None => vec![bytes],
    };
    events.into_iter().enumerate().map(|(index, event)| record(event.to_vec(), origin(index))).collect()
}

/// An event in JSON, as it would stand on a topic.
pub(super) fn record(value: Vec<u8>, origin: Origin) -> Record {
    let content_type =
        Header { name: "content-type".to_owned(), value: Some(b"application/cloudevents+json".to_vec()) };
    Record { key: None, value: Some(value), headers: vec![content_type], origin }
}

/// The bytes of each event as they are written, so that what `decode` refuses on a topic (a repeated
/// key, say) is refused here too. `None` where it is no JSON.
fn split(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut events = Vec::new();
    let mut rest = bytes.trim_ascii_start();
    while !rest.is_empty() {
        let (value, behind) = value(rest)?;
        match value.strip_prefix(b"[") {
            Some(items) => events.extend(split_list(items)?),
            None => events.push(value),
        }
        rest = behind.trim_ascii_start();
    }
    Some(events)
}

/// The items of a list whose bracket has been opened.
fn split_list(inside: &[u8]) -> Option<Vec<&[u8]>> {
    let mut items = Vec::new();
    let mut rest = inside.trim_ascii_start();
    while !rest.starts_with(b"]") {
        let (item, behind) = value(rest)?;
        items.push(item);
        let behind = behind.trim_ascii_start();
        rest = behind.strip_prefix(b",").unwrap_or(behind).trim_ascii_start();
    }
    Some(items)
}

/// The first value and what stands behind it.
fn value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    bytes.split_at_checked(values.byte_offset())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(bytes: &str) -> Vec<String> {
        let text = |record: Record| String::from_utf8(record.value.unwrap()).unwrap();
        records(bytes.as_bytes(), |_| Origin::Local).into_iter().map(text).collect()
    }

    #[test]
    fn one_event_a_list_and_one_a_line_are_all_read_and_what_is_no_json_is_kept() {
        assert_eq!(texts(r#"{"id":"1"}"#), [r#"{"id":"1"}"#]);
        assert_eq!(texts(r#" [{"id":"1"} , {"id":[2]}] "#), [r#"{"id":"1"}"#, r#"{"id":[2]}"#]);
        assert_eq!(texts("{\"id\":\"1\"}\n{\"id\":\"2\"}\n").len(), 2);
        assert_eq!(texts("[1,true,\"a\",[]]"), ["1", "true", "\"a\"", "[]"]);
        assert_eq!(texts("no json"), ["no json"]);
        assert_eq!(texts("[]"), ["[]"]);
        assert_eq!(texts(""), [""]);
    }

    #[test]
    fn an_event_is_handed_on_as_it_is_written() {
        assert_eq!(texts("[{\"id\": 1, \"id\" :2}]"), ["{\"id\": 1, \"id\" :2}"]);
    }

    proptest! {
        #[test]
        fn whatever_is_read_there_is_at_least_one_record(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(!records(&bytes, |_| Origin::Local).is_empty());
        }

        #[test]
        fn a_list_of_json_is_its_items(text in "[\\[\\]{}:,\" a0-9]{0,30}") {
            prop_assert!(!records(text.as_bytes(), |_| Origin::Local).is_empty());
            if let Ok(serde_json::Value::Array(items)) = serde_json::from_str(&text) && !items.is_empty() {
                prop_assert_eq!(records(text.as_bytes(), |_| Origin::Local).len(), items.len());
            }
        }
    }
}
