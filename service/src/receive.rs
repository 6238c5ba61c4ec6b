//! Receiving the blobs of a submission: each is staged while it is hashed and decompressed under its limits.
//!
//! Owns the rules about bytes. Nothing that it writes can be asked for; all of it vanishes if one rule is broken.
//! Must not know where the bytes come from (a request's body, or another service that is mirrored).

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use sealift_policy::digest::Digest;
use sealift_policy::layout::ObjectPath;

use crate::admit::{Admission, Blob, StoredOutput};
use crate::frame::{self, Content, FrameError};
use crate::store::{Staged, Staging, Store};

/// Where the stored bytes of blobs come from.
pub trait Blobs {
    /// The stored bytes of the next blob.
    fn next(&mut self, blob: &Blob) -> io::Result<Box<dyn Read + '_>>;
}

/// Why the bytes of a submission are refused, or could not be received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// Outputs that are neither in the store nor in the submission, or cannot be read with the manifest's prefix.
    #[error("{} outputs are neither in the store nor among the blobs", .0.len())]
    Missing(Vec<Digest>),
    /// The body ends inside a blob.
    #[error("the body ends inside blob {0}")]
    Truncated(Digest),
    /// A blob is not the content that it is called.
    #[error("blob {sha256} is refused")]
    Blob {
        /// Which.
        sha256: Digest,
        /// Why.
        #[source]
        source: FrameError,
    },
    /// The body could not be read.
    #[error("failed to read the body")]
    Body(#[source] io::Error),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] io::Error),
}

/// Verified content of a submission, staged.
#[derive(Debug)]
pub struct Received(BTreeMap<Digest, (StoredOutput, Staged)>);

impl Received {
    /// Each blob that must become an object.
    pub fn into_objects(self) -> impl Iterator<Item = (Digest, Staged)> {
        self.0.into_iter().map(|(sha256, (_, staged))| (sha256, staged))
    }
}

/// Receives and checks all blobs, and checks that every other output is in the store and can be read.
pub fn receive<B: Blobs + ?Sized>(
    store: &dyn Store,
    admission: &Admission,
    blobs: &mut B,
) -> Result<Received, ReceiveError> {
    let mut received = Received(BTreeMap::new());
    for blob in &admission.blobs {
        let prefix = prefix(store, &received, blob.output.prefix)?;
        let staged = stage(store, blob, &prefix, blobs)?;
        let staged = match in_store(store, blob.output, &prefix)? {
            InStore::Sound => continue,
            InStore::Absent => staged,
            InStore::Unreadable => plain(store, blob, &prefix, &staged)?,
        };
        received.0.insert(blob.output.content.sha256, (blob.output, staged));
    }
    let mut missing = Vec::new();
    for output in &admission.expected {
        let sound = match prefix(store, &received, output.prefix) {
            Ok(prefix) => in_store(store, *output, &prefix)? == InStore::Sound,
            Err(ReceiveError::Missing(_)) => false,
            Err(other) => return Err(other),
        };
        if !sound {
            missing.push(output.content.sha256);
        }
    }
    if missing.is_empty() {
        Ok(received)
    } else {
        Err(ReceiveError::Missing(missing))
    }
}

/// Writes one blob to a staged file while it is checked.
fn stage<B: Blobs + ?Sized>(
    store: &dyn Store,
    blob: &Blob,
    prefix: &[u8],
    blobs: &mut B,
) -> Result<Staged, ReceiveError> {
    let sha256 = blob.output.content.sha256;
    let mut staged = store.stage().map_err(ReceiveError::Store)?;
    let bytes = blobs.next(blob).map_err(ReceiveError::Body)?.take(blob.stored);
    let mut tee = Tee {
        from: bytes,
        to: &mut staged,
        copied: 0,
        failed: None,
    };
    let checked = frame::decode(&mut tee, prefix, blob.output.content, &mut io::sink());
    let (copied, failed) = (tee.copied, tee.failed.take());
    if let Some(failed) = failed {
        return Err(ReceiveError::Store(failed));
    }
    match checked {
        Ok(()) if copied == blob.stored => {}
        Err(FrameError::Read(source)) => return Err(ReceiveError::Body(source)),
        // The source ended early: whatever the decoder thinks of the rest, the body is what is wrong.
        _ if copied < blob.stored && io::copy(&mut tee, &mut io::sink()).is_ok_and(|more| more == 0) => {
            return Err(ReceiveError::Truncated(sha256));
        }
        Err(source) => return Err(ReceiveError::Blob { sha256, source }),
        Ok(()) => {
            return Err(ReceiveError::Blob {
                sha256,
                source: FrameError::Trailing,
            });
        }
    }
    staged.finish().map_err(ReceiveError::Store)
}

/// The content of an output that serves as prefix: staged before, or in the store.
fn prefix(store: &dyn Store, received: &Received, content: Option<Content>) -> Result<Vec<u8>, ReceiveError> {
    let Some(content) = content else { return Ok(Vec::new()) };
    let stored = match received.0.get(&content.sha256) {
        Some((_, staged)) => Some(staged.open().map_err(ReceiveError::Store)?),
        None => store
            .open(&ObjectPath::Cas(content.sha256))
            .map_err(ReceiveError::Store)?
            .map(|object| object.file),
    };
    let missing = || ReceiveError::Missing(vec![content.sha256]);
    let mut bytes = Vec::new();
    match frame::decode(stored.ok_or_else(missing)?, &[], content, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(FrameError::Read(source)) => Err(ReceiveError::Store(source)),
        Err(_) => Err(missing()),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum InStore {
    Absent,
    Sound,
    /// Damaged, or compressed with another prefix: no operator may make an output unreadable for others by being the
    /// first to submit it in an odd form.
    Unreadable,
}

fn in_store(store: &dyn Store, output: StoredOutput, prefix: &[u8]) -> Result<InStore, ReceiveError> {
    let object = store
        .open(&ObjectPath::Cas(output.content.sha256))
        .map_err(ReceiveError::Store)?;
    let Some(object) = object else {
        return Ok(InStore::Absent);
    };
    match frame::decode(object.file, prefix, output.content, &mut io::sink()) {
        Ok(()) => Ok(InStore::Sound),
        Err(FrameError::Read(source)) => Err(ReceiveError::Store(source)),
        Err(_) => Ok(InStore::Unreadable),
    }
}

/// The same content without prefix, which can be read with the old prefix and with the new.
fn plain(store: &dyn Store, blob: &Blob, prefix: &[u8], staged: &Staged) -> Result<Staged, ReceiveError> {
    let content = blob.output.content;
    let mut whole = store.stage().map_err(ReceiveError::Store)?;
    frame::decode(staged.open().map_err(ReceiveError::Store)?, prefix, content, &mut whole).map_err(|source| {
        ReceiveError::Blob {
            sha256: content.sha256,
            source,
        }
    })?;
    let whole = whole.finish().map_err(ReceiveError::Store)?;
    let mut plain = store.stage().map_err(ReceiveError::Store)?;
    frame::encode_plain(whole.open().map_err(ReceiveError::Store)?, content.size, &mut plain)
        .map_err(ReceiveError::Store)?;
    plain.finish().map_err(ReceiveError::Store)
}

/// Copies what is read, and keeps failures of the copy apart from those of the source.
struct Tee<'a, R> {
    from: R,
    to: &'a mut Staging,
    copied: u64,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        if let Err(error) = self.to.write_all(&buffer[..read]) {
            let told = io::Error::new(error.kind(), error.to_string());
            self.failed = Some(error);
            return Err(told);
        }
        self.copied += read as u64;
        Ok(read)
    }
}
