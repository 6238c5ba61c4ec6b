//! Whether a bundle is believed: the one place that makes a [`VerifiedProvenance`].
//!
//! Owns the check of the signature by the key that the trust policy names for an operator. Signatures are checked by
//! aws-lc, which the programs with this feature link for TLS already; the wrapper is built without.
//! Must not know where bundles come from, or what follows from a missing one.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use super::bundle::{Bundle, MalformedBundle};
use super::statement::{Archive, archive};
use crate::digest::{Digest, UnitKey};
use crate::key::Package;
use crate::name::OperatorName;
use crate::provenance::ProvenanceKey;
use crate::trust::TrustPolicy;

/// What an operator says about how units were built, with a signature of the operator's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedProvenance {
    operator: OperatorName,
    manifests: BTreeMap<UnitKey, Digest>,
    archives: BTreeSet<Archive>,
}

/// Why a bundle is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ProvenanceRejection {
    /// The policy names no key for this operator.
    #[error("the trust policy names no provenance key of operator `{0}`")]
    NoKey(OperatorName),
    /// The bytes are not a bundle.
    #[error("the provenance is malformed")]
    Malformed(#[from] MalformedBundle),
    /// No key of the operator signed it.
    #[error("the provenance is not signed by a key of operator `{0}`")]
    BadSignature(OperatorName),
    /// The statement is about the builder of somebody else.
    #[error("the provenance is about a builder of somebody else than `{0}`")]
    OtherBuilder(OperatorName),
    /// It does not speak of a unit, or says that it was built from something else.
    #[error("the provenance does not speak of manifest {manifest} of unit {unit}")]
    NotCovered {
        /// The unit.
        unit: UnitKey,
        /// The digest of its manifest.
        manifest: Digest,
    },
}

impl TrustPolicy {
    /// Decides whether these bytes are what this operator says about how units were built.
    pub fn verify_provenance(
        &self,
        operator: &OperatorName,
        bundle: &[u8],
    ) -> Result<VerifiedProvenance, ProvenanceRejection> {
        let provenance = self.provenance(operator);
        let provenance = provenance.ok_or_else(|| ProvenanceRejection::NoKey(operator.clone()))?;
        let bundle = Bundle::parse(bundle)?;
        let signed = bundle.signed_bytes();
        let has_signed = |key: &ProvenanceKey| {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.point());
            key.verify(&signed, bundle.signature().as_der()).is_ok()
        };
        if !provenance.keys().any(has_signed) {
            return Err(ProvenanceRejection::BadSignature(operator.clone()));
        }
        let statement = bundle.unverified();
        if !statement.is_of(operator) {
            return Err(ProvenanceRejection::OtherBuilder(operator.clone()));
        }
        Ok(VerifiedProvenance {
            operator: operator.clone(),
            manifests: statement.subjects().collect(),
            archives: statement.archives().cloned().collect(),
        })
    }
}

impl VerifiedProvenance {
    /// Who says it.
    pub fn operator(&self) -> &OperatorName {
        &self.operator
    }

    /// The units of which it speaks.
    pub fn units(&self) -> impl Iterator<Item = UnitKey> {
        self.manifests.keys().copied()
    }

    /// Checks that it speaks of this manifest, and of the archive of the package that the unit is made from.
    pub fn check_covers(&self, unit: UnitKey, manifest: Digest, package: &Package) -> Result<(), ProvenanceRejection> {
        if self.manifests.get(&unit) == Some(&manifest) && self.archives.contains(&archive(package)) {
            Ok(())
        } else {
            Err(ProvenanceRejection::NotCovered { unit, manifest })
        }
    }
}

#[cfg(test)]
mod tests;
