//! How every key is read.
//!
//! A [`Section`] is a map whose keys are known beforehand; a [`Field`] is one value together with
//! its key's path. What is wrong is noted where it is seen, and reading goes on: a function reads
//! all its keys first and uses `?` last, so that one start tells everything.
//!
//! ```text
//! fn verify(section: &Section<'_>) -> Result<Verify, Told> {
//!     let rounds = section.or("rounds", 3, |field| field.number(1..=10));
//!     let pause = section.or("pause", Duration::ZERO, |field| field.duration(Duration::ZERO..=MINUTE));
//!     Ok(Verify { rounds: rounds?, pause: pause? })
//! }
//! ```

pub(super) use super::field::Field;

use super::{
    fault::{Fault, Notes, Place, Told},
    node::{Key, Node},
};

/// The keys of a section.
pub(super) struct Keys {
    /// Those that can be written.
    pub(super) known: &'static [&'static str],
    /// Those that a later version brings.
    pub(super) later: &'static [&'static str],
}

/// A map whose keys are known.
pub(super) struct Section<'a> {
    notes: &'a Notes,
    key: String,
    place: Option<Place>,
    entries: &'a [(Key, Node)],
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(notes: &'a Notes, node: &'a Node, keys: &Keys) -> Result<Self, Told> {
        Field::at(notes, String::new(), node).section(keys)
    }

    /// Notes every key of `entries` that is not in `keys`.
    pub(super) fn of(
        notes: &'a Notes,
        key: String,
        place: Option<Place>,
        entries: &'a [(Key, Node)],
        keys: &Keys,
    ) -> Self {
        let section = Self { notes, key, place, entries };
        section.refuse_unknown(keys);
        section
    }

    /// A key that has to be there.
    pub(super) fn must<T>(
        &self,
        key: &str,
        read: impl FnOnce(Field<'a>) -> Result<T, Told>,
    ) -> Result<T, Told> {
        match self.field(key) {
            Some(field) => read(field),
            None => Err(self.wrong(key, "is missing", Some(format!("write `{key}: ...`")))),
        }
    }

    /// A key with a default.
    pub(super) fn or<T>(
        &self,
        key: &str,
        default: T,
        read: impl FnOnce(Field<'a>) -> Result<T, Told>,
    ) -> Result<T, Told> {
        self.field(key).map_or(Ok(default), read)
    }

    /// A key that may be left out.
    pub(super) fn maybe<T>(
        &self,
        key: &str,
        read: impl FnOnce(Field<'a>) -> Result<T, Told>,
    ) -> Result<Option<T>, Told> {
        self.field(key).map(read).transpose()
    }

    /// A section inside this one; one that is left out is empty.
    pub(super) fn section(&self, key: &str, keys: &Keys) -> Result<Self, Told> {
        match self.field(key) {
            Some(field) => field.section(keys),
            None => {
                Ok(Self { notes: self.notes, key: path(&self.key, key), place: self.place, entries: &[] })
            }
        }
    }

    /// The value of `key`, if it is written. An empty one is not the same as none: `when:` with
    /// nothing behind it must not mean always, nor `clusters:` everywhere.
    pub(super) fn field(&self, key: &str) -> Option<Field<'a>> {
        let (_, node) = self.entries.iter().find(|(written, _)| written.name == key)?;
        Some(Field::at(self.notes, path(&self.key, key), node))
    }

    /// Notes what is wrong with `key`, whether it is written or not.
    pub(super) fn wrong(&self, key: &str, message: impl Into<String>, fix: Option<String>) -> Told {
        let written = self.entries.iter().find(|(written, _)| written.name == key);
        self.notes.fault(Fault {
            key: path(&self.key, key),
            place: written.map_or(self.place, |(_, node)| node.place),
            message: message.into(),
            fix,
        })
    }

    /// Notes what is odd about `key`, whether it is written or not.
    pub(super) fn warn(&self, key: &str, message: impl Into<String>, fix: impl Into<String>) {
        let written = self.entries.iter().find(|(written, _)| written.name == key);
        self.notes.warn(Fault {
            key: path(&self.key, key),
            place: written.map_or(self.place, |(_, node)| node.place),
            message: message.into(),
            fix: Some(fix.into()),
        });
    }

    fn refuse_unknown(&self, keys: &Keys) {
        for (key, _) in self.entries.iter().filter(|(key, _)| !keys.known.contains(&key.name.as_str())) {
            let name = key.name.as_str();
            let (message, fix) = if keys.later.contains(&name) {
                ("is not in this version", "remove it; a later version brings it".to_owned())
            } else {
                let all = || format!("remove it, or write one of: {}", keys.known.join(", "));
                ("is no key that we know", did_you_mean(name, keys.known).unwrap_or_else(all))
            };
            self.notes.fault(Fault {
                key: path(&self.key, name),
                place: key.place,
                message: message.to_owned(),
                fix: Some(fix),
            });
        }
    }
}

/// `kafka` and `topics` make `kafka.topics`; what is no plain word is put in brackets.
pub(super) fn path(section: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match (section, plain) {
        ("", true) => key.to_owned(),
        (section, true) => format!("{section}.{key}"),
        (section, false) => format!("{section}[{key:?}]"),
    }
}

/// Names the word that `written` was probably meant to be: at most two slips away, and at most
/// one in a short word.
pub(super) fn did_you_mean(written: &str, words: &[&str]) -> Option<String> {
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    words
        .iter()
        .map(|word| (strsim::osa_distance(&plain(written), &plain(word)), word))
        .filter(|(slips, word)| *slips <= if word.len() < 5 { 1 } else { 2 })
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, word)| format!("did you mean `{word}`?"))
}
