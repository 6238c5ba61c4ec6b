//! What the signer refuses (A8, B5, B10, B11, B14). Every case goes through the protocol.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use sealift_policy::key::{Compiler, KeyDocument, Package};
use sealift_policy::log::Origin;
use sealift_policy::log::key::LogSigner;
use sealift_policy::manifest::{Manifest, Output, Role};

use super::*;
use crate::data::Operator;

/// An operator with an empty log.
struct Fixture {
    _folder: tempfile::TempDir,
    data: Data,
}

fn operator() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let name = "alpha".parse().unwrap();
    let signer = LogSigner::generate(Origin::of(&name, 1), &mut rand_core::OsRng);
    let operator = Operator {
        version: 1,
        name,
        epoch: 1,
        vkey: signer.verifier().clone(),
    };
    let data = Data::create(&folder.path().join("data"), operator).unwrap();
    key_file::create(&data.key(), &signer.to_secret_text()).unwrap();
    Sequencer::create(FolderStore::new(&data.log(), &data.seen()), signer, 1).unwrap();
    data.finish().unwrap();
    Fixture { _folder: folder, data }
}

fn document(crate_name: &str) -> KeyDocument {
    KeyDocument {
        cap_lints: None,
        cfg: vec![],
        check_cfg: vec![],
        closure: None,
        codegen: vec![],
        compiler: Compiler {
            sysroot: vec![],
            verbose_version: String::new(),
        },
        crate_name: crate_name.into(),
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
            name: crate_name.parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
        },
        rules: 1,
        target: None,
        version: 1,
    }
}

/// Stages a unit with two outputs; `rlib` is the second's content.
fn stage(data: &Data, crate_name: &str, rlib: &[u8]) -> (UnitKey, PathBuf) {
    let document = document(crate_name).to_canonical();
    let key = UnitKey::new(Digest::of(document.as_bytes()));
    let folder = data.staging(key);
    fs_err::create_dir_all(&folder).unwrap();
    let output = |role: Role, content: &[u8]| {
        let name = role.file_name(crate_name, key);
        fs_err::write(folder.join(&name), content).unwrap();
        Output {
            name,
            role,
            sha256: Digest::of(content),
            size: content.len() as u64,
        }
    };
    let manifest = Manifest {
        baseline: None,
        diagnostics: vec![],
        env_deps: vec![],
        glibc: None,
        outputs: vec![output(Role::Rmeta, b"rmeta"), output(Role::Rlib, rlib)],
        sources: vec![],
        unit_key: key,
        version: 1,
    };
    fs_err::write(folder.join(KEY_DOCUMENT), document).unwrap();
    fs_err::write(folder.join(MANIFEST), manifest.to_canonical()).unwrap();
    (key, folder)
}

/// Turns what is staged into a whole and sound unit of this crate and key.
fn restage(folder: &std::path::Path, crate_name: &str, key: UnitKey) {
    let text = fs_err::read(folder.join(MANIFEST)).unwrap();
    let mut manifest = Manifest::from_canonical(&text).unwrap();
    manifest.unit_key = key;
    for output in &mut manifest.outputs {
        let name = output.role.file_name(crate_name, key);
        fs_err::rename(folder.join(&output.name), folder.join(&name)).unwrap();
        output.name = name;
    }
    let text = manifest.to_canonical();
    Manifest::from_canonical(text.as_bytes()).unwrap();
    fs_err::write(folder.join(MANIFEST), text).unwrap();
}

fn talk(data: &Data, commands: &[Command]) -> Vec<Answer> {
    let mut input = Vec::new();
    for command in commands {
        write_line(&mut input, command).unwrap();
    }
    let mut output = Vec::new();
    let _ = serve(data, input.as_slice(), &mut output, || 5);
    String::from_utf8(output)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const UNPUBLISHED: Command = Command::Published { checkpoint: None };

/// Has one unit signed and gives its outcome.
fn sign(data: &Data, key: UnitKey) -> UnitOutcome {
    match talk(data, &[UNPUBLISHED, Command::Append { units: vec![key] }]).pop() {
        Some(Answer::Appended { mut units, .. }) => units.pop().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_as_it_should_be_is_signed_once() {
    let fixture = operator();
    let (key, _) = stage(&fixture.data, "memchr", b"rlib");
    assert_eq!(sign(&fixture.data, key), UnitOutcome::Signed);
    assert_eq!(sign(&fixture.data, key), UnitOutcome::Already);
    stage(&fixture.data, "memchr", b"other");
    assert!(matches!(sign(&fixture.data, key), UnitOutcome::Conflict { .. }));
}

#[test]
fn unexpected_names_links_sizes_and_contents_are_refused() {
    type Change = fn(&std::path::Path, &std::path::Path);
    let changes: [(&str, Change); 15] = [
        ("a file too many", |folder, _| {
            fs_err::write(folder.join("extra"), "x").unwrap()
        }),
        ("a hidden file", |folder, _| {
            fs_err::write(folder.join(".x"), "x").unwrap()
        }),
        ("a file too few", |_, rlib| fs_err::remove_file(rlib).unwrap()),
        ("a longer file", |_, rlib| fs_err::write(rlib, "rlib and more").unwrap()),
        ("a shorter file", |_, rlib| fs_err::write(rlib, "rl").unwrap()),
        ("another content", |_, rlib| fs_err::write(rlib, "blir").unwrap()),
        ("a symbolic link", |folder, rlib| {
            let elsewhere = folder.with_file_name("elsewhere");
            fs_err::rename(rlib, &elsewhere).unwrap();
            std::os::unix::fs::symlink(elsewhere, rlib).unwrap();
        }),
        ("a hard link", |folder, rlib| {
            fs_err::hard_link(rlib, folder.with_file_name("second-name")).unwrap()
        }),
        ("a folder", |_, rlib| {
            fs_err::remove_file(rlib).unwrap();
            fs_err::create_dir(rlib).unwrap();
        }),
        ("setuid", |_, rlib| {
            fs_err::set_permissions(rlib, std::fs::Permissions::from_mode(0o4755)).unwrap()
        }),
        ("another unit's key document", |folder, _| {
            fs_err::write(folder.join(KEY_DOCUMENT), document("other").to_canonical()).unwrap();
        }),
        ("a manifest that is not canonical", |folder, _| {
            let text = fs_err::read_to_string(folder.join(MANIFEST)).unwrap();
            fs_err::write(folder.join(MANIFEST), format!("{text}\n")).unwrap();
        }),
        ("manifest and outputs of another unit", |folder, _| {
            restage(folder, "memchr", UnitKey::new(Digest::of(b"other")));
        }),
        ("manifest and outputs of another crate", |folder, _| {
            let key = folder.file_name().unwrap().to_str().unwrap().parse().unwrap();
            restage(folder, "other", key);
        }),
        ("an output too few in the manifest", |folder, rlib| {
            let text = fs_err::read(folder.join(MANIFEST)).unwrap();
            let mut manifest = Manifest::from_canonical(&text).unwrap();
            manifest.outputs.pop();
            fs_err::write(folder.join(MANIFEST), manifest.to_canonical()).unwrap();
            fs_err::remove_file(rlib).unwrap();
        }),
    ];
    for (what, change) in changes {
        let fixture = operator();
        let (key, folder) = stage(&fixture.data, "memchr", b"rlib");
        change(&folder, &folder.join(Role::Rlib.file_name("memchr", key)));
        assert!(
            matches!(sign(&fixture.data, key), UnitOutcome::Refused { .. }),
            "{what}"
        );
    }
}

#[test]
fn a_unit_that_is_refused_does_not_stop_the_others() {
    let fixture = operator();
    let (good, _) = stage(&fixture.data, "memchr", b"rlib");
    let absent = UnitKey::new(Digest::of(b"absent"));
    let answers = talk(
        &fixture.data,
        &[
            UNPUBLISHED,
            Command::Append {
                units: vec![absent, good],
            },
        ],
    );
    let Some(Answer::Appended { units, size: 1 }) = answers.last() else {
        panic!("{answers:?}")
    };
    assert!(matches!(units[..], [UnitOutcome::Refused { .. }, UnitOutcome::Signed]));
}

#[test]
fn nothing_is_signed_before_the_published_head_was_checked() {
    let fixture = operator();
    let answers = talk(&fixture.data, &[Command::Append { units: vec![] }]);
    assert!(matches!(answers[..], [Answer::Failed { .. }]));
}

#[test]
fn a_log_older_than_the_published_head_signs_nothing() {
    let (ahead, behind) = (operator(), operator());
    // The same key, as after a restored backup.
    for file in ["keys/1.key", "log/1/checkpoint"] {
        fs_err::copy(ahead.data.root().join(file), behind.data.root().join(file)).unwrap();
    }
    fs_err::remove_file(behind.data.seen()).unwrap();
    fs_err::remove_dir_all(behind.data.log().join("heads")).unwrap();
    let (key, _) = stage(&ahead.data, "memchr", b"rlib");
    assert_eq!(sign(&ahead.data, key), UnitOutcome::Signed);
    let published = fs_err::read_to_string(ahead.data.log().join("checkpoint")).unwrap();
    let commands = [
        Command::Published {
            checkpoint: Some(published),
        },
        Command::Append { units: vec![] },
    ];
    let answers = talk(&behind.data, &commands);
    assert!(
        matches!(&answers[..], [Answer::Failed { reason }] if reason.contains("backup")),
        "{answers:?}"
    );
}

#[test]
fn a_second_signer_stops() {
    let fixture = operator();
    let _lock = SignerLock::take(&fixture.data).unwrap();
    let answers = talk(&fixture.data, &[UNPUBLISHED]);
    assert!(matches!(&answers[..], [Answer::Failed { reason }] if reason.contains("another signer")));
}

#[test]
fn a_key_that_others_can_read_signs_nothing() {
    let fixture = operator();
    fs_err::set_permissions(fixture.data.key(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let answers = talk(&fixture.data, &[UNPUBLISHED, Command::Append { units: vec![] }]);
    assert!(matches!(&answers[..], [Answer::Failed { reason }] if reason.contains("read by others")));
}

#[test]
fn commands_that_cannot_be_read_end_the_conversation() {
    let fixture = operator();
    for junk in [
        "{}\n",
        "\n",
        "{\"command\":\"append\"}\n",
        "{\"command\":\"published\",\"checkpoint\":null}",
        "\u{0}\n",
    ] {
        let mut output = Vec::new();
        assert!(
            serve(&fixture.data, junk.as_bytes(), &mut output, || 5).is_err(),
            "{junk:?}"
        );
    }
}
