//! Records as other people's libraries write them, taken down byte by byte: the Python SDK
//! `cloudevents` 2.2.0, by its older API (`v1`) and its newer one (`core`).

use super::*;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[track_caller]
fn assert_reads(headers: &[(&str, &str)], value: &str) -> Trigger {
    let headers = headers.iter().map(|(name, value)| header(name, value)).collect();
    let trigger = trigger(record(headers, Some(value.as_bytes())));
    assert_eq!((trigger.id.as_str(), trigger.source.as_str()), ("01J9", "/siem/acme"));
    assert_eq!((trigger.kind.as_str(), &trigger.data), (COMPROMISED, &jsmith()));
    trigger
}

#[test]
fn binary_mode_of_the_older_api_is_read() {
    let headers = [
        ("content-type", "application/json"),
        ("ce_id", "01J9"),
        ("ce_source", "/siem/acme"),
        ("ce_type", COMPROMISED),
        ("ce_time", "2026-11-25T01:02:03+00:00"),
        ("ce_subject", "jsmith"),
        ("ce_specversion", "1.0"),
    ];
    let event = assert_reads(&headers, r#"{"principals": [{"user": "jsmith", "db": "admin"}]}"#);
    assert_eq!(event.time, "2026-11-25T01:02:03Z".parse().ok());
}

/// It calls the record what the data is, not `application/cloudevents+json`, or nothing.
#[test]
fn structured_mode_of_the_older_api_is_read() {
    let value = r#"{"id": "01J9", "source": "/siem/acme", "type": "io.severance.account.compromised.v1", "time": "2026-11-25T01:02:03+00:00", "subject": "jsmith", "partitionkey": "jsmith", "specversion": "1.0", "data": {"principals": [{"user": "jsmith", "db": "admin"}]}}"#;
    assert_reads(&[("content-type", "application/json")], value);
    assert_reads(&[], value);
}

#[test]
fn binary_mode_of_the_newer_api_is_read() {
    let headers = [
        ("ce_id", "01J9"),
        ("ce_source", "/siem/acme"),
        ("ce_type", COMPROMISED),
        ("ce_specversion", "1.0"),
        ("ce_time", "2026-11-25T02:02:03.500000+01:00"),
        ("content-type", "application/json"),
        ("ce_subject", "jsmith é%"),
        ("ce_partitionkey", "jsmith"),
        ("ce_traceparent", TRACEPARENT),
    ];
    let event = assert_reads(&headers, r#"{"principals": [{"user": "jsmith", "db": "admin"}]}"#);
    assert_eq!(event.time, "2026-11-25T01:02:03.5Z".parse().ok());
    assert_eq!(
        (event.subject.as_deref(), event.traceparent.as_deref()),
        (Some("jsmith é%"), Some(TRACEPARENT))
    );
}

#[test]
fn structured_mode_of_the_newer_api_is_read() {
    let headers = [("content-type", "application/cloudevents+json")];
    let value = r#"{"id": "01J9", "source": "/siem/acme", "type": "io.severance.account.compromised.v1", "specversion": "1.0", "time": "2026-11-25T02:02:03.500000+01:00", "datacontenttype": "application/json", "subject": "jsmith \u00e9%", "partitionkey": "jsmith", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "data": {"principals": [{"user": "jsmith", "db": "admin"}]}}"#;
    let event = assert_reads(&headers, value);
    assert_eq!(
        (event.subject.as_deref(), event.traceparent.as_deref()),
        (Some("jsmith é%"), Some(TRACEPARENT))
    );
    // Data that it was given as bytes it sends in base64, though it is JSON.
    let value = r#"{"id": "01J9", "source": "/siem/acme", "type": "io.severance.account.compromised.v1", "specversion": "1.0", "datacontenttype": "application/json", "time": "2026-11-25T02:57:37.360088Z", "data_base64": "eyJwcmluY2lwYWxzIjpbeyJ1c2VyIjoianNtaXRoIiwiZGIiOiJhZG1pbiJ9XX0="}"#;
    assert_reads(&headers, value);
}
