//! Putting stored outputs where cargo expects them.
//!
//! Owns how bytes are shared and which time a file gets. Where the file system can, every output is a clone: a file of
//! its own that takes no room. Elsewhere libraries are hard links, read-only and of one old time, so that no target
//! folder disturbs another. Metadata is always a file of its own: rustc refuses to write where a read-only file lies
//! (cargo removes libraries first, but not metadata), and cargo takes a unit for stale when its newest file is older
//! than its dependencies' metadata or its build script's output (`check_filesystem` in cargo's `fingerprint` module).
//! So are proc macros and executables, which others may write to. Files appear whole, by rename.
//! Must not know why an output may be installed.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use sealift_policy::manifest::Role;

use crate::sharing::Sharing;
use crate::store::Store;

/// The time of now by the kernel's own clock: a more precise one would be ahead of the files that cargo writes next.
pub const NOW: Timestamps = Timestamps {
    last_access: special(UTIME_OMIT),
    last_modification: special(UTIME_NOW),
};

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
    /// For a folder, by what is possible between it and the store.
    pub fn new(store: &Store, folder: &Path) -> Self {
        Self {
            sharing: Sharing::between(store, folder),
            in_place: InPlace::default(),
        }
    }

    /// Installs a stored file of this role at `destination`, replacing what is there, as rustc would.
    pub fn install(&mut self, stored: &Path, role: Role, destination: &Path) -> io::Result<()> {
        let size = fs::metadata(stored)?.len();
        let shared = appear(destination, |beside| self.place(stored, role, beside))?;
        self.in_place.bytes += size;
        self.in_place.shared += if shared { size } else { 0 };
        Ok(())
    }

    /// What was put in place until now.
    pub fn in_place(&self) -> InPlace {
        self.in_place
    }

    /// Whether the bytes are shared. What was found out may be of yesterday, so each way falls back to the next.
    fn place(&self, stored: &Path, role: Role, beside: &Path) -> io::Result<bool> {
        // As the compiler and the linker would ask for; the user's mask decides.
        let mode = if role.is_host_code() { 0o777 } else { 0o666 };
        if self.sharing == Sharing::Clone && clone(stored, beside, mode).is_ok() {
            return Ok(true);
        }
        if role == Role::Rlib && self.sharing != Sharing::Copy && fs::hard_link(stored, beside).is_ok() {
            return Ok(true);
        }
        copy(stored, beside, mode).map(|()| false)
    }
}

/// Writes a text that cargo reads, whole or not at all.
pub fn write(destination: &Path, text: &str) -> io::Result<()> {
    appear(destination, |beside| fs::write(beside, text))
}

/// Makes a file beside its destination and renames it, so that nobody ever sees a part of it or follows a link.
fn appear<T>(destination: &Path, make: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let beside = beside(destination)?;
    let _ = fs::remove_file(&beside);
    let result = make(&beside).and_then(|made| fs::rename(&beside, destination).map(|()| made));
    // Also after success: renaming one hard link of a file over another keeps both.
    let _ = fs::remove_file(&beside);
    result
}

fn beside(destination: &Path) -> io::Result<PathBuf> {
    let mut name = std::ffi::OsString::from(format!(".sealift-{}-", std::process::id()));
    name.push(destination.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    Ok(destination.with_file_name(name))
}

/// Makes a file of its own that shares the stored one's blocks.
pub fn clone(stored: &Path, beside: &Path, mode: u32) -> io::Result<()> {
    let from = fs::File::open(stored)?;
    let to = create(beside, mode)?;
    // Some file systems give a clone the times of what was cloned.
    let cloned = rustix::fs::ioctl_ficlone(&to, &from).and_then(|()| rustix::fs::futimens(&to, &NOW));
    cloned.map_err(|error| {
        let _ = fs::remove_file(beside);
        error.into()
    })
}

const fn special(tv_nsec: i64) -> Timespec {
    Timespec { tv_sec: 0, tv_nsec }
}

fn copy(stored: &Path, beside: &Path, mode: u32) -> io::Result<()> {
    let from = fs::File::open(stored)?;
    let to = create(beside, mode)?;
    io::copy(&mut from.file(), &mut to.file()).map(drop)
}

fn create(path: &Path, mode: u32) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    options.open(path)
}

#[cfg(test)]
mod tests;
