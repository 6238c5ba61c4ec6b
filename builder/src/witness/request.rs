//! The body of `add-checkpoint`: an old size, a consistency proof, an empty line, a checkpoint.
//!
//! Owns its two texts, as they are read and as they are written. Must not know what was seen before.

use std::fmt::Write as _;

use sealift_policy::log::checkpoint::CheckpointError;
use sealift_policy::log::cosigned::merged;
use sealift_policy::log::note::{MAX_BYTES as MAX_NOTE, NoteError};
use sealift_policy::log::{ConsistencyProof, LogVerifier, SignedCheckpoint, TreeHash, TreeSize, VerifiedCheckpoint};

use super::decide::Refusal;
use super::known_logs::KnownLogs;

/// The most lines of a consistency proof, by the specification. More than any tree needs is refused later.
const MAX_PROOF: usize = 63;

/// Longest body in bytes: the old size, the proof, and the longest note.
pub const MAX_BODY: usize = MAX_NOTE + 32 + MAX_PROOF * 45;

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The size that the proof starts from.
    pub old: TreeSize,
    /// The proof's hashes.
    pub proof: Vec<TreeHash>,
    checkpoint: Vec<u8>,
}

/// A request whose checkpoint is one of a known log.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedRequest<'a> {
    /// The log's key.
    pub log: &'a LogVerifier,
    /// The size that the proof starts from.
    pub old: TreeSize,
    /// The proof's hashes.
    pub proof: Vec<TreeHash>,
    /// The new head, with the log's signature and nobody else's.
    pub head: VerifiedCheckpoint,
}

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.len() > MAX_BODY {
            return Err(Refusal::Malformed("the body is too long"));
        }
        let end = body.windows(2).position(|pair| pair == b"\n\n");
        let end = end.ok_or(Refusal::Malformed("there is no empty line"))?;
        let head = str::from_utf8(&body[..end]).map_err(|_| Refusal::Malformed("the body is no text"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old
            .and_then(|size| size.parse().ok())
            .ok_or(Refusal::Malformed("the first line is not `old <size>`"))?;
        let mut proof = vec![];
        for line in lines {
            if proof.len() == MAX_PROOF {
                return Err(Refusal::Malformed("the proof is too long"));
            }
            let hash = line
                .parse()
                .map_err(|_| Refusal::Malformed("a line of the proof is no hash"))?;
            proof.push(hash);
        }
        Ok(Self {
            old,
            proof,
            checkpoint: body[end + 2..].to_vec(),
        })
    }

    /// Checks that a known log has signed the checkpoint, and that the old size is not beyond it.
    ///
    /// # Errors
    /// When it has not.
    pub fn verified(self, logs: &KnownLogs) -> Result<VerifiedRequest<'_>, Refusal> {
        let head = SignedCheckpoint::parse(&self.checkpoint).map_err(|error| match error {
            CheckpointError::EmptyRoot => Refusal::NotConsistent { known: TreeSize::ZERO },
            _ => Refusal::Malformed("the checkpoint is malformed"),
        })?;
        let log = logs.key(&head.unverified().origin).ok_or(Refusal::UnknownLog)?;
        let own_lines = |head: VerifiedCheckpoint| merged(log, &[], &head, &head);
        let head = head.verify(log).and_then(own_lines).map_err(|error| match error {
            CheckpointError::Note(NoteError::NotSigned { .. } | NoteError::BadSignature { .. }) => Refusal::NotSigned,
            _ => Refusal::Malformed("the checkpoint is malformed"),
        })?;
        if self.old > head.size() {
            return Err(Refusal::Malformed("the old size is beyond the checkpoint's"));
        }
        Ok(VerifiedRequest {
            log,
            old: self.old,
            proof: self.proof,
            head,
        })
    }
}

/// The body with which a log asks for a cosignature of its head.
pub fn body(old: TreeSize, proof: &ConsistencyProof, head: &VerifiedCheckpoint) -> Vec<u8> {
    let mut text = format!("old {old}\n");
    for hash in proof.hashes() {
        let _ = writeln!(text, "{hash}");
    }
    text.push('\n');
    [text.as_bytes(), head.as_bytes()].concat()
}
