//! The clock of this program: asked at its edge, passed in everywhere else.

use std::time::SystemTime;

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge of the program, where the clock is asked"
)]
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}
