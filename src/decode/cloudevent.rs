//! The CloudEvents 1.0 binding for Kafka, read by hand: the SDK's own panics on a null header
//! value and compares content types letter by letter.
//!
//! - Structured mode: the content type begins with `application/cloudevents`, and the value is
//!   the event in JSON. `ce_*` headers beside it are copies and not looked at.
//! - Binary mode: a header `ce_specversion`. The attributes are `ce_*` headers, the content type
//!   is the data's, the value is the data.
//! - Neither: a value without a content type, or called JSON without any `ce_*` header, is tried
//!   as structured, because many producers set no headers.
//! - Batch mode is not part of the binding.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use cloudevents::{Data, Event};
use serde_json::{Map, Value};

use super::{PoisonReason, attributes::Attributes, fault::Fault, json};
use crate::ingest::{Header, Record};

const STRUCTURED: &str = "application/cloudevents";
const BATCH: &str = "application/cloudevents-batch";
const PREFIX: &str = "ce_";

/// The event that a record carries.
pub(super) fn read(record: &Record) -> Result<Event, Fault> {
    let content_type = content_type(&record.headers)?;
    let media = content_type.map(media_type);
    let value = record.value.as_deref().unwrap_or_default();
    match media.as_deref() {
        Some(media) if media.starts_with(BATCH) => Err(Fault::new(
            PoisonReason::BatchMode,
            "batch mode is not part of the Kafka binding; send one event a record",
        )),
        Some("application/cloudevents" | "application/cloudevents+json") => structured(value, true),
        Some(media) if media.starts_with(STRUCTURED) => Err(Fault::new(
            PoisonReason::NotACloudEvent,
            "structured mode in another format than JSON; send application/cloudevents+json",
        )),
        _ if has_header(record, |name| name == "ce_specversion") => binary(record, content_type),
        None => structured(value, false),
        Some(media) if is_json(media) => {
            if has_header(record, |name| name.starts_with(PREFIX)) {
                return Err(Fault::attribute("`ce_specversion` is missing; every CloudEvent has it"));
            }
            structured(value, false)
        }
        Some(_) => Err(Fault::new(
            PoisonReason::NotACloudEvent,
            "no header `ce_specversion`, and a content type that is no event's; \
             send binary mode (ce_* headers) or structured mode (application/cloudevents+json)",
        )),
    }
}

fn has_header(record: &Record, is: impl Fn(&str) -> bool) -> bool {
    record.headers.iter().any(|header| is(&header.name))
}

/// The value of the header `content-type`, in whatever case; empty counts as none.
fn content_type(headers: &[Header]) -> Result<Option<&str>, Fault> {
    let mut found = None;
    for header in headers.iter().filter(|header| header.name.eq_ignore_ascii_case("content-type")) {
        let Some(value) = &header.value else { continue };
        let text = str::from_utf8(value)
            .map_err(|_| Fault::attribute("the header `content-type` must be a string in UTF-8"))?;
        if found.replace(text).is_some() {
            return Err(Fault::attribute("the header `content-type` is there more than once"));
        }
    }
    Ok(found.filter(|text| !text.is_empty()))
}

/// `type/subtype` in lower case, without parameters.
fn media_type(content_type: &str) -> Cow<'_, str> {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    if media.bytes().any(|byte| byte.is_ascii_uppercase()) {
        media.to_ascii_lowercase().into()
    } else {
        media.into()
    }
}

/// Whether a media type is JSON's.
fn is_json(media: &str) -> bool {
    matches!(media, "application/json" | "text/json") || media.ends_with("+json")
}

fn binary(record: &Record, content_type: Option<&str>) -> Result<Event, Fault> {
    let mut attributes = Attributes::with_prefix(PREFIX);
    for header in &record.headers {
        let Some(name) = header.name.strip_prefix(PREFIX) else { continue };
        let (Some(name), Some(value)) = (Attributes::names().find(|read| *read == name), &header.value)
        else {
            continue;
        };
        attributes.put(name, str::from_utf8(value).ok())?;
    }
    let mut event = attributes.into_event()?;
    let value = record.value.as_deref().unwrap_or_default();
    set_data(&mut event, content_type, bytes(value, content_type, "the value")?);
    Ok(event)
}

/// An event in JSON. `declared` by the content type it is a faulty event if it is none; else it
/// is just something else.
fn structured(value: &[u8], declared: bool) -> Result<Event, Fault> {
    if value.is_empty() {
        return Err(Fault::new(PoisonReason::Empty, "the record has no value"));
    }
    let stranger = || {
        Fault::new(
            PoisonReason::NotACloudEvent,
            "no `ce_specversion` header, and the value is no JSON object with `specversion`",
        )
    };
    if !declared && value.trim_ascii_start().first() != Some(&b'{') {
        return Err(stranger());
    }
    let Value::Object(mut envelope) = json::parse(value, "the value")? else {
        return Err(Fault::attribute("the value must be one JSON object"));
    };
    let mut attributes = Attributes::with_prefix("");
    for name in Attributes::names() {
        match envelope.get(name) {
            None | Some(Value::Null) => {}
            Some(value) => attributes.put(name, value.as_str())?,
        }
    }
    if !declared && !attributes.has("specversion") {
        return Err(stranger());
    }
    let mut event = attributes.into_event()?;
    let content_type = match envelope.remove("datacontenttype") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => return Err(Fault::attribute("`datacontenttype` must be a string")),
    };
    let data = data_of(&mut envelope, content_type.as_deref())?;
    set_data(&mut event, content_type.as_deref(), data);
    Ok(event)
}

/// What `data` or `data_base64` says.
fn data_of(envelope: &mut Map<String, Value>, content_type: Option<&str>) -> Result<Option<Data>, Fault> {
    let mut take = |name| envelope.remove(name).filter(|value| !value.is_null());
    match (take("data"), take("data_base64")) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(Fault::attribute("`data` and `data_base64` are both there; send one of them"))
        }
        (Some(data), None) if content_type.is_none_or(|text| is_json(&media_type(text))) => {
            Ok(Some(Data::Json(data)))
        }
        (Some(Value::String(text)), None) => Ok(Some(Data::String(text))),
        (Some(_), None) => Err(Fault::attribute("`datacontenttype` is not JSON, so `data` must be a string")),
        (None, Some(encoded)) => {
            let wrong = || Fault::attribute("`data_base64` must be a string in base64 with padding");
            let encoded = encoded.as_str().ok_or_else(wrong)?;
            let decoded = BASE64_STANDARD.decode(encoded).map_err(|_| wrong())?;
            bytes(&decoded, content_type, "`data_base64`")
        }
    }
}

/// Data in bytes: JSON where it is called that or nothing, else text, else nothing a rule reads.
/// No bytes are no data, which is legal.
fn bytes(data: &[u8], content_type: Option<&str>, place: &str) -> Result<Option<Data>, Fault> {
    if data.is_empty() {
        return Ok(None);
    }
    if content_type.is_none_or(|text| is_json(&media_type(text))) {
        return json::parse(data, place).map(|value| Some(Data::Json(value)));
    }
    Ok(str::from_utf8(data).ok().map(|text| Data::String(text.to_owned())))
}

fn set_data(event: &mut Event, content_type: Option<&str>, data: Option<Data>) {
    match (content_type, data) {
        (Some(content_type), Some(data)) => drop(event.set_data(content_type, data)),
        (None, Some(data)) => drop(event.set_data_unchecked(data)),
        (_, None) => {}
    }
}
