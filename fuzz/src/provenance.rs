//! What must hold for provenance: bundles, statements, keys, signatures.
//!
//! Must not know how inputs are found.

use std::collections::BTreeSet;

use sealift_policy::provenance::bundle::{MAX_BUNDLE, assemble};
use sealift_policy::provenance::statement::MAX_SUBJECTS;
use sealift_policy::provenance::{Bundle, CertifiedBundle, ProvenanceKey, Signature, Statement};

/// What parses reads back, is bounded, and names nothing twice; a signature has one spelling.
pub fn provenance(data: &[u8]) {
    if let Ok(statement) = Statement::parse(data) {
        read_back(&statement);
    }
    if let Ok(signature) = Signature::from_der(data) {
        assert_eq!(signature.as_der(), data);
        assert!(data.len() <= 72);
    }
    let key = str::from_utf8(data)
        .ok()
        .and_then(|text| text.parse::<ProvenanceKey>().ok());
    if let Some(key) = key {
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(ProvenanceKey::from_der(&key.to_der()), Ok(key));
    }
    if let Ok(bundle) = CertifiedBundle::parse(data) {
        assert!(data.len() as u64 <= MAX_BUNDLE);
        read_back(bundle.unverified());
        assert_eq!(CertifiedBundle::parse(bundle.text().as_bytes()).ok(), Some(bundle));
    }
    let Ok(bundle) = Bundle::parse(data) else { return };
    assert!(data.len() as u64 <= MAX_BUNDLE);
    let statement = bundle.unverified();
    read_back(statement);
    let der = [&SPKI_OF_ZEROS[..], &[4], &[0; 64]].concat();
    let key = ProvenanceKey::from_der(&der).expect("any point will do");
    let again = Bundle::parse(assemble(statement, &key, bundle.signature()).as_bytes());
    let again = again.expect("what is written reads back");
    assert_eq!((again.unverified(), again.signature()), (statement, bundle.signature()));
}

/// The beginning of a key of this kind.
const SPKI_OF_ZEROS: [u8; 26] =
    *b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

fn read_back(statement: &Statement) {
    let again = Statement::parse(&statement.to_bytes()).expect("what is written reads back");
    assert_eq!(&again, statement);
    let units: Vec<_> = statement.subjects().map(|(unit, _)| unit).collect();
    assert!((1..=MAX_SUBJECTS).contains(&units.len()));
    assert_eq!(units.iter().collect::<BTreeSet<_>>().len(), units.len());
    assert!(statement.archives().count() <= MAX_SUBJECTS);
}
