//! What may go into `killAllSessionsByPattern`, and nothing else.
//!
//! The server reads only `uid` and `lsid` of a pattern. A pattern with neither, the ones that
//! the manual shows with `users` or `roles` among them, ends **everybody's** sessions, and so
//! does an empty list. Both are impossible to write down here: a [`Pattern`] is a digest or a
//! whole session id, and [`Patterns`] holds at least one.

use uuid::Uuid;

use crate::principal::{Digest, Principals};

/// Most patterns in one command, a compromise between the 16 MB command limit (about 300,000)
/// and the time in which the server holds its session catalog (18 ms for this many).
pub const MAX_PATTERNS: usize = 10_000;

/// A logical session: the client's identifier and its owner's digest. The children of a
/// session (`txnNumber`, `txnUUID`) are not told apart; the server refuses them in a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// Chosen by the client.
    pub id: Uuid,
    /// Whose session it is.
    pub uid: Digest,
}

/// Selects sessions on one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// Every session of one principal.
    Uid(Digest),
    /// One session. Without the owner's digest the server refuses it.
    Lsid(SessionId),
}

/// At least one pattern, and at most [`MAX_PATTERNS`]: the argument of one kill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// One pattern a principal, in as many commands as are needed.
    pub fn of_principals(principals: &Principals) -> Vec<Self> {
        Self::chunks(principals.iter().map(|principal| Pattern::Uid(principal.digest())))
    }

    /// One pattern a session, in as many commands as are needed; none for no session.
    pub fn of_sessions(sessions: impl IntoIterator<Item = SessionId>) -> Vec<Self> {
        Self::chunks(sessions.into_iter().map(Pattern::Lsid))
    }

    /// As many non-empty lists as are needed; none for no pattern.
    pub fn chunks(patterns: impl IntoIterator<Item = Pattern>) -> Vec<Self> {
        let all: Vec<Pattern> = patterns.into_iter().collect();
        all.chunks(MAX_PATTERNS).map(|chunk| Self(chunk.to_vec())).collect()
    }

    /// The patterns, at least one.
    pub fn iter(&self) -> std::slice::Iter<'_, Pattern> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_command_is_ever_empty_and_none_is_too_long(count in 0usize..25_000) {
            let uid = Digest::from_bytes([7; 32]);
            let commands = Patterns::chunks(std::iter::repeat_n(Pattern::Uid(uid), count));
            prop_assert!(commands.iter().all(|command| (1..=MAX_PATTERNS).contains(&command.iter().len())));
            prop_assert_eq!(commands.iter().map(|command| command.iter().len()).sum::<usize>(), count);
        }
    }
}
