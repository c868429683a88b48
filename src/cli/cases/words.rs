//! How things are said to people.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

/// A value's word in our records.
pub fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => "-".to_owned(),
    }
}

/// A text from elsewhere: nothing in it moves the cursor or ends the line.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// About how long, in one unit.
pub fn about(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long ago `at` was.
pub fn since(at: Timestamp, now: Timestamp) -> String {
    about(Duration::try_from(now.duration_since(at)).unwrap_or(Duration::ZERO))
}

/// When `at` will be.
pub fn until(at: Timestamp, now: Timestamp) -> String {
    match Duration::try_from(at.duration_since(now)) {
        Ok(left) if left > Duration::ZERO => format!("in {}", about(left)),
        Ok(_) | Err(_) => "now".to_owned(),
    }
}
