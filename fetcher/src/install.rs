//! Putting a stored output where cargo expects it.
//!
//! Owns how bytes are shared: libraries are cloned where the file system can, else hard-linked (they are read-only and
//! of one old time, so that no target folder disturbs another); metadata, proc macros and executables are always files
//! of their own. Files appear whole, by rename.
//! Must not know why an output may be installed.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fs_err as fs;
use sealift_policy::manifest::Role;

/// Installs a stored file of this role at `destination`, replacing what is there, as rustc would.
pub fn install(stored: &Path, role: Role, destination: &Path) -> io::Result<()> {
    let name = destination.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut beside_name = std::ffi::OsString::from(".sealift-");
    beside_name.push(std::process::id().to_string());
    beside_name.push("-");
    beside_name.push(name);
    let beside = destination.with_file_name(beside_name);
    let _ = fs::remove_file(&beside);
    let result = place(stored, role, &beside).and_then(|()| fs::rename(&beside, destination));
    // Also after success: renaming one hard link of a file over another keeps both.
    let _ = fs::remove_file(&beside);
    result
}

fn place(stored: &Path, role: Role, beside: &Path) -> io::Result<()> {
    if role == Role::Rlib {
        // The rmeta beside it carries the time that cargo looks at, so the old time of a hard link does no harm.
        return clone(stored, beside)
            .or_else(|_| fs::hard_link(stored, beside))
            .or_else(|_| copy(stored, beside, 0o644));
    }
    copy(stored, beside, if role.is_host_code() { 0o755 } else { 0o644 })
}

fn clone(stored: &Path, beside: &Path) -> io::Result<()> {
    let from = fs::File::open(stored)?;
    let to = fs::File::create(beside)?;
    rustix::fs::ioctl_ficlone(&to, &from).map_err(|error| {
        let _ = fs::remove_file(beside);
        error.into()
    })
}

fn copy(stored: &Path, beside: &Path, mode: u32) -> io::Result<()> {
    fs::copy(stored, beside)?;
    fs::set_permissions(beside, std::fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use sealift_policy::digest::Digest;

    use super::*;
    use crate::store::{Mode, Store};

    #[test]
    fn only_libraries_share_their_file_with_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let digest = Digest::of(b"x");
        store.insert(b"x", digest, Mode::Data).unwrap();
        let stored = store.blob(digest, 1).unwrap();
        for role in [Role::Rmeta, Role::ProcMacro, Role::BuildScript] {
            let destination = folder.path().join(format!("{role:?}"));
            install(&stored, role, &destination).unwrap();
            assert_ne!(
                fs::metadata(&destination).unwrap().ino(),
                fs::metadata(&stored).unwrap().ino()
            );
            fs::write(&destination, "changed in place").unwrap();
        }
        install(&stored, Role::Rlib, &folder.path().join("rlib")).unwrap();
        assert_eq!(fs::read(&stored).unwrap(), b"x");
    }

    #[test]
    fn installing_twice_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let stored = folder.path().join("stored");
        fs::write(&stored, "x").unwrap();
        let target = folder.path().join("target");
        fs::create_dir(&target).unwrap();
        for _ in 0..2 {
            install(&stored, Role::Rlib, &target.join("liba.rlib")).unwrap();
        }
        assert_eq!(fs::read_dir(&target).unwrap().count(), 1);
    }

    #[test]
    fn a_link_at_the_destination_is_replaced_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (stored, victim) = (folder.path().join("stored"), folder.path().join("victim"));
        fs::write(&stored, "x").unwrap();
        fs::write(&victim, "precious").unwrap();
        let destination = folder.path().join("liba.rmeta");
        fs_err::os::unix::fs::symlink(&victim, &destination).unwrap();
        install(&stored, Role::Rmeta, &destination).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert!(fs::symlink_metadata(&destination).unwrap().is_file());
    }
}
