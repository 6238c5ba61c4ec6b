//! What must hold for archives of what build scripts left: refused whole, or unpacked to exactly the files in it.
//!
//! Must not know how inputs are found.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};

use fs_err as fs;
use sealift_fetcher::run::archive::{check, pack, unpack};

/// An archive that is accepted can be unpacked, gives the files that were looked at and nothing else, and is the archive
/// that packing these files gives: one that is refused leaves the folder as it was.
pub fn archive(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, out) = (folder.path().join("archive"), folder.path().join("out"));
    fs::write(&path, data).expect("a temporary file");
    fs::create_dir(&out).expect("a temporary folder");
    fs::write(out.join("was-here"), "").expect("a temporary file");
    let checked = check(&path);
    let unpacked = unpack(&path, &out, |content| content);
    let Ok(entries) = checked else {
        assert!(unpacked.is_err());
        assert!(
            out.join("was-here").exists(),
            "something was done before all was looked at"
        );
        return;
    };
    unpacked.expect("what was looked at can be unpacked");
    for (name, mode) in &entries {
        assert!(
            Path::new(name)
                .components()
                .all(|part| matches!(part, Component::Normal(_)))
        );
        let metadata = fs::symlink_metadata(out.join(name)).expect("it was unpacked");
        assert!(metadata.is_file());
        assert_eq!(metadata.permissions().mode() & 0o100 != 0, mode & 0o100 != 0);
    }
    let again = folder.path().join("again");
    pack(&out, &again, |_, content| Ok(content)).expect("what was unpacked can be packed");
    assert_eq!(
        fs::read(&again).expect("it was written"),
        data,
        "two archives of the same files"
    );
}
