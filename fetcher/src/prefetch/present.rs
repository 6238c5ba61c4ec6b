//! What is in the local store already.
//!
//! Owns when a plan needs no lookup. Must not know the network.

use sealift_policy::digest::{PlanId, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::local::UnitOrigin;
use sealift_policy::manifest::Manifest;
use sealift_policy::trust::{Freshness, Subject, TrustPolicy};

use super::deposit::Deposit;

/// Whether everything that an earlier lookup named for this plan is in the local store and still believed.
pub(super) fn is_present(deposit: &Deposit, policy: &TrustPolicy, plan: PlanId) -> bool {
    let units = deposit.units_of_plan(plan);
    !units.is_empty() && units.into_iter().all(|unit| is_usable(deposit, policy, unit))
}

/// Whether a unit is in the local store, whole and believed.
pub(super) fn is_usable(deposit: &Deposit, policy: &TrustPolicy, key: UnitKey) -> bool {
    let Some(unit) = deposit.store().unit(key) else {
        return false;
    };
    let Ok(manifest) = Manifest::from_canonical(unit.manifest.as_bytes()) else {
        return false;
    };
    if !deposit.has_all(&manifest) || !deposit.is_of_these_rules(key) {
        return false;
    }
    let UnitOrigin::Fetched { proofs } = &unit.origin else {
        return true;
    };
    let Some(document) = deposit.key_document(key) else {
        return false;
    };
    let Ok((unit_key, document)) = UnitDocument::from_canonical(&document) else {
        return false;
    };
    let Ok(class) = document.class() else { return false };
    let subject = Subject {
        unit_key,
        document: &document,
        class,
    };
    unit_key == key
        && policy
            .verify(&subject, unit.manifest.as_bytes(), proofs, Freshness::Any)
            .is_ok()
}
