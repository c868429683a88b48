//! The MongoDB driver's errors become transient, permanent or unsupported here, and go no further.
//!
//! The codes and what they mean for another try are the server's (mongo/base/error_codes.yml).

use mongodb::error::{CommandError, Error, ErrorKind};

use crate::terminate::{ErrorClass, NodeError};

/// Longest text, in characters, that is taken over from a server.
const MAX_TEXT: usize = 240;

/// Worth another try: 6 HostUnreachable, 7 HostNotFound, 89 NetworkTimeout, 91 ShutdownInProgress, 189
/// PrimarySteppedDown, 262 ExceededTimeLimit, 50 MaxTimeMSExpired, 391 ReauthenticationRequired, 9001
/// SocketException, 10107 NotWritablePrimary, 11600 InterruptedAtShutdown, 11602
/// InterruptedDueToReplStateChange, 13435 NotPrimaryNoSecondaryOk, 13436 NotPrimaryOrSecondary, 94
/// NotYetInitialized, 211 KeyNotFound (a member that has just started has not read the keys that sign
/// the cluster's time).
const TRANSIENT: [i32; 16] =
    [6, 7, 50, 89, 91, 94, 189, 211, 262, 391, 9001, 10107, 11600, 11602, 13435, 13436];
/// The server has no such command: 59 CommandNotFound, 115 CommandNotSupported, 8000 AtlasError.
const UNSUPPORTED: [i32; 3] = [59, 115, 8000];
/// The server's words for a missing privilege.
pub(super) const UNAUTHORIZED: i32 = 13;
/// A refused login.
pub(super) const AUTHENTICATION_FAILED: i32 = 18;

/// Translates an error that came while `doing` something on `node`.
pub(super) fn node_error(node: &str, doing: &str, error: &Error) -> NodeError {
    let (class, code, text) = classify(error);
    NodeError { class, code, node: node.to_owned(), message: format!("{doing}: {}", shorten(&text)) }
}

/// What the driver says, at any length: whoever shows it takes secrets out first.
pub(super) fn words(error: &Error) -> String {
    classify(error).2
}

fn classify(error: &Error) -> (ErrorClass, Option<i32>, String) {
    match &*error.kind {
        ErrorKind::Command(command) => (
            class_of(command.code),
            Some(command.code),
            format!("{} {}", command.code_name, unquoted(command)),
        ),
        ErrorKind::Authentication { message, .. } => {
            (ErrorClass::Permanent, Some(AUTHENTICATION_FAILED), format!("AuthenticationFailed {message}"))
        }
        ErrorKind::InvalidArgument { message, .. } | ErrorKind::InvalidTlsConfig { message, .. } => {
            (ErrorClass::Permanent, None, message.clone())
        }
        ErrorKind::IncompatibleServer { message, .. } => (ErrorClass::Unsupported, None, message.clone()),
        ErrorKind::SessionsNotSupported => (ErrorClass::Unsupported, None, error.kind.to_string()),
        ErrorKind::ServerSelection { message, .. } => unreached(message),
        // Everything else is the network's, or the driver's view of it, and may pass.
        _ => (ErrorClass::Transient, None, error.kind.to_string()),
    }
}

fn class_of(code: i32) -> ErrorClass {
    if TRANSIENT.contains(&code) {
        ErrorClass::Transient
    } else if UNSUPPORTED.contains(&code) {
        ErrorClass::Unsupported
    } else {
        ErrorClass::Permanent
    }
}

/// The driver says why it reached nobody only inside a description of everybody.
fn unreached(message: &str) -> (ErrorClass, Option<i32>, String) {
    let why = message.split_once("Error: Kind: ").map(|(_, why)| why);
    let short = why.map_or("no answer", |why| why.split(", labels: ").next().unwrap_or(why));
    let refused =
        |why: &str| why.contains("Authentication failed") || why.contains("\"AuthenticationFailed\"");
    match why {
        Some(why) if refused(why) => {
            (ErrorClass::Permanent, Some(AUTHENTICATION_FAILED), format!("AuthenticationFailed {short}"))
        }
        Some(_) | None => (ErrorClass::Transient, None, short.to_owned()),
    }
}

/// Without the command that an Unauthorized error quotes: it holds names, and another session id
/// each time, so that the same error would never look the same.
fn unquoted(error: &CommandError) -> &str {
    match error.message.split_once(" to execute command {") {
        Some((why, _)) if error.code == UNAUTHORIZED => why,
        Some(_) | None => &error.message,
    }
}

fn shorten(text: &str) -> String {
    let line = text.trim().replace(['\n', '\r'], " ");
    match line.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_what_is_not_known_is_not() {
        // Stepping down, shutting down, just started, busy, and not a member yet.
        for passing in [189, 10107, 11602, 91, 11600, 211, 50, 262, 94, 13436] {
            assert_eq!(class_of(passing), ErrorClass::Transient, "{passing}");
        }
        for lasting in [13, 18, 14, 40414, 323, 72, 123_456] {
            assert_eq!(class_of(lasting), ErrorClass::Permanent, "{lasting}");
        }
        for missing in [59, 115, 8000] {
            assert_eq!(class_of(missing), ErrorClass::Unsupported, "{missing}");
        }
    }

    #[test]
    fn why_nobody_was_reached_is_found_in_the_drivers_words() {
        let topology = |server: &str| {
            format!(
                "Server selection timeout: No available servers. Topology: {{ Type: Single, Servers: [ {{ Address: m:1, Type: Unknown{server} }} ] }}"
            )
        };
        let refused = topology(
            ", Error: Kind: I/O error: Connection refused (os error 111), labels: {\"A\"}, source: None",
        );
        assert_eq!(
            unreached(&refused),
            (ErrorClass::Transient, None, "I/O error: Connection refused (os error 111)".to_owned())
        );
        let login =
            topology(", Error: Kind: SCRAM failure: Authentication failed., labels: {}, source: Some(Error)");
        assert_eq!(
            unreached(&login),
            (
                ErrorClass::Permanent,
                Some(AUTHENTICATION_FAILED),
                "AuthenticationFailed SCRAM failure: Authentication failed.".to_owned()
            )
        );
        assert_eq!(unreached(&topology("")), (ErrorClass::Transient, None, "no answer".to_owned()));
    }
}
