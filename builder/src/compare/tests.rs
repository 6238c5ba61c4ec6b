//! Rules of the comparison, on units that are made up and on archives as rustc writes them.

use std::collections::BTreeMap;

use sealift_policy::digest::Digest;
use sealift_policy::key::{Compiler, KeyDocument, Package};
use sealift_policy::manifest::{EnvDep, Output};

use super::*;

fn document(change: impl Fn(&mut KeyDocument)) -> KeyDocument {
    let mut document = KeyDocument {
        cap_lints: None,
        cfg: vec![],
        check_cfg: vec![],
        closure: None,
        codegen: vec![],
        compiler: Compiler {
            sysroot: vec![],
            verbose_version: String::new(),
        },
        crate_name: "memchr".into(),
        crate_root: "src/lib.rs".into(),
        crate_type: "lib".into(),
        edition: None,
        emit: "dep-info,metadata,link".into(),
        env: BTreeMap::new(),
        externs: vec![],
        lints: vec![],
        native_libs: vec![],
        native_search: vec![],
        out_dir: None,
        package: Package {
            checksum: Digest::of(b"crate"),
            name: "memchr".parse().unwrap(),
            version: "2.8.3".parse().unwrap(),
        },
        rules: 1,
        target: None,
        version: 1,
    };
    change(&mut document);
    document
}

/// A unit with these outputs.
fn unit(document: KeyDocument, rmeta: &[u8], rlib: &[u8]) -> CapturedUnit {
    let key_document = document.to_canonical();
    let key = UnitKey::new(Digest::of(key_document.as_bytes()));
    let output = |role: Role, content: &[u8]| Output {
        name: role.file_name("memchr", key),
        role,
        sha256: Digest::of(content),
        size: content.len() as u64,
    };
    let manifest = Manifest {
        baseline: None,
        diagnostics: vec![],
        env_deps: vec![],
        glibc: None,
        outputs: vec![output(Role::Rmeta, rmeta), output(Role::Rlib, rlib)],
        sources: vec![],
        unit_key: key,
        version: 1,
    };
    let call = CallSummary {
        package: document.package.name.clone(),
        package_version: document.package.version.clone(),
        checksum: document.package.checksum,
        crate_name: document.crate_name.clone(),
        kind: CallKind::Lib,
        check: false,
        features: vec![],
        target: None,
        codegen: vec![],
        externs: vec![],
    };
    let manifest_text = manifest.to_canonical();
    CapturedUnit {
        key,
        key_document,
        document: document.into(),
        manifest_text,
        manifest,
        call,
        compile_ms: 1,
    }
}

fn pass(unit: CapturedUnit) -> BTreeMap<UnitKey, CapturedUnit> {
    BTreeMap::from([(unit.key, unit)])
}

/// An archive in the form of `ar` with one member.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    bytes.extend(
        format!(
            "{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            format!("{name}/"),
            0,
            0,
            0,
            644,
            content.len()
        )
        .bytes(),
    );
    bytes.extend(content);
    if content.len() % 2 == 1 {
        bytes.push(b'\n');
    }
    bytes
}

fn diverged(comparison: Comparison) -> String {
    match comparison {
        Comparison::Diverged { what } => what.join(", "),
        other => panic!("{other:?}"),
    }
}

#[test]
fn equal_units_are_reproduced() {
    let one = unit(document(|_| {}), b"m", b"l");
    assert_eq!(compare(&one, &pass(one.clone())), Comparison::Reproduced);
}

#[test]
fn units_that_differ_say_in_what() {
    let one = unit(document(|_| {}), b"m", b"l");
    assert_eq!(
        diverged(compare(&one, &pass(unit(document(|_| {}), b"m", b"other")))),
        "output rlib"
    );
    assert_eq!(
        diverged(compare(&one, &pass(unit(document(|_| {}), b"x", b"y")))),
        "output rmeta, output rlib"
    );
    let other_key = unit(document(|d| d.out_dir = Some(Digest::of(b"tree"))), b"m", b"l");
    assert_eq!(diverged(compare(&one, &pass(other_key))), "key out_dir");
    assert_eq!(
        diverged(compare(&one, &BTreeMap::new())),
        "the second pass has no such unit"
    );
    let mut reads = one.clone();
    reads.manifest.env_deps.push(EnvDep {
        name: "HOME".into(),
        value: Some("/tmp/home".into()),
    });
    reads.manifest_text = reads.manifest.to_canonical();
    assert_eq!(diverged(compare(&one, &pass(reads))), "env_deps");
}

#[test]
fn the_metadata_inside_an_rlib_must_be_that_of_the_rmeta() {
    let good = archive("lib.rmeta", b"metadata");
    let check = |rmeta: &[u8], rlib: &[u8]| {
        publishable(
            &unit(document(|_| {}), rmeta, rlib),
            &[rmeta.to_vec(), rlib.to_vec()],
            &[],
        )
    };
    assert_eq!(check(b"metadata", &good), Comparison::Reproduced);
    for (rmeta, rlib) in [
        (&b"other"[..], good.clone()),
        (b"metadata", archive("lib.rmeta", b"damaged!")),
        (b"metadata", archive("other.o", b"metadata")),
        (b"metadata", b"no archive".to_vec()),
        (b"", good),
    ] {
        assert!(matches!(check(rmeta, &rlib), Comparison::Unpublishable { .. }));
    }
    assert_eq!(
        check(b"", &archive("lib.rmeta", b"")),
        Comparison::Reproduced,
        "an empty rmeta is legitimate"
    );
}

#[test]
fn what_speaks_of_this_machine_is_not_published() {
    let needles = ["/data/alpha".to_owned()];
    let rlib = archive("lib.rmeta", b"m");
    let clean = unit(document(|_| {}), b"m", &rlib);
    assert_eq!(
        publishable(&clean, &[b"m".to_vec(), rlib.clone()], &needles),
        Comparison::Reproduced
    );

    let speaking = [b"m".to_vec(), [&rlib[..], b"\0/data/alpha/work/a/target\0"].concat()];
    assert!(matches!(
        publishable(&clean, &speaking, &needles),
        Comparison::Unpublishable { .. }
    ));
    let mut manifest = clean;
    manifest.manifest_text = manifest.manifest_text.replace("[]", "[\"/data/alpha/x\"]");
    assert!(matches!(
        publishable(&manifest, &[b"m".to_vec(), rlib.clone()], &needles),
        Comparison::Unpublishable { .. }
    ));
    let key = unit(document(|d| d.cfg = vec!["x=\"/data/alpha\"".into()]), b"m", &rlib);
    assert!(matches!(
        publishable(&key, &[b"m".to_vec(), rlib], &needles),
        Comparison::Unpublishable { .. }
    ));
}
