//! The one way in which this process writes a file that others may read: temp, fsync, rename, fsync of the folder.
//!
//! Must not know what is written.

use std::io::{self, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

/// How long a written file lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasting {
    /// Through a power failure, from when the call returns.
    Durable,
    /// Through the end of the process; through a power failure only after the file system was synced.
    Derived,
}

/// Writes a file whole, in place of what was there. `temp` must lie on the same file system.
pub(super) fn write(path: &Path, temp: &Path, bytes: &[u8], lasting: Lasting) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(temp)?;
    file.write_all(bytes)?;
    persist(file, path, lasting)
}

/// Gives a temporary file its name.
pub(super) fn persist(file: NamedTempFile, path: &Path, lasting: Lasting) -> io::Result<()> {
    let folder = path.parent().expect("objects lie in a folder");
    make_folder(folder, lasting)?;
    readable(&file)?;
    if lasting == Lasting::Durable {
        file.as_file().sync_all()?;
    }
    file.persist(path).map_err(|error| error.error)?;
    if lasting == Lasting::Durable {
        sync_folder(folder)
    } else {
        Ok(())
    }
}

/// Removes a file for good; it may be gone already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Ok(()) => sync_folder(path.parent().expect("objects lie in a folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Creates a folder and its parents, each with its entry in the parent durable.
fn make_folder(folder: &Path, lasting: Lasting) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().expect("only the root has no parent, and it exists");
    make_folder(parent, lasting)?;
    match fs_err::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if lasting == Lasting::Durable {
        sync_folder(parent)
    } else {
        Ok(())
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    fs_err::File::open(folder)?.sync_all()
}

/// Temporary files are private; objects may be served by another program.
fn readable(file: &NamedTempFile) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))
}
