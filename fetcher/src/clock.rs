//! The one place that asks for the time of day, and for what was spent of a processor's.
//!
//! Must not know what it is needed for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970; negative before.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else is given"
)]
pub fn seconds() -> i64 {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => seconds(since),
        Err(before) => -seconds(before.duration()),
    }
}

/// Time since 1970; none before.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else is given"
)]
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What this thread has used of a processor so far, whatever else the machine did meanwhile.
pub fn of_thread() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
