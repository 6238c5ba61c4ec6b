//! Where the public store lies: a few small traits and their consistency contract. Two stores that keep the contract
//! are interchangeable; the only one so far is a folder ([`fs::FsStore`]).
//!
//! Every write of the service goes through these traits, which is what the fault tests rely on.
//! Must not know what objects mean or who may write them.

pub mod durable;
pub mod fs;

use std::io::{self, Read, Write};

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
/// Contract: an object is there whole or not at all. When `put` returns `Ok`, its objects survive a power failure; when
/// it returns an error, any of them may be there. It may be repeated. Immutable objects are only ever written with one
/// content, except to replace what is damaged.
pub trait ObjectStore: Send + Sync {
    /// Opens an object; `None` if there is none.
    fn open(&self, path: &ObjectPath) -> io::Result<Option<Object>>;

    /// A new private file for content that is not verified yet.
    fn stage(&self) -> io::Result<Staging>;

    /// Writes objects, in place of what was there.
    fn put(&self, objects: Vec<(ObjectPath, NewObject)>) -> io::Result<()>;

    /// Writes one object under several paths. What it takes of the disk does not grow with them.
    fn put_same(&self, paths: Vec<ObjectPath>, bytes: Vec<u8>) -> io::Result<()>;
}

/// What an object will contain.
#[derive(Debug)]
pub enum NewObject {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Staged content that was verified.
    Staged(Staged),
}

/// A private file that is being written. Vanishes when it is dropped.
#[derive(Debug)]
pub struct Staging(tempfile::NamedTempFile);

impl Staging {
    /// Ends the writing.
    pub fn finish(mut self) -> io::Result<Staged> {
        self.0.flush()?;
        Ok(Staged(self.0.into_temp_path()))
    }
}

impl Write for Staging {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Content that nobody can ask for yet, in a closed file (there may be thousands). Vanishes when it is dropped.
#[derive(Debug)]
pub struct Staged(tempfile::TempPath);

impl Staged {
    /// The bytes, from the beginning.
    pub fn open(&self) -> io::Result<fs_err::File> {
        fs_err::File::open(&self.0)
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
    /// How many there are, and their bytes together.
    fn requests(&self) -> io::Result<(usize, u64)>;

    /// Keeps one.
    fn keep_request(&self, name: Digest, bytes: &[u8]) -> io::Result<()>;
}

/// A store that keeps all contracts.
pub trait Store: ObjectStore + HeadStore + Journal + RequestStore {}

impl<S: ObjectStore + HeadStore + Journal + RequestStore> Store for S {}
