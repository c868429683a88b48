//! What one batch wants of one cluster: the plans of its cases, merged into one.

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::{member::Comment, survey::Seen};
use crate::{
    case::CaseId,
    pattern::Patterns,
    principal::{Digest, Principal, Principals},
};

/// Most cases that a kill's comment names: a storm's command is long enough without, and mongod
/// cuts its log lines at 10 kB. The batch's name is always there.
const CASES_IN_COMMENT: usize = 100;

/// One case's part of an order.
#[derive(Clone, Debug)]
pub struct Part {
    /// The case.
    pub case: CaseId,
    /// Whom it cuts.
    pub principals: Principals,
}

/// The merged plans of one batch for one cluster. It is about at least one case, and each case is
/// about at least one principal.
#[derive(Clone, Debug)]
pub struct Order {
    batch: Uuid,
    parts: Vec<Part>,
    everybody: Principals,
    wanted_by: HashMap<Digest, Vec<usize>>,
    digests: HashMap<Principal, Digest>,
}

impl Order {
    /// `None` where no case wants anything.
    pub fn new(batch: Uuid, parts: Vec<Part>) -> Option<Self> {
        let everybody = Principals::new(parts.iter().flat_map(|part| part.principals.iter().cloned()))?;
        let digests: HashMap<_, _> =
            everybody.iter().map(|principal| (principal.clone(), principal.digest())).collect();
        let mut wanted_by: HashMap<Digest, Vec<usize>> = HashMap::new();
        for (index, part) in parts.iter().enumerate() {
            for principal in &part.principals {
                if let Some(digest) = digests.get(principal) {
                    wanted_by.entry(*digest).or_default().push(index);
                }
            }
        }
        Some(Self { batch, parts, everybody, wanted_by, digests })
    }

    /// The cases, in the batch's order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Everybody whom some case names.
    pub fn principals(&self) -> &Principals {
        &self.everybody
    }

    /// The kill for all of them, in as many commands as are needed.
    pub fn patterns(&self) -> Vec<Patterns> {
        Patterns::of_principals(&self.everybody)
    }

    /// What goes into the comment of a kill for all of them.
    pub fn comment(&self) -> Comment {
        Comment {
            batch: self.batch,
            cases: self.parts.iter().take(CASES_IN_COMMENT).map(|part| part.case).collect(),
        }
    }

    /// The cases that are not among `given_up`, by index.
    pub fn others(&self, given_up: impl Fn(usize) -> bool) -> Vec<(usize, &Part)> {
        self.parts.iter().enumerate().filter(|(index, _)| !given_up(*index)).collect()
    }

    /// The kill for these cases only, and what goes into its comment.
    pub fn only(&self, parts: &[(usize, &Part)]) -> (Vec<Patterns>, Comment) {
        let named = Principals::new(parts.iter().flat_map(|(_, part)| part.principals.iter().cloned()));
        let cases = parts.iter().take(CASES_IN_COMMENT).map(|(_, part)| part.case).collect();
        let patterns = named.as_ref().map(Patterns::of_principals).unwrap_or_default();
        (patterns, Comment { batch: self.batch, cases })
    }

    /// What goes into the comment of a kill for one case.
    pub fn comment_for(&self, part: &Part) -> Comment {
        Comment { batch: self.batch, cases: vec![part.case] }
    }

    /// The cases that name this principal.
    pub fn parts_naming(&self, principal: &Principal) -> &[usize] {
        self.digests.get(principal).map_or(&[], |digest| self.parts_owning(digest))
    }

    fn parts_owning(&self, digest: &Digest) -> &[usize] {
        self.wanted_by.get(digest).map_or(&[], Vec::as_slice)
    }

    /// Whether the kill by user reaches it.
    pub fn reaches(&self, seen: &Seen) -> bool {
        seen.uid().is_some_and(|uid| self.wanted_by.contains_key(&uid))
    }

    /// Whether it belongs to nobody but those who are named.
    pub fn is_theirs_alone(&self, seen: &Seen) -> bool {
        !seen.strangers
            && !seen.users.is_empty()
            && seen.users.iter().all(|user| self.digests.contains_key(user))
    }

    /// The cases that it belongs to.
    pub fn owners(&self, seen: &Seen) -> Vec<usize> {
        let by_session = seen.uid().into_iter().flat_map(|uid| self.parts_owning(&uid));
        let by_user = seen.users.iter().flat_map(|user| self.parts_naming(user));
        let mut owners: Vec<_> = by_session.chain(by_user).copied().collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    /// The first principal of theirs that it belongs to.
    pub fn principal_of(&self, seen: &Seen) -> Option<&Principal> {
        seen.users
            .iter()
            .find_map(|user| self.digests.get_key_value(user).map(|(principal, _)| principal))
            .or_else(|| {
                let uid = seen.uid()?;
                let part = self.parts.get(*self.parts_owning(&uid).first()?)?;
                part.principals.iter().find(|principal| self.digests.get(*principal) == Some(&uid))
            })
    }

    /// Of every case an earlier one that names all of the same principals: that one did the cutting.
    pub fn cut_by(&self, index: usize) -> Option<CaseId> {
        let part = self.parts.get(index)?;
        let earlier = part
            .principals
            .iter()
            .map(|principal| self.parts_naming(principal).first().copied().filter(|first| *first < index));
        let mut first = None;
        for named in earlier {
            first = Some(named?).max(first);
        }
        self.parts.get(first?).map(|part| part.case)
    }
}

/// By cluster the cases that want something there, in the batch's order.
pub fn by_cluster<'a>(
    wanted: impl IntoIterator<Item = (&'a [Arc<str>], Part)>,
) -> Vec<(Arc<str>, Vec<Part>)> {
    let mut orders: Vec<(Arc<str>, Vec<Part>)> = Vec::new();
    for (clusters, part) in wanted {
        for cluster in clusters {
            match orders.iter_mut().find(|(name, _)| name == cluster) {
                Some((_, parts)) => parts.push(part.clone()),
                None => orders.push((cluster.clone(), vec![part.clone()])),
            }
        }
    }
    orders
}
