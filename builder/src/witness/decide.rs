//! The decision of a witness: a verified request and the last head that it cosigned give a cosignature or a refusal.
//!
//! Pure. The order of the checks is that of the specification. Must not know files, HTTP, the time or the key.

use sealift_policy::log::{ConsistencyProof, TreeHash, TreeSize, VerifiedCheckpoint};

use super::request::VerifiedRequest;

/// What is to be done about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Remember the head, and cosign it.
    Cosign,
    /// Change nothing.
    Refuse(Refusal),
}

/// Why a witness refuses. Each is a status of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400: not what the protocol says.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// 404: a log that this witness is not asked to look at.
    #[error("the log is not known here")]
    UnknownLog,
    /// 403: no signature of the log's key, or one that does not verify.
    #[error("the checkpoint is not signed by the log")]
    NotSigned,
    /// 409: the proof starts from another size than the last head has.
    #[error("the last checkpoint that was cosigned here has size {known}")]
    Conflict {
        /// Size of the last head.
        known: TreeSize,
    },
    /// 422: not the log that was seen before, or a proof that does not show it.
    #[error("the proof does not show that the checkpoint extends the one of size {known}")]
    NotConsistent {
        /// Size of the last head.
        known: TreeSize,
    },
}

/// Decides about a request to a witness whose last head of that log is `known`.
pub fn decide(request: &VerifiedRequest<'_>, known: Option<&VerifiedCheckpoint>) -> Decision {
    let (size, root) = known.map_or((TreeSize::ZERO, TreeHash::EMPTY), |known| (known.size(), known.root()));
    if request.old != size {
        return Decision::Refuse(Refusal::Conflict { known: size });
    }
    let new = (request.head.size(), request.head.root());
    // An empty proof for an old size of 0, equal roots for equal sizes, and a Merkle proof for all others.
    let proof = ConsistencyProof::try_from(request.proof.clone());
    let holds = proof.and_then(|proof| proof.verify((size, root), new));
    match holds {
        Ok(()) => Decision::Cosign,
        Err(_) => Decision::Refuse(Refusal::NotConsistent { known: size }),
    }
}
