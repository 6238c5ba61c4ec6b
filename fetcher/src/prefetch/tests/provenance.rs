//! Who asks for provenance gets only what a quorum shows how it was built (T24).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use sealift_policy::digest::Digest;
use sealift_policy::document::UnitDocument;
use sealift_policy::provenance::bundle::{assemble, to_be_signed};
use sealift_policy::provenance::statement::{Invocation, Unit as Attested};
use sealift_policy::provenance::{ProvenanceKey, Signature, Statement};
use sealift_policy::trust::Provenance;

use super::world::{NOW, Unit, World};
use super::*;

/// Whoever can sign bundles.
struct Attestor(OperatorName, EcdsaKeyPair);

impl Attestor {
    fn new(name: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        Self(name.parse().unwrap(), pair)
    }

    fn key(&self) -> ProvenanceKey {
        let prefix = BASE64_STANDARD.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgA=").unwrap();
        ProvenanceKey::from_der(&[&prefix, self.1.public_key().as_ref()].concat()).unwrap()
    }

    fn bundle(&self, units: &[&Unit]) -> String {
        let read = |unit: &&Unit| UnitDocument::from_canonical(unit.document.as_bytes()).unwrap().1;
        let documents: Vec<UnitDocument> = units.iter().map(read).collect();
        let attested = units.iter().zip(&documents).map(|(unit, document)| Attested {
            key: unit.key,
            manifest: manifest(unit),
            document,
            sandboxed: true,
        });
        let invocation = Invocation {
            operator: &self.0,
            builder_version: "0.1.0",
            id: "1/0-3",
        };
        let statement = Statement::new(invocation, attested);
        let bytes = to_be_signed(&statement);
        let sign = || self.1.sign(&SystemRandom::new(), &bytes).unwrap();
        let mut signatures = std::iter::repeat_with(|| Signature::from_der(sign().as_ref()));
        assemble(&statement, &self.key(), &signatures.find_map(Result::ok).unwrap())
    }
}

fn manifest(unit: &Unit) -> Digest {
    Digest::of(unit.manifest.to_canonical().as_bytes())
}

/// Three units of two operators, a user who asks for provenance, and the bundles of `alpha` and `beta` as they are said
/// to be.
async fn world(alpha: &Attestor, beta: &Attestor, bundles: [Option<&Attestor>; 2]) -> (World, TrustPolicy) {
    let mut world = World::with_units().await;
    world.require_provenance = true;
    let policy = world.policy_with(|policy| {
        for (operator, attestor) in policy.operators.iter_mut().zip([alpha, beta]) {
            operator.provenance = Some(Provenance::new(attestor.key()));
        }
    });
    let units: Vec<&Unit> = world.units.iter().map(|(unit, _)| unit).collect();
    for (name, attestor) in ["alpha", "beta"].into_iter().zip(bundles) {
        let Some(attestor) = attestor else { continue };
        let bundle = attestor.bundle(&units);
        for unit in &units {
            let file = format!("{}.{name}.sigstore.json", manifest(unit));
            world.served.lock().unwrap().bundles.insert(file, bundle.clone());
        }
    }
    (world, policy)
}

fn asked(world: &World) -> usize {
    let served = world.served.lock().unwrap();
    served
        .fetched
        .iter()
        .filter(|file| file.ends_with(".sigstore.json"))
        .count()
}

#[tokio::test]
async fn what_every_operator_shows_is_fetched_and_each_bundle_is_asked_for_once() {
    let (alpha, beta) = (Attestor::new("alpha"), Attestor::new("beta"));
    let (mut world, policy) = world(&alpha, &beta, [Some(&alpha), Some(&beta)]).await;
    let fetched = world.fetch_as(&policy, NOW).await;
    assert_eq!(world.local(), ["memchr", "serde_derive", "regex"], "{fetched:?}");
    assert_eq!(asked(&world), 2, "one bundle of each operator speaks of all units");
    world.user = tempfile::tempdir().unwrap();
    world.require_provenance = false;
    world.fetch_as(&policy, NOW).await;
    assert_eq!(asked(&world), 2, "who does not ask for provenance costs no requests");
}

#[tokio::test]
async fn an_operator_without_a_bundle_does_not_count_and_raises_no_alarm() {
    let (alpha, beta) = (Attestor::new("alpha"), Attestor::new("beta"));
    let (world, policy) = world(&alpha, &beta, [Some(&alpha), None]).await;
    let fetched = world.fetch_as(&policy, NOW).await;
    assert_eq!(world.local(), ["memchr", "regex"], "host code needs two operators");
    assert!(fetched.alarms.is_empty());
    let refused = &fetched.event.refused[0];
    assert_eq!(refused.reason, "there is no provenance of operator `beta`");
}

#[tokio::test]
async fn an_operator_for_whom_the_policy_names_no_key_does_not_count() {
    let (alpha, beta) = (Attestor::new("alpha"), Attestor::new("beta"));
    let (world, _) = world(&alpha, &beta, [Some(&alpha), Some(&beta)]).await;
    let fetched = world.fetch_as(&world.policy(), NOW).await;
    assert_eq!(world.local(), [""; 0]);
    assert_eq!(fetched.event.refused.len(), 3);
    assert!(fetched.alarms.is_empty());
}

#[tokio::test]
async fn t24_a_bundle_of_another_key_or_operator_is_loud_kept_and_does_not_count() {
    let (alpha, beta) = (Attestor::new("alpha"), Attestor::new("beta"));
    for forger in [&Attestor::new("beta"), &alpha] {
        let (world, policy) = world(&alpha, &beta, [Some(&alpha), Some(forger)]).await;
        let fetched = world.fetch_as(&policy, NOW).await;
        assert_eq!(world.local(), ["memchr", "regex"]);
        assert!(!fetched.alarms.is_empty());
        assert!(world.evidence() > 0);
    }
}

#[tokio::test]
async fn t24_a_bundle_that_does_not_speak_of_the_unit_is_loud_and_does_not_count() {
    let (alpha, beta) = (Attestor::new("alpha"), Attestor::new("beta"));
    let (world, policy) = world(&alpha, &beta, [Some(&alpha), Some(&beta)]).await;
    let (macros, other) = (&world.units[1].0, &world.units[0].0);
    let file = format!("{}.beta.sigstore.json", manifest(macros));
    let bundle = beta.bundle(&[other]);
    {
        let mut served = world.served.lock().unwrap();
        served.bundles.retain(|name, _| !name.contains(".beta."));
        served.bundles.insert(file, bundle);
    }
    let fetched = world.fetch_as(&policy, NOW).await;
    assert_eq!(world.local(), ["memchr", "regex"]);
    assert!(
        fetched
            .alarms
            .iter()
            .any(|alarm| alarm.what.contains("does not speak of")),
        "{fetched:?}"
    );
}
