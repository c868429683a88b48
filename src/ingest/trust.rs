//! Whoever can write to a topic can say its words: this says which words a topic has.

use std::{collections::HashMap, sync::Arc};

use globset::{Glob, GlobMatcher};

/// Types that undo a cut, allow one, or ask for everyone. They are accepted only from a topic
/// whose `accept_types` names them; a pattern like `*` or `io.severance.*` does not.
pub const NAMED_ONLY: [&str; 4] = [
    "io.severance.account.reinstated.",
    "io.severance.termination.approved.",
    "io.severance.termination.denied.",
    "io.severance.termination.everyone-requested.",
];

/// Why a topic's word does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// The type is not among the topic's `accept_types`.
    #[error("this topic may not say events of this type (accept_types)")]
    Type,
    /// The source is not among the topic's `accept_sources`.
    #[error("this topic may not speak for this source (accept_sources)")]
    Source,
}

/// What one topic may say.
#[derive(Clone, Debug)]
pub struct TopicTrust {
    types: Option<Vec<Glob>>,
    sources: Option<Vec<GlobMatcher>>,
}

impl TopicTrust {
    /// `None` accepts every source, and every type except those that have to be named.
    pub fn new(types: Option<Vec<Glob>>, sources: Option<Vec<Glob>>) -> Self {
        Self { types, sources: sources.map(|globs| globs.iter().map(Glob::compile_matcher).collect()) }
    }

    /// Whether the topic may say an event of this type for this source.
    pub fn judge(&self, kind: &str, source: &str) -> Result<(), Distrust> {
        let named_only = NAMED_ONLY.iter().find(|prefix| kind.starts_with(**prefix));
        let accepted = match &self.types {
            None => named_only.is_none(),
            Some(globs) => globs.iter().any(|glob| {
                named_only.is_none_or(|prefix| glob.glob().starts_with(prefix))
                    && glob.compile_matcher().is_match(kind)
            }),
        };
        if !accepted {
            return Err(Distrust::Type);
        }
        match &self.sources {
            Some(globs) if !globs.iter().any(|glob| glob.is_match(source)) => Err(Distrust::Source),
            Some(_) | None => Ok(()),
        }
    }
}

/// What every topic may say. An event that is not from a topic (a file, standard input) is the
/// word of whoever runs the command and is trusted.
#[derive(Clone, Debug, Default)]
pub struct Trust(HashMap<Arc<str>, TopicTrust>);

impl Trust {
    /// By topic name.
    pub fn new(topics: impl IntoIterator<Item = (Arc<str>, TopicTrust)>) -> Self {
        Self(topics.into_iter().collect())
    }

    /// Whether `origin` may say an event of this type for this source. A topic that is not
    /// listed may say nothing.
    pub fn judge(&self, origin: &super::Origin, kind: &str, source: &str) -> Result<(), Distrust> {
        match origin {
            super::Origin::Kafka { topic, .. } => match self.0.get(topic) {
                Some(trust) => trust.judge(kind, source),
                None => Err(Distrust::Type),
            },
            super::Origin::Job { .. } | super::Origin::Local => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(types: Option<&[&str]>, sources: Option<&[&str]>) -> TopicTrust {
        let globs = |list: &[&str]| list.iter().map(|glob| Glob::new(glob).unwrap()).collect();
        TopicTrust::new(types.map(globs), sources.map(globs))
    }

    const COMPROMISED: &str = "io.severance.account.compromised.v1";
    const REINSTATED: &str = "io.severance.account.reinstated.v1";

    #[test]
    fn a_topic_without_a_list_may_not_release_anybody() {
        let open = trust(None, None);
        assert_eq!(open.judge(COMPROMISED, "/any"), Ok(()));
        assert_eq!(open.judge(REINSTATED, "/any"), Err(Distrust::Type));
    }

    #[test]
    fn a_wildcard_does_not_name_a_type_that_has_to_be_named() {
        assert_eq!(trust(Some(&["io.severance.*"]), None).judge(REINSTATED, "/hr"), Err(Distrust::Type));
        let named = trust(Some(&["io.severance.account.reinstated.*"]), None);
        assert_eq!(named.judge(REINSTATED, "/hr"), Ok(()));
        assert_eq!(named.judge(COMPROMISED, "/hr"), Err(Distrust::Type));
    }

    #[test]
    fn a_source_outside_the_list_does_not_count() {
        let siem = trust(None, Some(&["/siem/*"]));
        assert_eq!(siem.judge(COMPROMISED, "/siem/acme"), Ok(()));
        assert_eq!(siem.judge(COMPROMISED, "/hr"), Err(Distrust::Source));
    }
}
