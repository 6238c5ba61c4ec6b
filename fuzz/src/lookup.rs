//! What must hold for answers of a service: whatever it says, only what operators logged is believed.
//!
//! Must not know how inputs are found.

use serde::Serialize;
use serde::de::DeserializeOwned;

use sealift_policy::document::UnitDocument;
use sealift_policy::leaf::Leaf;
use sealift_policy::log::signatures::Forgetful;
use sealift_policy::log::{
    ConsistencyProof, InclusionProof, LeafIndex, SignedCheckpoint, VerifiedCheckpoint, VerifiedInclusion,
};
use sealift_policy::trust::{Claim, Freshness, Subject, TrustPolicy};
use sealift_policy::wire::{
    LookupRequest, LookupResponse, ManifestRecord, PlanHint, SubmissionHeader, UnitHint, UnitRecord,
};
use sealift_policy::{digest::Digest, name::OperatorName};

use crate::world::{NOW, WORLD};

/// Everything on the wire reads back as it is written. Of the units in an answer none is believed but the genuine one.
pub fn lookup(data: &[u8]) {
    reads_back::<LookupRequest>(data);
    reads_back::<PlanHint>(data);
    reads_back::<UnitHint>(data);
    reads_back::<SubmissionHeader>(data);
    reads_back::<LookupResponse>(data);
    let Ok(answer) = serde_json::from_slice::<LookupResponse>(data) else {
        return;
    };
    let policy = WORLD.policy();
    let mut heads = vec![];
    for log in &answer.logs {
        if let Ok(proof) = ConsistencyProof::parse(&log.consistency) {
            assert_eq!(proof.to_texts(), log.consistency);
        }
        let Some(key) = policy.log(&log.operator, log.epoch) else {
            continue;
        };
        let Ok(checkpoint) = SignedCheckpoint::parse(log.checkpoint.as_bytes()) else {
            continue;
        };
        if let Ok(head) = checkpoint.verify(key) {
            heads.push((log.operator.clone(), log.epoch, head));
        }
    }
    for unit in &answer.units {
        believed(&policy, &heads, unit);
    }
}

fn believed(policy: &TrustPolicy, heads: &[(OperatorName, u32, VerifiedCheckpoint)], unit: &UnitRecord) {
    let Ok((unit_key, document)) = UnitDocument::from_canonical(unit.key_document.as_bytes()) else {
        return;
    };
    let Ok(class) = document.class() else { return };
    let subject = Subject {
        unit_key,
        document: &document,
        class,
    };
    let claims: Vec<_> = unit
        .manifests
        .iter()
        .map(|stated| claim(heads, &subject, stated))
        .collect();
    if let Ok(verified) = policy.agreed(&Forgetful, &subject, &claims, Freshness::At(NOW)) {
        assert_eq!(unit_key, WORLD.unit_key, "a forgery");
        assert_eq!(verified.value(), &WORLD.manifest, "a forgery");
        assert!(verified.operators().len() >= policy.quorum(class));
    }
}

fn claim<'a>(
    heads: &[(OperatorName, u32, VerifiedCheckpoint)],
    subject: &Subject<'_>,
    stated: &'a ManifestRecord,
) -> Claim<'a> {
    let manifest = stated.manifest.as_bytes();
    let leaf = Leaf::new(subject.unit_key, Digest::of(manifest)).to_canonical();
    let inclusions = stated.vouchers.iter().filter_map(|voucher| {
        let head = heads
            .iter()
            .find(|(operator, epoch, _)| (operator, epoch) == (&voucher.operator, &voucher.epoch));
        let index = LeafIndex::try_from(voucher.index).ok()?;
        let proof = InclusionProof::parse(&voucher.proof).ok()?;
        let inclusion = VerifiedInclusion::check(index, &proof, leaf.as_bytes(), head?.2.clone()).ok()?;
        Some((voucher.operator.clone(), voucher.epoch, inclusion))
    });
    Claim {
        manifest,
        inclusions: inclusions.collect(),
    }
}

fn reads_back<T: Serialize + DeserializeOwned>(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(data) else {
        return;
    };
    let text = serde_json::to_string(&value).expect("what goes over the wire is JSON");
    let again: T = serde_json::from_str(&text).expect("what is written reads back");
    assert_eq!(serde_json::to_string(&again).expect("it was JSON before"), text);
}
