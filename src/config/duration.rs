//! How long: `100ms`, `2s`, `15m`, `24h`, `7d` or `0`. One number and one unit, so that there is
//! one way to write it and nothing to guess.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDuration {
    /// There is no whole number in front.
    #[error("does not begin with a whole number")]
    Number,
    /// A number without a unit.
    #[error("has no unit")]
    NoUnit,
    /// A unit that we do not know.
    #[error("has no unit that we know")]
    Unit,
    /// Below zero.
    #[error("is negative")]
    Negative,
    /// More than 64 bits of milliseconds.
    #[error("is too long")]
    TooLong,
}

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Reads a duration.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    if text.starts_with('-') {
        return Err(InvalidDuration::Negative);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(InvalidDuration::Number);
    }
    let number: u64 = number.parse().map_err(|_| InvalidDuration::TooLong)?;
    let unit_ms = match unit {
        "" if number == 0 => 1,
        "" => return Err(InvalidDuration::NoUnit),
        "ms" => 1,
        "s" => SECOND_MS,
        "m" => MINUTE_MS,
        "h" => HOUR_MS,
        "d" => DAY_MS,
        _ => return Err(InvalidDuration::Unit),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or(InvalidDuration::TooLong)
}

/// Writes a duration as [`parse`] reads it, with the largest unit that leaves no remainder.
pub fn write(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (SECOND_MS, "s")];
    match units.into_iter().find(|(unit_ms, _)| ms.is_multiple_of(u128::from(*unit_ms))) {
        _ if ms == 0 => "0".to_owned(),
        Some((unit_ms, unit)) => format!("{}{unit}", ms / u128::from(unit_ms)),
        None => format!("{ms}ms"),
    }
}

/// Writes a duration for people, with every unit that it needs: `7d 1h 30s`.
pub fn spell(duration: Duration) -> String {
    let mut ms = duration.as_millis();
    let mut parts = Vec::new();
    for (unit_ms, unit) in [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (SECOND_MS, "s"), (1, "ms")] {
        let count = ms / u128::from(unit_ms);
        ms %= u128::from(unit_ms);
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
    }
    if parts.is_empty() { "0".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_is_spelled_with_every_unit_that_it_needs() {
        let spelled = |seconds| spell(Duration::from_secs(seconds));
        assert_eq!(
            (spelled(608_430), spelled(86_400), spelled(61)),
            ("7d 1h 30s".into(), "1d".into(), "1m 1s".into())
        );
        assert_eq!((spelled(0), spell(Duration::from_millis(1_002))), ("0".into(), "1s 2ms".into()));
    }

    #[test]
    fn every_unit_is_understood_and_only_zero_needs_none() {
        for (text, seconds) in [("0", 0), ("2s", 2), ("15m", 900), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("100ms"), Ok(Duration::from_millis(100)));
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for (text, error) in [
            ("5", InvalidDuration::NoUnit),
            ("-5s", InvalidDuration::Negative),
            ("5 s", InvalidDuration::Unit),
            ("5S", InvalidDuration::Unit),
            ("1h30m", InvalidDuration::Unit),
            ("1.5h", InvalidDuration::Unit),
            ("", InvalidDuration::Number),
            ("soon", InvalidDuration::Number),
            ("18446744073709551615d", InvalidDuration::TooLong),
            ("99999999999999999999s", InvalidDuration::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ms in 0..u64::MAX / DAY_MS) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse(&write(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = parse(&text);
        }
    }
}
