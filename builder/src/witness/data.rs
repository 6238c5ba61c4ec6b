//! A witness's data folder: what it must not lose, and must not go back behind.
//!
//! | path | what |
//! | --- | --- |
//! | `keys/witness.key` | the secret key; mode 0600 in a folder of mode 0700 |
//! | `heads/<SHA-256 of the origin>` | the last head of a log that was cosigned, with its cosignature |
//! | `evidence/` | heads that a log signed and that do not extend the one that was cosigned before: what proves something, and of each log the last that does not |
//! | `witness.lock` | held by the one process that works on the folder |
//!
//! Must not know what is consistent, or what time it is.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sealift_policy::digest::Digest;
use sealift_policy::evidence::{Evidence, Finding, HeadPair};
use sealift_policy::log::checkpoint::CheckpointError;
use sealift_policy::log::note::MAX_BYTES as MAX_NOTE;
use sealift_policy::log::{LogVerifier, Origin, SignedCheckpoint, VerifiedCheckpoint};

use super::request::VerifiedRequest;
use super::with_line;
use crate::{durable, no_follow};

/// Proofs that are kept of one log; one that misbehaves without end must not fill the disk, or the place of another's.
const MAX_PROOFS: usize = 64;

/// How many files that prove nothing are kept of each log: strangers can make any number of them.
const MAX_UNPROVEN: usize = 16;

/// The folder, locked for as long as this lives.
#[derive(Debug)]
pub struct WitnessData {
    root: PathBuf,
    _lock: File,
}

/// Why a remembered head cannot be used. Then nothing is cosigned: a witness that forgets would cosign a fork.
#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    /// Another process works on the folder.
    #[error("another witness has locked `{0}`")]
    Locked(PathBuf),
    /// A remembered head is damaged or of another key.
    #[error("the remembered head `{path}` is not one of the log's key")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: CheckpointError,
    },
    /// The file system failed.
    #[error("failed to use the witness's folder")]
    Io(#[from] io::Error),
}

/// The name of a log's files: the SHA-256 of its origin, in hexadecimal.
pub fn origin_hash(origin: &Origin) -> String {
    Digest::of(origin.as_str().as_bytes()).to_string()
}

/// Where the key lies in a witness's folder.
pub fn key_path(root: &Path) -> PathBuf {
    root.join("keys").join("witness.key")
}

impl WitnessData {
    /// Opens a folder, which must exist.
    ///
    /// # Errors
    /// When another process has it, or it cannot be used.
    pub fn open(root: &Path) -> Result<Self, HeadsError> {
        let root = fs_err::canonicalize(root)?;
        let path = root.join("witness.lock");
        let lock = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        lock.try_lock().map_err(|_| HeadsError::Locked(path))?;
        durable::create_folder(&root.join("heads"))?;
        Ok(Self { root, _lock: lock })
    }

    /// The last head of a log that was cosigned. Read anew each time: a write that failed may have happened.
    ///
    /// # Errors
    /// When it is there and not what it must be.
    pub fn head(&self, log: &LogVerifier) -> Result<Option<VerifiedCheckpoint>, HeadsError> {
        let path = self.head_path(log.origin());
        let file = match no_follow::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = vec![];
        file.take(MAX_NOTE as u64 + 1).read_to_end(&mut bytes)?;
        let head = SignedCheckpoint::parse(&bytes).and_then(|head| head.verify(log));
        head.map(Some).map_err(|source| HeadsError::Damaged { path, source })
    }

    /// Replaces the last head of a log; durable when it returns.
    ///
    /// # Errors
    /// When it could not be written, or it is not known whether it was.
    pub fn remember(&self, log: &LogVerifier, head: &VerifiedCheckpoint, line: &str) -> Result<(), HeadsError> {
        let head = with_line(head, line)?;
        Ok(durable::write(&self.head_path(log.origin()), head.as_bytes())?)
    }

    /// Keeps both heads and the proof between them. That this fails changes nothing: the refusal stands.
    ///
    /// Anybody can send heads that a log has signed with hashes that do not belong to them. What proves nothing so never
    /// takes the place of what does: of each log there are some such files, until somebody removes them; and none where both
    /// heads are the same. So nobody makes a witness write for ever.
    pub fn keep_evidence(&self, request: &VerifiedRequest<'_>, known: &VerifiedCheckpoint) {
        let text = |head: &VerifiedCheckpoint| String::from_utf8_lossy(head.as_bytes()).into_owned();
        let evidence = Evidence::Heads(HeadPair {
            vkey: request.log.clone(),
            known: text(known),
            offered: text(&request.head),
            consistency: request.proof.iter().map(ToString::to_string).collect(),
            smaller_root_in_larger: None,
        });
        let file = evidence.to_file();
        let folder = self.root.join("evidence");
        let log = origin_hash(request.log.origin());
        let (kind, most) = match evidence.judge(std::slice::from_ref(request.log)) {
            Ok(Finding::NoContradiction) => return,
            Ok(finding) if finding.is_proof() => ("proof", MAX_PROOFS),
            _ => ("unproven", MAX_UNPROVEN),
        };
        let begin = format!("{log}-{kind}-");
        let is_one = |entry: &io::Result<fs_err::DirEntry>| {
            let name = entry.as_ref().map(fs_err::DirEntry::file_name);
            name.is_ok_and(|name| name.to_string_lossy().starts_with(&begin))
        };
        if fs_err::read_dir(&folder).map_or(0, |files| files.filter(is_one).count()) >= most {
            return;
        }
        let name = format!("{begin}{}.json", Digest::of(file.as_bytes()).short());
        let _ = durable::write(&folder.join(name), file.as_bytes());
    }

    fn head_path(&self, origin: &Origin) -> PathBuf {
        self.root.join("heads").join(origin_hash(origin))
    }
}
