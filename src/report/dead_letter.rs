//! A record that could not be read, kept as it came, with where it stood and why.
//!
//! What is added are `severance-*` headers, last in the list: where a record that was a dead
//! letter before has them already, the last of a name counts. A record that is too large to be
//! published whole is cut; its position still leads to the original, and its digest tells
//! whether that is the same.

use sha2::{Digest as _, Sha256};

use crate::{
    decode::Poison,
    ingest::{Header, Origin, Record},
    report::{Encoded, Form},
};

/// How much of a value the minimal form keeps: enough to tell what it was.
const MAX_VALUE: usize = 64 * 1024;

/// How much of a key the minimal form keeps; keys are identifiers.
const MAX_KEY: usize = 4 * 1024;

/// How much all the original headers may take in the minimal form. All of them stay or none:
/// half of an event's attributes would look like another event.
const MAX_HEADERS: usize = 16 * 1024;

/// Longest text of ours in one header. A topic's name is 249 bytes at most.
const MAX_TEXT: usize = 1024;

/// One dead letter.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The record and what is wrong with it.
    pub poison: Poison,
}

impl DeadLetter {
    /// As bytes: the original key, value and headers, with the position and the reason as
    /// `severance-*` headers. The minimal form is below 100,000 bytes whatever the record was.
    pub fn encode(&self, form: Form) -> Encoded {
        let mut letter = match form {
            Form::Full => whole(&self.poison.record),
            Form::Minimal => cut(&self.poison.record),
        };
        letter.headers.extend(self.reason_and_position());
        letter
    }

    fn reason_and_position(&self) -> Vec<Header> {
        let mut headers = vec![
            header("severance-reason", self.poison.reason.name()),
            header("severance-detail", &self.poison.detail),
        ];
        match &self.poison.record.origin {
            Origin::Kafka { topic, partition, offset, timestamp } => {
                headers.push(header("severance-topic", topic));
                headers.push(header("severance-partition", &partition.to_string()));
                headers.push(header("severance-offset", &offset.to_string()));
                headers.extend(timestamp.map(|at| header("severance-timestamp", &at.to_string())));
            }
            Origin::Job { .. } | Origin::Local => {}
        }
        headers
    }
}

fn whole(record: &Record) -> Encoded {
    Encoded {
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.clone(),
        partition: None,
    }
}

fn cut(record: &Record) -> Encoded {
    let headers_fit = size_of(&record.headers) <= MAX_HEADERS;
    let key = record.key.as_ref().map(|key| prefix(key, MAX_KEY));
    let value = record.value.as_ref().map(|value| prefix(value, MAX_VALUE));
    let is_whole = headers_fit && key == record.key.as_deref() && value == record.value.as_deref();

    let mut headers = if headers_fit { record.headers.clone() } else { Vec::new() };
    if let Some(value) = &record.value {
        headers.push(header("severance-sha256", &hex(&Sha256::digest(value))));
        headers.push(header("severance-size", &value.len().to_string()));
    }
    if !is_whole {
        headers.push(header("severance-truncated", "true"));
    }
    Encoded { key: key.map(<[u8]>::to_vec), value: value.map(<[u8]>::to_vec), headers, partition: None }
}

fn prefix(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[..bytes.len().min(most)]
}

/// With 10 bytes a header for its lengths, as [`Encoded::size`] counts them.
fn size_of(headers: &[Header]) -> usize {
    headers.iter().map(|header| header.name.len() + header.value.as_ref().map_or(0, Vec::len) + 10).sum()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(name: &str, text: &str) -> Header {
    let text = &text[..text.floor_char_boundary(MAX_TEXT)];
    Header { name: name.to_owned(), value: Some(text.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::PoisonReason;

    /// What always fits, with room for what the producer adds.
    const MINIMAL: usize = 100_000;

    fn letter(record: Record) -> DeadLetter {
        let detail = "`data.principals[2].db`: is missing".to_owned();
        DeadLetter { poison: Poison { record: record.into(), reason: PoisonReason::InvalidData, detail } }
    }

    fn record(key: &[u8], value: &[u8], headers: Vec<Header>) -> Record {
        let timestamp = "2026-11-25T01:02:03Z".parse().ok();
        let origin =
            Origin::Kafka { topic: "security.siem".into(), partition: 3, offset: i64::MAX, timestamp };
        Record { key: Some(key.to_vec()), value: Some(value.to_vec()), headers, origin }
    }

    /// The headers from `severance-` on, one a line.
    fn added(letter: &Encoded) -> String {
        let ours = letter.headers.iter().filter(|header| header.name.starts_with("severance-"));
        ours.map(|header| {
            let value = header.value.as_deref().unwrap_or(b"null");
            format!("{}: {}\n", header.name, String::from_utf8_lossy(value))
        })
        .collect()
    }

    #[test]
    fn a_dead_letter_is_the_record_with_its_position_and_the_reason() {
        let originals =
            vec![header("ce_id", "1"), header("ce_id", "1"), Header { name: String::new(), value: None }];
        let record = record(b"\xff", b"\0\xfe", originals.clone());
        let encoded = letter(record.clone()).encode(Form::Full);
        assert_eq!((&encoded.key, &encoded.value), (&record.key, &record.value));
        assert_eq!(encoded.headers[..3], originals);
        insta::assert_snapshot!(added(&encoded), @r"
        severance-reason: invalid_data
        severance-detail: `data.principals[2].db`: is missing
        severance-topic: security.siem
        severance-partition: 3
        severance-offset: 9223372036854775807
        severance-timestamp: 2026-11-25T01:02:03Z
        ");
    }

    #[test]
    fn what_was_null_stays_null() {
        let nothing = Record { key: None, value: None, headers: Vec::new(), origin: Origin::Local };
        for form in [Form::Full, Form::Minimal] {
            let encoded = letter(nothing.clone()).encode(form);
            assert_eq!((&encoded.key, &encoded.value), (&None, &None));
            assert_eq!(encoded.headers.len(), 2, "reason and detail: {}", added(&encoded));
        }
    }

    #[test]
    fn a_large_value_is_cut_and_known_by_its_digest() {
        let record = record(b"key", &vec![b'x'; 1 << 20], vec![header("ce_id", "1")]);
        let encoded = letter(record).encode(Form::Minimal);
        assert_eq!(encoded.value.as_ref().map(Vec::len), Some(65_536));
        assert_eq!(encoded.headers[0], header("ce_id", "1"));
        assert!(encoded.size() < MINIMAL, "{}", encoded.size());
        insta::assert_snapshot!(added(&encoded), @r"
        severance-sha256: 8f990ba0b577b51cf009ea049368c16bbda1b21e1b93be07a824758bb253c39b
        severance-size: 1048576
        severance-truncated: true
        severance-reason: invalid_data
        severance-detail: `data.principals[2].db`: is missing
        severance-topic: security.siem
        severance-partition: 3
        severance-offset: 9223372036854775807
        severance-timestamp: 2026-11-25T01:02:03Z
        ");
    }

    #[test]
    fn a_small_record_is_not_called_truncated() {
        let small = letter(record(b"key", b"value", vec![header("n", "v")]));
        assert!(!added(&small.encode(Form::Minimal)).contains("truncated"));
        let headers = vec![header("n", &"v".repeat(1000)); 17];
        let crowded = letter(record(b"key", b"value", headers)).encode(Form::Minimal);
        assert!(added(&crowded).contains("severance-truncated: true"));
        assert!(crowded.headers.iter().all(|header| header.name != "n"));
    }

    #[test]
    fn the_minimal_form_fits_whatever_the_record_was() {
        let big = vec![b'x'; 1 << 20];
        let header = Header { name: "n".repeat(1 << 18), value: Some(big.clone()) };
        for headers in [Vec::new(), vec![header], vec![super::header("", ""); 100_000]] {
            let mut letter = letter(record(&big, &big, headers));
            letter.poison.detail = "é".repeat(1 << 18);
            if let Origin::Kafka { topic, .. } =
                &mut std::sync::Arc::make_mut(&mut letter.poison.record).origin
            {
                *topic = "t".repeat(1 << 18).into();
            }
            assert!(letter.encode(Form::Minimal).size() < MINIMAL);
        }
    }
}
