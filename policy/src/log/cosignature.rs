//! Cosignatures of witnesses on checkpoints (<https://c2sp.org/tlog-cosignature>, Ed25519, `cosignature/v1`).
//!
//! Owns the message and the witness's key. Must not know the time, how many witnesses are wanted, or who they are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::checkpoint::VerifiedCheckpoint;
use super::key::{KeyError, NamedKey, Origin};

/// The signature type of timestamped Ed25519 cosignatures.
const TYPE_COSIGNATURE: u8 = 0x04;

/// A witness's public key, as a C2SP verifier key of type 0x04.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WitnessVerifier(NamedKey);

/// That a witness has seen a checkpoint. Only [`WitnessVerifier::cosigned`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedCosignature {
    time: u64,
}

/// Why a witness's cosignature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureError {
    /// The witness has not cosigned this checkpoint.
    #[error("`{witness}` has not cosigned the checkpoint")]
    Missing {
        /// The witness.
        witness: Origin,
    },
    /// A line with its name and key id does not verify, or has time 0 or one beyond 2^63 - 1.
    #[error("bad cosignature of `{witness}`")]
    Bad {
        /// The witness.
        witness: Origin,
    },
}

impl WitnessVerifier {
    /// The name of the witness.
    pub fn name(&self) -> &Origin {
        &self.0.name
    }

    /// The Ed25519 public key alone, whatever it is called and used for.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.0.point
    }

    /// Whether the witness has cosigned this checkpoint, and when. Of several cosignatures all must verify and the
    /// newest is returned. The caller refuses times in the future.
    pub fn cosigned(&self, checkpoint: &VerifiedCheckpoint) -> Result<VerifiedCosignature, CosignatureError> {
        let bad = || CosignatureError::Bad {
            witness: self.name().clone(),
        };
        let mut newest = None;
        for signature in checkpoint.note().signatures_of(self) {
            let time = self.time_of(checkpoint.note().text(), signature).ok_or_else(bad)?;
            newest = newest.max(Some(time));
        }
        let time = newest.ok_or_else(|| CosignatureError::Missing {
            witness: self.name().clone(),
        })?;
        Ok(VerifiedCosignature { time })
    }

    fn time_of(&self, text: &[u8], signature: &[u8]) -> Option<u64> {
        let (time, signature) = signature.split_first_chunk()?;
        let time = u64::from_be_bytes(*time);
        let message = [b"cosignature/v1\n", format!("time {time}\n").as_bytes(), text].concat();
        let valid = (1..=i64::MAX.unsigned_abs()).contains(&time) && self.0.verifies(&message, signature);
        valid.then_some(time)
    }
}

impl VerifiedCosignature {
    /// When the witness saw it, in seconds since 1970; never 0.
    pub fn time(self) -> u64 {
        self.time
    }
}

impl signed_note::Verifier for WitnessVerifier {
    fn name(&self) -> &str {
        self.0.name.as_str()
    }

    fn key_id(&self) -> u32 {
        self.0.id
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        self.time_of(text, signature).is_some()
    }
}

impl FromStr for WitnessVerifier {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NamedKey::parse(text, TYPE_COSIGNATURE).map(Self)
    }
}

impl TryFrom<String> for WitnessVerifier {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<WitnessVerifier> for String {
    fn from(key: WitnessVerifier) -> Self {
        key.to_string()
    }
}

impl fmt::Display for WitnessVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
