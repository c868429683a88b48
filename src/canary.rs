//! The canary: an event about somebody who does not exist goes the whole way, again and again, so
//! that a dead responder does not look like a quiet day.
//!
//! Whichever replica takes it measures from the event to the acknowledgement of its outcome. The
//! rule for it is built in and names its own principal, so whoever can write to the canary's topic
//! can cut nobody with it.

use crate::principal::{Principal, Principals};

/// Its type: a topic has to accept it.
pub const TYPE: &str = "io.severance.canary.v1";
/// Its source.
pub const SOURCE: &str = "/severance/canary";
/// The name of its rule.
pub const RULE: &str = "canary";

/// Whom it is about: a name and a database that nobody gives a user.
pub fn target() -> Option<Principals> {
    Principals::new(Principal::new("severance-canary", "severance-canary").ok())
}
