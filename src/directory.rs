//! What a cluster knows of its users and must be asked for: who has a role, who is there now. A
//! target that is more than a list of names becomes one by it, before anything is cut.

use std::{fmt, str::FromStr};

use crate::principal::Principal;

/// A role, named together with the database in which it is defined.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName {
    role: String,
    db: String,
}

/// Not the name of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be written as role@db, for example readWrite@orders")]
pub struct InvalidRole;

impl RoleName {
    /// A role in its database; neither may be empty.
    pub fn new(role: impl Into<String>, db: impl Into<String>) -> Result<Self, InvalidRole> {
        let (role, db) = (role.into(), db.into());
        let good = !role.is_empty() && !db.is_empty() && !role.contains('\0') && !db.contains('\0');
        if good { Ok(Self { role, db }) } else { Err(InvalidRole) }
    }

    /// Its name.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Its database.
    pub fn db(&self) -> &str {
        &self.db
    }
}

/// Reads `role@db`; the last `@` divides.
impl FromStr for RoleName {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (role, db) = text.rsplit_once('@').ok_or(InvalidRole)?;
        Self::new(role, db)
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.role, self.db)
    }
}

/// Who has a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holders {
    /// The role.
    pub role: RoleName,
    /// Everybody who has it, directly or inherited.
    pub principals: Vec<Principal>,
}

/// What a cluster said about roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// For each role that was asked about, who has it.
    pub holders: Vec<Holders>,
    /// Users of a directory who are there now and have no document here: nobody can say which roles
    /// they have. `None` where nobody could look.
    pub unread: Option<Vec<Principal>>,
}

/// Who is there now, idle or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Everybody who is logged in on some member.
    pub principals: Vec<Principal>,
    /// Members that did not say.
    pub silent: Vec<String>,
    /// Owners of sessions of whom only the digest is known: nobody is logged in under their name.
    pub nameless: usize,
    /// Logged in under a name whose digest could be somebody else's.
    pub ambiguous: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_a_database() {
        let role: RoleName = "read@write@app".parse().unwrap();
        assert_eq!((role.role(), role.db()), ("read@write", "app"));
        for bad in ["read", "@app", "read@", "", "re\0ad@app"] {
            assert_eq!(bad.parse::<RoleName>(), Err(InvalidRole), "{bad:?}");
        }
    }
}
