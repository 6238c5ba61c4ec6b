//! One bundle that the stand-ins of `tests/sigstore/standins.py` made, with the statement of the golden test, and each way
//! to make another thing of it. Nothing of it expires: a certificate counts at the time of its timestamp.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;

const BUNDLE: &str = include_str!("bundle.json");
const ROOT: &str = include_str!("trusted_root.json");

fn root() -> TrustedRoot {
    serde_json::from_str(ROOT).unwrap()
}

fn identity(subject: &str, issuer: &str) -> Identity {
    Identity {
        subject: subject.into(),
        issuer: issuer.into(),
    }
}

fn builder() -> Identity {
    identity("builder@operator.invalid", "https://issuer.invalid")
}

fn judged(bundle: &Value) -> Result<Statement, KeylessRejection> {
    verify(&root(), &[builder()], bundle.to_string().as_bytes())
}

fn bundle() -> Value {
    serde_json::from_str(BUNDLE).unwrap()
}

fn changed(pointer: &str, value: Value) -> Value {
    let mut bundle = bundle();
    *bundle.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    bundle
}

/// The payload with these words replaced.
fn restated(from: &str, to: &str) -> Value {
    let payload = bundle()["dsseEnvelope"]["payload"].as_str().unwrap().to_owned();
    let payload = String::from_utf8(STANDARD.decode(payload).unwrap()).unwrap();
    assert!(payload.contains(from));
    changed(
        "/dsseEnvelope/payload",
        STANDARD.encode(payload.replace(from, to)).into(),
    )
}

#[test]
fn a_bundle_of_the_identity_is_believed() {
    let statement = judged(&bundle()).unwrap();
    assert!(statement.is_of(&"alpha".parse().unwrap()));
    let identities = [identity("other", "other"), builder()];
    assert!(verify(&root(), &identities, BUNDLE.as_bytes()).is_ok());
}

#[test]
fn another_subject_or_issuer_is_somebody_else() {
    let builder = builder();
    for wrong in [
        identity("somebody@elsewhere.invalid", &builder.issuer),
        identity(&builder.subject, "https://elsewhere.invalid"),
        identity("", ""),
        identity("*", "*"),
        identity(&builder.subject.to_uppercase(), &builder.issuer),
    ] {
        let refused = verify(&root(), std::slice::from_ref(&wrong), BUNDLE.as_bytes());
        assert!(matches!(refused, Err(KeylessRejection::Refused(_))), "{wrong:?}");
    }
    assert!(verify(&root(), &[], BUNDLE.as_bytes()).is_err());
}

#[test]
fn every_part_of_the_trusted_root_is_asked() {
    for part in ["tlogs", "certificateAuthorities", "ctlogs", "timestampAuthorities"] {
        let mut without = root();
        without.0[part] = json!([]);
        let refused = verify(&without, &[builder()], BUNDLE.as_bytes());
        assert!(refused.is_err(), "{part}");
    }
    for root in [json!({}), json!([])] {
        assert!(check_root(&TrustedRoot(root.clone())).is_err(), "{root}");
    }
    assert!(check_root(&root()).is_ok());
}

// CVE-2022-36056, and T24: the one thing that was signed is the statement.
#[test]
fn t24_a_changed_statement_is_refused() {
    for (from, to) in [
        ("\"unsandboxed\":[", "\"unsandboxed\": ["),
        ("alpha/1/0-3", "alpha/1/0-4"),
        ("0.1.0", "0.1.1"),
    ] {
        assert!(
            matches!(judged(&restated(from, to)), Err(KeylessRejection::Refused(_))),
            "{to}"
        );
    }
}

// Whoever has one bundle that is in the open has the signature of its envelope. Given as the signature of a message, it would
// be one over whatever has that digest, and a statement beside it nobody's.
#[test]
fn t24_the_signature_of_an_envelope_is_none_of_a_message() {
    let genuine = bundle();
    let payload = STANDARD
        .decode(genuine["dsseEnvelope"]["payload"].as_str().unwrap())
        .unwrap();
    let mut signed = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len()).into_bytes();
    signed.extend_from_slice(&payload);
    let digest = crate::digest::Digest::of(&signed);
    let text = String::from_utf8(payload).unwrap();
    let first = &text[text.find("\"sha256\":\"").unwrap() + 10..][..64];
    let forged = STANDARD.encode(text.replace(first, &digest.to_string()));
    let message = json!({"signature": genuine["dsseEnvelope"]["signatures"][0]["sig"]});
    let mut envelope = genuine["dsseEnvelope"].clone();
    envelope["payload"] = forged.into();
    let material = genuine["verificationMaterial"].to_string();
    let kind = genuine["mediaType"].to_string();
    for (one, other) in [
        (("messageSignature", &message), ("dsseEnvelope", &envelope)),
        (("dsseEnvelope", &envelope), ("messageSignature", &message)),
    ] {
        // By hand, since the order of the members is what matters.
        let text = format!(
            r#"{{"mediaType":{kind},"verificationMaterial":{material},"{}":{},"{}":{}}}"#,
            one.0, one.1, other.0, other.1
        );
        let refused = verify(&root(), &[builder()], text.as_bytes());
        assert!(
            matches!(refused, Err(KeylessRejection::Malformed(MalformedBundle::Json(_)))),
            "{refused:?}"
        );
    }
    // And without the second: the statement is not what was signed.
    let text = format!(r#"{{"mediaType":{kind},"verificationMaterial":{material},"dsseEnvelope":{envelope}}}"#);
    let refused = verify(&root(), &[builder()], text.as_bytes());
    assert!(matches!(refused, Err(KeylessRejection::Refused(_))), "{refused:?}");
}

#[test]
fn nothing_of_a_bundle_can_be_left_out_given_twice_or_added() {
    let mut wrong = vec![];
    for pointer in [
        "/verificationMaterial/certificate",
        "/verificationMaterial/tlogEntries",
        "/verificationMaterial/timestampVerificationData",
        "/verificationMaterial/tlogEntries/0/inclusionProof",
        "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint",
        "/dsseEnvelope/signatures",
    ] {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let mut without = bundle();
        without
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(name)
            .unwrap();
        wrong.push(without);
    }
    for pointer in [
        "/verificationMaterial/tlogEntries",
        "/verificationMaterial/timestampVerificationData/rfc3161Timestamps",
        "/dsseEnvelope/signatures",
    ] {
        wrong.push(changed(pointer, json!([])));
        let one = bundle().pointer(pointer).unwrap()[0].clone();
        wrong.push(changed(pointer, json!([one, one])));
    }
    for parent in [
        "",
        "/verificationMaterial",
        "/verificationMaterial/tlogEntries/0",
        "/dsseEnvelope",
    ] {
        for name in ["padding", "inclusionPromise", "integratedTime", "publicKey"] {
            let mut more = bundle();
            let object = more.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            object.insert(name.into(), json!({}));
            wrong.push(more);
        }
    }
    wrong.push(changed(
        "/verificationMaterial/tlogEntries/0/kindVersion/version",
        json!("0.0.1"),
    ));
    wrong.push(changed(
        "/verificationMaterial/tlogEntries/0/kindVersion/kind",
        json!("dsse"),
    ));
    for bundle in wrong {
        let refused = judged(&bundle);
        assert!(
            matches!(refused, Err(KeylessRejection::Malformed(_))),
            "{refused:?}: {bundle}"
        );
    }
}

// What takes long to sort or to check is not even looked at.
#[test]
fn t25_parts_that_are_longer_than_such_parts_are_refused_unread() {
    let long = "A".repeat(64 << 10);
    for pointer in [
        "/verificationMaterial/certificate/rawBytes",
        "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp",
        "/verificationMaterial/tlogEntries/0/canonicalizedBody",
        "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope",
        "/verificationMaterial/tlogEntries/0/logIndex",
        "/dsseEnvelope/signatures/0/sig",
    ] {
        let refused = judged(&changed(pointer, long.clone().into()));
        assert!(
            matches!(refused, Err(KeylessRejection::Malformed(MalformedBundle::TooLong))),
            "{pointer}: {refused:?}"
        );
    }
    let hashes = changed("/verificationMaterial/tlogEntries/0/inclusionProof/hashes", json!([]));
    assert!(judged(&hashes).is_ok(), "of a log of one entry there is none");
    let many = vec!["AA=="; 65];
    let refused = judged(&changed(
        "/verificationMaterial/tlogEntries/0/inclusionProof/hashes",
        json!(many),
    ));
    assert!(matches!(
        refused,
        Err(KeylessRejection::Malformed(MalformedBundle::TooLong))
    ));
}

#[test]
fn t24_evidence_of_something_else_is_refused() {
    let flipped = |pointer: &str| {
        let text = bundle().pointer(pointer).unwrap().as_str().unwrap().to_owned();
        let mut bytes = STANDARD.decode(text).unwrap();
        // Within the signature of what has one. (Certificates inside of a timestamp are not believed anyway.)
        let inside = bytes.len() - 8;
        bytes[inside] ^= 1;
        changed(pointer, STANDARD.encode(bytes).into())
    };
    for pointer in [
        "/verificationMaterial/certificate/rawBytes",
        "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp",
        "/verificationMaterial/tlogEntries/0/canonicalizedBody",
        "/dsseEnvelope/signatures/0/sig",
    ] {
        let refused = judged(&flipped(pointer));
        assert!(
            matches!(refused, Err(KeylessRejection::Refused(_) | KeylessRejection::Part(_))),
            "{pointer}: {refused:?}"
        );
    }
    let pointer = "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope";
    let checkpoint = bundle()
        .pointer(pointer)
        .unwrap()
        .as_str()
        .unwrap()
        .replacen("\n1\n", "\n2\n", 1);
    assert!(judged(&changed(pointer, checkpoint.into())).is_err());
}
