//! A part that cannot be had fails a test, and says what to set.

use std::ffi::OsString;
use std::panic;

use severance::lab::Mongod;

use crate::support::kafka;

fn nowhere(wanted: &'static str) -> impl Fn(&str) -> Option<OsString> {
    move |name| if name == wanted { Some("/nonexistent".into()) } else { std::env::var_os(name) }
}

#[test]
fn a_kafka_that_is_not_where_the_variable_says_fails_and_names_the_variable() {
    let failed = panic::catch_unwind(|| kafka::libs(nowhere("SEVERANCE_KAFKA_HOME"))).expect_err("it fails");
    let message = failed.downcast_ref::<String>().expect("a message");
    assert!(message.contains("SEVERANCE_KAFKA_HOME") && message.contains("/nonexistent"), "{message}");
}

#[test]
fn a_mongod_that_is_not_where_the_variable_says_fails_and_names_the_variable() {
    let error = Mongod::find_with(nowhere("SEVERANCE_MONGOD")).expect_err("it fails").to_string();
    assert!(error.contains("SEVERANCE_MONGOD") && error.contains("/nonexistent"), "{error}");
}
