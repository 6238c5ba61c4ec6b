//! How much of an answer has come, for whoever waits for it.
//!
//! Must not know what the bytes are.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of some requests that belong together.
#[derive(Debug, Default)]
pub(crate) struct Arriving {
    /// Answers that have not said how long they are.
    unknown: AtomicU64,
    expected: AtomicU64,
    received: AtomicU64,
}

impl Arriving {
    /// Bytes that have come.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes that will have come; 0 until all answers say how long they are.
    pub(crate) fn expected(&self) -> u64 {
        match self.unknown.load(Ordering::Relaxed) {
            0 => self.expected.load(Ordering::Relaxed),
            _ => 0,
        }
    }

    /// Something is asked for.
    pub(super) fn ask(&self) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }

    /// An answer says that so many will come.
    pub(super) fn expect(&self, bytes: u64) {
        self.expected.fetch_add(bytes, Ordering::Relaxed);
        self.unknown.fetch_sub(1, Ordering::Relaxed);
    }

    /// So many have come.
    pub(super) fn arrived(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }
}
