//! The attributes of an event, checked in one place whichever mode carried them.

use cloudevents::{AttributesReader, Event, EventBuilder, EventBuilderV10};
use jiff::Timestamp;

use super::{
    fault::Fault,
    instant::{self, rfc3339},
};

/// Attributes that are read; all others are extensions that nothing here needs.
const READ: [&str; 6] = ["specversion", "id", "source", "type", "subject", "time"];

/// Trace context: what is wrong with it is not worth an event, it is left out.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

/// Longest attribute, in characters: all of them are repeated in logs and outcomes, which have
/// to stay small, and no identifier or URI in use is longer.
pub(super) const MAX_CHARACTERS: usize = 2_048;

/// Most bytes of a tracestate that are carried on: what W3C asks everybody to.
const MAX_TRACESTATE: usize = 512;

/// What has been found so far, by name.
pub(super) struct Attributes {
    /// `ce_` in headers, nothing in JSON: how a fault names an attribute.
    prefix: &'static str,
    found: Vec<(&'static str, String)>,
    /// Trace context that came twice, which is as good as none.
    untraced: bool,
}

impl Attributes {
    pub(super) fn with_prefix(prefix: &'static str) -> Self {
        Self { prefix, found: Vec::with_capacity(READ.len() + TRACE.len()), untraced: false }
    }

    /// The names that are read.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        READ.into_iter().chain(TRACE)
    }

    /// Keeps what `name` says; `None` is what is no text. An attribute that is there twice could
    /// mean two events, so it means none.
    pub(super) fn put(&mut self, name: &'static str, text: Option<&str>) -> Result<(), Fault> {
        let repeated = self.get(name).is_some();
        match text {
            _ if TRACE.contains(&name) && (repeated || text.is_none()) => self.untraced = true,
            None => return Err(self.fault(name, "must be a string in UTF-8")),
            Some(_) if repeated => return Err(self.fault(name, "is there more than once")),
            Some(text) => self.found.push((name, text.to_owned())),
        }
        Ok(())
    }

    /// Whether `name` has been found.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// An event without data.
    pub(super) fn into_event(self) -> Result<Event, Fault> {
        match self.required("specversion")? {
            "1.0" => {}
            _ => return Err(self.fault("specversion", "must be 1.0")),
        }
        let mut builder = EventBuilderV10::new()
            .id(self.required("id")?)
            .source(self.required("source")?)
            .ty(self.required("type")?);
        if let Some(subject) = self.get("subject").filter(|subject| !subject.is_empty()) {
            builder = builder.subject(self.clean("subject", subject)?);
        }
        if let Some(time) = self.get("time") {
            let expected = || self.fault("time", format!("must be {}", instant::FORM));
            rfc3339(time).ok_or_else(expected)?;
            builder = builder.time(time);
        }
        if let Some((traceparent, tracestate)) = self.trace() {
            builder = builder.extension("traceparent", traceparent);
            if let Some(tracestate) = tracestate {
                builder = builder.extension("tracestate", tracestate);
            }
        }
        // The SDK's errors name what it refuses, which may quote a value.
        builder.build().map_err(|_| Fault::attribute("the attributes do not make a CloudEvent"))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.found.iter().find(|(found, _)| *found == name).map(|(_, text)| text.as_str())
    }

    fn required(&self, name: &'static str) -> Result<&str, Fault> {
        match self.get(name) {
            None => Err(self.fault(name, "is missing; every CloudEvent has it")),
            Some("") => Err(self.fault(name, "is empty")),
            Some(text) => self.clean(name, text),
        }
    }

    /// The CloudEvents type `String` has no control characters.
    fn clean<'a>(&self, name: &'static str, text: &'a str) -> Result<&'a str, Fault> {
        if text.chars().any(char::is_control) {
            return Err(self.fault(name, "has a control character, which CloudEvents does not allow"));
        }
        if text.chars().nth(MAX_CHARACTERS).is_some() {
            return Err(self.fault(name, format!("is longer than {MAX_CHARACTERS} characters")));
        }
        Ok(text)
    }

    /// A trace context that W3C calls valid, and its state where that can be carried on.
    fn trace(&self) -> Option<(&str, Option<&str>)> {
        let parent = self.get("traceparent").filter(|parent| !self.untraced && is_traceparent(parent))?;
        let is_clean = |state: &&str| {
            (1..=MAX_TRACESTATE).contains(&state.len())
                && state.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        };
        Some((parent, self.get("tracestate").filter(is_clean)))
    }

    fn fault(&self, name: &'static str, what: impl std::fmt::Display) -> Fault {
        Fault::attribute(format!("`{}{name}` {what}", self.prefix))
    }
}

/// `version-traceid-parentid-flags`; all zeros are no id, version ff is none.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut is_hex = |length: usize| {
        parts.next().is_some_and(|part| {
            part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    let shaped = is_hex(2) && is_hex(32) && is_hex(16) && is_hex(2);
    shaped
        && text.len() == "00-".len() + 33 + 17 + 2
        && !text.starts_with("ff")
        && text[3..35].bytes().any(|byte| byte != b'0')
        && text[36..52].bytes().any(|byte| byte != b'0')
}

/// The event's time in our own type. A leap second counts as the end of the second before it.
pub(super) fn time_of(event: &Event) -> Option<Timestamp> {
    let time = event.time()?;
    let nanosecond = time.timestamp_subsec_nanos().min(999_999_999);
    Timestamp::new(time.timestamp(), i32::try_from(nanosecond).ok()?).ok()
}
