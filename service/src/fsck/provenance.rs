//! The provenance bundles: each is that of a manifest that its operator states, and signed by the key that the policy names.
//!
//! Must not know how bundles are verified. What needs none by the policy may have none.

use std::collections::{BTreeMap, BTreeSet};

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::layout::{MAX_DOCUMENT, ObjectPath};
use sealift_policy::name::OperatorName;
use sealift_policy::provenance::bundle::MAX_BUNDLE;
use sealift_policy::trust::{LogPosition, TrustPolicy};

use super::{Check, FsckError};
use crate::frame;

pub(super) fn check(check: &mut Check, files: &[String], policy: Option<&TrustPolicy>) -> Result<(), FsckError> {
    let mut stated: BTreeMap<(Digest, OperatorName), UnitKey> = BTreeMap::new();
    let mut needed = BTreeSet::new();
    for (unit, claims) in &check.stated {
        for claim in claims {
            let at = LogPosition {
                epoch: claim.log.epoch,
                index: claim.index.value(),
            };
            let id = (claim.manifest, claim.log.operator.clone());
            if policy.is_some_and(|policy| policy.needs_provenance(&claim.log.operator, at)) {
                needed.insert(id.clone());
            }
            stated.insert(id, *unit);
        }
    }
    for file in files {
        let Some(name) = file.strip_prefix("v1/provenance/") else {
            continue;
        };
        let Some((manifest, operator)) = parse(name) else {
            check.finding(file, "does not belong here");
            continue;
        };
        needed.remove(&(manifest, operator.clone()));
        let Some(unit) = stated.get(&(manifest, operator.clone())) else {
            check.note(file, "no leaf speaks of it, as an interrupted submission leaves it");
            continue;
        };
        let Some(policy) = policy.filter(|policy| policy.provenance(&operator).is_some()) else {
            check.note(file, "the policy names no key with which it could be verified");
            continue;
        };
        let bundle = check.read(&ObjectPath::Provenance(manifest, operator.clone()), MAX_BUNDLE)?;
        let verified = policy.verify_provenance(&operator, &bundle.unwrap_or_default());
        let document = check.read(&ObjectPath::Cas(unit.digest()), 2 * MAX_DOCUMENT)?;
        let document = document.and_then(|bytes| frame::decode_document(&bytes, unit.digest(), MAX_DOCUMENT).ok());
        let document = document.and_then(|bytes| UnitDocument::from_canonical(&bytes).ok());
        // A missing document is told where documents are checked.
        let Some((_, document)) = document else { continue };
        let verified = verified.and_then(|verified| verified.check_covers(*unit, manifest, document.package()));
        if let Err(rejection) = verified {
            check.finding(file, crate::error::chain(&rejection));
        }
    }
    for (manifest, operator) in needed {
        let file = ObjectPath::Provenance(manifest, operator).to_string();
        check.finding(file.trim_start_matches('/'), "is missing");
    }
    Ok(())
}

fn parse(name: &str) -> Option<(Digest, OperatorName)> {
    let (manifest, operator) = name.strip_suffix(".sigstore.json")?.split_once('.')?;
    Some((manifest.parse().ok()?, operator.parse().ok()?))
}
