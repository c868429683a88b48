//! Who is meant: a [`Principal`] is a MongoDB user in its authentication database.
//!
//! The server finds a user's sessions by one thing only, the SHA-256 of `user@db`
//! ([`Digest`]), so this module refuses every name for which that digest would be
//! ambiguous or meaningless: an empty user or database, an `@` in the database
//! (user `a@b` in `c` and user `a` in `b@c` share a digest), and a NUL byte.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A MongoDB user, named together with its authentication database.
///
/// Names are compared byte by byte: the server's digest is case-sensitive and knows no
/// Unicode normalization.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawPrincipal")]
pub struct Principal {
    user: String,
    db: String,
}

/// `{user, db}` as it stands in events and in the configuration, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrincipal {
    user: String,
    db: String,
}

/// Why a name is no principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrincipal {
    /// The user name is empty.
    #[error("`user` is empty: name a MongoDB user")]
    EmptyUser,
    /// The authentication database is empty.
    #[error("`db` is empty: name the user's authentication database, for example `admin` or `$external`")]
    EmptyDatabase,
    /// The database holds an `@`, which makes the session digest ambiguous.
    #[error("`db` contains `@`: two different users would share one session digest")]
    AtSignInDatabase,
    /// A NUL byte, which no MongoDB name can hold.
    #[error("the name contains a NUL byte")]
    Nul,
    /// Not written as `user@db`.
    #[error("not written as user@db")]
    NotUserAtDatabase,
}

impl Principal {
    /// The account under which the members of a cluster talk to each other. It is never a target.
    pub fn internal() -> Self {
        Self { user: "__system".into(), db: "local".into() }
    }

    /// A principal, unless its digest could mean somebody else.
    pub fn new(user: impl Into<String>, db: impl Into<String>) -> Result<Self, InvalidPrincipal> {
        let (user, db) = (user.into(), db.into());
        if user.is_empty() {
            return Err(InvalidPrincipal::EmptyUser);
        }
        if db.is_empty() {
            return Err(InvalidPrincipal::EmptyDatabase);
        }
        if db.contains('@') {
            return Err(InvalidPrincipal::AtSignInDatabase);
        }
        if user.contains('\0') || db.contains('\0') {
            return Err(InvalidPrincipal::Nul);
        }
        Ok(Self { user, db })
    }

    /// The user name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The authentication database.
    pub fn db(&self) -> &str {
        &self.db
    }

    /// What the server calls this user's `uid` in every logical session id.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(self.user.as_bytes());
        hash.update(b"@");
        hash.update(self.db.as_bytes());
        Digest(hash.finalize().into())
    }
}

impl TryFrom<RawPrincipal> for Principal {
    type Error = InvalidPrincipal;

    fn try_from(raw: RawPrincipal) -> Result<Self, Self::Error> {
        Self::new(raw.user, raw.db)
    }
}

/// Reads `user@db`; the user may hold an `@`, the database cannot, so the last one divides.
impl FromStr for Principal {
    type Err = InvalidPrincipal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (user, db) = text.rsplit_once('@').ok_or(InvalidPrincipal::NotUserAtDatabase)?;
        Self::new(user, db)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.db)
    }
}

/// SHA-256 of `user@db`: the `uid` of a logical session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// A digest as the server reports it in an `lsid`.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes that go on the wire.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// At least one principal, each once, in the order in which they were first named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principals(Vec<Principal>);

impl Principals {
    /// `None` where there is nobody: an empty target must not exist.
    pub fn new(named: impl IntoIterator<Item = Principal>) -> Option<Self> {
        let mut seen = std::collections::HashSet::new();
        let unique: Vec<_> = named.into_iter().filter(|principal| seen.insert(principal.clone())).collect();
        (!unique.is_empty()).then_some(Self(unique))
    }

    /// In the order in which they were named.
    pub fn iter(&self) -> std::slice::Iter<'_, Principal> {
        self.0.iter()
    }

    /// How many, never 0.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `principal` is among them.
    pub fn contains(&self, principal: &Principal) -> bool {
        self.0.contains(principal)
    }
}

impl IntoIterator for Principals {
    type Item = Principal;
    type IntoIter = std::vec::IntoIter<Principal>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Principals {
    type Item = &'a Principal;
    type IntoIter = std::slice::Iter<'a, Principal>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_with_an_at_sign_is_refused_because_its_digest_is_ambiguous() {
        let honest = Principal::new("a@b", "c").unwrap();
        assert_eq!(Principal::new("a", "b@c"), Err(InvalidPrincipal::AtSignInDatabase));
        assert_eq!(honest.to_string().parse(), Ok(honest));
    }

    #[test]
    fn nobody_is_no_principals() {
        assert!(Principals::new([]).is_none());
    }

    #[test]
    fn the_digest_is_sha256_of_user_at_database() {
        // `printf jsmith@admin | sha256sum`
        let digest = Principal::new("jsmith", "admin").unwrap().digest();
        assert_eq!(digest.to_string(), "fa0f87e10ec7a1045a71af9dd85178ad3ceeb7137fc0c0456eaf398b6e2e71fb",);
    }
}
