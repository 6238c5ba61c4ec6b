//! What operators say about how units were built, fetched and verified.
//!
//! Owns asking for bundles: one speaks of many units, so each is asked for once. What it is worth the trust policy says.
//! Must not know what follows from a missing one.

use std::sync::{Mutex, PoisonError};

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::key::Package;
use sealift_policy::layout::ObjectPath;
use sealift_policy::name::OperatorName;
use sealift_policy::provenance::{ProvenanceRejection, VerifiedProvenance};
use sealift_policy::trust::TrustPolicy;

use crate::remote::{Remote, RemoteError};

/// A unit whose provenance is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    /// The unit.
    pub(crate) unit: UnitKey,
    /// SHA-256 of its manifest.
    pub(crate) manifest: Digest,
    /// What it is made from.
    pub(crate) package: &'a Package,
}

/// Why nobody shows how a unit was built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unproven {
    /// The policy names no key with which it could be shown.
    #[error("the trust policy names no provenance key of operator `{0}`")]
    NoKey(OperatorName),
    /// The policy does not say, or not well, whose certificates are believed: no fault of the store.
    #[error(transparent)]
    NoTrustedRoot(ProvenanceRejection),
    /// The store has no bundle of this operator.
    #[error("there is no provenance of operator `{0}`")]
    Missing(OperatorName),
    /// The store did not answer.
    #[error(transparent)]
    Remote(RemoteError),
    /// The bundle is not the operator's word about the unit: an honest store has no reason to serve it.
    #[error("what operator `{operator}` says of its build is refused")]
    Rejected {
        /// Whose it would be.
        operator: OperatorName,
        /// Why.
        #[source]
        source: ProvenanceRejection,
        /// The bundle.
        bundle: Vec<u8>,
    },
}

/// The bundles of one store that were verified by one policy.
pub(crate) struct Bundles<'a> {
    remote: &'a Remote,
    policy: &'a TrustPolicy,
    verified: Mutex<Vec<VerifiedProvenance>>,
}

impl<'a> Bundles<'a> {
    /// None yet.
    pub(crate) fn new(remote: &'a Remote, policy: &'a TrustPolicy) -> Self {
        Self {
            remote,
            policy,
            verified: Mutex::new(Vec::new()),
        }
    }

    /// Whether this operator says how the unit was built.
    pub(crate) async fn check(&self, operator: &OperatorName, claim: Claim<'_>) -> Result<(), Unproven> {
        if self.policy.provenance(operator).is_none() {
            return Err(Unproven::NoKey(operator.clone()));
        }
        if self.is_known(operator, claim) {
            return Ok(());
        }
        let path = ObjectPath::Provenance(claim.manifest, operator.clone());
        let bundle = match self.remote.provenance(&path).await {
            Ok(bundle) => bundle,
            Err(RemoteError::Absent(_)) => return Err(Unproven::Missing(operator.clone())),
            Err(error) => return Err(Unproven::Remote(error)),
        };
        let verified = self.policy.verify_provenance(operator, &bundle).and_then(|verified| {
            verified.check_covers(claim.unit, claim.manifest, claim.package)?;
            Ok(verified)
        });
        match verified {
            Ok(verified) => {
                self.verified
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(verified);
                Ok(())
            }
            Err(source) if source.is_for_lack_of_a_trusted_root() => Err(Unproven::NoTrustedRoot(source)),
            Err(source) => Err(Unproven::Rejected {
                operator: operator.clone(),
                source,
                bundle,
            }),
        }
    }

    fn is_known(&self, operator: &OperatorName, claim: Claim<'_>) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of_operator = verified.iter().filter(|verified| verified.operator() == operator);
        of_operator.any(|verified| {
            let covers = verified.check_covers(claim.unit, claim.manifest, claim.package);
            covers.is_ok()
        })
    }
}
