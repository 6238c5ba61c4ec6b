//! The one way in which this process writes files that others may read: temp, fsync, rename, fsync of the folder.
//!
//! Many files at once are written by several threads, since a file system commits them together: one after the other,
//! thousands of them would take minutes on a busy disk. Must not know what is written.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;

use tempfile::{NamedTempFile, TempPath};

/// Threads that write one batch.
const THREADS: usize = 16;

/// What a file will contain.
#[derive(Debug)]
pub(super) enum Source {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What was written to a temporary file on the same file system.
    Temp(TempPath),
    /// What this file contains, which is durable already: a second name of it, or a copy where there can be none.
    Link(PathBuf),
}

/// Writes files, each whole and in place of what was there. `temp` must lie on the same file system.
///
/// When it returns `Ok` all of them survive a power failure; otherwise any of them may be there.
pub(super) fn write(files: Vec<(PathBuf, Source)>, temp: &Path) -> io::Result<()> {
    let folders: BTreeSet<PathBuf> = files.iter().map(|(path, _)| folder(path).to_owned()).collect();
    for folder in &folders {
        make_folder(folder)?;
    }
    let threads = files.len().min(THREADS);
    let files = Mutex::new(files);
    let next = || files.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || {
        while let Some((path, source)) = next() {
            write_one(&path, source, temp)?;
        }
        Ok(())
    };
    if threads <= 1 {
        work()?;
    } else {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let ended = workers
                .into_iter()
                .map(|worker| worker.join().expect("writing a file does not panic"));
            ended.fold(Ok(()), io::Result::and)
        })?;
    }
    folders.iter().try_for_each(|folder| sync_folder(folder))
}

/// Removes a file for good; it may be gone already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Ok(()) => sync_folder(folder(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn write_one(path: &Path, source: Source, temp: &Path) -> io::Result<()> {
    let (file, name) = match source {
        Source::Bytes(bytes) => {
            let (mut file, name) = NamedTempFile::new_in(temp)?.into_parts();
            file.write_all(&bytes)?;
            (file, name)
        }
        Source::Temp(name) => (fs_err::File::open(&name)?.into_parts().0, name),
        Source::Link(original) => {
            let linked = tempfile::Builder::new().make_in(temp, |name| fs_err::hard_link(&original, name));
            match linked {
                Ok(linked) => return linked.into_temp_path().persist(path).map_err(|error| error.error),
                // A file system without links, or a file that has as many as it can have.
                Err(_) => return write_one(path, Source::Bytes(fs_err::read(&original)?), temp),
            }
        }
    };
    readable(&file)?;
    file.sync_all()?;
    name.persist(path).map_err(|error| error.error)
}

/// Creates a folder and its parents, each with its entry in the parent durable.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = folder(path);
    make_folder(parent)?;
    match fs_err::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_folder(parent)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    fs_err::File::open(path)?.sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().expect("files of the store lie below its root")
}

/// Temporary files are private; objects may be served by another program.
fn readable(file: &std::fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}
