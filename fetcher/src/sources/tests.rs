//! Packages laid down as cargo lays them down, and changed in every way.

use super::*;

struct Registry {
    folder: tempfile::TempDir,
    root: PathBuf,
    store: Store,
}

impl Registry {
    fn check(&self) -> Result<Checked, SourceProblem> {
        check(&self.store, &Unpacked::find(&self.root, "a-1.0.0", None)?)
    }
}

/// An unpacked package with its archive, as cargo lays them out; files are old enough to be remembered.
fn registry(files: &[(&str, &str)]) -> Registry {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("registry/src/id/a-1.0.0");
    let cache = folder.path().join("registry/cache/id");
    fs::create_dir_all(&cache).unwrap();
    let gzip = flate2::write::GzEncoder::new(
        fs::File::create(cache.join("a-1.0.0.crate")).unwrap(),
        flate2::Compression::fast(),
    );
    let mut tar = tar::Builder::new(gzip);
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("a-1.0.0/{name}"), content.as_bytes())
            .unwrap();
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    fs::write(root.join(".cargo-ok"), "{\"v\":1}").unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    Registry { root, store, folder }
}

#[test]
fn an_untouched_package_is_known_by_its_archive() {
    let registry = registry(&[("src/lib.rs", "fn a() {}"), ("Cargo.toml", "")]);
    let archive = registry.root.join("../../../cache/id/a-1.0.0.crate");
    let expected = store::digest_of_file(&archive).unwrap().0;
    assert_eq!(registry.check().unwrap().checksum, expected);
}

// K2, K28
#[test]
fn sources_edited_by_hand_are_noticed() {
    let changes: [fn(&Path); 5] = [
        |root| fs::write(root.join("src/lib.rs"), "fn b() {}").unwrap(),
        |root| fs::write(root.join("src/extra.rs"), "").unwrap(),
        |root| fs::remove_file(root.join("src/b.rs")).unwrap(),
        |root| {
            // The multiset of contents stays the same.
            fs::write(root.join("src/lib.rs"), "fn bb() {}").unwrap();
            fs::write(root.join("src/b.rs"), "fn aa() {}").unwrap();
        },
        |root| {
            fs::remove_file(root.join("src/b.rs")).unwrap();
            fs_err::os::unix::fs::symlink("lib.rs", root.join("src/b.rs")).unwrap();
        },
    ];
    for change in changes {
        let registry = registry(&[("src/lib.rs", "fn aa() {}"), ("src/b.rs", "fn bb() {}")]);
        registry.check().unwrap();
        change(&registry.root);
        assert!(registry.check().is_err());
    }
}

// K26: what was remembered is not believed for files that could change again without another time.
#[test]
fn files_younger_than_the_clocks_resolution_are_never_remembered() {
    let registry = registry(&[("src/lib.rs", "fn aa() {}")]);
    registry.check().unwrap();
    let name = Digest::of(registry.root.to_string_lossy().as_bytes());
    let memo: Option<Memo> = registry.store.read(&format!("memo/sources/{name}"));
    assert!(memo.is_none());
}

// K26: an edit of equal length with the old time put back still has another time of change.
#[test]
fn a_remembered_package_is_compared_again_when_only_its_time_of_change_differs() {
    let registry = registry(&[("src/lib.rs", "fn aa() {}")]);
    let Checked { checksum, stamp } = registry.check().unwrap();
    let file = registry.root.join("src/lib.rs");
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    // As if the files had been old enough to be remembered.
    let memo = Memo {
        files: stamp,
        archive: stamp_of(&archive_of(&registry.root).unwrap()).unwrap(),
        checksum,
    };
    let name = Digest::of(registry.root.to_string_lossy().as_bytes());
    let memo = serde_json::to_vec(&memo).unwrap();
    registry.store.write(&format!("memo/sources/{name}"), &memo).unwrap();
    let mut content = fs::read(&file).unwrap();
    // The tick of the file system's clock is over once another file gets another time.
    let probe = registry.root.with_file_name("probe");
    while {
        fs::write(&probe, "").unwrap();
        fs::metadata(&probe).unwrap().ctime_nsec() == fs::metadata(&file).unwrap().ctime_nsec()
    } {}
    content[3] = b'b';
    fs::write(&file, content).unwrap();
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(time)
        .unwrap();
    assert!(matches!(registry.check(), Err(SourceProblem::Changed(_))));
}

// K29: names that differ only in their Unicode normalisation are two names.
#[test]
fn names_that_differ_only_in_normalisation_stay_distinct() {
    let (composed, decomposed) = ("src/\u{e9}.rs", "src/e\u{301}.rs");
    let registry = registry(&[(composed, "fn one() {}"), (decomposed, "fn two() {}")]);
    registry.check().unwrap();
    let [one, two] = [composed, decomposed].map(|name| registry.root.join(name));
    assert_eq!(fs::read_to_string(&one).unwrap(), "fn one() {}");
    fs::remove_file(&two).unwrap();
    assert!(registry.check().is_err());
    fs::write(&two, "fn one() {}").unwrap();
    fs::write(&one, "fn two() {}").unwrap();
    assert!(matches!(registry.check(), Err(SourceProblem::Changed(_))));
}

#[test]
fn a_folder_that_is_not_in_a_registry_is_not_handled() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("vendor/a-1.0.0");
    fs::create_dir_all(&root).unwrap();
    assert!(matches!(
        Unpacked::find(&root, "a-1.0.0", None),
        Err(SourceProblem::NotRegistry(_))
    ));
}

// K28: a vendored copy is what its bytes are; cargo's note beside it was written by whoever wrote them.
#[test]
fn a_vendored_package_is_known_by_the_archive_in_cargos_home_and_by_nothing_else() {
    let registry = registry(&[
        ("src/lib.rs", "fn aa() {}"),
        (".gitignore", "target"),
        ("Cargo.toml", ""),
    ]);
    let home = registry.folder.path();
    let vendored = home.join("project/vendor/a");
    for file in ["src/lib.rs", "Cargo.toml"] {
        fs::create_dir_all(vendored.join(file).parent().unwrap()).unwrap();
        fs::copy(registry.root.join(file), vendored.join(file)).unwrap();
    }
    fs::write(vendored.join(VENDOR_NOTE), "{}").unwrap();
    let find = |home| Unpacked::find(&vendored, "a-1.0.0", home);
    let checked = check(&registry.store, &find(Some(home)).unwrap()).unwrap();
    assert_eq!(checked.checksum, registry.check().unwrap().checksum);
    assert!(matches!(find(None), Err(SourceProblem::NoArchive(_))));
    assert!(matches!(find(Some(&vendored)), Err(SourceProblem::NoArchive(_))));
    // An edit, something more, something less.
    fs::write(vendored.join("src/lib.rs"), "fn bb() {}").unwrap();
    let edited = check(&registry.store, &find(Some(home)).unwrap());
    assert!(matches!(edited, Err(SourceProblem::Changed(_))));
    fs::write(vendored.join("src/lib.rs"), "fn aa() {}").unwrap();
    fs::write(vendored.join(UNPACKED_NOTE), "").unwrap();
    assert!(check(&registry.store, &find(Some(home)).unwrap()).is_err());
    fs::remove_file(vendored.join(UNPACKED_NOTE)).unwrap();
    fs::remove_file(vendored.join("Cargo.toml")).unwrap();
    assert!(check(&registry.store, &find(Some(home)).unwrap()).is_err());
}
