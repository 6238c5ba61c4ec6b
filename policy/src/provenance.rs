//! Provenance: what an operator says about how a batch of units was built, in forms that others' tools read.
//!
//! Owns the in-toto [`statement`] with its SLSA predicate (described in `PROVENANCE.md`), the Sigstore [`bundle`] around
//! it, the [`key`] or the [`identity`] that signs it, and, with the feature `provenance`, the decision whether a bundle is
//! believed.
//! Must not know where bundles lie, or how a key is kept.
//!
//! A bundle is evidence beside the log, never instead of it: nothing is installed because of one.

pub mod bundle;
pub mod certified;
pub mod identity;
pub mod key;
#[cfg(feature = "provenance")]
pub mod keyless;
pub mod statement;
#[cfg(feature = "provenance")]
pub mod verify;

pub use bundle::Bundle;
pub use certified::CertifiedBundle;
pub use identity::{Identity, TrustedRoot};
pub use key::{ProvenanceKey, Signature};
pub use statement::Statement;
#[cfg(feature = "provenance")]
pub use verify::{ProvenanceRejection, VerifiedProvenance};
