//! Putting stored outputs where cargo expects them.
//!
//! Owns how bytes are shared and which time a file gets. Where the file system can, every output is a clone: a file of
//! its own that takes no room. Elsewhere libraries are hard links, read-only and of one old time, so that no target
//! folder disturbs another. Metadata is always a file of its own: rustc refuses to write where a read-only file lies
//! (cargo removes libraries first, but not metadata), and cargo takes a unit for stale when its newest file is older
//! than its dependencies' metadata or its build script's output (`check_filesystem` in cargo's `fingerprint` module).
//! So are proc macros and executables, which others may write to. Files appear whole: by rename, or as one more name of a stored file.
//! Must not know why an output may be installed.

use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use sealift_policy::manifest::Role;

use crate::fresh;
use crate::runner;
use crate::sharing::Sharing;
use crate::store::Store;

/// Begins the names of files that are not yet whole.
const BESIDE: &str = ".sealift-";

/// The time of now by the kernel's own clock: a more precise one would be ahead of the files that cargo writes next.
pub const NOW: Timestamps = Timestamps {
    last_access: special(UTIME_OMIT),
    last_modification: special(UTIME_NOW),
};

/// When a file was written to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    seconds: i64,
    nanoseconds: i64,
}

/// How many bytes were put in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InPlace {
    /// All of them.
    pub bytes: u64,
    /// Those that are shared with the store.
    pub shared: u64,
}

/// Puts the outputs of one call in place.
#[derive(Debug)]
pub struct Installer {
    sharing: Sharing,
    in_place: InPlace,
}

impl Installer {
    /// For a folder, by what is possible between it and the store. On a builder, where strangers' code runs, no file of
    /// the store has a second name.
    pub fn new(store: &Store, folder: &Path) -> Self {
        let sharing = match Sharing::between(store, folder) {
            Sharing::Link if runner::sandbox().is_some() => Sharing::Copy,
            sharing => sharing,
        };
        Self {
            sharing,
            in_place: InPlace::default(),
        }
    }

    /// Installs a stored file of this role at `destination`, replacing what is there, as rustc would. Says when the file
    /// was written, as seen before anybody else could.
    pub fn install(&mut self, stored: &Path, role: Role, destination: &Path) -> io::Result<Written> {
        let placed = self.place(stored, role, destination)?;
        self.in_place.bytes += placed.size;
        self.in_place.shared += if placed.is_shared { placed.size } else { 0 };
        Ok(placed.written)
    }

    /// What was put in place until now.
    pub fn in_place(&self) -> InPlace {
        self.in_place
    }

    /// What was found out about sharing may be of yesterday, so each way falls back to the next.
    fn place(&self, stored: &Path, role: Role, destination: &Path) -> io::Result<Placed> {
        // As the compiler and the linker would ask for; the user's mask decides.
        let mode = if role.is_host_code() { 0o777 } else { 0o666 };
        let cloned = |beside: &Path| Ok(Placed::of(&clone(stored, beside, mode)?.metadata()?, true));
        if self.sharing == Sharing::Clone
            && let Ok(placed) = appear(destination, cloned)
        {
            return Ok(placed);
        }
        if role == Role::Rlib
            && self.sharing != Sharing::Copy
            && let Ok(placed) = link(stored, destination)
        {
            return Ok(placed);
        }
        appear(destination, |beside| {
            Ok(Placed::of(&copy(stored, beside, mode)?.metadata()?, false))
        })
    }
}

/// A file that has its bytes, but not yet its name.
struct Placed {
    size: u64,
    is_shared: bool,
    written: Written,
}

impl Placed {
    fn of(metadata: &std::fs::Metadata, is_shared: bool) -> Self {
        Self {
            size: metadata.len(),
            is_shared,
            written: Written::of(metadata),
        }
    }
}

impl Written {
    /// By a file's times.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        }
    }
}

/// Writes a text that cargo reads, whole or not at all.
pub fn write(destination: &Path, text: &str) -> io::Result<()> {
    appear(destination, |beside| {
        let mut file = create(beside, 0o666)?;
        file.write_all(text.as_bytes())
    })
}

/// Makes a file beside its destination and renames it, so that nobody ever sees a part of it or follows a link.
fn appear<T>(destination: &Path, make: impl FnMut(&Path) -> io::Result<T>) -> io::Result<T> {
    let folder = destination.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let beside = fresh::file(folder, BESIDE, make)?;
    fs::rename(beside.path(), destination)?;
    let (made, name) = beside.into_parts();
    // It has the other name now: there is nothing to remove.
    let _ = name.keep();
    Ok(made)
}

/// Gives a stored file one more name. Nothing lies there as a rule, since cargo removes libraries first.
fn link(stored: &Path, destination: &Path) -> io::Result<Placed> {
    let placed = Placed::of(&fs::metadata(stored)?, true);
    match fs::hard_link(stored, destination) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let folder = destination.parent().ok_or(io::ErrorKind::InvalidInput)?;
            let beside = fresh::file(folder, BESIDE, |beside| fs::hard_link(stored, beside))?;
            fs::rename(beside.path(), destination)?;
            // The first name goes with `beside`: renaming one link of a file over another keeps both.
        }
        linked => linked?,
    }
    Ok(placed)
}

/// Makes a file of its own that shares the stored one's blocks.
pub fn clone(stored: &Path, beside: &Path, mode: u32) -> io::Result<fs::File> {
    let from = fs::File::open(stored)?;
    let to = create(beside, mode)?;
    // Some file systems give a clone the times of what was cloned.
    let cloned = rustix::fs::ioctl_ficlone(&to, &from).and_then(|()| rustix::fs::futimens(&to, &NOW));
    match cloned {
        Ok(()) => Ok(to),
        Err(error) => {
            let _ = fs::remove_file(beside);
            Err(error.into())
        }
    }
}

const fn special(tv_nsec: i64) -> Timespec {
    Timespec { tv_sec: 0, tv_nsec }
}

fn copy(stored: &Path, beside: &Path, mode: u32) -> io::Result<fs::File> {
    let from = fs::File::open(stored)?;
    let to = create(beside, mode)?;
    io::copy(&mut from.file(), &mut to.file())?;
    Ok(to)
}

fn create(path: &Path, mode: u32) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    options.open(path)
}

#[cfg(test)]
mod tests;
