//! The bundle's golden form, and everything that is not one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::digest::{Digest, UnitKey};
use crate::document::UnitDocument;
use crate::key::{Compiler, Package};
use crate::provenance::statement::{Invocation, Unit};
use crate::run::RunDocument;

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
";

fn statement() -> Statement {
    let compiler = Compiler {
        sysroot: vec![],
        verbose_version: "release: 1.95.0\nhost: x86_64-unknown-linux-gnu\n".into(),
    };
    let package = Package {
        checksum: Digest::of(b"crate"),
        name: "memchr".parse().unwrap(),
        version: "2.7.4".parse().unwrap(),
    };
    let key = UnitKey::new(Digest::of(b"key"));
    let document: UnitDocument = RunDocument::new(key, compiler, package, BTreeMap::new()).into();
    let unit = Unit {
        key,
        manifest: Digest::of(b"manifest"),
        document: &document,
        sandboxed: true,
    };
    let operator = "alpha".parse().unwrap();
    let invocation = Invocation {
        operator: &operator,
        builder_version: "0.1.0",
        id: "alpha/1/0-1",
    };
    Statement::new(invocation, [unit])
}

/// A bundle of a statement with a signature that nobody made.
fn bundle() -> String {
    let signature = Signature::from_der(&[0x30, 6, 2, 1, 1, 2, 1, 1]).unwrap();
    assemble(&statement(), &KEY.parse().unwrap(), &signature)
}

#[test]
fn a_bundle_keeps_its_golden_form() {
    let bundle = bundle();
    let payload = STANDARD.encode(statement().to_bytes());
    insta::assert_snapshot!(bundle.replace(&payload, "<payload>"), @r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"XNJS+wzokyQ2+vjM0QQJgbie5K1rn+niorfnGqyyfNM="},"tlogEntries":[]},"dsseEnvelope":{"payload":"<payload>","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"MAYCAQECAQE=","keyid":"XNJS+wzokyQ2+vjM0QQJgbie5K1rn+niorfnGqyyfNM="}]}}"#);
    let read = Bundle::parse(bundle.as_bytes()).unwrap();
    assert_eq!(read.unverified(), &statement());
    assert_eq!(read.signed_bytes(), to_be_signed(&statement()));
    let signed = String::from_utf8(read.signed_bytes()).unwrap();
    assert!(
        signed.starts_with("DSSEv1 28 application/vnd.in-toto+json "),
        "{signed}"
    );
}

/// What is said about the bundle with this change.
fn refused(change: impl FnOnce(&mut Value)) -> MalformedBundle {
    let mut value: Value = serde_json::from_str(&bundle()).unwrap();
    change(&mut value);
    Bundle::parse(value.to_string().as_bytes()).unwrap_err()
}

#[test]
fn t25_another_version_of_bundle_is_refused() {
    for other in [
        "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "application/vnd.dev.sigstore.bundle+json;version=0.2",
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
        "application/vnd.dev.sigstore.bundle.v0.4+json",
        "",
    ] {
        let error = refused(|bundle| bundle["mediaType"] = json!(other));
        assert!(matches!(error, MalformedBundle::MediaType(_)), "{other}: {error}");
    }
}

#[test]
fn t25_a_bundle_has_one_signature() {
    let two = |bundle: &mut Value| {
        let signatures = bundle["dsseEnvelope"]["signatures"].as_array_mut().unwrap();
        signatures.push(signatures[0].clone());
    };
    assert!(matches!(refused(two), MalformedBundle::Signatures(2)));
    let none = |bundle: &mut Value| bundle["dsseEnvelope"]["signatures"] = json!([]);
    assert!(matches!(refused(none), MalformedBundle::Signatures(0)));
}

#[test]
fn t25_another_type_of_payload_is_refused() {
    let error = refused(|bundle| bundle["dsseEnvelope"]["payloadType"] = json!("application/json"));
    assert!(matches!(error, MalformedBundle::PayloadType(_)));
}

#[test]
fn t24_a_log_entry_or_timestamp_that_nobody_checks_is_refused() {
    let entry = json!({"logIndex": "1", "canonicalizedBody": "e30="});
    let error = refused(|bundle| bundle["verificationMaterial"]["tlogEntries"] = json!([entry]));
    assert!(matches!(error, MalformedBundle::Unverifiable));
    let timestamps = json!({"rfc3161Timestamps": [{"signedTimestamp": "AA=="}]});
    let error = refused(|bundle| bundle["verificationMaterial"]["timestampVerificationData"] = timestamps);
    assert!(matches!(error, MalformedBundle::Unverifiable));
}

#[test]
fn lists_that_other_tools_write_though_they_are_empty_are_read() {
    let mut value: Value = serde_json::from_str(&bundle()).unwrap();
    value["verificationMaterial"]["timestampVerificationData"] = json!({"rfc3161Timestamps": []});
    value["dsseEnvelope"]["signatures"][0]
        .as_object_mut()
        .unwrap()
        .remove("keyid");
    value["verificationMaterial"]
        .as_object_mut()
        .unwrap()
        .remove("tlogEntries");
    assert!(Bundle::parse(value.to_string().as_bytes()).is_ok());
}

#[test]
fn a_certificate_instead_of_a_key_and_unknown_members_are_refused() {
    let certificate = json!({"certificate": {"rawBytes": "AA=="}});
    let error = refused(|bundle| bundle["verificationMaterial"] = certificate);
    assert!(matches!(error, MalformedBundle::Json(_)));
    for pointer in [
        "",
        "/verificationMaterial",
        "/dsseEnvelope",
        "/dsseEnvelope/signatures/0",
    ] {
        let error = refused(|bundle| bundle.pointer_mut(pointer).unwrap()["more"] = json!(1));
        assert!(matches!(error, MalformedBundle::Json(_)), "{pointer}");
    }
    let error = refused(|bundle| bundle["dsseEnvelope"]["payload"] = json!("e30\n"));
    assert!(matches!(error, MalformedBundle::Base64(_)));
    let error = refused(|bundle| bundle["dsseEnvelope"]["signatures"][0]["sig"] = json!("MAYCAQECAQEA"));
    assert!(matches!(error, MalformedBundle::Signature(_)));
}

#[test]
fn t25_a_bundle_of_unbounded_size_is_not_read() {
    let mut long = bundle().into_bytes();
    long.resize(usize::try_from(MAX_BUNDLE).unwrap() + 1, b' ');
    assert!(matches!(Bundle::parse(&long), Err(MalformedBundle::TooLong)));
    long.pop();
    assert!(Bundle::parse(&long).is_ok(), "the longest one is one");
    let deep = format!("{{\"mediaType\":{}", "[".repeat(1 << 20));
    assert!(matches!(Bundle::parse(deep.as_bytes()), Err(MalformedBundle::Json(_))));
    let many = refused(|bundle| {
        bundle["dsseEnvelope"]["signatures"] = Value::Array(vec![json!({"sig": "AA=="}); 100_000]);
    });
    assert!(matches!(many, MalformedBundle::Signatures(100_000)));
}
