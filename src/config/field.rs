//! One value, and the few forms that a value has. What is expected and what was found is said
//! without quoting a value that may be a secret.

use std::{ops::RangeInclusive, time::Duration};

use globset::Glob;

use super::{
    duration,
    fault::{Fault, Notes, Told},
    node::{Key, Node, Value},
    reader::{Keys, Section, did_you_mean, path},
};

/// A value and the path of its key.
#[derive(Clone)]
pub(super) struct Field<'a> {
    notes: &'a Notes,
    key: String,
    node: &'a Node,
}

/// What a name is.
pub(super) const NAME: &str = "use letters, digits, `.`, `_` and `-`, at most 249 of them";

/// What Kafka allows in the name of a topic is a name for everything here.
pub(super) fn is_name(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=249).contains(&text.len()) && text.bytes().all(legal) && text != "." && text != ".."
}

impl<'a> Field<'a> {
    /// The value at `key`.
    pub(super) fn at(notes: &'a Notes, key: String, node: &'a Node) -> Self {
        Self { notes, key, node }
    }

    /// The path of its key.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Notes what is wrong with it. `message` continues a sentence that begins with the key.
    pub(super) fn wrong(&self, message: impl Into<String>, fix: impl Into<String>) -> Told {
        self.notes.fault(self.remark(message.into(), fix.into()))
    }

    /// Notes what is odd about it.
    pub(super) fn warn(&self, message: impl Into<String>, fix: impl Into<String>) {
        self.notes.warn(self.remark(message.into(), fix.into()));
    }

    fn remark(&self, message: String, fix: String) -> Fault {
        Fault { key: self.key.clone(), place: self.node.place, message, fix: Some(fix) }
    }

    /// Whether it is written as one text, and which.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Nothing
            | Value::Flag(_)
            | Value::Whole(_)
            | Value::Fraction
            | Value::List(_)
            | Value::Map(_) => None,
        }
    }

    /// Whether nothing is written, or `null`.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self.node.value, Value::Nothing)
    }

    /// Whether it is a map.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    /// A text that is not empty.
    pub(super) fn text(self) -> Result<String, Told> {
        match self.as_text() {
            Some("") => Err(self.wrong("is empty", "write a value, or remove the key")),
            Some(text) => Ok(text.to_owned()),
            None if matches!(self.node.value, Value::Whole(_) | Value::Fraction | Value::Flag(_)) => {
                Err(self.wrong(format!("is {}, not a text", self.kind()), "write it in quotes"))
            }
            None => Err(self.expected("a text")),
        }
    }

    /// A text, or a number or flag as it would be written: for values that somebody else reads.
    pub(super) fn scalar(self) -> Result<String, Told> {
        match &self.node.value {
            Value::Flag(flag) => Ok(flag.to_string()),
            Value::Whole(number) => Ok(number.to_string()),
            Value::Text(_) | Value::Fraction | Value::Nothing | Value::List(_) | Value::Map(_) => self.text(),
        }
    }

    /// A name for topics, clusters, rules and instances.
    pub(super) fn name(self) -> Result<String, Told> {
        let name = self.clone().text()?;
        if is_name(&name) { Ok(name) } else { Err(self.wrong(format!("`{name}` is no name"), NAME)) }
    }

    /// `true` or `false`.
    pub(super) fn flag(self) -> Result<bool, Told> {
        let Value::Flag(flag) = self.node.value else { return Err(self.expected("`true` or `false`")) };
        Ok(flag)
    }

    /// A whole number within bounds.
    pub(super) fn number<N>(self, bounds: RangeInclusive<N>) -> Result<N, Told>
    where
        N: TryFrom<i128> + PartialOrd + std::fmt::Display,
    {
        let Value::Whole(number) = self.node.value else { return Err(self.expected("a whole number")) };
        match N::try_from(number) {
            Ok(number) if bounds.contains(&number) => Ok(number),
            Ok(_) | Err(_) => Err(self.wrong(
                format!("is {number}"),
                format!("write a whole number from {} to {}", bounds.start(), bounds.end()),
            )),
        }
    }

    /// A duration within bounds.
    pub(super) fn duration(self, bounds: RangeInclusive<Duration>) -> Result<Duration, Told> {
        let text = match &self.node.value {
            Value::Whole(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            Value::Nothing | Value::Flag(_) | Value::Fraction | Value::List(_) | Value::Map(_) => {
                return Err(self.expected("a duration such as 100ms, 2s, 15m, 24h or 7d"));
            }
        };
        let [least, most] = [bounds.start(), bounds.end()].map(|bound| duration::write(*bound));
        match duration::parse(&text) {
            Ok(duration) if bounds.contains(&duration) => Ok(duration),
            Ok(_) => Err(self.wrong(format!("is `{text}`"), format!("write a time from {least} to {most}"))),
            Err(error) => Err(self
                .wrong(format!("`{text}` {error}"), "write a number with its unit: 100ms, 2s, 15m, 24h, 7d")),
        }
    }

    /// A pattern with `*` and `?`.
    pub(super) fn glob(self) -> Result<Glob, Told> {
        let text = self.clone().text()?;
        Glob::new(&text).map_err(|error| {
            self.wrong(
                format!("`{text}` is no pattern: {}", error.kind()),
                "use `*` for anything and `?` for one character; put `\\` before one that is meant as it is",
            )
        })
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(self, words: &[(&'static str, T)]) -> Result<T, Told> {
        let text = self.clone().text()?;
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let all = || format!("write one of: {}", known.join(", "));
            self.wrong(
                format!("is `{text}`, a word that we do not know"),
                did_you_mean(&text, &known).unwrap_or_else(all),
            )
        })
    }

    /// A map whose keys are known.
    pub(super) fn section(self, keys: &Keys) -> Result<Section<'a>, Told> {
        let Value::Map(entries) = &self.node.value else {
            return Err(self.expected(&format!("a map with {}", keys.known.join(", "))));
        };
        self.refuse_repeats(entries);
        Ok(Section::of(self.notes, self.key, self.node.place, entries, keys))
    }

    /// A map with keys of the user's own.
    pub(super) fn entries(self) -> Result<Vec<(&'a str, Field<'a>)>, Told> {
        let Value::Map(entries) = &self.node.value else { return Err(self.expected("a map")) };
        self.refuse_repeats(entries);
        let field = |(key, node): &'a (Key, Node)| {
            (key.name.as_str(), Field { notes: self.notes, key: path(&self.key, &key.name), node })
        };
        Ok(entries.iter().map(field).collect())
    }

    fn refuse_repeats(&self, entries: &[(Key, Node)]) {
        for (index, (key, _)) in entries.iter().enumerate() {
            if entries[..index].iter().any(|(earlier, _)| earlier.name == key.name) {
                self.notes.fault(Fault {
                    key: path(&self.key, &key.name),
                    place: key.place,
                    message: "is written twice".to_owned(),
                    fix: Some("keep one of them".to_owned()),
                });
            }
        }
    }

    /// A list; every entry is read, whatever is wrong with the ones before.
    pub(super) fn each<T>(self, mut read: impl FnMut(Field<'a>) -> Result<T, Told>) -> Result<Vec<T>, Told> {
        let Value::List(nodes) = &self.node.value else { return Err(self.expected("a list")) };
        let entries = nodes.iter().enumerate().map(|(index, node)| {
            read(Field { notes: self.notes, key: format!("{}[{index}]", self.key), node })
        });
        let read: Vec<_> = entries.collect();
        read.into_iter().collect()
    }

    /// A list with at least one entry.
    pub(super) fn some<T>(self, read: impl FnMut(Field<'a>) -> Result<T, Told>) -> Result<Vec<T>, Told> {
        if matches!(&self.node.value, Value::List(nodes) if nodes.is_empty()) {
            return Err(self.wrong("is empty", "write at least one entry, or remove the key"));
        }
        self.each(read)
    }

    /// Notes that it should be something else. Its value is not quoted: it may be a secret.
    pub(super) fn expected(&self, what: &str) -> Told {
        let instead = if self.is_nothing() && !self.key.is_empty() { ", or remove the key" } else { "" };
        self.wrong(format!("is {}", self.kind()), format!("write {what}{instead}"))
    }

    fn kind(&self) -> &'static str {
        match self.node.value {
            Value::Nothing => "empty",
            Value::Flag(_) => "a flag",
            Value::Whole(_) | Value::Fraction => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}
