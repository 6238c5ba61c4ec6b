//! What is attested of a batch, and where it is kept.

use std::collections::BTreeMap;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::key::{Compiler, Package};
use sealift_policy::log::Origin;
use sealift_policy::log::key::LogSigner;
use sealift_policy::provenance::Bundle;
use sealift_policy::run::RunDocument;
use sealift_policy::wire::SubmittedUnit;

use super::*;
use crate::data::Operator;

fn data(folder: &Path) -> Data {
    let name = "alpha".parse().unwrap();
    let signer = LogSigner::generate(Origin::of(&name, 1), &mut rand_core::OsRng);
    let operator = Operator {
        version: 1,
        name,
        epoch: 1,
        vkey: signer.verifier().clone(),
    };
    Data::create(folder, operator).unwrap()
}

fn header(names: &[&str]) -> SubmissionHeader {
    let unit = |name: &&str| {
        let compiler = Compiler {
            sysroot: vec![],
            verbose_version: "release: 1.95.0\nhost: x86_64-unknown-linux-gnu\n".into(),
        };
        let package = Package {
            checksum: Digest::of(name.as_bytes()),
            name: name.parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
        };
        let script = UnitKey::new(Digest::of(b"script"));
        let (key, key_document) = RunDocument::new(script, compiler, package, BTreeMap::new()).key();
        SubmittedUnit {
            leaf: Leaf::new(key, Digest::of(b"manifest")).to_canonical(),
            manifest: "manifest".into(),
            key_document,
            plans: vec![],
            compile_ms: 0,
        }
    };
    SubmissionHeader {
        version: 1,
        operator: "alpha".parse().unwrap(),
        epoch: 1,
        old_size: 7,
        checkpoint: String::new(),
        units: names.iter().map(unit).collect(),
        blobs: vec![],
        provenance: vec![],
    }
}

#[tokio::test]
async fn a_bundle_speaks_of_every_unit_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let (text, _) = AttestKey::generate(Some(b"x")).unwrap();
    let attestor = Attestor::Key(AttestKey::from_encrypted(&text, Some(b"x")).unwrap());
    let header = header(&["serde", "memchr"]);
    let bundle = attestor.bundle(&data, &header, &[true, false]).await.unwrap();
    let kept = fs_err::read_to_string(data.root().join("provenance/1/7-9.sigstore.json")).unwrap();
    assert_eq!(kept, bundle);
    let parsed = Bundle::parse(bundle.as_bytes()).unwrap();
    let statement = parsed.unverified();
    assert!(statement.is_of(&"alpha".parse().unwrap()));
    assert_eq!(statement.subjects().count(), 2);
    assert_eq!(statement.archives().count(), 2);
    let text = String::from_utf8(statement.to_bytes()).unwrap();
    let memchr = Leaf::from_canonical(header.units[1].leaf.as_bytes())
        .unwrap()
        .unit_key();
    assert!(text.contains(&format!(r#""unsandboxed":["{memchr}"]"#)), "{text}");
    assert!(text.contains(r#""invocationId":"alpha/1/7-9""#), "{text}");
}

#[tokio::test]
async fn damaged_documents_are_not_attested() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let (text, _) = AttestKey::generate(Some(b"x")).unwrap();
    let attestor = Attestor::Key(AttestKey::from_encrypted(&text, Some(b"x")).unwrap());
    let mut damaged = header(&["serde", "memchr"]);
    damaged.units[0].key_document = damaged.units[1].key_document.clone();
    let refused = attestor.bundle(&data, &damaged, &[true, true]).await;
    assert!(matches!(refused, Err(AttestError::Damaged)));
    assert!(!data.root().join("provenance").exists());
}

#[test]
fn an_operator_without_a_key_attests_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Attestor::open(&data(folder.path())).unwrap().is_none());
}
