//! The units on their way, as this process and others see them.
//!
//! Owns which of the units this process fetches and which another one does already, and telling the local store how
//! far each is. Must not know what is downloaded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sealift_policy::digest::UnitKey;

use super::offer::Offer;
use crate::events::BuildId;
use crate::flight::{Flight, TELL};
use crate::remote::Arriving;
use crate::store::Store;

/// All units of a prefetch.
pub(super) struct Flights(Vec<Aboard>);

/// One of them. Whatever happens to the prefetch, nobody goes on waiting for it.
#[derive(Debug)]
pub(super) struct Aboard {
    store: Store,
    key: UnitKey,
    flight: Option<Flight>,
    arriving: Arriving,
    arrived: AtomicBool,
}

impl Flights {
    /// Takes on to fetch these units, as far as no other process does.
    pub(super) fn board(store: &Store, offers: &[Offer]) -> Self {
        let fetcher = BuildId::of_process(std::process::id()).map(|this| this.to_string());
        let aboard = |offer: &Offer| {
            let flight = Flight {
                version: 1,
                fetcher: fetcher.clone().unwrap_or_default(),
                worth_ms: worth_ms(offer),
                received: 0,
                expected: 0,
                arrived: false,
            };
            // Where it cannot be written, no wrapper waits, and nothing else changes.
            let is_ours = flight.board(store, offer.unit_key).unwrap_or(true);
            Aboard {
                store: store.clone(),
                key: offer.unit_key,
                flight: is_ours.then_some(flight),
                arriving: Arriving::default(),
                arrived: AtomicBool::default(),
            }
        };
        Self(offers.iter().map(aboard).collect())
    }

    /// In the order of the offers.
    pub(super) fn all(&self) -> &[Aboard] {
        &self.0
    }

    /// Tells how far each unit is, for ever.
    pub(super) async fn tell(&self) {
        let mut told = vec![(0, false); self.0.len()];
        loop {
            tokio::time::sleep(TELL).await;
            for (aboard, told) in self.0.iter().zip(&mut told) {
                let now = (aboard.arriving.received(), aboard.arrived.load(Ordering::Relaxed));
                if now != *told {
                    *told = now;
                    aboard.tell();
                }
            }
        }
    }
}

impl Aboard {
    /// Whether this process is to fetch it.
    pub(super) fn is_ours(&self) -> bool {
        self.flight.is_some()
    }

    /// Whether another process still fetches it.
    pub(super) fn is_elsewhere(&self) -> bool {
        Flight::of(&self.store, self.key).is_some()
    }

    /// What has come of it.
    pub(super) fn arriving(&self) -> &Arriving {
        &self.arriving
    }

    /// All of it has come; what is left is this machine's own work.
    pub(super) fn arrived(&self) {
        self.arrived.store(true, Ordering::Relaxed);
    }

    /// It is there, or will not come.
    pub(super) fn land(&self) {
        if self.is_ours() {
            Flight::land(&self.store, self.key);
        }
    }

    fn tell(&self) {
        // A unit that has landed stays so.
        if let Some(flight) = &self.flight
            && self.is_elsewhere()
        {
            let flight = Flight {
                received: self.arriving.received(),
                expected: self.arriving.expected(),
                arrived: self.arrived.load(Ordering::Relaxed),
                ..flight.clone()
            };
            // Losing it ends a wait early.
            let _ = flight.update(&self.store, self.key);
        }
    }
}

impl Drop for Aboard {
    fn drop(&mut self) {
        self.land();
    }
}

/// What compiling a unit takes, as far as that can be believed: the times that the store states are not signed, the
/// sizes are.
fn worth_ms(offer: &Offer) -> u64 {
    let sizes = offer.manifest.value().outputs.iter().map(|output| output.size);
    let bytes = sizes.fold(0_u64, u64::saturating_add);
    let plausible = SHORTEST + Duration::from_millis(bytes / SLOWEST_BYTES_PER_MS);
    offer
        .compile_ms
        .min(u64::try_from(plausible.as_millis()).unwrap_or(u64::MAX))
}

/// What the smallest unit may take to compile.
const SHORTEST: Duration = Duration::from_millis(500);

/// Bytes of output that even a slow compiler writes in a millisecond.
const SLOWEST_BYTES_PER_MS: u64 = 500;
