//! Cosignatures of witnesses on checkpoints (<https://c2sp.org/tlog-cosignature>, Ed25519, `cosignature/v1`).
//!
//! Owns the message and both halves of the witness's key. Must not know the time, how many witnesses are wanted, or who they are.

use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRngCore;
use serde::{Deserialize, Serialize};
use signed_note::Signature;

use super::checkpoint::VerifiedCheckpoint;
use super::key::{KeyError, NamedKey, NamedSecret, Origin};
use super::signatures::{Forgetful, SignatureMemory, is_right};

/// The signature type of timestamped Ed25519 cosignatures.
const TYPE_COSIGNATURE: u8 = 0x04;

/// A witness's public key, as a C2SP verifier key of type 0x04.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WitnessVerifier(NamedKey);

/// That a witness has seen a checkpoint. Only [`WitnessVerifier::cosigned_with`] makes one.
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
        self.cosigned_with(&Forgetful, checkpoint)
    }

    /// The same, with a memory of signatures that were right.
    pub fn cosigned_with(
        &self,
        memory: &dyn SignatureMemory,
        checkpoint: &VerifiedCheckpoint,
    ) -> Result<VerifiedCosignature, CosignatureError> {
        let bad = || CosignatureError::Bad {
            witness: self.name().clone(),
        };
        let mut newest = None;
        for signature in checkpoint.note().signatures_of(self) {
            let time = self.time_of_with(memory, checkpoint.note().text(), signature);
            let time = time.ok_or_else(bad)?;
            newest = newest.max(Some(time));
        }
        let time = newest.ok_or_else(|| CosignatureError::Missing {
            witness: self.name().clone(),
        })?;
        Ok(VerifiedCosignature { time })
    }

    pub(super) fn time_of(&self, text: &[u8], signature: &[u8]) -> Option<u64> {
        self.time_of_with(&Forgetful, text, signature)
    }

    fn time_of_with(&self, memory: &dyn SignatureMemory, text: &[u8], signature: &[u8]) -> Option<u64> {
        let (time, signature) = signature.split_first_chunk()?;
        let time = u64::from_be_bytes(*time);
        let message = message(time, text);
        let claimed = (self.public_key(), &message[..], signature);
        let verify = || self.0.verifies(&message, signature);
        (TIMES.contains(&time) && is_right(memory, claimed, verify)).then_some(time)
    }
}

/// The times that a cosignature may state.
const TIMES: std::ops::RangeInclusive<u64> = 1..=i64::MAX.unsigned_abs();

fn message(time: u64, text: &[u8]) -> Vec<u8> {
    [b"cosignature/v1\n", format!("time {time}\n").as_bytes(), text].concat()
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

/// A witness's secret key. Its text is `PRIVATE+KEY+<name>+<id>+<base64>`; `Debug` shows only the public half.
#[derive(Clone)]
pub struct WitnessSigner {
    verifier: WitnessVerifier,
    secret: NamedSecret,
}

/// A time that no cosignature may state: 0, or beyond 2^63 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no time of a cosignature")]
pub struct BadTime(pub u64);

impl WitnessSigner {
    /// A new key for a witness of this name from the given randomness.
    pub fn generate(name: Origin, random: &mut impl CryptoRngCore) -> Self {
        NamedSecret::generate(name, TYPE_COSIGNATURE, random).into()
    }

    /// The public half.
    pub fn verifier(&self) -> &WitnessVerifier {
        &self.verifier
    }

    /// The secret text, for the file that only the witness may read.
    pub fn to_secret_text(&self) -> String {
        self.secret.to_text()
    }

    /// The signature line, with its newline, which says that this witness saw the checkpoint at `time` (seconds since
    /// 1970). Whether it is consistent with everything seen before is for the caller to know.
    pub fn cosign(&self, checkpoint: &VerifiedCheckpoint, time: u64) -> Result<String, BadTime> {
        if !TIMES.contains(&time) {
            return Err(BadTime(time));
        }
        let signature = self.secret.signature(&message(time, checkpoint.note().text()));
        let bytes = [time.to_be_bytes().as_slice(), &signature].concat();
        let NamedKey { name, id, .. } = &self.verifier.0;
        let line = Signature::new(name.as_str().to_owned(), *id, bytes).expect("the name is a key's");
        Ok(String::from_utf8(line.to_bytes()).expect("a name and base64 are UTF-8"))
    }
}

impl From<NamedSecret> for WitnessSigner {
    fn from(secret: NamedSecret) -> Self {
        Self {
            verifier: WitnessVerifier(secret.named().clone()),
            secret,
        }
    }
}

impl FromStr for WitnessSigner {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NamedSecret::parse(text, TYPE_COSIGNATURE).map(Self::from)
    }
}

impl fmt::Debug for WitnessSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WitnessSigner")
            .field("verifier", &self.verifier.to_string())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
