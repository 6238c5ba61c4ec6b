//! Checkpoints: a log's signed size, root and time (<https://c2sp.org/tlog-checkpoint>).
//!
//! Owns the text (origin, size, root, one extension line `time <unix seconds>`) and the type that only
//! verification can make. Must not know who is trusted, how old is too old, or what time it is.

use std::fmt;

use super::key::{LogSigner, LogVerifier, Origin};
use super::note::{NoteError, SignedNote};
use super::number::{TreeHash, TreeSize, decimal};
use super::signatures::{Forgetful, Remembering, SignatureMemory};

/// What a checkpoint says. Nobody has signed this value yet, or nobody has checked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: Origin,
    /// The number of leaves.
    pub size: TreeSize,
    /// The root of the tree of that size.
    pub root: TreeHash,
    /// When it was signed, in seconds since 1970; renewed even if nothing else changed.
    pub time: u64,
}

/// Why a checkpoint is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not exactly the four lines.
    #[error("malformed checkpoint")]
    Malformed,
    /// Size 0 with another root than that of the empty tree.
    #[error("the root of an empty tree is another")]
    EmptyRoot,
    /// The text speaks of another log than the key.
    #[error("checkpoint of `{found}`, expected `{expected}`")]
    OtherLog {
        /// The origin in the text.
        found: Origin,
        /// The log whose key was given.
        expected: Origin,
    },
}

impl Checkpoint {
    fn parse(text: &[u8]) -> Result<Self, CheckpointError> {
        let text = str::from_utf8(text).map_err(|_| CheckpointError::Malformed)?;
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Malformed)?.split('\n');
        let mut line = || lines.next().ok_or(CheckpointError::Malformed);
        let origin = line()?.parse().map_err(|_| CheckpointError::Malformed)?;
        let size = line()?.parse().map_err(|_| CheckpointError::Malformed)?;
        let root = line()?.parse().map_err(|_| CheckpointError::Malformed)?;
        let time = line()?
            .strip_prefix("time ")
            .and_then(decimal)
            .ok_or(CheckpointError::Malformed)?;
        if lines.next().is_some() {
            return Err(CheckpointError::Malformed);
        }
        if size == TreeSize::ZERO && root != TreeHash::EMPTY {
            return Err(CheckpointError::EmptyRoot);
        }
        Ok(Self {
            origin,
            size,
            root,
            time,
        })
    }

    /// Signs it. The signer's origin must be the checkpoint's.
    ///
    /// Whether the tree extends everything signed before is for the caller to know.
    pub fn sign(self, signer: &LogSigner) -> Result<SignedCheckpoint, CheckpointError> {
        let expected = signer.verifier().origin();
        if *expected != self.origin {
            return Err(CheckpointError::OtherLog {
                found: self.origin,
                expected: expected.clone(),
            });
        }
        let text = self.to_string();
        let signature = signer.signature(text.as_bytes());
        let note = SignedNote::sign(&text, expected.as_str(), signer.key_id(), signature)?;
        Ok(SignedCheckpoint { note, checkpoint: self })
    }
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\ntime {}\n", self.origin, self.size, self.root, self.time)
    }
}

/// A well-formed checkpoint with signatures that nobody has checked. The received bytes are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedCheckpoint {
    note: SignedNote,
    checkpoint: Checkpoint,
}

impl SignedCheckpoint {
    /// Reads a checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(bytes)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok(Self { note, checkpoint })
    }

    /// What it claims; not to be relied on.
    pub fn unverified(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The whole note as it was received.
    pub fn as_bytes(&self) -> &[u8] {
        self.note.as_bytes()
    }

    /// Checks that the log with this key has signed it, under its own origin.
    pub fn verify(self, log: &LogVerifier) -> Result<VerifiedCheckpoint, CheckpointError> {
        self.verify_with(log, &Forgetful)
    }

    /// The same, with a memory of signatures.
    pub fn verify_with(
        self,
        log: &LogVerifier,
        memory: &dyn SignatureMemory,
    ) -> Result<VerifiedCheckpoint, CheckpointError> {
        if self.checkpoint.origin != *log.origin() {
            return Err(CheckpointError::OtherLog {
                found: self.checkpoint.origin,
                expected: log.origin().clone(),
            });
        }
        self.note.verify(&Remembering { log, memory })?;
        Ok(VerifiedCheckpoint(self))
    }
}

/// A checkpoint that the log has signed. Only [`SignedCheckpoint::verify`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedCheckpoint(SignedCheckpoint);

impl VerifiedCheckpoint {
    /// What the log has signed.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.0.checkpoint
    }

    /// The log.
    pub fn origin(&self) -> &Origin {
        &self.0.checkpoint.origin
    }

    /// The number of leaves.
    pub fn size(&self) -> TreeSize {
        self.0.checkpoint.size
    }

    /// The root of the tree of that size.
    pub fn root(&self) -> TreeHash {
        self.0.checkpoint.root
    }

    /// When the log signed it, in seconds since 1970.
    pub fn time(&self) -> u64 {
        self.0.checkpoint.time
    }

    /// The whole note as it was received.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(super) fn note(&self) -> &SignedNote {
        &self.0.note
    }
}

#[cfg(test)]
mod tests;
