//! Where the public store lies: a few small traits and their consistency contract. Two stores that keep the contract
//! are interchangeable; the only one so far is a folder ([`fs::FsStore`]).
//!
//! Every write of the service goes through these traits, which is what the fault tests rely on.
//! Must not know what objects mean or who may write them.

pub mod durable;
pub mod fs;

use std::io::{self, Read, Seek, Write};

use sealift_policy::digest::Digest;
use sealift_policy::layout::ObjectPath;
use sealift_policy::name::OperatorName;

/// An object that is open for reading.
#[derive(Debug)]
pub struct Object {
    /// Its bytes, from the beginning.
    pub file: fs_err::File,
    /// Their number.
    pub length: u64,
}

impl Object {
    /// All bytes, if there are at most `limit`.
    pub fn read_all(self, limit: u64) -> io::Result<Vec<u8>> {
        if self.length > limit {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "object larger than its kind allows",
            ));
        }
        let mut bytes = Vec::new();
        self.file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Objects by path.
///
/// Contract: an object is there whole or not at all. When a `put` or `publish` returns `Ok`, the object survives a power
/// failure; when it returns an error, the object may or may not be there. Both may be repeated. Immutable objects are
/// only ever written with one content, except to replace what is damaged.
pub trait ObjectStore: Send + Sync {
    /// Opens an object; `None` if there is none.
    fn open(&self, path: &ObjectPath) -> io::Result<Option<Object>>;

    /// Writes an object, in place of what was there.
    fn put(&self, path: &ObjectPath, bytes: &[u8]) -> io::Result<()>;

    /// As [`Self::put`], for what can be computed again: it survives a power failure only after [`Self::sync`].
    fn put_derived(&self, path: &ObjectPath, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything that was written before survive a power failure.
    fn sync(&self) -> io::Result<()>;

    /// A new private file for content that is not verified yet.
    fn stage(&self) -> io::Result<Staged>;

    /// Turns verified staged content into an object, in place of what was there.
    fn publish(&self, staged: Staged, path: &ObjectPath) -> io::Result<()>;
}

/// Content that nobody can ask for yet. Vanishes when it is dropped.
#[derive(Debug)]
pub struct Staged(tempfile::NamedTempFile);

impl Staged {
    /// The bytes so far, from the beginning, independent of where writing stands.
    pub fn reopen(&self) -> io::Result<fs_err::File> {
        fs_err::File::open(self.0.path())
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.0.rewind()
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// One operator's log, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogName {
    /// Whose.
    pub operator: OperatorName,
    /// Which of the operator's logs.
    pub epoch: u32,
}

impl std::fmt::Display for LogName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.operator, self.epoch)
    }
}

/// The newest checkpoint of each log.
///
/// Contract: `swap` replaces the head only if it still is what the caller read. When it returns `Ok`, the new head
/// survives a power failure; when it returns an error, either of the two may be the head.
pub trait HeadStore: Send + Sync {
    /// The checkpoint of a log; `None` before the first.
    fn head(&self, log: &LogName) -> io::Result<Option<Vec<u8>>>;

    /// Replaces the checkpoint `expected` by `new`.
    fn swap(&self, log: &LogName, expected: Option<&[u8]>, new: &[u8]) -> Result<(), SwapError>;
}

/// Why a head was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// Somebody else replaced it.
    #[error("the head of the log was replaced meanwhile")]
    Changed,
    /// The store failed; either of the two may be the head.
    #[error("failed to replace the head of the log")]
    Store(#[from] io::Error),
}

/// Private notes of what is still to be done after a head was replaced.
///
/// Contract: as for [`ObjectStore`]; a note's name is made of letters, digits, `-` and `.`.
pub trait Journal: Send + Sync {
    /// Writes a note.
    fn note(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// All notes, by name.
    fn notes(&self) -> io::Result<Vec<(String, Vec<u8>)>>;

    /// Removes a note.
    fn strike(&self, name: &str) -> io::Result<()>;
}

/// Requests for builds, by the digest of their text, until somebody takes them away.
///
/// Contract: as for [`ObjectStore`].
pub trait RequestStore: Send + Sync {
    /// How many there are.
    fn requests(&self) -> io::Result<usize>;

    /// Keeps one.
    fn keep_request(&self, name: Digest, bytes: &[u8]) -> io::Result<()>;
}

/// A store that keeps all contracts.
pub trait Store: ObjectStore + HeadStore + Journal + RequestStore {}

impl<S: ObjectStore + HeadStore + Journal + RequestStore> Store for S {}
