//! Where a log lies: tiles and batch heads that are written once, and one head that is swapped.
//!
//! Consistency: [`LogStore::write`] is durable when it returns, and idempotent; a file that no head speaks of yet may be
//! replaced, one that a head speaks of is only ever written again with the same bytes. [`LogStore::swap_head`] replaces
//! the head only if it still is what the caller read, and is durable when it returns. Either may fail and yet have
//! happened; whoever sees a failure opens the log again and reads what is there.
//! Must not know what a leaf or a signature is.

use std::io;
use std::path::{Path, PathBuf};

use crate::durable;

/// The files of one log.
pub trait LogStore {
    /// The content of a file; `None` when it does not exist.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;

    /// Writes a file.
    ///
    /// # Errors
    /// When it cannot be written, or it is not known whether it was.
    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()>;

    /// The newest signed checkpoint.
    ///
    /// # Errors
    /// When it cannot be read.
    fn head(&self) -> io::Result<Option<Vec<u8>>>;

    /// Replaces the head if it still is `old`.
    ///
    /// # Errors
    /// When it is not `old` any more, cannot be written, or it is not known whether it was.
    fn swap_head(&self, old: Option<&[u8]>, new: &[u8]) -> io::Result<()>;

    /// The largest head that was ever signed, kept apart from the log.
    ///
    /// # Errors
    /// When it cannot be read.
    fn seen(&self) -> io::Result<Option<Vec<u8>>>;

    /// Remembers the largest head that was ever signed.
    ///
    /// # Errors
    /// When it cannot be written, or it is not known whether it was.
    fn set_seen(&self, head: &[u8]) -> io::Result<()>;
}

/// Path of the head below the log's folder, as C2SP names it.
pub const HEAD: &str = "checkpoint";

/// A log in a folder. The caller holds the signer's lock.
#[derive(Debug)]
pub struct FolderStore {
    folder: PathBuf,
    seen: PathBuf,
}

impl FolderStore {
    /// The log in this folder, and the file that remembers the largest head.
    pub fn new(folder: &Path, seen: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            seen: seen.to_owned(),
        }
    }
}

impl LogStore for FolderStore {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        durable::read(&self.folder.join(path))
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        durable::write(&self.folder.join(path), bytes)
    }

    fn head(&self) -> io::Result<Option<Vec<u8>>> {
        self.read(HEAD)
    }

    fn swap_head(&self, old: Option<&[u8]>, new: &[u8]) -> io::Result<()> {
        // The lock keeps other signers out; this notices whoever does not hold it.
        if self.head()?.as_deref() != old {
            return Err(io::Error::other("the head of the log was changed by somebody else"));
        }
        durable::write(&self.folder.join(HEAD), new)
    }

    fn seen(&self) -> io::Result<Option<Vec<u8>>> {
        durable::read(&self.seen)
    }

    fn set_seen(&self, head: &[u8]) -> io::Result<()> {
        durable::write_mode(&self.seen, head, 0o600)
    }
}
