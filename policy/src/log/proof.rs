//! The proof file: an index, an inclusion proof and a checkpoint in one text (<https://c2sp.org/tlog-proof>).
//!
//! Owns the text and what verifying it establishes. Must not know what the leaf says or whether the log is trusted.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::checkpoint::{CheckpointError, SignedCheckpoint, VerifiedCheckpoint};
use super::key::LogVerifier;
use super::merkle::{InclusionProof, MAX_HASHES, MerkleError};
use super::number::{LeafIndex, TreeHash};
use super::signatures::{Forgetful, SignatureMemory};

/// The most bytes that a proof file may have.
pub const MAX_BYTES: usize = 2 * super::note::MAX_BYTES;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Why a proof file is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The lines are not those of the format, or too many.
    #[error("malformed proof file")]
    Malformed,
    /// The checkpoint in it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The Merkle proof in it.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
}

/// That a log contains a leaf at an index; nobody has checked it yet.
#[derive(Debug, Clone, PartialEq)]
pub struct TlogProof {
    /// Where the leaf lies.
    pub index: LeafIndex,
    /// The way from the leaf to the checkpoint's root.
    pub proof: InclusionProof,
    /// The log's head.
    pub checkpoint: SignedCheckpoint,
}

impl TlogProof {
    /// Reads a proof file. An `extra` line is checked for its form and dropped: nothing authenticates it.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > MAX_BYTES {
            return Err(ProofError::Malformed);
        }
        let text = str::from_utf8(bytes).map_err(|_| ProofError::Malformed)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ProofError::Malformed)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(ProofError::Malformed);
        }
        if let Some(extra) = lines.next_if(|line| line.starts_with("extra ")) {
            BASE64_STANDARD
                .decode(&extra["extra ".len()..])
                .map_err(|_| ProofError::Malformed)?;
        }
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .ok_or(ProofError::Malformed)?;
        let index = index.parse().map_err(|_| ProofError::Malformed)?;
        // One more than any proof has is enough to be refused.
        let hashes = lines
            .take(MAX_HASHES + 1)
            .map(str::parse)
            .collect::<Result<Vec<TreeHash>, _>>();
        let proof = hashes.map_err(|_| ProofError::Malformed)?.try_into()?;
        Ok(Self {
            index,
            proof,
            checkpoint: SignedCheckpoint::parse(checkpoint.as_bytes())?,
        })
    }

    /// The text of the proof file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{HEADER}\nindex {}\n", self.index);
        for hash in self.proof.hashes() {
            text.push_str(&hash.to_string());
            text.push('\n');
        }
        text.push('\n');
        [text.as_bytes(), self.checkpoint.as_bytes()].concat()
    }

    /// Checks that the log with this key has signed the checkpoint, and that its tree has `leaf` at the index.
    pub fn verify(self, leaf: &[u8], log: &LogVerifier) -> Result<VerifiedInclusion, ProofError> {
        self.verify_with(leaf, log, &Forgetful)
    }

    /// The same, with a memory of signatures.
    pub fn verify_with(
        self,
        leaf: &[u8],
        log: &LogVerifier,
        memory: &dyn SignatureMemory,
    ) -> Result<VerifiedInclusion, ProofError> {
        let checkpoint = self.checkpoint.verify_with(log, memory)?;
        Ok(VerifiedInclusion::check(self.index, &self.proof, leaf, checkpoint)?)
    }
}

/// That a log contains a leaf. Only verification makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedInclusion {
    leaf: TreeHash,
    index: LeafIndex,
    checkpoint: VerifiedCheckpoint,
}

impl VerifiedInclusion {
    /// Checks a proof against a checkpoint that is verified already.
    pub fn check(
        index: LeafIndex,
        proof: &InclusionProof,
        leaf: &[u8],
        checkpoint: VerifiedCheckpoint,
    ) -> Result<Self, MerkleError> {
        let leaf = TreeHash::of_leaf(leaf);
        proof.verify(index, leaf, checkpoint.size(), checkpoint.root())?;
        Ok(Self {
            leaf,
            index,
            checkpoint,
        })
    }

    /// The hash of the leaf that is contained.
    pub fn leaf(&self) -> TreeHash {
        self.leaf
    }

    /// Where it lies.
    pub fn index(&self) -> LeafIndex {
        self.index
    }

    /// The head of the log that contains it.
    pub fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }
}

#[cfg(test)]
mod tests;
