//! Whether a bundle is believed: the one place that makes a [`VerifiedProvenance`].
//!
//! Owns the check of the signature by a key that the trust policy names for an operator, and who is asked where it names
//! identities. Signatures are checked by
//! aws-lc, which the programs with this feature link for TLS already; the wrapper is built without.
//! Must not know where bundles come from, or what follows from a missing one.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use super::bundle::{Bundle, MalformedBundle, has_certificate};
use super::keyless::{self, KeylessRejection};
use super::statement::{Archive, Statement, archive};
use crate::digest::{Digest, UnitKey};
use crate::key::Package;
use crate::name::OperatorName;
use crate::provenance::ProvenanceKey;
use crate::trust::{Provenance, TrustPolicy};

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
    /// The policy names no key and no identity for this operator.
    #[error("the trust policy names no provenance key of operator `{0}`")]
    NoKey(OperatorName),
    /// It has a certificate, and the policy does not say whose certificates are believed.
    #[error("the provenance of operator `{0}` has a certificate, and the trust policy has no trusted root")]
    NoTrustedRoot(OperatorName),
    /// No identity of the operator signed it, or Sigstore's logs do not say so.
    #[error("the provenance is not signed by an identity of operator `{operator}`")]
    Keyless {
        /// Whose it would be.
        operator: OperatorName,
        /// Why.
        #[source]
        source: Box<KeylessRejection>,
    },
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

impl ProvenanceRejection {
    /// Whether the policy is at fault, and not who gave the bundle.
    pub fn is_for_lack_of_a_trusted_root(&self) -> bool {
        match self {
            Self::NoTrustedRoot(_) => true,
            Self::Keyless { source, .. } => matches!(**source, KeylessRejection::TrustedRoot(_)),
            _ => false,
        }
    }
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
        let statement = if has_certificate(bundle) && !provenance.identities.is_empty() {
            let root = self.document().trusted_root.as_ref();
            let root = root.ok_or_else(|| ProvenanceRejection::NoTrustedRoot(operator.clone()))?;
            keyless::verify(root, &provenance.identities, bundle).map_err(|source| ProvenanceRejection::Keyless {
                operator: operator.clone(),
                source: Box::new(source),
            })?
        } else {
            signed_with_a_key(provenance, operator, bundle)?
        };
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

fn signed_with_a_key(
    provenance: &Provenance,
    operator: &OperatorName,
    bundle: &[u8],
) -> Result<Statement, ProvenanceRejection> {
    let bundle = Bundle::parse(bundle)?;
    let signed = bundle.signed_bytes();
    let has_signed = |key: &ProvenanceKey| {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.point());
        key.verify(&signed, bundle.signature().as_der()).is_ok()
    };
    if provenance.keys().any(has_signed) {
        Ok(bundle.into_unverified())
    } else {
        Err(ProvenanceRejection::BadSignature(operator.clone()))
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
