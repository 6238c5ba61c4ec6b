//! What a target folder shares with the store, and what it never does.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use sealift_policy::digest::Digest;
use sealift_policy::local::STORED_MTIME;

use super::*;
use crate::store::Mode;

struct Machine {
    folder: tempfile::TempDir,
    store: Store,
    stored: PathBuf,
}

impl Machine {
    fn with(content: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        fs::create_dir(folder.path().join("target")).unwrap();
        let digest = Digest::of(content);
        store.insert(content, digest, Mode::Data).unwrap();
        let stored = store.blob(digest, content.len() as u64).unwrap();
        Self { folder, store, stored }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("target")
    }

    fn installer(&self) -> Installer {
        Installer::new(&self.store, &self.target())
    }

    fn install(&self, role: Role) -> (PathBuf, InPlace) {
        let destination = self.target().join(format!("{role:?}"));
        let mut installer = self.installer();
        installer.install(&self.stored, role, &destination).unwrap();
        (destination, installer.in_place())
    }
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn what_others_may_write_to_is_never_the_stored_file() {
    let machine = Machine::with(b"x");
    for role in [Role::ProcMacro, Role::BuildScript] {
        let (destination, _) = machine.install(role);
        assert_ne!(inode(&destination), inode(&machine.stored));
        assert_eq!(fs::metadata(&destination).unwrap().permissions().mode() & 0o700, 0o700);
        fs::write(&destination, "changed in place").unwrap();
    }
    assert_eq!(fs::read(&machine.stored).unwrap(), b"x");
}

#[test]
fn metadata_is_a_writable_file_of_now() {
    let machine = Machine::with(b"x");
    let (destination, _) = machine.install(Role::Rmeta);
    assert_ne!(inode(&destination), inode(&machine.stored));
    let metadata = fs::metadata(&destination).unwrap();
    assert!(metadata.mtime() > STORED_MTIME && metadata.permissions().mode() & 0o200 != 0);
}

#[test]
fn a_library_shares_its_bytes_and_cannot_be_written_to_by_accident() {
    let machine = Machine::with(b"x");
    let (library, in_place) = machine.install(Role::Rlib);
    assert_eq!(in_place, InPlace { bytes: 1, shared: 1 });
    let shares_the_file = inode(&library) == inode(&machine.stored);
    let writable = fs::metadata(&library).unwrap().permissions().mode() & 0o222;
    assert!(!shares_the_file || writable == 0, "a hard link is read-only");
}

#[test]
fn installing_twice_leaves_nothing_beside() {
    let machine = Machine::with(b"x");
    for _ in 0..2 {
        machine.install(Role::Rlib);
    }
    assert_eq!(fs::read_dir(machine.target()).unwrap().count(), 1);
}

#[test]
fn a_file_is_never_seen_in_part() {
    let content = vec![7; 4 << 20];
    let machine = Machine::with(&content);
    for role in [Role::Rmeta, Role::Rlib, Role::ProcMacro] {
        let (destination, _) = machine.install(role);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| (0..20).all(|_| fs::read(&destination).unwrap() == content));
            while !reader.is_finished() {
                machine.install(role);
            }
            assert!(reader.join().unwrap(), "{role:?}");
        });
    }
}

#[test]
fn a_link_at_the_destination_is_replaced_not_followed() {
    let machine = Machine::with(b"x");
    let victim = machine.folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    for role in [Role::Rmeta, Role::Rlib, Role::ProcMacro] {
        let destination = machine.target().join(format!("{role:?}"));
        fs_err::os::unix::fs::symlink(&victim, &destination).unwrap();
        let mut installer = machine.installer();
        installer.install(&machine.stored, role, &destination).unwrap();
        assert!(fs::symlink_metadata(&destination).unwrap().is_file());
    }
    let dep_info = machine.target().join("a.d");
    fs_err::os::unix::fs::symlink(&victim, &dep_info).unwrap();
    write(&dep_info, "a.d: a.rs\n").unwrap();
    assert_eq!(fs::read_to_string(&dep_info).unwrap(), "a.d: a.rs\n");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn a_read_only_file_at_the_destination_is_replaced_and_a_folder_is_left_alone() {
    let machine = Machine::with(b"x");
    let destination = machine.target().join("liba.rmeta");
    fs::write(&destination, "old").unwrap();
    fs::set_permissions(&destination, PermissionsExt::from_mode(0o400)).unwrap();
    let mut installer = machine.installer();
    installer.install(&machine.stored, Role::Rmeta, &destination).unwrap();
    assert_eq!(fs::read(&destination).unwrap(), b"x");

    let folder = machine.target().join("liba.rlib");
    fs::create_dir(&folder).unwrap();
    assert!(installer.install(&machine.stored, Role::Rlib, &folder).is_err());
    assert!(folder.is_dir());
    assert_eq!(
        fs::read_dir(machine.target()).unwrap().count(),
        2,
        "nothing is left beside"
    );
}

#[test]
fn metadata_of_no_bytes_is_metadata() {
    let machine = Machine::with(b"");
    let (destination, in_place) = machine.install(Role::Rmeta);
    assert_eq!(fs::read(destination).unwrap(), b"");
    assert_eq!(in_place.bytes, 0);
}
