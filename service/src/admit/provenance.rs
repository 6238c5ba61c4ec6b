//! What must come with units of an operator for whom the policy names a provenance key.
//!
//! Owns the rule: every unit from the policy's first entry on is spoken of by one bundle that a key of the operator signed,
//! and every bundle is needed.
//! Where the policy names no key nobody could verify a bundle, so none is kept.
//! Must not know where bundles are stored.

use std::collections::{BTreeMap, BTreeSet};

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::trust::{LogPosition, TrustPolicy};

use super::{AdmittedUnit, Refusal};
use crate::store::LogName;

/// A verified bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmittedProvenance {
    /// Its bytes.
    pub bundle: String,
    /// The digests of the manifests for which it is kept.
    pub manifests: Vec<Digest>,
}

pub(super) fn check(
    policy: Option<&TrustPolicy>,
    log: &LogName,
    bundles: Vec<String>,
    units: &[AdmittedUnit],
) -> Result<Vec<AdmittedProvenance>, Refusal> {
    let operator = &log.operator;
    let Some(policy) = policy.filter(|policy| policy.provenance(operator).is_some()) else {
        return Ok(Vec::new());
    };
    let mut waiting: BTreeMap<UnitKey, &AdmittedUnit> = units.iter().map(|unit| (unit.key, unit)).collect();
    let mut admitted = Vec::new();
    for bundle in bundles {
        let verified = policy.verify_provenance(operator, bundle.as_bytes());
        let verified = verified.map_err(Refusal::Provenance)?;
        let mut manifests = BTreeSet::new();
        for unit in verified.units().filter_map(|key| waiting.remove(&key)) {
            let covers = verified.check_covers(unit.key, unit.manifest_digest, &unit.package);
            covers.map_err(Refusal::Provenance)?;
            manifests.insert(unit.manifest_digest);
        }
        if manifests.is_empty() {
            return Err(Refusal::StrayProvenance);
        }
        admitted.push(AdmittedProvenance {
            bundle,
            manifests: manifests.into_iter().collect(),
        });
    }
    let needs_one = |unit: &&&AdmittedUnit| {
        let at = LogPosition {
            epoch: log.epoch,
            index: unit.index.value(),
        };
        policy.needs_provenance(operator, at)
    };
    match waiting.values().find(needs_one) {
        Some(unit) => Err(Refusal::NoProvenance(unit.key)),
        None => Ok(admitted),
    }
}
