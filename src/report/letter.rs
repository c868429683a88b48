//! A dead letter read back: what it was, why it is dead, and what is sent when it is given another
//! chance. Pure.

use crate::{
    ingest::{Header, Origin, REDRIVEN, Record},
    report::Encoded,
};

/// Where the dead letter stands from which it was sent.
const REDRIVEN_FROM: &str = "severance-redriven-from";
/// What all our own headers begin with.
const OURS: &str = "severance-";

/// A record of the dead-letters topic.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Where it stands among the dead letters.
    pub position: Origin,
    /// Why it is dead, as a word.
    pub reason: String,
    /// Why it is dead, for a person.
    pub detail: String,
    /// Where the original stood: topic, partition and offset.
    pub original: Option<(String, i32, i64)>,
    /// It is not whole.
    pub truncated: bool,
    /// How often it was given another chance before.
    pub redriven: u32,
    record: Record,
}

impl Letter {
    /// `None` where the record is no dead letter of ours.
    pub fn read(record: Record) -> Option<Self> {
        let text = |name: &str| {
            let header = record.headers.iter().rev().find(|header| header.name == name)?;
            String::from_utf8(header.value.clone()?).ok()
        };
        let original = || {
            let number = |name: &str| text(name)?.parse().ok();
            let partition = text("severance-partition")?.parse().ok()?;
            Some((text("severance-topic")?, partition, number("severance-offset")?))
        };
        Some(Self {
            position: record.origin.clone(),
            reason: text("severance-reason")?,
            detail: text("severance-detail").unwrap_or_default(),
            original: original(),
            truncated: text("severance-truncated").is_some(),
            redriven: record.redriven(),
            record,
        })
    }

    /// The record itself.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What is sent to the original's topic: `original`, or what the letter kept of it, which is
    /// all of it unless it is truncated. Its history goes along.
    pub fn redrive(&self, original: &Record) -> Encoded {
        let mut headers: Vec<Header> =
            original.headers.iter().filter(|header| !header.name.starts_with(OURS)).cloned().collect();
        let ours = [(REDRIVEN, (self.redriven + 1).to_string()), (REDRIVEN_FROM, self.position.to_string())];
        headers.extend(ours.map(|(name, value)| Header { name: name.to_owned(), value: Some(value.into()) }));
        Encoded { key: original.key.clone(), value: original.value.clone(), headers, partition: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::{Poison, PoisonReason},
        report::{DeadLetter, Form},
    };

    fn at(offset: i64) -> Origin {
        Origin::Kafka { topic: "hr".into(), partition: 2, offset, timestamp: None }
    }

    fn letter(record: Record) -> Letter {
        let poison =
            Poison { record: record.into(), reason: PoisonReason::InvalidData, detail: "`data`: no".into() };
        let encoded = DeadLetter { poison }.encode(Form::Full);
        let record =
            Record { key: encoded.key, value: encoded.value, headers: encoded.headers, origin: at(99) };
        Letter::read(record).unwrap()
    }

    #[test]
    fn a_letter_read_back_says_what_it_was_and_why_it_is_dead() {
        let letter = letter(Record { key: None, value: Some(b"x".to_vec()), headers: vec![], origin: at(7) });
        assert_eq!((letter.reason.as_str(), letter.redriven), ("invalid_data", 0));
        assert_eq!(letter.original, Some(("hr".to_owned(), 2, 7)));
        assert!(!letter.truncated);
    }

    #[test]
    fn what_is_sent_again_is_the_original_with_its_history() {
        let own = Header { name: "ce_id".into(), value: Some(b"1".to_vec()) };
        let original = Record {
            key: Some(b"k".to_vec()),
            value: Some(b"x".to_vec()),
            headers: vec![own.clone()],
            origin: at(7),
        };
        let first = letter(original.clone());
        let sent = first.redrive(first.record());
        assert_eq!((&sent.key, &sent.value, &sent.headers[0]), (&original.key, &original.value, &own));
        let sent = Record { key: sent.key, value: sent.value, headers: sent.headers, origin: at(8) };
        assert_eq!(sent.redriven(), 1);
        let second = letter(sent);
        assert_eq!(second.redriven, 1);
        assert_eq!(second.redrive(second.record()).headers.len(), 3, "no header of ours but the two");
    }

    #[test]
    fn a_record_of_somebody_else_is_no_letter() {
        assert!(Letter::read(Record { key: None, value: None, headers: vec![], origin: at(1) }).is_none());
    }
}
