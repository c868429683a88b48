//! A moment as RFC 3339 writes it, with its offset.

use jiff::Timestamp;

/// What a fault says is expected.
pub(super) const FORM: &str = "a date and time as in RFC 3339 with its offset, for example 2026-11-25T01:02:03Z or 2026-11-25T02:02:03+01:00";

/// Exactly RFC 3339. jiff alone reads more (no seconds, no separators, zone names), and what is
/// local time somewhere is not a moment. Digits below the nanosecond are cut off.
pub(super) fn rfc3339(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let fits = |shape: &[u8], part: &[u8]| {
        shape.len() == part.len()
            && shape.iter().zip(part).all(|(shape, byte)| match shape {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't'),
                b'+' => matches!(byte, b'+' | b'-'),
                other => other == byte,
            })
    };
    let (moment, rest) = bytes.split_at_checked("0000-00-00T00:00:00".len())?;
    if !fits(b"0000-00-00T00:00:00", moment) {
        return None;
    }
    let digits = match rest {
        [b'.', digits @ ..] => digits.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    };
    let (fraction, offset) = rest.split_at_checked(if rest.starts_with(b".") { digits + 1 } else { 0 })?;
    let has_offset = matches!(offset, b"Z" | b"z")
        || (fits(b"+00:00", offset)
            && &offset[1..3] <= b"23".as_slice()
            && &offset[4..6] <= b"59".as_slice());
    if fraction == b"." || !has_offset {
        return None;
    }
    // All of it is ASCII here, so no index falls inside a character.
    let kept = moment.len() + fraction.len().min(".000000000".len());
    let offset = &text[text.len() - offset.len()..];
    format!("{}{offset}", &text[..kept]).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_an_offset() {
        for (text, utc) in [
            ("2026-11-25T01:02:03Z", "2026-11-25T01:02:03Z"),
            ("2026-11-25t01:02:03z", "2026-11-25T01:02:03Z"),
            ("2026-11-25T01:02:03.5+01:00", "2026-11-25T00:02:03.5Z"),
            ("2026-11-25T01:02:03-00:00", "2026-11-25T01:02:03Z"),
            ("2026-11-25T01:02:03.1234567891234Z", "2026-11-25T01:02:03.123456789Z"),
        ] {
            assert_eq!(rfc3339(text).map(|moment| moment.to_string()), Some(utc.to_owned()), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_moment() {
        for text in [
            "",
            "2026-11-25",
            "2026-11-25T01:02:03",
            "2026-11-25 01:02:03Z",
            "2026-11-25T01:02Z",
            "20261125T010203Z",
            "2026-11-25T01:02:03.Z",
            "2026-11-25T01:02:03.5",
            "2026-11-25T01:02:03+0100",
            "2026-11-25T01:02:03+24:00",
            "2026-11-25T01:02:03+01:60",
            "2026-11-25T01:02:03[Europe/Vienna]",
            "2026-11-25T01:02:03Z[Europe/Vienna]",
            "2026-02-30T01:02:03Z",
            "2026-11-25T25:02:03Z",
            "2026-11-25T01:02:03Z ",
            "١٢٣٤-11-25T01:02:03Z",
            "2026-11-25T01:02:0é3Z",
            "1764032523",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }
}
