//! How long to wait before trying again: the one file that knows the `backoff` crate, so that
//! another policy is a change here and nowhere else.

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};

/// Growing delays with jitter, without end: whoever asks has a deadline of its own.
pub struct Delays(ExponentialBackoff);

impl Delays {
    /// From `first` up to `longest`, each about half as long again.
    pub fn between(first: Duration, longest: Duration) -> Self {
        Self(
            ExponentialBackoffBuilder::new()
                .with_initial_interval(first)
                .with_max_interval(longest)
                .with_multiplier(1.5)
                .with_randomization_factor(0.3)
                .with_max_elapsed_time(None)
                .build(),
        )
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(self.0.max_interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_longest_and_never_end() {
        let (first, longest) = (Duration::from_millis(10), Duration::from_millis(200));
        let mut delays = Delays::between(first, longest);
        assert!(delays.next_delay() <= first.mul_f64(1.31));
        assert!((0..100).map(|_| delays.next_delay()).all(|delay| delay <= longest.mul_f64(1.31)));
        assert!(delays.next_delay() >= longest.mul_f64(0.69));
    }
}
