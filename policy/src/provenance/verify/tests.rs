//! Bundles that are signed for real, and every way in which one is not the operator's word about a unit.

use std::collections::BTreeMap;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::document::UnitDocument;
use crate::key::Compiler;
use crate::provenance::bundle::{assemble, to_be_signed};
use crate::provenance::statement::{Invocation, Statement, Unit};
use crate::provenance::{ProvenanceKey, Signature};
use crate::run::RunDocument;

struct Maker {
    name: OperatorName,
    pair: EcdsaKeyPair,
}

impl Maker {
    fn new(name: &str) -> Self {
        Self {
            name: name.parse().unwrap(),
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
        }
    }

    fn key(&self) -> ProvenanceKey {
        let prefix = "-----BEGIN PUBLIC KEY-----\n";
        let spki = [
            &STANDARD.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgA=").unwrap(),
            self.pair.public_key().as_ref(),
        ]
        .concat();
        let text = format!("{prefix}{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(spki));
        text.parse().unwrap()
    }

    fn statement(&self, manifest: &[u8]) -> Statement {
        let document = document();
        let unit = Unit {
            key: unit(),
            manifest: Digest::of(manifest),
            document: &document,
            sandboxed: true,
        };
        let invocation = Invocation {
            operator: &self.name,
            builder_version: "0.1.0",
            id: "1/0-1",
        };
        Statement::new(invocation, [unit])
    }

    /// A signature of these bytes, in either spelling.
    fn sign_raw(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), bytes).unwrap().as_ref().to_vec()
    }

    fn sign(&self, bytes: &[u8]) -> Signature {
        let mut signatures = std::iter::repeat_with(|| Signature::from_der(&self.sign_raw(bytes)));
        signatures.find_map(Result::ok).unwrap()
    }

    fn bundle(&self, statement: &Statement) -> String {
        assemble(statement, &self.key(), &self.sign(&to_be_signed(statement)))
    }

    fn policy(&self) -> TrustPolicy {
        let policy = json!({
            "version": 1,
            "operators": [
                {"name": self.name, "logs": [], "provenance": {"public_key": self.key()}},
                {"name": "silent", "logs": []},
            ],
            "quorum": {"host_code": 2, "library": 1},
            "max_checkpoint_age_seconds": 1000,
        });
        serde_json::from_value(policy).unwrap()
    }

    fn refuses(&self, bundle: &str) -> ProvenanceRejection {
        let verified = self.policy().verify_provenance(&self.name, bundle.as_bytes());
        verified.expect_err("it is forged")
    }
}

fn document() -> UnitDocument {
    let compiler = Compiler {
        sysroot: vec![],
        verbose_version: "release: 1.95.0\nhost: x86_64-unknown-linux-gnu\n".into(),
    };
    let script = UnitKey::new(Digest::of(b"script"));
    RunDocument::new(script, compiler, package(), BTreeMap::new()).into()
}

fn package() -> Package {
    Package {
        checksum: Digest::of(b"crate"),
        name: "memchr".parse().unwrap(),
        version: "2.7.4".parse().unwrap(),
    }
}

fn unit() -> UnitKey {
    UnitKey::new(Digest::of(b"unit"))
}

#[test]
fn what_the_operators_key_signed_is_believed_for_the_units_that_it_names() {
    let alpha = Maker::new("alpha");
    let bundle = alpha.bundle(&alpha.statement(b"manifest"));
    let verified = alpha
        .policy()
        .verify_provenance(&alpha.name, bundle.as_bytes())
        .unwrap();
    assert_eq!(verified.operator(), &alpha.name);
    let manifest = Digest::of(b"manifest");
    assert!(verified.check_covers(unit(), manifest, &package()).is_ok());
    let other_package = Package {
        checksum: Digest::of(b"another archive"),
        ..package()
    };
    for refused in [
        verified.check_covers(UnitKey::new(Digest::of(b"another unit")), manifest, &package()),
        verified.check_covers(unit(), Digest::of(b"another manifest"), &package()),
        verified.check_covers(unit(), manifest, &other_package),
    ] {
        assert!(matches!(refused, Err(ProvenanceRejection::NotCovered { .. })));
    }
}

#[test]
fn t24_the_signature_of_another_statement_is_refused() {
    let alpha = Maker::new("alpha");
    let signature = alpha.sign(&to_be_signed(&alpha.statement(b"manifest")));
    let bundle = assemble(&alpha.statement(b"another manifest"), &alpha.key(), &signature);
    assert!(matches!(alpha.refuses(&bundle), ProvenanceRejection::BadSignature(_)));
    // Signed as it is, not in DSSE's encoding: what was signed may have been of another type.
    let statement = alpha.statement(b"manifest");
    let bundle = assemble(&statement, &alpha.key(), &alpha.sign(&statement.to_bytes()));
    assert!(matches!(alpha.refuses(&bundle), ProvenanceRejection::BadSignature(_)));
}

#[test]
fn t24_a_signature_of_another_key_is_refused_whatever_the_hint_says() {
    let (alpha, mallory) = (Maker::new("alpha"), Maker::new("alpha"));
    let statement = alpha.statement(b"manifest");
    let signature = mallory.sign(&to_be_signed(&statement));
    for key in [alpha.key(), mallory.key()] {
        let bundle = assemble(&statement, &key, &signature);
        assert!(matches!(alpha.refuses(&bundle), ProvenanceRejection::BadSignature(_)));
    }
}

#[test]
fn t24_another_operators_bundle_is_refused() {
    let (alpha, beta) = (Maker::new("alpha"), Maker::new("beta"));
    let of_beta = beta.bundle(&beta.statement(b"manifest"));
    assert!(matches!(alpha.refuses(&of_beta), ProvenanceRejection::BadSignature(_)));
    // Signed with alpha's key, about beta's builder.
    let about_beta = alpha.bundle(&beta.statement(b"manifest"));
    assert!(matches!(
        alpha.refuses(&about_beta),
        ProvenanceRejection::OtherBuilder(_)
    ));
    let policy = alpha.policy();
    for stranger in ["silent", "stranger"] {
        let refused = policy.verify_provenance(&stranger.parse().unwrap(), about_beta.as_bytes());
        assert!(matches!(refused, Err(ProvenanceRejection::NoKey(_))), "{stranger}");
    }
}

#[test]
fn t23_the_other_spelling_of_a_valid_signature_is_refused() {
    let alpha = Maker::new("alpha");
    let statement = alpha.statement(b"manifest");
    let bytes = to_be_signed(&statement);
    let mut signatures = std::iter::repeat_with(|| alpha.sign_raw(&bytes));
    let high = signatures
        .find(|signature| Signature::from_der(signature).is_err())
        .unwrap();
    let valid = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, alpha.key().point()).verify(&bytes, &high);
    assert!(valid.is_ok(), "others would take it");
    let mut bundle: Value = serde_json::from_str(&alpha.bundle(&statement)).unwrap();
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = json!(STANDARD.encode(&high));
    let refused = alpha.refuses(&bundle.to_string());
    assert!(matches!(
        refused,
        ProvenanceRejection::Malformed(MalformedBundle::Signature(_))
    ));
}

#[test]
fn a_key_that_is_no_point_of_the_curve_believes_nothing() {
    let alpha = Maker::new("alpha");
    let bundle = alpha.bundle(&alpha.statement(b"manifest"));
    let mut der = alpha.key().to_der();
    *der.last_mut().unwrap() ^= 1;
    let mut policy = alpha.policy().document().clone();
    let public_key = ProvenanceKey::from_der(&der).unwrap();
    policy.operators[0].provenance = Some(Provenance::new(public_key));
    let policy = TrustPolicy::try_from(policy).unwrap();
    let refused = policy.verify_provenance(&alpha.name, bundle.as_bytes());
    assert!(matches!(refused, Err(ProvenanceRejection::BadSignature(_))));
}

#[test]
fn what_a_former_key_signed_counts_until_the_key_is_left_out() {
    let (old, new) = (Maker::new("alpha"), Maker::new("alpha"));
    let bundle = old.bundle(&old.statement(b"manifest"));
    let mut policy = new.policy().document().clone();
    let refused = new.policy().verify_provenance(&new.name, bundle.as_bytes());
    assert!(
        matches!(refused, Err(ProvenanceRejection::BadSignature(_))),
        "{refused:?}"
    );
    let provenance = policy.operators[0].provenance.as_mut().unwrap();
    provenance.former_keys = vec![Maker::new("alpha").key(), old.key()];
    let policy = TrustPolicy::try_from(policy).unwrap();
    let verified = policy.verify_provenance(&new.name, bundle.as_bytes()).unwrap();
    verified
        .check_covers(unit(), Digest::of(b"manifest"), &package())
        .unwrap();
    let by_new = new.bundle(&new.statement(b"manifest"));
    policy.verify_provenance(&new.name, by_new.as_bytes()).unwrap();
    let by_stranger = Maker::new("alpha").bundle(&new.statement(b"manifest"));
    assert!(policy.verify_provenance(&new.name, by_stranger.as_bytes()).is_err());
}
