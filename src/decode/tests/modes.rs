//! The Kafka binding: which records are events at all.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::*;
use crate::decode::Body;

fn without(name: &str) -> Vec<Header> {
    let mut headers = binary_headers(COMPROMISED);
    headers.retain(|header| header.name != name);
    headers
}

fn with(extra: Header) -> Vec<Header> {
    let mut headers = without(&extra.name);
    headers.push(extra);
    headers
}

fn with_body(headers: Vec<Header>) -> Record {
    record(headers, Some(jsmith().to_string().as_bytes()))
}

#[test]
fn both_modes_say_the_same() {
    assert_eq!(
        trigger(structured(&envelope(COMPROMISED, &jsmith()))),
        trigger(binary(COMPROMISED, &jsmith()))
    );
}

#[test]
fn every_attribute_arrives() {
    let mut event = envelope("com.example.other", &json!({"incident": "INC-42"}));
    event["subject"] = json!("jsmith");
    event["time"] = json!("2026-11-25T02:02:03.5+01:00");
    event["traceparent"] = json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    event["tracestate"] = json!("vendor=1");
    event["partitionkey"] = json!("k");
    insta::assert_debug_snapshot!(trigger(structured(&event)));
}

#[test]
fn the_content_type_header_is_found_in_any_case_and_with_parameters() {
    let body = envelope(COMPROMISED, &jsmith()).to_string();
    for (name, value) in [
        ("Content-Type", "application/cloudevents+json"),
        ("CONTENT-TYPE", "APPLICATION/CloudEvents+JSON ; charset=utf-8"),
        ("content-type", "application/cloudevents"),
        ("content-type", "application/json"),
        ("content-type", ""),
    ] {
        trigger(record(vec![header(name, value)], Some(body.as_bytes())));
    }
}

#[test]
fn a_record_without_headers_is_tried_as_structured() {
    let body = envelope(COMPROMISED, &jsmith()).to_string();
    trigger(record(vec![], Some(body.as_bytes())));
    trigger(record(vec![header("trace-id", "1")], Some(body.as_bytes())));
    let stranger = PoisonReason::NotACloudEvent;
    assert_poison(record(vec![], Some(b"hello")), stranger, "no `ce_specversion`");
    assert_poison(record(vec![], Some(b"\xff\xfe")), stranger, "no `ce_specversion`");
    assert_poison(record(vec![], Some(br#"{"user": "jsmith"}"#)), stranger, "no `ce_specversion`");
    assert_poison(record(vec![], Some(b"{\"user\"")), PoisonReason::MalformedJson, "column 7");
}

#[test]
fn nothing_is_no_event() {
    for value in [None, Some(b"".as_slice())] {
        assert_poison(record(vec![], value), PoisonReason::Empty, "no value");
        let structured = vec![header("content-type", "application/cloudevents+json")];
        assert_poison(record(structured, value), PoisonReason::Empty, "no value");
    }
}

#[test]
fn a_binary_event_without_a_payload_is_legal() {
    for value in [None, Some(b"".as_slice())] {
        let event = trigger(record(binary_headers("com.example.ping"), value));
        assert_eq!((event.data, event.body), (Value::Null, Body::Other));
        assert_poison(
            record(binary_headers(COMPROMISED), value),
            PoisonReason::InvalidData,
            "`data`: must be an object",
        );
    }
}

#[test]
fn batch_mode_is_not_part_of_the_binding() {
    let batch = vec![header("content-type", "application/cloudevents-batch+json")];
    assert_poison(record(batch, Some(b"[]")), PoisonReason::BatchMode, "one event a record");
}

#[test]
fn a_structured_format_other_than_json_is_said_to_be_one() {
    let avro = vec![header("content-type", "application/cloudevents+avro")];
    assert_poison(record(avro, Some(b"\0")), PoisonReason::NotACloudEvent, "another format");
}

#[test]
fn a_content_type_that_is_no_events_is_no_event() {
    let text = vec![header("content-type", "text/plain")];
    assert_poison(record(text, Some(b"{}")), PoisonReason::NotACloudEvent, "ce_specversion");
}

#[test]
fn a_missing_attribute_is_named() {
    for name in ["ce_id", "ce_source", "ce_type", "ce_specversion"] {
        assert_poison(
            with_body(without(name)),
            PoisonReason::InvalidAttribute,
            &format!("`{name}` is missing"),
        );
    }
    for name in ["id", "source", "type", "specversion"] {
        for missing in [Value::Null, json!(7), json!("")] {
            let mut event = envelope(COMPROMISED, &jsmith());
            event[name] = missing;
            assert_poison(structured(&event), PoisonReason::InvalidAttribute, &format!("`{name}`"));
        }
    }
}

#[test]
fn an_attribute_that_is_empty_null_or_no_text_is_refused() {
    let invalid = PoisonReason::InvalidAttribute;
    for name in ["ce_id", "ce_source", "ce_type", "ce_specversion"] {
        let named = format!("`{name}`");
        assert_poison(with_body(with(header(name, ""))), invalid, &named);
        assert_poison(with_body(with(header(name, b"\xff"))), invalid, &named);
        assert_poison(with_body(with(header(name, "a\nb"))), invalid, &named);
        assert_poison(with_body(with(Header { name: name.into(), value: None })), invalid, &named);
    }
    let long = "x".repeat(2_049);
    assert_poison(with_body(with(header("ce_id", &long))), invalid, "longer than 2048");
    trigger(with_body(with(header("ce_id", "é".repeat(2_048)))));
}

#[test]
fn only_version_1_0_is_read() {
    for version in ["0.3", "1", "1.0 ", "2.0"] {
        assert_poison(
            with_body(with(header("ce_specversion", version))),
            PoisonReason::InvalidAttribute,
            "`ce_specversion` must be 1.0",
        );
    }
}

#[test]
fn an_attribute_that_is_there_twice_could_mean_two_events() {
    for name in ["ce_id", "ce_source", "ce_type", "ce_subject", "content-type"] {
        let mut headers = without(name);
        headers.extend([header(name, "application/json"), header(name, "application/json")]);
        assert_poison(with_body(headers), PoisonReason::InvalidAttribute, "more than once");
    }
    let mut headers = binary_headers(COMPROMISED);
    headers.extend([header("ce_unused", "a"), header("ce_unused", "b"), header("other", "c")]);
    trigger(with_body(headers));
}

#[test]
fn a_time_without_an_offset_is_refused() {
    for time in ["2026-11-25T01:02:03", "2026-11-25", "yesterday", ""] {
        assert_poison(
            with_body(with(header("ce_time", time))),
            PoisonReason::InvalidAttribute,
            "`ce_time` must be a date and time as in RFC 3339 with its offset",
        );
    }
    let leap = trigger(with_body(with(header("ce_time", "2016-12-31T23:59:60Z"))));
    assert_eq!(leap.time, "2016-12-31T23:59:59.999999999Z".parse().ok());
}

#[test]
fn a_broken_trace_context_is_left_out_and_costs_no_event() {
    let zeros = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
    for value in [b"nonsense".as_slice(), b"", b"\xff", zeros.as_bytes()] {
        let event = trigger(with_body(with(header("ce_traceparent", value))));
        assert_eq!(event.traceparent, None);
    }
    let mut headers = binary_headers(COMPROMISED);
    let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    headers.extend([header("ce_traceparent", valid), header("ce_tracestate", "x".repeat(513))]);
    let event = trigger(with_body(headers.clone()));
    assert_eq!((event.traceparent.as_deref(), event.tracestate), (Some(valid), None));
    headers.push(header("ce_traceparent", valid));
    assert_eq!(trigger(with_body(headers)).traceparent, None);
}

#[test]
fn data_in_base64_is_read_where_it_is_json() {
    let mut event = envelope(COMPROMISED, &Value::Null);
    event["data_base64"] = json!(BASE64_STANDARD.encode(jsmith().to_string()));
    assert_eq!(trigger(structured(&event)), trigger(binary(COMPROMISED, &jsmith())));

    event["data"] = jsmith();
    assert_poison(structured(&event), PoisonReason::InvalidAttribute, "both there");
    event["data"] = Value::Null;
    event["data_base64"] = json!("###");
    assert_poison(structured(&event), PoisonReason::InvalidAttribute, "base64");
    event["data_base64"] = json!(BASE64_STANDARD.encode("{"));
    assert_poison(structured(&event), PoisonReason::MalformedJson, "`data_base64` ends too early");
}

#[test]
fn data_that_is_not_json_is_text_or_nothing_to_a_rule() {
    let other = |content_type: &str, value: &[u8]| {
        let mut headers = binary_headers("com.example.other");
        headers.retain(|header| header.name != "content-type");
        headers.push(header("content-type", content_type));
        trigger(record(headers, Some(value))).data
    };
    assert_eq!(other("application/secevent+jwt", b"e30.e30."), json!("e30.e30."));
    assert_eq!(other("image/png", b"\x89PNG"), Value::Null);
    assert_eq!(other("application/scim+json", b"{}"), json!({}));

    let mut event = envelope(COMPROMISED, &json!("text"));
    event["datacontenttype"] = json!("text/plain");
    assert_poison(structured(&event), PoisonReason::InvalidData, "`data`: must be an object");
    event["data"] = jsmith();
    assert_poison(structured(&event), PoisonReason::InvalidAttribute, "`datacontenttype` is not JSON");
}

#[test]
fn poison_keeps_the_record_as_it_came() {
    let headers = vec![Header { name: "n".into(), value: None }, header("n", b"\xff")];
    let record = record(headers, Some(b"\0\xff"));
    assert_eq!(*poison(record.clone()).record, record);
}

#[test]
fn a_mebibyte_is_read() {
    let mut data = jsmith();
    data["note"] = json!("x".repeat(1 << 20));
    assert_eq!(trigger(binary(COMPROMISED, &data)).data, data);
}

#[test]
fn a_reason_is_the_same_word_everywhere() {
    for reason in [
        PoisonReason::Empty,
        PoisonReason::NotACloudEvent,
        PoisonReason::BatchMode,
        PoisonReason::MalformedJson,
        PoisonReason::InvalidAttribute,
        PoisonReason::InvalidData,
        PoisonReason::Panicked,
    ] {
        assert_eq!(json!(reason), reason.name());
    }
}
