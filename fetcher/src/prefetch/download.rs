//! The outputs of one unit, from the public store into the local one.
//!
//! Owns what is asked for, in which order it is read back, and how much of it may be in memory at once.
//! Must not know plans or trust: it is given an offer that was verified.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use sealift_policy::digest::Digest;
use sealift_policy::layout::ObjectPath;
use sealift_policy::manifest::{Output, Role};
use tokio::sync::Semaphore;

use super::deposit::Deposit;
use super::frame::{Expected, FrameError};
use super::offer::Offer;
use crate::remote::{Remote, RemoteError};

/// Outputs larger than this are left to the compiler.
const MAX_OUTPUT: u64 = 1 << 30;

/// What may be in memory at once of all downloads together, in kilobytes.
const MEMORY: u32 = 512 << 10;

/// Everything that downloads share.
pub(crate) struct Downloads<'a> {
    remote: &'a Remote,
    deposit: &'a Deposit,
    memory: Semaphore,
}

/// Why a unit is not in the local store afterwards.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The public store did not give it.
    #[error(transparent)]
    Remote(#[from] RemoteError),
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
    pub(crate) fn new(remote: &'a Remote, deposit: &'a Deposit) -> Self {
        Self {
            remote,
            deposit,
            memory: Semaphore::new(MEMORY as usize),
        }
    }

    /// Fetches what is missing of a unit, and records the unit. Says how long the hashing took.
    pub(crate) async fn unit(&self, offer: &Offer) -> Result<Duration, Failed> {
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
        let stored = try_join_all(missing.iter().map(|output| self.stored(output))).await?;
        let mut hashing = Duration::ZERO;
        // In the manifest's order: the rmeta comes before the rlib, whose prefix it is.
        for (output, stored) in missing.into_iter().zip(stored) {
            hashing += self.keep(offer, output, stored).await?;
        }
        let (deposit, offer) = (self.deposit, offer);
        deposit.put_unit(offer).map_err(Failed::Local)?;
        Ok(hashing)
    }

    async fn stored(&self, output: &Output) -> Result<Vec<u8>, RemoteError> {
        let limit = Expected {
            sha256: output.sha256,
            size: output.size,
        }
        .stored_limit();
        self.remote.object(&ObjectPath::Cas(output.sha256), limit).await
    }

    async fn keep(&self, offer: &Offer, output: &Output, stored: Vec<u8>) -> Result<Duration, Failed> {
        let rmeta = match output.role {
            Role::Rlib => offer.manifest.value().output(Role::Rmeta).cloned(),
            Role::Rmeta | Role::ProcMacro | Role::BuildScript => None,
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
