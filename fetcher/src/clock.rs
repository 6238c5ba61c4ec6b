//! The one place that asks for the time of day.
//!
//! Must not know what it is needed for.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970; negative before.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else is given"
)]
pub fn seconds() -> i64 {
    let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => seconds(since),
        Err(before) => -seconds(before.duration()),
    }
}
