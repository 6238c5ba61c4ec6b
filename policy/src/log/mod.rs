//! An operator's transparency log in the formats of C2SP: notes, checkpoints, tiles, proofs, cosignatures.
//!
//! Owns the texts and the Merkle arithmetic (on top of `signed_note` and `tlog_tiles`).
//! Must not know what a leaf means, where files lie, what time it is, or who is trusted.

pub mod audit_report;
pub mod checkpoint;
pub mod cosignature;
pub mod cosigned;
pub mod key;
pub mod merkle;
pub mod note;
pub mod number;
pub mod proof;
pub mod signatures;
pub mod tile;
pub mod tree;
pub mod witnesses;

pub use audit_report::{AuditStatement, Verdict};
pub use checkpoint::{Checkpoint, SignedCheckpoint, VerifiedCheckpoint};
pub use key::{LogSigner, LogVerifier, Origin};
pub use merkle::{ConsistencyProof, InclusionProof};
pub use number::{LeafIndex, TreeHash, TreeSize};
pub use proof::{TlogProof, VerifiedInclusion};
pub use signatures::SignatureMemory;
pub use tile::{EntryBundle, TilePath};
pub use tree::Tree;
pub use witnesses::WitnessPolicy;
