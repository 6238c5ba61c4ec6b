//! Only for who asks for it: units of which a quorum of operators shows how they were built.
//!
//! Owns leaving out operators whose bundle is missing or does not verify; the rest must be the quorum by itself.
//! Must not know bundles, or decide about trust: the policy is asked again.

use sealift_policy::cause::Cause;
use sealift_policy::digest::Digest;
use sealift_policy::trust::{Freshness, Subject, TrustPolicy};

use super::deposit::Deposit;
use super::found::{Alarm, Fetched};
use super::offer::Offer;
use super::{Order, chain};
use crate::provenance::{Bundles, Claim, Unproven};
use crate::remote::Remote;

/// The offers that remain.
pub(super) async fn proven(
    order: &Order<'_>,
    policy: &TrustPolicy,
    remote: &Remote,
    deposit: &Deposit,
    offers: Vec<Offer>,
    fetched: &mut Fetched,
) -> Vec<Offer> {
    let bundles = Bundles::new(remote, policy);
    let mut remaining = Vec::new();
    for mut offer in offers {
        let manifest = offer.manifest.value().to_canonical();
        let digest = Digest::of(manifest.as_bytes());
        let mut reasons = Vec::new();
        let mut alarming = false;
        for operator in offer.manifest.operators().clone() {
            let claim = Claim {
                unit: offer.unit_key,
                manifest: digest,
                package: offer.document.package(),
            };
            let Err(unproven) = bundles.check(&operator, claim).await else {
                continue;
            };
            let reason = chain(&unproven);
            if let Unproven::Rejected { bundle, .. } = &unproven {
                alarming = true;
                let alarm = Alarm {
                    what: format!("unit {}: {reason}", offer.unit_key.short()),
                    evidence: deposit.put_evidence(&format!("provenance-{digest}"), bundle),
                };
                fetched.raise(alarm, order.watch);
            }
            reasons.push(reason);
            offer.proofs.retain(|proof| proof.operator != operator);
        }
        if reasons.is_empty() {
            remaining.push(offer);
            continue;
        }
        let class = offer.document.class().expect("it was offered by its class");
        let subject = Subject {
            unit_key: offer.unit_key,
            document: &offer.document,
            class,
        };
        let freshness = Freshness::At(order.now);
        match policy.verify(&subject, manifest.as_bytes(), &offer.proofs, freshness) {
            Ok(manifest) => {
                offer.manifest = manifest;
                remaining.push(offer);
            }
            Err(_) => {
                let cause = if alarming { Cause::Untrusted } else { Cause::Quorum };
                fetched.refuse(offer.unit_key, reasons.join("; "), cause, alarming);
            }
        }
    }
    remaining
}
