//! What must hold for trust policies: whatever a policy says, its quorum is of distinct operators, and what it revokes is
//! revoked.
//!
//! Must not know how inputs are found.

use std::collections::BTreeSet;

use sealift_policy::digest::Digest;
use sealift_policy::trust::{Freshness, Subject, TrustPolicy};

use crate::world::{NOW, WORLD};

/// A policy reads back; no key, origin or operator is in it twice; and it believes the genuine unit only if enough of
/// its operators logged it and nothing revokes it.
pub fn trust_policy(data: &[u8]) {
    let Ok(policy) = serde_json::from_slice::<TrustPolicy>(data) else {
        return;
    };
    let text = serde_json::to_string(&policy).expect("a policy is JSON");
    assert_eq!(serde_json::from_str::<TrustPolicy>(&text).ok().as_ref(), Some(&policy));
    let document = policy.document();
    let keys: BTreeSet<_> = policy.logs().map(|(_, _, log)| log.public_key()).collect();
    let origins: BTreeSet<_> = policy.logs().map(|(_, _, log)| log.origin()).collect();
    let written: usize = document.operators.iter().map(|operator| operator.logs.len()).sum();
    assert_eq!((keys.len(), origins.len()), (written, written));
    let names: BTreeSet<_> = document.operators.iter().map(|operator| &operator.name).collect();
    assert_eq!(names.len(), document.operators.len());
    let subject = Subject {
        unit_key: WORLD.unit_key,
        document: &WORLD.document,
        class: WORLD.class(),
    };
    let manifest = WORLD.manifest.to_canonical();
    for freshness in [Freshness::At(NOW), Freshness::Any] {
        let Ok(verified) = policy.verify(&subject, manifest.as_bytes(), &WORLD.proofs(), freshness) else {
            continue;
        };
        assert!(verified.operators().len() >= policy.quorum(subject.class).max(1));
        for operator in verified.operators() {
            let maker = WORLD
                .makers
                .iter()
                .find(|maker| maker.name == *operator)
                .expect("nobody else logged it");
            assert_eq!(policy.log(operator, 1), Some(maker.signer.verifier()));
            let index = WORLD.index.value();
            let ranges = document
                .revoked
                .ranges
                .iter()
                .filter(|range| range.operator == *operator && range.epoch == 1);
            assert!(
                !ranges
                    .into_iter()
                    .any(|range| (range.start..range.end).contains(&index))
            );
        }
        let (revoked, package) = (&document.revoked, WORLD.document.package());
        assert!(!revoked.leaves.contains(&Digest::of(manifest.as_bytes())));
        assert!(!revoked.unit_keys.contains(&WORLD.unit_key));
        assert!(
            !revoked
                .crates
                .iter()
                .any(|one| (&one.name, &one.version) == (&package.name, &package.version))
        );
        let toolchain = WORLD.document.compiler().toolchain().expect("it has one");
        assert!(!revoked.toolchains.contains(&toolchain));
        assert!(
            document.witness_policy.is_met(|_| false),
            "no witness has seen these logs"
        );
    }
}
