//! A place in an event's data: its value together with its path, so that whatever is wrong can
//! be named as `data.principals[2].db` without ever quoting it.

use std::fmt;

use serde_json::Value;

use super::{PoisonReason, fault::Fault};

/// How a place is reached from the one above it.
#[derive(Clone, Copy)]
enum Step {
    Root,
    Key(&'static str),
    Index(usize),
}

/// A value and where it stands. Paths are written only for faults; reading costs none.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    value: &'a Value,
    above: Option<&'a Node<'a>>,
    step: Step,
}

impl<'a> Node<'a> {
    /// The whole of an event's data.
    pub(super) fn data(value: &'a Value) -> Self {
        Self { value, above: None, step: Step::Root }
    }

    /// The value itself.
    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// This place is wrong: `data.window: must be ...`.
    pub(super) fn fault(&self, what: impl fmt::Display) -> Fault {
        Fault::new(PoisonReason::InvalidData, format!("`{self}`: {what}"))
    }

    /// An object, or a fault that says what it should hold.
    pub(super) fn object(&self, of: &str) -> Result<(), Fault> {
        if self.value.is_object() { Ok(()) } else { Err(self.fault(format_args!("must be an object {of}"))) }
    }

    /// What stands under `key`; null counts as absent.
    pub(super) fn get(&'a self, key: &'static str) -> Option<Node<'a>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Self { value, above: Some(self), step: Step::Key(key) })
    }

    /// What stands under `key`, which has to be there.
    pub(super) fn need(&'a self, key: &'static str, what: impl fmt::Display) -> Result<Node<'a>, Fault> {
        self.get(key).ok_or_else(|| {
            Self { value: &Value::Null, above: Some(self), step: Step::Key(key) }
                .fault(format_args!("is missing; {what}"))
        })
    }

    /// At least one item, each read by `read`.
    pub(super) fn items<T>(
        &'a self,
        of: &str,
        read: impl Fn(Node<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let Value::Array(items) = self.value else {
            return Err(self.fault(format_args!("must be a list of {of}")));
        };
        if items.is_empty() {
            return Err(self.fault(format_args!("is an empty list; name at least one of {of}")));
        }
        let at = |(index, value)| read(Node { value, above: Some(self), step: Step::Index(index) });
        items.iter().enumerate().map(at).collect()
    }

    /// A text, empty or not.
    pub(super) fn text(&self) -> Result<&'a str, Fault> {
        self.value.as_str().ok_or_else(|| self.fault("must be a string"))
    }

    /// A text that says something.
    pub(super) fn filled_text(&self) -> Result<&'a str, Fault> {
        match self.text()? {
            "" => Err(self.fault("is empty")),
            text => Ok(text),
        }
    }
}

/// The path, from `data` on.
impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
        }
        match self.step {
            Step::Root => f.write_str("data"),
            Step::Key(key) => write!(f, ".{key}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}
