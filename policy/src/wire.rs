//! What goes over the wire as JSON: hints, the batch lookup and the header of a submission. Version 1 each.
//!
//! Nothing here is trusted for being well formed: the reader verifies manifests, leaves and proofs.
//! Must not know HTTP.

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, PlanId, UnitKey};
use crate::name::{OperatorName, Toolchain};

/// Most plan ids and unit keys of one lookup, together.
pub const MAX_LOOKUP_IDS: usize = 20_000;

/// Longest header of a submission in bytes.
pub const MAX_SUBMISSION_HEADER: u64 = 64 << 20;

/// Content type of a submission's body: eight bytes with the big-endian length of the header, the header
/// ([`SubmissionHeader`] as JSON), then the stored bytes of its blobs one after the other.
pub const SUBMISSION_CONTENT_TYPE: &str = "application/vnd.sealift.submission";

/// Body of `POST /v1/lookup`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LookupRequest {
    /// Always 1.
    pub version: u32,
    /// The compiler of the plans.
    pub toolchain: Toolchain,
    /// What cargo plans.
    #[serde(default)]
    pub plan_ids: Vec<PlanId>,
    /// Units asked for by their exact key.
    #[serde(default)]
    pub unit_keys: Vec<UnitKey>,
    /// The newest head that the client knows of each log.
    #[serde(default)]
    pub heads: Vec<KnownHead>,
}

/// A log's head as the client saw it last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KnownHead {
    /// Whose log.
    pub operator: OperatorName,
    /// Which of the operator's logs.
    pub epoch: u32,
    /// Its size then.
    pub size: u64,
}

/// Answer of `POST /v1/lookup`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LookupResponse {
    /// Always 1.
    pub version: u32,
    /// The logs to which the proofs below refer.
    pub logs: Vec<LogState>,
    /// What is known for the plans that were asked for; unknown ones are left out.
    pub plans: Vec<PlanHint>,
    /// The units of those plans and of the keys that were asked for.
    pub units: Vec<UnitRecord>,
}

/// The newest head of a log, and the way to it from the head that the client knew.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogState {
    /// Whose log.
    pub operator: OperatorName,
    /// Which of the operator's logs.
    pub epoch: u32,
    /// The signed checkpoint (C2SP signed note).
    pub checkpoint: String,
    /// RFC 6962 consistency proof from the client's head (base64 hashes); empty without one.
    pub consistency: Vec<String>,
}

/// A unit with all that is needed to verify it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnitRecord {
    /// The unit.
    pub unit_key: UnitKey,
    /// The canonical key document; its SHA-256 is the unit key.
    pub key_document: String,
    /// How long it took to compile somewhere, in milliseconds. Not signed.
    pub compile_ms: u64,
    /// The manifests that operators state for it: one, unless they disagree.
    pub manifests: Vec<ManifestRecord>,
}

/// A manifest and who vouches for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ManifestRecord {
    /// The manifest's canonical bytes.
    pub manifest: String,
    /// The operators whose logs contain its leaf.
    pub vouchers: Vec<Voucher>,
}

/// Where an operator's log contains a leaf.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Voucher {
    /// Whose log.
    pub operator: OperatorName,
    /// Which of the operator's logs.
    pub epoch: u32,
    /// The leaf's index in it.
    pub index: u64,
    /// RFC 6962 inclusion proof (base64 hashes) for the checkpoint in the same answer.
    pub proof: Vec<String>,
}

/// `/v1/plan/<toolchain>/<PlanId>.json`, also part of a lookup's answer. A hint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanHint {
    /// Always 1.
    pub version: u32,
    /// The plan.
    pub plan_id: PlanId,
    /// The units that were seen for it.
    pub unit_keys: Vec<UnitKey>,
}

/// `/v1/unit/<UnitKey>.json`. A hint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnitHint {
    /// Always 1.
    pub version: u32,
    /// The unit.
    pub unit_key: UnitKey,
    /// How long it took to compile somewhere, in milliseconds.
    pub compile_ms: u64,
    /// The plans for which it was seen.
    #[serde(default)]
    pub plans: Vec<SubmittedPlan>,
    /// The manifests that operators state for it.
    pub manifests: Vec<ManifestHint>,
}

/// A manifest by its digest, and who vouches for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ManifestHint {
    /// SHA-256 of the manifest's bytes; it lies in the content-addressed store.
    pub sha256: Digest,
    /// Whose logs contain its leaf, and where.
    pub vouchers: Vec<VoucherHint>,
}

/// Where an operator's log contains a leaf.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VoucherHint {
    /// Whose log.
    pub operator: OperatorName,
    /// Which of the operator's logs.
    pub epoch: u32,
    /// The leaf's index in it.
    pub index: u64,
}

/// The first part of a submission's body.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmissionHeader {
    /// Always 1.
    pub version: u32,
    /// Who submits.
    pub operator: OperatorName,
    /// Which of the operator's logs.
    pub epoch: u32,
    /// The log's size before; the units below follow from this index on.
    pub old_size: u64,
    /// The signed checkpoint after them.
    pub checkpoint: String,
    /// One for each new leaf, in the log's order.
    pub units: Vec<SubmittedUnit>,
    /// The stored bytes that follow the header, in this order.
    pub blobs: Vec<SubmittedBlob>,
    /// Sigstore bundles that say how the units were built. Left out when there is none: a service that does not know
    /// this member refuses it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provenance: Vec<String>,
}

/// One new leaf and the documents that it speaks of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmittedUnit {
    /// The leaf's canonical bytes.
    pub leaf: String,
    /// The manifest's canonical bytes.
    pub manifest: String,
    /// The key document's canonical bytes.
    pub key_document: String,
    /// The plans for which the unit was seen.
    pub plans: Vec<SubmittedPlan>,
    /// How long it took to compile, in milliseconds.
    pub compile_ms: u64,
}

/// A plan for which a unit was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmittedPlan {
    /// The compiler of the plan.
    pub toolchain: Toolchain,
    /// The plan.
    pub plan_id: PlanId,
}

/// One blob of a submission.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmittedBlob {
    /// SHA-256 of the content.
    pub sha256: Digest,
    /// Length of the content in bytes.
    pub size: u64,
    /// Length of the stored (zstd) bytes.
    pub stored: u64,
    /// SHA-256 of the rmeta that serves as zstd prefix; of rlibs only.
    pub prefix: Option<Digest>,
}
