//! What must hold for the documents that are hashed: manifests, leaves, key documents.
//!
//! Must not know how inputs are found.

use serde_json::Value;

use sealift_policy::canonical;
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::leaf::{Leaf, MAX_LEAF};
use sealift_policy::manifest::Manifest;

/// A manifest and a leaf have one spelling; output names are plain and belong to the unit, sources stay below their root.
pub fn manifest(data: &[u8]) {
    in_canonical_form(data, |bytes| {
        if let Ok(leaf) = Leaf::from_canonical(bytes) {
            assert_eq!(leaf.to_canonical().as_bytes(), bytes);
            assert!(bytes.len() <= MAX_LEAF);
        }
        let Ok(manifest) = Manifest::from_canonical(bytes) else {
            return;
        };
        assert_eq!(
            manifest.to_canonical().as_bytes(),
            bytes,
            "two spellings of one manifest"
        );
        for output in &manifest.outputs {
            let name = manifest.crate_name().expect("there are outputs");
            assert_eq!(output.name, output.role.file_name(name, manifest.unit_key));
            assert!(!output.name.contains(['/', '\\', '\0', '.']) || !output.name.starts_with('.'));
            assert!(!output.name.contains(['/', '\\', '\0']));
        }
        assert!(manifest.outputs.is_sorted_by(|a, b| a.role < b.role));
        for source in &manifest.sources {
            let path = std::path::Path::new(&source.path);
            assert!(
                path.components()
                    .all(|part| matches!(part, std::path::Component::Normal(_)))
            );
            assert_eq!(source.path.lines().count(), 1);
        }
    });
}

/// A key document has one spelling, its key is the digest of that, and each has a class or is refused.
pub fn key_document(data: &[u8]) {
    in_canonical_form(data, |bytes| {
        if let Ok(value) = canonical::from_bytes::<Value>(bytes, 1 << 20) {
            assert_eq!(canonical::to_string(&value).as_bytes(), bytes);
        }
        let Ok((key, document)) = UnitDocument::from_canonical(bytes) else {
            return;
        };
        assert_eq!(
            document.to_canonical().as_bytes(),
            bytes,
            "two spellings of one key document"
        );
        assert_eq!(key, UnitKey::new(Digest::of(bytes)));
        assert!(document.class().is_ok());
        document.expected_roles();
        document.is_of_these_rules();
        if let Some(toolchain) = document.compiler().toolchain() {
            assert!(!toolchain.as_str().contains(['/', '\0']) && !toolchain.as_str().contains(".."));
        }
        if let UnitDocument::Run(run) = &document {
            run.is_complete();
        }
    });
}

/// Checks the bytes as they are and, if they are JSON in another spelling, in their canonical one, so that a search need
/// not find out how keys are sorted.
fn in_canonical_form(data: &[u8], check: impl Fn(&[u8])) {
    check(data);
    if let Ok(value) = serde_json::from_slice::<Value>(data)
        && has_small_integers_only(&value)
    {
        let text = canonical::to_string(&value);
        if text.as_bytes() != data {
            check(text.as_bytes());
        }
    }
}

fn has_small_integers_only(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => number.as_u64().is_some_and(|number| number <= 1 << 53),
        Value::Array(items) => items.iter().all(has_small_integers_only),
        Value::Object(members) => members.values().all(has_small_integers_only),
    }
}
