//! The time that a build may lose to the network: one budget for all requests together.
//!
//! Owns when to give up. Must not know what is requested.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Bytes that must arrive, over all requests together, for [`Limits::stall`] to count as progress. Less is a
/// connection that drips.
const MIN_PROGRESS: u64 = 16 << 10;

/// The limits of one prefetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Longest time to wait for a connection.
    pub(crate) connect: Duration,
    /// Longest time without progress.
    pub(crate) stall: Duration,
    /// Longest time for the lookup.
    pub(crate) lookup: Duration,
    /// Longest time for the downloads, whatever they would save.
    pub(crate) downloads: Duration,
}

/// Time runs out, and progress keeps it from running out early.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    deadline: Mutex<Instant>,
    received: AtomicU64,
    progress: Mutex<Progress>,
}

/// When so much had arrived that it counted.
#[derive(Debug)]
struct Progress {
    at: Instant,
    received: u64,
}

/// Why a request was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GaveUp {
    /// Nothing, or next to nothing, arrived for too long.
    #[error("nothing arrived for {:.1} s", .0.as_secs_f64())]
    Stalled(Duration),
    /// The whole time is used up.
    #[error("the time for downloads is used up")]
    OutOfTime,
}

impl Limits {
    /// For users who wait so long for nothing.
    pub(crate) fn of(patience: Duration) -> Self {
        Self {
            connect: patience,
            stall: patience,
            lookup: patience * 3,
            downloads: Duration::from_secs(120).max(patience),
        }
    }
}

impl Budget {
    /// Starts with the time for the lookup.
    pub(crate) fn start(limits: Limits) -> Self {
        Self {
            limits,
            deadline: Mutex::new(Instant::now() + limits.lookup),
            received: AtomicU64::new(0),
            progress: Mutex::new(Progress {
                at: Instant::now(),
                received: 0,
            }),
        }
    }

    /// From now on there is as much time as compiling would take, but some for the smallest builds and never more
    /// than the limit. The compile times come from strangers, so they only choose within our own bounds.
    pub(crate) fn allow_downloads(&self, compile_time: Duration) {
        let longest = self.limits.downloads;
        let allowed = compile_time.clamp(self.limits.lookup.min(longest), longest);
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + allowed;
    }

    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Counts bytes that have arrived.
    pub(crate) fn arrived(&self, bytes: u64) {
        let received = self.received.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if received.saturating_sub(progress.received) >= MIN_PROGRESS {
            *progress = Progress {
                at: Instant::now(),
                received,
            };
        }
    }

    /// Waits for one step of a request that has waited since then, such as the next piece of a body, as long as
    /// anything moves.
    pub(crate) async fn step<T>(&self, since: Instant, step: impl Future<Output = T>) -> Result<T, GaveUp> {
        tokio::pin!(step);
        loop {
            let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
            let stalled = self.stalled(since);
            match tokio::time::timeout_at(stalled.min(deadline), &mut step).await {
                Ok(done) => return Ok(done),
                Err(_) if Instant::now() >= deadline => return Err(GaveUp::OutOfTime),
                Err(_) if self.stalled(since) <= Instant::now() => return Err(GaveUp::Stalled(self.limits.stall)),
                Err(_) => {}
            }
        }
    }

    /// When a request has waited for too long, if nothing more arrives.
    fn stalled(&self, since: Instant) -> Instant {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner).at;
        since.max(progress) + self.limits.stall
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LIMITS: Limits = Limits {
        connect: Duration::from_secs(2),
        stall: Duration::from_secs(2),
        lookup: Duration::from_secs(10),
        downloads: Duration::from_secs(120),
    };

    #[tokio::test(start_paused = true)]
    async fn silence_is_given_up_after_the_stall_time() {
        let budget = Budget::start(LIMITS);
        let begin = Instant::now();
        let gave_up = budget.step(begin, pending::<()>()).await;
        assert_eq!(gave_up, Err(GaveUp::Stalled(LIMITS.stall)));
        assert_eq!(begin.elapsed().as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_last_progress_and_not_from_when_it_is_noticed() {
        let budget = Budget::start(LIMITS);
        let begin = Instant::now();
        let (gave_up, ()) = tokio::join!(budget.step(begin, pending::<()>()), async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            budget.arrived(MIN_PROGRESS);
        });
        assert_eq!(gave_up, Err(GaveUp::Stalled(LIMITS.stall)));
        assert_eq!(begin.elapsed().as_millis(), 2500);
    }

    #[tokio::test(start_paused = true)]
    async fn one_byte_a_second_is_no_progress() {
        let budget = Budget::start(LIMITS);
        let begin = Instant::now();
        let gave_up = loop {
            if let Err(gave_up) = budget.step(begin, tokio::time::sleep(Duration::from_secs(1))).await {
                break gave_up;
            }
            budget.arrived(1);
        };
        assert_eq!(gave_up, GaveUp::Stalled(LIMITS.stall));
        assert!(begin.elapsed().as_secs() <= 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_but_steady_download_ends_at_the_deadline() {
        let budget = Budget::start(LIMITS);
        budget.allow_downloads(Duration::from_secs(30));
        let begin = Instant::now();
        let gave_up = loop {
            if let Err(gave_up) = budget.step(begin, tokio::time::sleep(Duration::from_secs(1))).await {
                break gave_up;
            }
            budget.arrived(MIN_PROGRESS);
        };
        assert_eq!(gave_up, GaveUp::OutOfTime);
        assert_eq!(begin.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_compile_times_only_choose_within_our_bounds() {
        for (stated, allowed) in [(0, 10), (60, 60), (1_000_000, 120)] {
            let budget = Budget::start(LIMITS);
            budget.allow_downloads(Duration::from_secs(stated));
            let deadline = *budget.deadline.lock().unwrap();
            assert_eq!((deadline - Instant::now()).as_secs(), allowed);
        }
    }
}
