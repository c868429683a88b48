//! Laws that hold for whatever arrives. `SEVERANCE_LONG=1` tries 100 times as many records.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    decode::{Body, body::OwnType, examples},
    principal::{Principal, Principals},
};

/// Stands for a name that must not be told on.
const CANARY: &str = "canary7f3a";

fn config() -> ProptestConfig {
    let long = std::env::var_os("SEVERANCE_LONG").is_some();
    ProptestConfig {
        cases: if long { 100_000 } else { 1_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn headers() -> impl Strategy<Value = Vec<Header>> {
    let name = prop_oneof![
        8 => select(vec!["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time",
            "ce_traceparent", "ce_tracestate", "ce_", "ce_datacontenttype", "content-type", "Content-Type"])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let value = prop_oneof![
        8 => select(vec!["1.0", "0.3", "id", "/source", "", "2026-11-25T01:02:03Z", "application/json",
            "application/cloudevents+json", "application/cloudevents-batch+json", "APPLICATION/JSON; a=b", "text/plain"])
            .prop_map(|text| Some(text.as_bytes().to_vec())),
        3 => select(own_kinds()).prop_map(|kind| Some(kind.as_bytes().to_vec())),
        1 => vec(any::<u8>(), 0..40).prop_map(Some),
        1 => Just(None),
    ];
    vec((name, value).prop_map(|(name, value)| Header { name, value }), 0..12)
}

fn own_kinds() -> Vec<&'static str> {
    OwnType::ALL.map(OwnType::kind).to_vec()
}

/// An own type with an example of its data.
fn event() -> impl Strategy<Value = (&'static str, Value)> {
    let of = |own: OwnType| {
        examples::examples(examples::schema(own)).into_iter().map(move |data| (own.kind(), data))
    };
    select(OwnType::ALL.into_iter().flat_map(of).collect::<Vec<_>>())
}

/// A valid record in either mode.
fn valid() -> impl Strategy<Value = Record> {
    (event(), any::<bool>()).prop_map(|((kind, data), is_binary)| {
        if is_binary { binary(kind, &data) } else { structured(&envelope(kind, &data)) }
    })
}

/// One change of some bytes: at a place, so many of them replaced by something else.
fn edit() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    let snippets = vec![
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "true",
        "-1",
        "1e999",
        "1e308",
        "{}",
        "[]",
        "\\u0000",
        "\\ud800",
        "\\",
        "\0",
        "\u{feff}",
        "@",
        "\"principals\":[],",
        "\"user\":\"x\",",
        "99999999999999999999999999",
        "\"data_base64\":\"e30=\",",
    ];
    let new = prop_oneof![
        select(snippets).prop_map(|text| text.as_bytes().to_vec()),
        vec(any::<u8>(), 0..4),
        (1usize..300).prop_map(|depth| b"[".repeat(depth)),
    ];
    (any::<prop::sample::Index>(), 0usize..24, new)
}

fn edited() -> impl Strategy<Value = Record> {
    (valid(), vec(edit(), 1..4)).prop_map(|(mut record, edits)| {
        let value = record.value.get_or_insert_default();
        for (place, length, new) in edits {
            let start = place.index(value.len() + 1);
            let end = value.len().min(start + length);
            value.splice(start..end, new);
        }
        record
    })
}

/// Anything: random headers, a random or an edited value.
fn anything() -> impl Strategy<Value = Record> {
    let value = prop_oneof![
        1 => Just(None),
        2 => vec(any::<u8>(), 0..200).prop_map(Some),
        4 => valid().prop_map(|record| record.value),
        4 => edited().prop_map(|record| record.value),
    ];
    (headers(), value).prop_map(|(headers, value)| record(headers, value.as_deref()))
}

fn principal() -> impl Strategy<Value = Principal> {
    ("[^\0]{1,12}", "[^@\0]{1,8}").prop_map(|(user, db)| Principal::new(user, db).unwrap())
}

fn holds_for_whatever_arrives(original: &Record) -> Result<(), TestCaseError> {
    match read(original.clone()).content {
        Ok(trigger) => {
            prop_assert!(!trigger.id.is_empty() && !trigger.source.is_empty() && !trigger.kind.is_empty());
            prop_assert_eq!(trigger.body == Body::Other, !own_kinds().contains(&trigger.kind.as_str()));
        }
        Err(poison) => {
            prop_assert_ne!(poison.reason, PoisonReason::Panicked, "{}", poison.detail);
            prop_assert_eq!(&*poison.record, original);
            prop_assert!(!poison.detail.is_empty() && poison.detail.len() < 300, "{}", poison.detail);
        }
    }
    Ok(())
}

/// Every text in `value` becomes one that must not be told on.
fn tell_tale(value: &mut Value) {
    match value {
        Value::String(text) => *text = format!("{CANARY}{text}"),
        Value::Array(list) => list.iter_mut().for_each(tell_tale),
        Value::Object(object) => {
            object.values_mut().for_each(tell_tale);
            object.insert(CANARY.to_owned(), json!(CANARY));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_that_arrives_panics_or_is_lost(record in anything()) {
        holds_for_whatever_arrives(&record)?;
    }

    #[test]
    fn no_damage_to_a_valid_event_panics_or_is_lost(record in edited()) {
        holds_for_whatever_arrives(&record)?;
    }

    #[test]
    fn what_is_wrong_is_never_quoted((kind, data) in event(), place in any::<prop::sample::Index>(), edits in vec(edit(), 0..2)) {
        let mut data = data;
        let object = data.as_object_mut().expect("data of our own is an object");
        let field = object.keys().nth(place.index(object.len())).cloned().unwrap_or_default();
        tell_tale(&mut object[&field]);
        let mut value = data.to_string().into_bytes();
        for (place, _, new) in edits {
            let start = place.index(value.len() + 1);
            value.splice(start..start, new);
        }
        let headers = binary_headers(kind);
        if let Err(poison) = read(record(headers, Some(&value))).content {
            prop_assert!(!poison.detail.contains("anary"), "{}", poison.detail);
            let debug = format!("{poison:?}");
            prop_assert!(!debug.contains("anary"), "{}", debug);
        }
    }

    #[test]
    fn a_valid_event_says_the_same_in_both_modes(
        (kind, data) in event(),
        id in "[^\\p{Cc}]{1,20}",
        subject in "[^\\p{Cc}]{0,20}",
        note in any::<String>(),
        number in any::<f64>(),
        second in 0i64..4_102_444_800,
        offset in -1_439i32..1_440,
    ) {
        let mut data = data;
        data["note"] = json!({"text": note, "number": number});
        let zone = jiff::tz::Offset::from_seconds(offset * 60).unwrap();
        let moment = jiff::Timestamp::from_second(second).unwrap();
        let time = moment.display_with_offset(zone).to_string();

        let mut event = envelope(kind, &data);
        event["id"] = json!(id);
        event["subject"] = json!(subject);
        event["time"] = json!(time);
        let mut record = binary(kind, &data);
        record.headers.retain(|header| header.name != "ce_id");
        record.headers.extend([header("ce_time", &time), header("ce_subject", &subject), header("ce_id", &id)]);

        let trigger = trigger(record);
        prop_assert_eq!(&trigger, &super::trigger(structured(&event)));
        prop_assert_eq!((trigger.id, trigger.time, trigger.data), (id, Some(moment), data));
    }

    #[test]
    fn principals_come_out_as_they_were_put_in(named in vec(principal(), 1..40)) {
        let data = json!({"principals": named});
        let Body::Compromised { principals } = trigger(binary(COMPROMISED, &data)).body else {
            return Err(TestCaseError::fail("another type"));
        };
        prop_assert_eq!(Some(principals), Principals::new(named));
    }
}
