//! The trust policy as it is written: whose logs count, how many of them, and what is not believed any more.
//!
//! Owns the shape of the document and of its parts. Must not decide anything: what a document means, and whether it is a
//! policy at all, is [`crate::trust`]'s, under whose name these types are public.

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, UnitKey};
use crate::log::{LogVerifier, TreeHash, TreeSize, WitnessPolicy};
use crate::name::{CrateName, CrateVersion, OperatorName, Toolchain};
use crate::provenance::{Identity, ProvenanceKey, TrustedRoot};

/// The policy as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDocument {
    /// Always 1.
    pub version: u32,
    /// Whose logs count.
    pub operators: Vec<Operator>,
    /// How many of them must have built the same bits.
    pub quorum: Quorum,
    /// Which witnesses must have cosigned a checkpoint, as text in the form of <https://c2sp.org/tlog-policy>. Without it
    /// none is asked for.
    #[serde(default)]
    pub witness_policy: WitnessPolicy,
    /// Age beyond which a checkpoint is not used, in seconds.
    pub max_checkpoint_age_seconds: u64,
    /// What is not believed any more.
    #[serde(default)]
    pub revoked: Revocations,
    /// What is believed of the Sigstore instance at which operators sign without a key of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_root: Option<TrustedRoot>,
}

/// One operator and its logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// The operator.
    pub name: OperatorName,
    /// Its logs, one for each epoch.
    pub logs: Vec<OperatorLog>,
    /// How it signs what it says about its builds. Without it nothing of the kind is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

/// By what an operator's provenance bundles are known: a key, or identities for which Sigstore issues certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The public key, as cosign writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<ProvenanceKey>,
    /// Keys that were used before and are still the operator's alone: what they signed counts. A key that was stolen is
    /// left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_keys: Vec<ProvenanceKey>,
    /// Who signs without a key of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<Identity>,
    /// The first entry that needs a bundle: those before it were admitted when none was asked for. All without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<LogPosition>,
}

impl Provenance {
    /// With this key from the first entry on.
    pub fn new(public_key: ProvenanceKey) -> Self {
        Self {
            public_key: Some(public_key),
            former_keys: vec![],
            identities: vec![],
            since: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.public_key.is_none() && self.identities.is_empty()
    }

    /// The keys whose signatures count.
    pub fn keys(&self) -> impl Iterator<Item = &ProvenanceKey> {
        self.public_key.iter().chain(&self.former_keys)
    }
}

/// A place in an operator's logs; later epochs come after all of the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPosition {
    /// Which of the operator's logs.
    pub epoch: u32,
    /// Which entry of it.
    pub index: u64,
}

/// One log of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorLog {
    /// Counts the operator's keys, from 1.
    pub epoch: u32,
    /// The log's public key, as a C2SP signed-note verifier key.
    pub vkey: LogVerifier,
    /// The last head of a log whose key is not used any more. Nothing else that the key signs is believed, and this one
    /// does not grow old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<FrozenHead>,
}

/// The head of a log that never changes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenHead {
    /// How many leaves there are.
    pub size: TreeSize,
    /// The root of their tree.
    pub root: TreeHash,
}

/// How many distinct operators must vouch, by class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// For proc macros and build scripts, at least 2 by default.
    pub host_code: usize,
    /// For libraries.
    pub library: usize,
}

/// What is not believed any more, although it was signed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Revocations {
    /// Leaves, by the SHA-256 of their manifest.
    pub leaves: Vec<Digest>,
    /// Units.
    pub unit_keys: Vec<UnitKey>,
    /// Crate versions.
    pub crates: Vec<RevokedCrate>,
    /// Parts of an operator's log.
    pub ranges: Vec<RevokedRange>,
    /// Toolchains.
    pub toolchains: Vec<Toolchain>,
}

impl Revocations {
    /// Takes back what this takes back, too.
    pub(crate) fn add(&mut self, more: &Self) {
        let Self {
            leaves,
            unit_keys,
            crates,
            ranges,
            toolchains,
        } = more;
        self.leaves.extend_from_slice(leaves);
        self.unit_keys.extend_from_slice(unit_keys);
        self.crates.extend_from_slice(crates);
        self.ranges.extend_from_slice(ranges);
        self.toolchains.extend_from_slice(toolchains);
    }
}

/// One crate version that is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedCrate {
    /// Its name.
    pub name: CrateName,
    /// Its version.
    pub version: CrateVersion,
}

/// A part of an operator's log that is revoked: `start <= index < end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedRange {
    /// Whose log.
    pub operator: OperatorName,
    /// Which of the operator's logs.
    pub epoch: u32,
    /// First index.
    pub start: u64,
    /// First index after it.
    pub end: u64,
}
