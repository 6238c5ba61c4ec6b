//! A witness (<https://c2sp.org/tlog-witness>): cosigns a log's head if it extends the last one that it has seen.
//!
//! Owns the order in which it decides, remembers and answers. Must not know HTTP, or what time it is.

pub mod data;
pub mod decide;
pub mod known_logs;
pub mod request;
pub mod serve;

use std::io;
use std::sync::{Mutex, PoisonError};

use sealift_policy::log::cosignature::{BadTime, WitnessSigner};
use sealift_policy::log::{Origin, SignedCheckpoint, VerifiedCheckpoint};

use self::data::{HeadsError, WitnessData};
use self::decide::{Decision, Refusal, decide};
use self::known_logs::KnownLogs;
use self::request::Request;

/// A running witness.
#[derive(Debug)]
pub struct Witness {
    data: WitnessData,
    signer: WitnessSigner,
    logs: KnownLogs,
    // Held from reading a known head to replacing it: two requests that are both consistent with one head must not be
    // cosigned in the wrong order.
    turn: Mutex<()>,
}

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The request is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What was seen before is damaged or cannot be written. Nothing is cosigned for that log until somebody looks.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// The clock is wrong.
    #[error(transparent)]
    Clock(#[from] BadTime),
}

impl Witness {
    /// A witness with its key, for these logs. Everything that it remembers of them must be readable.
    ///
    /// # Errors
    /// When a remembered head is damaged, or not of the key that is configured for its log.
    pub fn new(data: WitnessData, signer: WitnessSigner, logs: KnownLogs) -> Result<Self, HeadsError> {
        for key in logs.iter() {
            data.head(key)?;
        }
        Ok(Self {
            data,
            signer,
            logs,
            turn: Mutex::new(()),
        })
    }

    /// The logs whose heads it cosigns.
    pub fn logs(&self) -> &KnownLogs {
        &self.logs
    }

    /// Answers the body of an `add-checkpoint` request with a cosignature line.
    ///
    /// # Errors
    /// When it is refused, or the new head cannot be remembered.
    pub fn add_checkpoint(&self, body: &[u8], now: u64) -> Result<String, WitnessError> {
        let request = Request::parse(body)?.verified(&self.logs)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.data.head(request.log)?;
        if let Decision::Refuse(refusal) = decide(&request, known.as_ref()) {
            if let (Refusal::NotConsistent { .. }, Some(known)) = (&refusal, &known) {
                self.data.keep_evidence(&request, known);
            }
            return Err(refusal.into());
        }
        // 1. Signed in memory. A crash here leaves nothing: the signature never left this process.
        let line = self.signer.cosign(&request.head, now)?;
        // 2. Remembered, durable, with the cosignature. A crash here, or before the answer arrives, leaves a head that
        //    nobody has a cosignature for: the log asks again from that size, and gets another one. If the write
        //    reports a failure it may have happened all the same; the next request reads what is there.
        self.data.remember(request.log, &request.head, &line)?;
        // 3. Answered.
        Ok(line)
    }

    /// The last head of a log that it has cosigned, with its cosignature; by the SHA-256 of the origin, in hexadecimal.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn latest(&self, origin_hash: &str) -> Result<Option<VerifiedCheckpoint>, HeadsError> {
        let is_asked_for = |origin: &Origin| data::origin_hash(origin) == origin_hash;
        match self.logs.iter().find(|key| is_asked_for(key.origin())) {
            Some(key) => self.data.head(key),
            None => Ok(None),
        }
    }
}

/// A head with one line more.
///
/// # Errors
/// When that is no checkpoint any more.
fn with_line(head: &VerifiedCheckpoint, line: &str) -> io::Result<SignedCheckpoint> {
    let bytes = [head.as_bytes(), line.as_bytes()].concat();
    SignedCheckpoint::parse(&bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
