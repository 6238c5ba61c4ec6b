//! Who is believed: the trust policy, the quorum, and [`Verified`], which only this module makes.
//!
//! Owns the decision whether a manifest may be installed for a unit. The quorum counts distinct configured operators,
//! by the class of the unit; nothing counts because of where it came from.
//! Must not know where policies and proofs are stored, or what time it is: the caller says.
//!
//! Long because [`Verified`] has a private constructor: whatever may make one stands in this file, so that a reader who
//! asks who can has read it all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, UnitKey};
use crate::document::UnitDocument;
use crate::key::Class;
use crate::leaf::Leaf;
use crate::local::OperatorProof;
use crate::log::cosignature::{VerifiedCosignature, WitnessVerifier};
use crate::log::proof::ProofError;
use crate::log::signatures::{Forgetful, SignatureMemory};
use crate::log::{LeafIndex, LogVerifier, TlogProof, TreeHash, VerifiedCheckpoint, VerifiedInclusion};
use crate::manifest::{MalformedManifest, Manifest};
use crate::name::OperatorName;
pub use crate::policy_document::{
    FrozenHead, LogPosition, Operator, OperatorLog, PolicyDocument, Provenance, Quorum, Revocations, RevokedCrate,
    RevokedRange,
};
use crate::provenance::TrustedRoot;

/// Checkpoints and cosignatures may be this many seconds ahead of the local clock.
pub const CLOCK_TOLERANCE: u64 = 3600;

/// The trust policy: a JSON document, version 1. Reading it checks everything that can be checked without a clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PolicyDocument", into = "PolicyDocument")]
pub struct TrustPolicy {
    document: PolicyDocument,
    logs: BTreeMap<(OperatorName, u32), OperatorLog>,
}

/// Why a policy document is not a policy.
#[derive(Debug, thiserror::Error)]
pub enum MalformedPolicy {
    /// A version that this program does not know.
    #[error("trust policy version {0} is not known")]
    Version(u32),
    /// Provenance is asked for, and nobody may sign it.
    #[error("the provenance of operator `{0}` names neither a key nor an identity")]
    NoSigner(OperatorName),
    /// An operator, an epoch or a key that is there twice: quorums count distinct operators.
    #[error("trust policy names {0} twice")]
    Twice(String),
    /// A quorum of nobody.
    #[error("a quorum of 0 trusts everybody")]
    NoQuorum,
}

/// A unit about which something is claimed.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its key.
    pub unit_key: UnitKey,
    /// The document behind the key.
    pub document: &'a UnitDocument,
    /// Its class, from the call.
    pub class: Class,
}

/// One manifest that operators state for a unit.
#[derive(Debug)]
pub struct Claim<'a> {
    /// Its bytes.
    pub manifest: &'a [u8],
    /// Where the operators' logs contain its leaf.
    pub inclusions: Vec<(OperatorName, u32, VerifiedInclusion)>,
}

/// A leaf of an operator's log about a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Whose.
    pub operator: OperatorName,
    /// In which of the operator's logs.
    pub epoch: u32,
    /// Where in it.
    pub index: LeafIndex,
    /// The SHA-256 of the manifest that it names.
    pub manifest: Digest,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operator,
            epoch,
            index,
            manifest,
        } = self;
        write!(
            f,
            "entry {index} of log {epoch} of `{operator}` states manifest {manifest}"
        )
    }
}

/// How old a checkpoint may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As the policy says, at this time (seconds since 1970). For what comes from the network.
    At(u64),
    /// Not asked. For what was fresh when it entered the local store.
    Any,
}

/// Something that a quorum vouches for. Only [`TrustPolicy::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    operators: BTreeSet<OperatorName>,
}

/// Why something is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// The manifest is not one.
    #[error("the manifest is malformed")]
    MalformedManifest(#[source] MalformedManifest),
    /// The manifest speaks of another unit.
    #[error("the manifest speaks of unit {0}")]
    OtherUnit(UnitKey),
    /// The manifest's outputs are not those of a unit of this kind.
    #[error("the outputs are not those of crate `{0}`")]
    OtherCrate(String),
    /// A proof is not one.
    #[error("the proof of operator `{operator}` is malformed")]
    MalformedProof {
        /// Whose.
        operator: OperatorName,
        /// Why.
        #[source]
        source: ProofError,
    },
    /// A proof of a configured operator that does not hold: wrong signature, or not in the log.
    #[error("the proof of operator `{operator}` does not hold")]
    NotLogged {
        /// Whose.
        operator: OperatorName,
        /// Why.
        #[source]
        source: ProofError,
    },
    /// The checkpoint is older than the policy allows.
    #[error("the checkpoint of operator `{operator}` is {age} seconds old")]
    Stale {
        /// Whose.
        operator: OperatorName,
        /// Age in seconds.
        age: u64,
    },
    /// The checkpoint is from the future.
    #[error("the checkpoint of operator `{operator}` is {ahead} seconds ahead of the local clock")]
    FromTheFuture {
        /// Whose.
        operator: OperatorName,
        /// Seconds.
        ahead: u64,
    },
    /// The log is frozen, and this is not its last head.
    #[error("the log of operator `{operator}` is frozen at another head")]
    Frozen {
        /// Whose.
        operator: OperatorName,
    },
    /// Not enough witnesses cosigned the checkpoint.
    #[error("the {found} witnesses that cosigned the checkpoint of operator `{operator}` are not the quorum")]
    NotWitnessed {
        /// Whose.
        operator: OperatorName,
        /// Distinct witnesses of the policy with a valid cosignature.
        found: usize,
    },
    /// Fewer distinct configured operators vouch than the class asks for.
    #[error("{found} of {needed} operators vouch for it")]
    NoQuorum {
        /// Distinct configured operators.
        found: usize,
        /// What the policy asks for.
        needed: usize,
    },
    /// Operators state different manifests for the unit.
    #[error("operators disagree about the unit: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Disagreement(Vec<Statement>),
    /// Revoked by the policy.
    #[error("revoked: {0}")]
    Revoked(String),
}

impl Rejection {
    /// Whether an honest service, network and clock could have led to this. What is left looks like an attack.
    pub fn is_innocent(&self) -> bool {
        match self {
            Self::Stale { .. }
            | Self::FromTheFuture { .. }
            | Self::Frozen { .. }
            | Self::NotWitnessed { .. }
            | Self::NoQuorum { .. }
            | Self::Revoked(_) => true,
            Self::MalformedManifest(_)
            | Self::OtherUnit(_)
            | Self::OtherCrate(_)
            | Self::MalformedProof { .. }
            | Self::NotLogged { .. }
            | Self::Disagreement(_) => false,
        }
    }
}

impl<T> Verified<T> {
    /// What was verified.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Who vouches for it.
    pub fn operators(&self) -> &BTreeSet<OperatorName> {
        &self.operators
    }
}

impl TrustPolicy {
    /// The policy as it is written.
    pub fn document(&self) -> &PolicyDocument {
        &self.document
    }

    /// This policy, with more revoked.
    #[must_use]
    pub fn revoking(mut self, more: &Revocations) -> Self {
        self.document.revoked.add(more);
        self
    }

    /// The policy with this trusted root instead of its own: what is distributed by itself is the newer one.
    #[must_use]
    pub fn trusting(mut self, root: TrustedRoot) -> Self {
        self.document.trusted_root = Some(root);
        self
    }

    /// The key of an operator's log.
    pub fn log(&self, operator: &OperatorName, epoch: u32) -> Option<&LogVerifier> {
        self.logs.get(&(operator.clone(), epoch)).map(|log| &log.vkey)
    }

    /// All configured logs.
    pub fn logs(&self) -> impl Iterator<Item = (&OperatorName, u32, &LogVerifier)> {
        self.logs
            .iter()
            .map(|((operator, epoch), log)| (operator, *epoch, &log.vkey))
    }

    /// The head at which an operator's log is frozen, if it is.
    pub fn frozen(&self, operator: &OperatorName, epoch: u32) -> Option<FrozenHead> {
        self.logs.get(&(operator.clone(), epoch)).and_then(|log| log.frozen)
    }

    /// How an operator's provenance bundles are known, if the policy says it.
    pub fn provenance(&self, operator: &OperatorName) -> Option<&Provenance> {
        let operators = &self.document.operators;
        let operator = operators.iter().find(|configured| configured.name == *operator)?;
        operator.provenance.as_ref()
    }

    /// Whether an entry of an operator's log needs a provenance bundle.
    pub fn needs_provenance(&self, operator: &OperatorName, at: LogPosition) -> bool {
        let provenance = self.provenance(operator);
        provenance.is_some_and(|provenance| provenance.since.is_none_or(|since| at >= since))
    }

    /// How many operators must vouch for a unit of this class.
    pub fn quorum(&self, class: Class) -> usize {
        match class {
            Class::HostCode => self.document.quorum.host_code,
            Class::Library => self.document.quorum.library,
        }
    }

    /// Decides whether these manifest bytes may be installed for this unit.
    ///
    /// Proofs of operators that are not configured do not count. One proof of a configured operator that does not hold
    /// refuses the whole unit.
    pub fn verify(
        &self,
        subject: &Subject<'_>,
        manifest: &[u8],
        proofs: &[OperatorProof],
        freshness: Freshness,
    ) -> Result<Verified<Manifest>, Rejection> {
        self.verify_with(&Forgetful, subject, manifest, proofs, freshness)
    }

    /// The same, with a memory of right signatures, of logs and of witnesses. It spares arithmetic and decides nothing:
    /// whose signature counts for what is asked of this policy, as ever.
    pub fn verify_with(
        &self,
        memory: &dyn SignatureMemory,
        subject: &Subject<'_>,
        manifest: &[u8],
        proofs: &[OperatorProof],
        freshness: Freshness,
    ) -> Result<Verified<Manifest>, Rejection> {
        let leaf = Leaf::new(subject.unit_key, Digest::of(manifest)).to_canonical();
        let mut inclusions = vec![];
        for proof in proofs {
            let Some(log) = self.log(&proof.operator, proof.epoch) else {
                continue;
            };
            let operator = proof.operator.clone();
            let parsed = TlogProof::parse(proof.proof.as_bytes()).map_err(|source| Rejection::MalformedProof {
                operator: operator.clone(),
                source,
            })?;
            let inclusion =
                parsed
                    .verify_with(leaf.as_bytes(), log, memory)
                    .map_err(|source| Rejection::NotLogged {
                        operator: operator.clone(),
                        source,
                    })?;
            inclusions.push((operator, proof.epoch, inclusion));
        }
        self.decide(memory, subject, manifest, &inclusions, freshness)
    }

    /// As [`Self::verify`], for inclusions whose proofs were checked already (against a checkpoint that many units
    /// share). That they speak of this very leaf is checked again.
    fn decide(
        &self,
        memory: &dyn SignatureMemory,
        subject: &Subject<'_>,
        manifest_bytes: &[u8],
        inclusions: &[(OperatorName, u32, VerifiedInclusion)],
        freshness: Freshness,
    ) -> Result<Verified<Manifest>, Rejection> {
        let manifest = Manifest::from_canonical(manifest_bytes).map_err(Rejection::MalformedManifest)?;
        if manifest.unit_key != subject.unit_key {
            return Err(Rejection::OtherUnit(manifest.unit_key));
        }
        self.check_outputs(subject, &manifest)?;
        let digest = Digest::of(manifest_bytes);
        self.check_revocations(subject, digest)?;
        let leaf = TreeHash::of_leaf(Leaf::new(subject.unit_key, digest).to_canonical().as_bytes());
        let mut operators = BTreeSet::new();
        let mut unusable = None;
        for (operator, epoch, inclusion) in inclusions {
            let Some(log) = self.log(operator, *epoch) else {
                continue;
            };
            if inclusion.leaf() != leaf || inclusion.checkpoint().origin() != log.origin() {
                continue;
            }
            let verdict = self
                .check_checkpoint_with(memory, operator, *epoch, inclusion.checkpoint(), freshness)
                .and_then(|()| self.check_range(operator, *epoch, inclusion));
            match verdict {
                Ok(()) => drop(operators.insert(operator.clone())),
                Err(rejection) => unusable = Some(rejection),
            }
        }
        let needed = self.quorum(subject.class);
        if operators.len() >= needed {
            return Ok(Verified {
                value: manifest,
                operators,
            });
        }
        Err(unusable.unwrap_or(Rejection::NoQuorum {
            found: operators.len(),
            needed,
        }))
    }

    /// Decides among everything that is claimed about a unit: one claim for each manifest that operators state.
    ///
    /// Where configured operators state different manifests, none counts, whatever the quorum. A statement that was
    /// revoked is none, so that what one operator forged can be fetched again once the forgery is revoked. The memory is
    /// as in [`Self::verify_with`].
    pub fn agreed(
        &self,
        memory: &dyn SignatureMemory,
        subject: &Subject<'_>,
        claims: &[Claim<'_>],
        freshness: Freshness,
    ) -> Result<Verified<Manifest>, Rejection> {
        let mut stated: BTreeMap<Digest, &Claim<'_>> = BTreeMap::new();
        let mut statements = vec![];
        let mut revoked = None;
        for claim in claims {
            let digest = Digest::of(claim.manifest);
            let leaf = TreeHash::of_leaf(Leaf::new(subject.unit_key, digest).to_canonical().as_bytes());
            for (operator, epoch, inclusion) in &claim.inclusions {
                let is_configured = self
                    .log(operator, *epoch)
                    .is_some_and(|log| log.origin() == inclusion.checkpoint().origin());
                if inclusion.leaf() != leaf || !is_configured {
                    continue;
                }
                // What was taken back is nobody's statement: it neither counts nor contradicts.
                let stands = (self.check_leaf(digest))
                    .and_then(|()| self.check_range(operator, *epoch, inclusion))
                    .and_then(|()| self.check_frozen(operator, *epoch, inclusion.checkpoint()));
                match stands {
                    Ok(()) => {
                        stated.insert(digest, claim);
                        statements.push(Statement {
                            operator: operator.clone(),
                            epoch: *epoch,
                            index: inclusion.index(),
                            manifest: digest,
                        });
                    }
                    Err(rejection) => revoked = Some(rejection),
                }
            }
        }
        match &stated.into_values().collect::<Vec<_>>()[..] {
            [] => Err(revoked.unwrap_or(Rejection::NoQuorum {
                found: 0,
                needed: self.quorum(subject.class),
            })),
            [claim] => self.decide(memory, subject, claim.manifest, &claim.inclusions, freshness),
            _ => Err(Rejection::Disagreement(statements)),
        }
    }

    /// Whether a log's head may be used at this time: fresh, and cosigned by enough witnesses; of a frozen log whether it
    /// is the one at which the policy froze it, which no time and no witness changes.
    pub fn check_checkpoint(
        &self,
        operator: &OperatorName,
        epoch: u32,
        checkpoint: &VerifiedCheckpoint,
        freshness: Freshness,
    ) -> Result<(), Rejection> {
        self.check_checkpoint_with(&Forgetful, operator, epoch, checkpoint, freshness)
    }

    fn check_checkpoint_with(
        &self,
        memory: &dyn SignatureMemory,
        operator: &OperatorName,
        epoch: u32,
        checkpoint: &VerifiedCheckpoint,
        freshness: Freshness,
    ) -> Result<(), Rejection> {
        if self.frozen(operator, epoch).is_some() {
            return self.check_frozen(operator, epoch, checkpoint);
        }
        if let Freshness::At(now) = freshness {
            let age = now.saturating_sub(checkpoint.time());
            if age > self.document.max_checkpoint_age_seconds {
                return Err(Rejection::Stale {
                    operator: operator.clone(),
                    age,
                });
            }
            let ahead = checkpoint.time().saturating_sub(now);
            if ahead > CLOCK_TOLERANCE {
                return Err(Rejection::FromTheFuture {
                    operator: operator.clone(),
                    ahead,
                });
            }
        }
        let witnesses = &self.document.witness_policy;
        let has_cosigned = |witness: &WitnessVerifier| {
            let cosigned = witness.cosigned_with(memory, checkpoint);
            cosigned.is_ok_and(|cosignature| self.is_in_time(&cosignature, freshness))
        };
        if witnesses.is_met(has_cosigned) {
            Ok(())
        } else {
            Err(Rejection::NotWitnessed {
                operator: operator.clone(),
                found: (witnesses.witnesses().iter())
                    .filter(|witness| has_cosigned(witness))
                    .count(),
            })
        }
    }

    /// A cosignature says when a witness saw the head, by its own clock. The head's own time is the operator's word, who can
    /// sign it for days to come and have it cosigned today.
    fn is_in_time(&self, cosignature: &VerifiedCosignature, freshness: Freshness) -> bool {
        let Freshness::At(now) = freshness else { return true };
        let age = now.saturating_sub(cosignature.time());
        let ahead = cosignature.time().saturating_sub(now);
        age <= self.document.max_checkpoint_age_seconds && ahead <= CLOCK_TOLERANCE
    }

    fn check_frozen(
        &self,
        operator: &OperatorName,
        epoch: u32,
        checkpoint: &VerifiedCheckpoint,
    ) -> Result<(), Rejection> {
        match self.frozen(operator, epoch) {
            Some(frozen) if (frozen.size, frozen.root) != (checkpoint.size(), checkpoint.root()) => {
                Err(Rejection::Frozen {
                    operator: operator.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The outputs must be of the crate and the kind that the key speaks of.
    pub fn check_outputs(&self, subject: &Subject<'_>, manifest: &Manifest) -> Result<(), Rejection> {
        let document = subject.document;
        let named = manifest.crate_name() == Some(document.crate_name());
        let roles: Vec<_> = manifest.outputs.iter().map(|output| output.role).collect();
        if named && document.expected_roles() == Some(&roles[..]) {
            Ok(())
        } else {
            Err(Rejection::OtherCrate(document.crate_name().to_owned()))
        }
    }

    fn check_revocations(&self, subject: &Subject<'_>, manifest: Digest) -> Result<(), Rejection> {
        self.check_leaf(manifest)?;
        let revoked = &self.document.revoked;
        let package = subject.document.package();
        if revoked.unit_keys.contains(&subject.unit_key) {
            return Err(Rejection::Revoked(format!("unit {}", subject.unit_key)));
        }
        if revoked
            .crates
            .iter()
            .any(|one| one.name == package.name && one.version == package.version)
        {
            return Err(Rejection::Revoked(format!(
                "crate `{}` {}",
                package.name, package.version
            )));
        }
        match subject.document.compiler().toolchain() {
            Some(toolchain) if revoked.toolchains.contains(&toolchain) => {
                Err(Rejection::Revoked(format!("toolchain {toolchain}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether an entry of a log is a statement that the policy took back: by its manifest, its unit, or its place.
    pub fn is_revoked(&self, unit_key: UnitKey, statement: &Statement) -> bool {
        let revoked = &self.document.revoked;
        revoked.leaves.contains(&statement.manifest)
            || revoked.unit_keys.contains(&unit_key)
            || self
                .range_of(&statement.operator, statement.epoch, statement.index)
                .is_some()
    }

    fn check_leaf(&self, manifest: Digest) -> Result<(), Rejection> {
        if self.document.revoked.leaves.contains(&manifest) {
            Err(Rejection::Revoked(format!("manifest {manifest}")))
        } else {
            Ok(())
        }
    }

    fn check_range(&self, operator: &OperatorName, epoch: u32, inclusion: &VerifiedInclusion) -> Result<(), Rejection> {
        match self.range_of(operator, epoch, inclusion.index()) {
            Some(range) => Err(Rejection::Revoked(format!(
                "entries {} to {} of operator `{operator}`",
                range.start, range.end
            ))),
            None => Ok(()),
        }
    }

    fn range_of(&self, operator: &OperatorName, epoch: u32, index: LeafIndex) -> Option<&RevokedRange> {
        let hit = |range: &&RevokedRange| {
            range.operator == *operator && range.epoch == epoch && (range.start..range.end).contains(&index.value())
        };
        self.document.revoked.ranges.iter().find(hit)
    }
}

impl TryFrom<PolicyDocument> for TrustPolicy {
    type Error = MalformedPolicy;

    fn try_from(document: PolicyDocument) -> Result<Self, Self::Error> {
        if document.version != 1 {
            return Err(MalformedPolicy::Version(document.version));
        }
        if document.quorum.host_code == 0 || document.quorum.library == 0 {
            return Err(MalformedPolicy::NoQuorum);
        }
        let mut logs = BTreeMap::new();
        let mut names = BTreeSet::new();
        // The bare keys: one key under two names, or of a log and a witness, would let one count as two.
        let mut keys = BTreeSet::new();
        let mut origins = BTreeSet::new();
        let mut provenance_keys = BTreeSet::new();
        let mut identities = BTreeSet::new();
        for operator in &document.operators {
            if !names.insert(&operator.name) {
                return Err(MalformedPolicy::Twice(format!("operator `{}`", operator.name)));
            }
            // One key of two operators would let one of them speak for the other.
            let mut of_operator = operator.provenance.iter().flat_map(Provenance::keys);
            if operator.provenance.as_ref().is_some_and(Provenance::is_empty) {
                return Err(MalformedPolicy::NoSigner(operator.name.clone()));
            }
            let mut identities_of_operator = operator.provenance.iter().flat_map(|provenance| &provenance.identities);
            if !of_operator.all(|key| provenance_keys.insert(*key))
                || !identities_of_operator.all(|identity| identities.insert(identity.clone()))
            {
                return Err(MalformedPolicy::Twice(format!(
                    "the provenance key or identity of `{}`",
                    operator.name
                )));
            }
            for log in &operator.logs {
                if !keys.insert(*log.vkey.public_key()) || !origins.insert(log.vkey.origin().clone()) {
                    return Err(MalformedPolicy::Twice(format!(
                        "the key or origin of `{}`",
                        log.vkey.origin().as_str()
                    )));
                }
                if logs.insert((operator.name.clone(), log.epoch), log.clone()).is_some() {
                    return Err(MalformedPolicy::Twice(format!(
                        "epoch {} of `{}`",
                        log.epoch, operator.name
                    )));
                }
            }
        }
        for witness in document.witness_policy.witnesses() {
            if !keys.insert(*witness.public_key()) || !origins.insert(witness.name().clone()) {
                return Err(MalformedPolicy::Twice(format!("witness `{}`", witness.name().as_str())));
            }
        }
        Ok(Self { document, logs })
    }
}

impl From<TrustPolicy> for PolicyDocument {
    fn from(policy: TrustPolicy) -> Self {
        policy.document
    }
}

#[cfg(test)]
mod tests;
