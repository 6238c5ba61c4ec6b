//! The outputs of one unit, from the public store into the local one.
//!
//! Owns what is asked for, in which order it is read back, and how much of it may be in memory at once.
//! Must not know plans or trust: it is given an offer that was verified.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use sealift_policy::digest::Digest;
use sealift_policy::layout::ObjectPath;
use sealift_policy::manifest::{Output, Role};
use sealift_policy::trust::TrustPolicy;
use tokio::sync::Semaphore;

use super::deposit::Deposit;
use super::flights::Aboard;
use super::frame::{Expected, FrameError};
use super::offer::Offer;
use super::present::is_usable;
use crate::remote::{Remote, RemoteError};

/// Outputs larger than this are left to the compiler.
const MAX_OUTPUT: u64 = 1 << 30;

/// Bytes, and time, after which the network's speed is judged.
const ENOUGH_TO_JUDGE: u64 = 1 << 20;
const LONG_ENOUGH_TO_JUDGE: Duration = Duration::from_secs(1);

/// How much smaller outputs are on their way, at least.
const COMPRESSION: u128 = 3;

/// How often is looked whether another process has a unit.
const POLL: Duration = Duration::from_millis(20);

/// What may be in memory at once of all downloads together, in kilobytes.
const MEMORY: u32 = 512 << 10;

/// Everything that downloads share.
pub(crate) struct Downloads<'a> {
    remote: &'a Remote,
    deposit: &'a Deposit,
    policy: &'a TrustPolicy,
    memory: Semaphore,
    begin: Instant,
}

/// Why a unit is not in the local store afterwards.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The public store did not give it.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Another process has fetched it.
    #[error("fetched by another build")]
    Elsewhere,
    /// Compiling it is faster.
    #[error("compiles faster than it downloads")]
    NotWorth,
    /// It is larger than any download may be.
    #[error("an output of {0} bytes is too large to be fetched")]
    TooLarge(u64),
    /// What came is not what a quorum vouches for.
    #[error("object {}: {reason}", .sha256.short())]
    Wrong {
        /// What was asked for.
        sha256: Digest,
        /// What came instead.
        #[source]
        reason: FrameError,
        /// Where it is kept.
        evidence: Option<PathBuf>,
    },
    /// The local store does not take it.
    #[error("failed to write to the local store: {0}")]
    Local(io::Error),
}

impl<'a> Downloads<'a> {
    /// From this store into that one.
    pub(crate) fn new(remote: &'a Remote, deposit: &'a Deposit, policy: &'a TrustPolicy) -> Self {
        Self {
            remote,
            deposit,
            policy,
            memory: Semaphore::new(MEMORY as usize),
            begin: Instant::now(),
        }
    }

    /// Fetches a unit, unless another process does.
    pub(super) async fn unit(&self, flight: &Aboard, offer: &Offer) -> Result<Duration, Failed> {
        while !flight.is_ours() {
            if !flight.is_elsewhere() {
                if is_usable(self.deposit, self.policy, offer.unit_key) {
                    return Err(Failed::Elsewhere);
                }
                // The other process is gone, or failed.
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        // Another process may have ended fetching it just before this one took it on.
        let fetched = if is_usable(self.deposit, self.policy, offer.unit_key) {
            Err(Failed::Elsewhere)
        } else if self.is_slower_than_compiling(offer) {
            Err(Failed::NotWorth)
        } else {
            self.fetch(flight, offer).await
        };
        flight.land();
        fetched
    }

    fn is_slower_than_compiling(&self, offer: &Offer) -> bool {
        let sizes = offer.manifest.value().outputs.iter().map(|output| output.size);
        let bytes = sizes.fold(0, u64::saturating_add);
        let (received, time) = (self.remote.budget().received(), self.begin.elapsed());
        is_slower_than_compiling(received, time, bytes, offer.compile_ms)
    }

    /// Fetches what is missing of a unit, and records the unit. Says how long the hashing took.
    async fn fetch(&self, flight: &Aboard, offer: &Offer) -> Result<Duration, Failed> {
        let outputs = &offer.manifest.value().outputs;
        let missing: Vec<_> = outputs.iter().filter(|output| !self.deposit.has(output)).collect();
        if let Some(large) = missing.iter().find(|output| output.size > MAX_OUTPUT) {
            return Err(Failed::TooLarge(large.size));
        }
        let kilobytes: u64 = missing.iter().map(|output| output.size / 512 + 1).sum();
        let permits = u32::try_from(kilobytes).unwrap_or(MEMORY).min(MEMORY);
        let _memory = self
            .memory
            .acquire_many(permits)
            .await
            .expect("the semaphore is never closed");
        let stored = try_join_all(missing.iter().map(|output| self.stored(flight, output))).await?;
        flight.arrived();
        let mut hashing = Duration::ZERO;
        // In the manifest's order: the rmeta comes before the rlib, whose prefix it is.
        for (output, stored) in missing.into_iter().zip(stored) {
            hashing += self.keep(offer, output, stored).await?;
        }
        let (deposit, offer) = (self.deposit, offer);
        deposit.put_unit(offer).map_err(Failed::Local)?;
        Ok(hashing)
    }

    async fn stored(&self, flight: &Aboard, output: &Output) -> Result<Vec<u8>, RemoteError> {
        let limit = Expected {
            sha256: output.sha256,
            size: output.size,
        }
        .stored_limit();
        let path = ObjectPath::Cas(output.sha256);
        self.remote.object(&path, limit, flight.arriving()).await
    }

    async fn keep(&self, offer: &Offer, output: &Output, stored: Vec<u8>) -> Result<Duration, Failed> {
        let rmeta = match output.role {
            Role::Rlib => offer.manifest.value().output(Role::Rmeta).cloned(),
            Role::Rmeta | Role::ProcMacro | Role::BuildScript | Role::Stdout | Role::OutDir => None,
        };
        let (deposit, wanted, stored) = (self.deposit.clone(), output.clone(), Arc::new(stored));
        let bytes = Arc::clone(&stored);
        let work = move || {
            let prefix = rmeta.and_then(|rmeta| deposit.content(&rmeta)).unwrap_or_default();
            deposit.put_output(&wanted, &bytes, &prefix)
        };
        let kept = tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|panic| Err(FrameError::Write(io::Error::other(panic))));
        kept.map_err(|error| match error {
            FrameError::Write(source) => Failed::Local(source),
            reason => {
                let sha256 = output.sha256;
                let evidence = self.deposit.put_evidence(&format!("object-{sha256}"), &stored);
                Failed::Wrong {
                    sha256,
                    reason,
                    evidence,
                }
            }
        })
    }
}

/// Whether the network has been so slow, by what it brought in this time, that the compiler makes so many bytes faster.
fn is_slower_than_compiling(received: u64, time: Duration, bytes: u64, compile_ms: u64) -> bool {
    if received < ENOUGH_TO_JUDGE || time < LONG_ENOUGH_TO_JUDGE {
        return false;
    }
    let download_ms = u128::from(bytes) / COMPRESSION * time.as_millis() / u128::from(received);
    download_ms > u128::from(compile_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w14_what_downloads_more_slowly_than_it_compiles_is_left_alone() {
        let (megabyte, second) = (1 << 20, Duration::from_secs(1));
        // A megabyte a second; nine megabytes of outputs are three on their way.
        assert!(is_slower_than_compiling(2 * megabyte, second * 2, 9 * megabyte, 2900));
        assert!(!is_slower_than_compiling(2 * megabyte, second * 2, 9 * megabyte, 3100));
        // A hundred megabytes a second.
        assert!(!is_slower_than_compiling(200 * megabyte, second * 2, 9 * megabyte, 100));
        // Too early to judge.
        assert!(!is_slower_than_compiling(1000, second * 2, 9 * megabyte, 1));
        assert!(!is_slower_than_compiling(2 * megabyte, second / 2, 90 * megabyte, 1));
        // A store may state anything.
        assert!(!is_slower_than_compiling(megabyte, second, u64::MAX, u64::MAX));
    }
}
