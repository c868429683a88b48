//! Labels whose values come from outside, and are therefore counted: each has at most so many
//! values, and whatever is beyond becomes one more, [`OTHER`].

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

/// What stands for every value beyond the most.
pub const OTHER: &str = "other";

/// What stands where there is no value.
pub const NONE: &str = "none";

/// Longest value of a label, in bytes.
const MOST_BYTES: usize = 200;

/// The values of one label so far.
#[derive(Debug)]
pub struct Bounded {
    most: usize,
    seen: RwLock<HashSet<Arc<str>>>,
}

impl Bounded {
    /// At most so many values.
    pub fn new(most: usize) -> Self {
        Self { most, seen: RwLock::default() }
    }

    /// `value`, or [`OTHER`] where there are too many already.
    pub fn bound(&self, value: &str) -> Arc<str> {
        let value = &value[..value.floor_char_boundary(MOST_BYTES)];
        // A set of names is whole whatever panicked while it was held.
        if let Some(known) = self.seen.read().unwrap_or_else(PoisonError::into_inner).get(value) {
            return known.clone();
        }
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.get(value) {
            return known.clone();
        }
        if seen.len() >= self.most {
            return OTHER.into();
        }
        let value: Arc<str> = value.into();
        seen.insert(value.clone());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_most_is_one_value() {
        let label = Bounded::new(2);
        let told = |value: &str| label.bound(value).to_string();
        assert_eq!([told("a"), told("b"), told("c"), told("a"), told("d")], ["a", "b", OTHER, "a", OTHER]);
    }

    #[test]
    fn a_value_is_never_long() {
        assert_eq!(Bounded::new(1).bound(&"é".repeat(1000)).len(), 200);
    }
}
