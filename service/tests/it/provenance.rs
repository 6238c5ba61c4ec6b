//! Provenance bundles at the door: what comes with a unit where the policy names a key, and every forgery of it (T24, T25).
//! Each refusal must leave the disk as it was.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_policy::document::UnitDocument;
use sealift_policy::name::OperatorName;
use sealift_policy::provenance::bundle::{assemble, to_be_signed};
use sealift_policy::provenance::statement::{Invocation, Unit as Attested};
use sealift_policy::provenance::{ProvenanceKey, Signature, Statement};
use sealift_policy::trust::TrustPolicy;
use sealift_service::mirror;
use serde_json::{Value, json};

use crate::mirror::serve;
use crate::operator::{Operator, Submission, Unit, library, policy_document, proc_macro};
use crate::world::{World, folder};

/// Whoever can sign bundles.
struct Attestor {
    name: OperatorName,
    pair: EcdsaKeyPair,
}

impl Attestor {
    fn new(name: &str) -> Self {
        Self {
            name: name.parse().unwrap(),
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
        }
    }

    fn key(&self) -> ProvenanceKey {
        let prefix = STANDARD.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgA=").unwrap();
        ProvenanceKey::from_der(&[&prefix, self.pair.public_key().as_ref()].concat()).unwrap()
    }

    fn statement(&self, units: &[Unit]) -> Statement {
        let read = |unit: &Unit| UnitDocument::from_canonical(unit.key_document.as_bytes()).unwrap().1;
        let documents: Vec<UnitDocument> = units.iter().map(read).collect();
        let attested = units.iter().zip(&documents).map(|(unit, document)| Attested {
            key: unit.key(),
            manifest: unit.manifest_digest(),
            document,
            sandboxed: true,
        });
        let invocation = Invocation {
            operator: &self.name,
            builder_version: "0.1.0",
            id: "1/0-1",
        };
        Statement::new(invocation, attested)
    }

    fn sign(&self, bytes: &[u8]) -> Signature {
        let sign = || self.pair.sign(&SystemRandom::new(), bytes).unwrap();
        let mut signatures = std::iter::repeat_with(|| Signature::from_der(sign().as_ref()));
        signatures.find_map(Result::ok).unwrap()
    }

    fn bundle(&self, units: &[Unit]) -> String {
        let statement = self.statement(units);
        assemble(&statement, &self.key(), &self.sign(&to_be_signed(&statement)))
    }

    /// A bundle around any bytes that are called a statement.
    fn bundle_of(&self, payload: &[u8]) -> String {
        let signed = [
            format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len()).as_bytes(),
            payload,
        ]
        .concat();
        let mut bundle: Value = serde_json::from_str(&self.bundle(&[library("any")])).unwrap();
        bundle["dsseEnvelope"]["payload"] = json!(STANDARD.encode(payload));
        bundle["dsseEnvelope"]["signatures"][0]["sig"] = json!(STANDARD.encode(self.sign(&signed).as_der()));
        bundle.to_string()
    }
}

/// A policy that names the attestor's key for the first operator.
fn policy(operators: &[&Operator], attestor: &Attestor) -> TrustPolicy {
    policy_with(operators, json!({"public_key": attestor.key()}))
}

fn policy_with(operators: &[&Operator], provenance: Value) -> TrustPolicy {
    let mut document = policy_document(operators);
    document["operators"][0]["provenance"] = provenance;
    serde_json::from_value(document).unwrap()
}

fn path(unit: &Unit) -> String {
    format!("/v1/provenance/{}.alpha.sigstore.json", unit.manifest_digest())
}

fn with(mut submission: Submission, bundles: impl IntoIterator<Item = String>) -> Submission {
    submission.header.provenance = bundles.into_iter().collect();
    submission
}

struct Door {
    world: World,
    alpha: Operator,
    attestor: Attestor,
    units: [Unit; 2],
}

impl Door {
    fn new() -> Self {
        let (alpha, attestor) = (Operator::new("alpha"), Attestor::new("alpha"));
        Self {
            world: World::over(Arc::new(folder()), policy(&[&alpha], &attestor)),
            alpha,
            attestor,
            units: [library("first"), proc_macro("second")],
        }
    }

    /// Submits the units with these bundles, which must change nothing; then they are admitted with a good one.
    async fn refuses(mut self, bundles: Vec<String>) {
        let submission = self.alpha.submit(&self.units);
        let before = self.world.disk();
        let answer = self.world.submit(&with(submission.clone(), bundles)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (422, "provenance"),
            "{}",
            answer.text()
        );
        assert_eq!(self.world.disk(), before, "a refusal changes nothing");
        let good = self.attestor.bundle(&self.units);
        self.world.admit(&with(submission, [good])).await;
        assert!(self.world.fsck().is_sound(), "{}", self.world.fsck());
    }

    async fn refuses_changed(self, change: impl FnOnce(&mut Value)) {
        let mut bundle: Value = serde_json::from_str(&self.attestor.bundle(&self.units)).unwrap();
        change(&mut bundle);
        self.refuses(vec![bundle.to_string()]).await;
    }

    /// With a statement that is changed before it is signed.
    async fn refuses_statement(self, change: impl FnOnce(&mut Value)) {
        let statement = self.attestor.statement(&self.units).to_bytes();
        let mut statement: Value = serde_json::from_slice(&statement).unwrap();
        change(&mut statement);
        let bundle = self.attestor.bundle_of(statement.to_string().as_bytes());
        self.refuses(vec![bundle]).await;
    }
}

#[tokio::test]
async fn a_bundle_is_kept_for_every_unit_that_it_speaks_of_byte_for_byte() {
    let Door {
        world,
        mut alpha,
        attestor,
        units,
    } = Door::new();
    let bundle = attestor.bundle(&units);
    let submission = with(alpha.submit(&units), [bundle.clone()]);
    world.admit(&submission).await;
    for unit in &units {
        let answer = world.get(&path(unit)).await;
        assert_eq!(answer.text(), bundle);
        assert_eq!(answer.header("content-type"), "application/json");
    }
    assert!(world.fsck().is_sound(), "{}", world.fsck());
    world.admit(&alpha.submit(&[])).await;
    world.admit(&submission).await;
    let third = library("third");
    let strangers = path(&third).replace("alpha", "beta");
    for absent in [
        path(&third),
        strangers,
        path(&third).replace(".alpha", ""),
        "/v1/provenance/x".into(),
    ] {
        assert_eq!(world.get(&absent).await.status.as_u16(), 404, "{absent}");
    }
}

#[tokio::test]
async fn without_a_key_in_the_policy_a_unit_needs_no_bundle_and_none_is_kept() {
    let (mut alpha, attestor) = (Operator::new("alpha"), Attestor::new("alpha"));
    let world = World::new(&[&alpha]);
    let units = [library("first")];
    let bundle = attestor.bundle(&units);
    world.admit(&with(alpha.submit(&units), [bundle])).await;
    assert_eq!(world.get(&path(&units[0])).await.status.as_u16(), 404);
    world.admit(&alpha.submit(&[library("second")])).await;
}

#[tokio::test]
async fn a_unit_without_a_bundle_is_refused() {
    Door::new().refuses(vec![]).await;
    let door = Door::new();
    let one = door.attestor.bundle(&door.units[..1]);
    door.refuses(vec![one]).await;
}

#[tokio::test]
async fn t24_the_bundle_of_other_units_is_refused() {
    let door = Door::new();
    let others = door.attestor.bundle(&[library("third")]);
    door.refuses(vec![others]).await;
    let door = Door::new();
    let (good, others) = (
        door.attestor.bundle(&door.units),
        door.attestor.bundle(&[library("third")]),
    );
    door.refuses(vec![good, others]).await;
    let door = Door::new();
    let good = door.attestor.bundle(&door.units);
    door.refuses(vec![good.clone(), good]).await;
    // The right unit with another result.
    let door = Door::new();
    let other_result = [door.units[0].with_other_output(), door.units[1].clone()];
    let bundle = door.attestor.bundle(&other_result);
    door.refuses(vec![bundle]).await;
}

#[tokio::test]
async fn t24_a_forged_signature_or_one_of_another_key_is_refused() {
    let forged = STANDARD.encode([0x30, 6, 2, 1, 1, 2, 1, 1]);
    Door::new()
        .refuses_changed(|bundle| bundle["dsseEnvelope"]["signatures"][0]["sig"] = json!(forged))
        .await;
    let door = Door::new();
    let of_another_key = Attestor::new("alpha").bundle(&door.units);
    door.refuses(vec![of_another_key]).await;
}

#[tokio::test]
async fn t24_another_operators_bundle_is_refused() {
    let door = Door::new();
    let of_beta = Attestor::new("beta").bundle(&door.units);
    door.refuses(vec![of_beta]).await;
    Door::new()
        .refuses_statement(|statement| {
            let id = &mut statement["predicate"]["runDetails"]["builder"]["id"];
            *id = json!(id.as_str().unwrap().replace("alpha", "beta"));
        })
        .await;
}

#[tokio::test]
async fn t24_a_log_entry_of_something_else_in_a_bundle_is_refused() {
    Door::new()
        .refuses_changed(|bundle| bundle["verificationMaterial"]["tlogEntries"] = json!([{"logIndex": "1"}]))
        .await;
}

#[tokio::test]
async fn t25_other_versions_kinds_and_payloads_and_two_signatures_are_refused() {
    let v01 = "application/vnd.dev.sigstore.bundle+json;version=0.1";
    Door::new()
        .refuses_changed(|bundle| bundle["mediaType"] = json!(v01))
        .await;
    Door::new()
        .refuses_changed(|bundle| bundle["dsseEnvelope"]["payloadType"] = json!("text/plain"))
        .await;
    Door::new()
        .refuses_changed(|bundle| {
            let signatures = bundle["dsseEnvelope"]["signatures"].as_array_mut().unwrap();
            signatures.push(signatures[0].clone());
        })
        .await;
    Door::new()
        .refuses_statement(|statement| statement["_type"] = json!("https://in-toto.io/Statement/v2"))
        .await;
    Door::new()
        .refuses_statement(|statement| statement["predicateType"] = json!("https://slsa.dev/provenance/v0.2"))
        .await;
    Door::new()
        .refuses_statement(|statement| statement["more"] = json!(1))
        .await;
    Door::new().refuses(vec!["{}".into()]).await;
}

#[tokio::test]
async fn t25_too_many_subjects_and_too_many_bytes_are_refused() {
    Door::new()
        .refuses_statement(|statement| {
            let subject = statement["subject"][0].clone();
            statement["subject"] = Value::Array(vec![subject; 100_000]);
        })
        .await;
    Door::new()
        .refuses_statement(|statement| {
            let subject = statement["subject"][0].clone();
            statement["subject"] = Value::Array(vec![subject; 5000]);
        })
        .await;
}

#[tokio::test]
async fn an_archive_that_the_unit_is_not_made_from_is_refused() {
    Door::new()
        .refuses_statement(|statement| {
            let archives = &mut statement["predicate"]["buildDefinition"]["resolvedDependencies"];
            let digest = archives[0]["digest"].clone();
            archives[1]["digest"] = digest;
        })
        .await;
}

#[tokio::test]
async fn a_mirror_takes_the_bundles_of_all_batches_and_is_as_strict() {
    let Door {
        world,
        mut alpha,
        attestor,
        units,
    } = Door::new();
    let bundle = attestor.bundle(&units);
    world.admit(&with(alpha.submit(&units), [bundle])).await;
    let third = [library("third")];
    let bundle = attestor.bundle(&third);
    world.admit(&with(alpha.submit(&third), [bundle])).await;
    let url = serve(&world).await;
    let copy = World::over(Arc::new(folder()), policy(&[&alpha], &attestor));
    assert_eq!(mirror::run(Arc::clone(&copy.app), &url).await.unwrap().units, 3);
    for unit in units.iter().chain(&third) {
        assert_eq!(copy.get(&path(unit)).await.text(), world.get(&path(unit)).await.text());
    }
    assert!(copy.fsck().is_sound(), "{}", copy.fsck());
    // What another key signed there is not taken here.
    let stricter = World::over(Arc::new(folder()), policy(&[&alpha], &Attestor::new("alpha")));
    let before = stricter.disk();
    assert!(mirror::run(Arc::clone(&stricter.app), &url).await.is_err());
    assert_eq!(stricter.disk(), before);
}

#[tokio::test]
async fn a_mirror_takes_what_was_logged_before_bundles_were_asked_for_and_what_a_former_key_signed() {
    let (mut alpha, old, new) = (Operator::new("alpha"), Attestor::new("alpha"), Attestor::new("alpha"));
    let shared = Arc::new(folder());
    let (early, middle, late) = ([library("early")], [library("middle")], [library("late")]);
    let since = json!({"epoch": 1, "index": 1});

    let world = World::over(Arc::clone(&shared), policy_with(&[&alpha], Value::Null));
    world.admit(&alpha.submit(&early)).await;
    drop(world);
    let asking = policy_with(&[&alpha], json!({"public_key": old.key(), "since": since}));
    let world = World::over(Arc::clone(&shared), asking);
    let submission = alpha.submit(&middle);
    assert_eq!(world.submit(&submission).await.problem(), "provenance");
    world.admit(&with(submission, [old.bundle(&middle)])).await;
    drop(world);
    let rotated = json!({"public_key": new.key(), "former_keys": [old.key()], "since": since});
    let world = World::over(Arc::clone(&shared), policy_with(&[&alpha], rotated.clone()));
    world.admit(&with(alpha.submit(&late), [new.bundle(&late)])).await;
    assert!(world.fsck().is_sound(), "{}", world.fsck());

    let url = serve(&world).await;
    let copy = World::over(Arc::new(folder()), policy_with(&[&alpha], rotated.clone()));
    assert_eq!(mirror::run(Arc::clone(&copy.app), &url).await.unwrap().units, 3);
    let bundles = |world: &World| {
        let files = world.disk().into_iter();
        files
            .filter(|(name, _)| name.starts_with("v1/provenance/"))
            .collect::<Vec<_>>()
    };
    assert_eq!((bundles(&copy), bundles(&copy).len()), (bundles(&world), 2));
    for left_out in ["former_keys", "since"] {
        let mut stricter = rotated.clone();
        stricter.as_object_mut().unwrap().remove(left_out);
        let copy = World::over(Arc::new(folder()), policy_with(&[&alpha], stricter));
        assert!(mirror::run(Arc::clone(&copy.app), &url).await.is_err(), "{left_out}");
    }
}

#[tokio::test]
async fn fsck_finds_a_bundle_that_was_changed_or_belongs_to_nothing() {
    let Door {
        world,
        mut alpha,
        attestor,
        units,
    } = Door::new();
    let bundle = attestor.bundle(&units);
    world.admit(&with(alpha.submit(&units), [bundle.clone()])).await;
    let file = world.folder.path().join(path(&units[0]).trim_start_matches('/'));
    // By another file of this name: the bytes of all units of the batch lie there once.
    fs_err::remove_file(&file).unwrap();
    fs_err::write(&file, Attestor::new("alpha").bundle(&units)).unwrap();
    assert_eq!(world.fsck().findings().len(), 1, "{}", world.fsck());
    fs_err::remove_file(&file).unwrap();
    assert_eq!(world.fsck().findings().len(), 1, "{}", world.fsck());
    fs_err::write(&file, bundle.trim_end_matches('}')).unwrap();
    assert_eq!(world.fsck().findings().len(), 1, "{}", world.fsck());
    fs_err::write(&file, &bundle).unwrap();
    fs_err::write(file.with_file_name("x.sigstore.json"), &bundle).unwrap();
    assert_eq!(world.fsck().findings().len(), 1, "{}", world.fsck());
}
