//! Who was named in a case: at least one who is to be cut, and those who are left alone.

use serde::{Deserialize, Serialize};

use crate::{
    case::SparedBecause,
    principal::{Principal, Principals},
    terminate::PrincipalReport,
};

/// Everybody who was named, as the outcome lists them. At least one of them is a target: a job
/// about nobody cannot be written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<PrincipalReport>", into = "Vec<PrincipalReport>")]
pub struct Named {
    everybody: Vec<PrincipalReport>,
    targets: Principals,
}

/// A list that does not name anybody to be cut, or names somebody who cannot exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("names nobody to be cut, or somebody who is no principal")]
pub struct NobodyNamed;

impl Named {
    /// From the principals of an outcome.
    pub fn new(everybody: Vec<PrincipalReport>) -> Result<Self, NobodyNamed> {
        let mut targets = Vec::new();
        for one in &everybody {
            let principal = Principal::new(&*one.user, &*one.db).map_err(|_| NobodyNamed)?;
            if !one.spared {
                targets.push(principal);
            }
        }
        let targets = Principals::new(targets).ok_or(NobodyNamed)?;
        Ok(Self { everybody, targets })
    }

    /// Everybody, for the outcome.
    pub fn everybody(&self) -> &[PrincipalReport] {
        &self.everybody
    }

    /// Who is to be cut.
    pub fn targets(&self) -> &Principals {
        &self.targets
    }

    /// Everybody, with these reinstated.
    pub fn listed_without(&self, reinstated: &[Principal]) -> Vec<PrincipalReport> {
        let is_back = |one: &PrincipalReport| {
            !one.spared && reinstated.iter().any(|back| back.user() == one.user && back.db() == one.db)
        };
        self.everybody
            .iter()
            .map(|one| match is_back(one) {
                true => PrincipalReport {
                    spared: true,
                    spared_because: Some(SparedBecause::Reinstated),
                    ..one.clone()
                },
                false => one.clone(),
            })
            .collect()
    }

    /// What the clusters know of them, as an attempt has found out.
    pub(super) fn learn(&mut self, seen: &[PrincipalReport]) {
        for one in &mut self.everybody {
            let same = seen.iter().find(|other| other.user == one.user && other.db == one.db);
            if let Some(other) = same.filter(|other| other.known >= one.known) {
                one.known = other.known;
                one.near.clone_from(&other.near);
            }
        }
    }

    /// Without what only helps a reader.
    pub(super) fn shortened(mut self) -> Self {
        self.everybody.iter_mut().for_each(|one| one.near = Vec::new());
        self
    }
}

impl TryFrom<Vec<PrincipalReport>> for Named {
    type Error = NobodyNamed;

    fn try_from(everybody: Vec<PrincipalReport>) -> Result<Self, NobodyNamed> {
        Self::new(everybody)
    }
}

impl From<Named> for Vec<PrincipalReport> {
    fn from(named: Named) -> Self {
        named.everybody
    }
}
