//! How long a job waits before its next attempt.

use std::time::Duration;

/// Delays that double from the first to the longest. An attempt costs a transaction and an
/// outcome, so the longest is minutes; a cluster that is heard of again wakes its jobs at once
/// ([`super::Book::wake`]), so nothing waits that long for no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Delays {
    /// After the first attempt.
    pub first: Duration,
    /// However many there were.
    pub longest: Duration,
}

/// A delay may be this much shorter or longer than its turn, in percent, so that jobs of one
/// outage do not all come back in one moment.
const JITTER_PERCENT: u32 = 20;

impl Default for Delays {
    fn default() -> Self {
        Self { first: Duration::from_secs(2), longest: Duration::from_secs(300) }
    }
}

impl Delays {
    /// After `attempts` attempts; `dice` is any number, drawn by the caller.
    pub fn after(&self, attempts: u32, dice: u32) -> Duration {
        let doubled = 2u32.checked_pow(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        let turn = self.first.saturating_mul(doubled).min(self.longest);
        let percent = 100 - JITTER_PERCENT + dice % (2 * JITTER_PERCENT + 1);
        turn.saturating_mul(percent) / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let delays = Delays::default();
        let middle = JITTER_PERCENT;
        let seconds: Vec<u64> = (0..12).map(|attempts| delays.after(attempts, middle).as_secs()).collect();
        assert_eq!(seconds, [2, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    proptest! {
        #[test]
        fn a_delay_is_never_far_from_its_turn(attempts: u32, dice: u32) {
            let delays = Delays::default();
            let delay = delays.after(attempts, dice);
            prop_assert!(delay >= delays.first.mul_f64(0.79) && delay <= delays.longest.mul_f64(1.21));
        }
    }
}
