//! What `verify` finds in target folders and stores that were tampered with, and in those that were not.

use sealift_policy::manifest::{Output, Role};

use super::*;
use crate::store::Mode;

fn store_with(content: &[u8], origin: UnitOrigin) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let unit_key = UnitKey::new(Digest::of(b"key"));
    let output = Output {
        name: Role::Rmeta.file_name("memchr", unit_key),
        role: Role::Rmeta,
        sha256: Digest::of(content),
        size: content.len() as u64,
    };
    store.insert(content, output.sha256, Mode::Data).unwrap();
    let manifest = Manifest {
        baseline: None,
        diagnostics: vec![],
        env_deps: vec![],
        glibc: None,
        outputs: vec![output],
        sources: vec![],
        unit_key,
        version: 1,
    };
    let unit = LocalUnit {
        version: 1,
        unit_key,
        manifest: manifest.to_canonical(),
        origin,
        compile_ms: 1,
        call: None,
    };
    store.write_unit(&unit).unwrap();
    (folder, store)
}

fn target_with(content: &[u8]) -> tempfile::TempDir {
    let target = tempfile::tempdir().unwrap();
    let deps = target.path().join("debug/deps");
    fs_err::create_dir_all(&deps).unwrap();
    fs_err::write(deps.join("libmemchr-0123.rmeta"), content).unwrap();
    fs_err::write(deps.join("libown-0123.rmeta"), b"other").unwrap();
    fs_err::write(deps.join("memchr-0123.d"), content).unwrap();
    target
}

#[test]
fn a_file_is_known_by_its_content() {
    let (_folder, store) = store_with(b"rmeta", UnitOrigin::Compiled { by: BTreeSet::new() });
    let target = target_with(b"rmeta");
    let report = report(&store, Err("no trust policy is configured"), Some(target.path().into()));
    assert_eq!((report.files.len(), report.other_files), (1, 1));
    assert!(report.files[0].unit.trusted && report.files[0].path.ends_with("libmemchr-0123.rmeta"));
    insta::assert_snapshot!(text(&report).replace(target.path().to_str().unwrap(), "<target>"), @r"
    target folder   <target>
      fetched       0 files
      compiled      1 file by the canonical call
      other         1 file
    local store     1 unit, 0 fetched
      outputs       1, 0 damaged
      untrusted     0 units
    advisories      not looked at: `--advisories` names a copy of RustSec's database
    ");
}

#[test]
fn a_fetched_unit_without_a_policy_is_untrusted() {
    let (_folder, store) = store_with(b"rmeta", UnitOrigin::Fetched { proofs: vec![] });
    let target = target_with(b"rmeta");
    let report = report(&store, Err("no trust policy is configured"), Some(target.path().into()));
    assert!(!report.files[0].unit.trusted);
    assert_eq!(
        report.files[0].unit.reason.as_deref(),
        Some("no trust policy is configured")
    );
    assert_eq!(report.store.untrusted_units.len(), 1);
}

#[test]
fn a_damaged_output_is_named() {
    let (folder, store) = store_with(b"rmeta", UnitOrigin::Compiled { by: BTreeSet::new() });
    let digest = Digest::of(b"rmeta");
    let path = folder.path().join("v1").join(local::cas_path(digest));
    fs_err::remove_file(&path).unwrap();
    fs_err::write(&path, b"RMETA").unwrap();
    assert_eq!(report(&store, Err(""), None).store.damaged_blobs, [digest.to_string()]);
}
