//! What an auditor remembers from one audit to the next.
//!
//! Owns its data folder:
//!
//! | path | what |
//! | --- | --- |
//! | `keys/auditor.key` | its own signing key; mode 0600 in a folder of mode 0700 |
//! | `log/<operator>/<epoch>/checkpoint` | the newest head whose entries were all read and gave the signed root |
//! | `log/<operator>/<epoch>/tile/entries/...` | those entries, as they were served |
//! | `log/<operator>/<epoch>/tiles-checked` | up to which size the tiles of hashes were right |
//! | `open.json` | units whose objects are to be looked at: not yet, not all, or again since they were missing or wrong |
//! | `documents/<2>/<sha256>` | manifests and key documents that were right, as they were served |
//! | `cargo-home/`, `work/` | sources and builds of a rebuilt sample |
//! | `lock` | one audit at a time |
//!
//! Each head is replaced after what it speaks of is durable, so a crash costs reading the same again.
//! Must not know the network, or what is right.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::log::tile::TileKind;
use sealift_policy::log::{EntryBundle, LogVerifier, SignedCheckpoint, TilePath, TreeSize, VerifiedCheckpoint};
use serde::{Deserialize, Serialize};

use super::finding::LogName;
use crate::durable;

/// An auditor's data folder.
#[derive(Debug)]
pub struct Record {
    root: PathBuf,
    // Held for as long as this lives.
    _lock: std::fs::File,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Another audit uses it.
    #[error("another audit has locked `{0}`")]
    Locked(PathBuf),
    /// What is remembered is not what was written. The auditor would not notice a rollback any more.
    #[error(
        "what is remembered of {0} is damaged\nhint: restore the folder from a backup; remove it only if you can do without noticing that a log went back"
    )]
    Damaged(LogName),
    /// The file system failed.
    #[error("failed to use the auditor's folder")]
    Io(#[from] io::Error),
}

/// What is remembered of one log.
#[derive(Debug, Default)]
pub struct KnownLog {
    /// The newest head whose entries were all read.
    pub head: Option<VerifiedCheckpoint>,
    /// The entries below that head.
    pub entries: Vec<Vec<u8>>,
    /// Up to which size the tiles of hashes were right.
    pub tiles_checked: TreeSize,
}

/// A unit and a manifest that is stated for it.
pub type Pair = (UnitKey, Digest);

/// The units whose objects are to be looked at. None is in two of the sets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    version: u32,
    /// Of which an object was missing or wrong.
    pub units: BTreeSet<Pair>,
    /// Of which nothing was looked at.
    #[serde(default)]
    pub new: BTreeSet<Pair>,
    /// Whose documents were right, and whose outputs were not looked at.
    #[serde(default)]
    pub unread: BTreeSet<Pair>,
}

impl Open {
    pub(super) fn contains(&self, pair: &Pair) -> bool {
        [&self.units, &self.new, &self.unread]
            .iter()
            .any(|set| set.contains(pair))
    }

    /// Takes down that a unit was looked at: whether at its outputs, too, and whether all was right.
    pub(super) fn settle(&mut self, pair: Pair, outputs: bool, right: bool) {
        for set in [&mut self.units, &mut self.new, &mut self.unread] {
            set.remove(&pair);
        }
        if !right {
            self.units.insert(pair);
        } else if !outputs {
            self.unread.insert(pair);
        }
    }
}

impl Record {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// When another audit uses it, or it cannot be written.
    pub fn open(root: &Path) -> Result<Self, RecordError> {
        durable::create_folder(root)?;
        let root = fs_err::canonicalize(root)?;
        let path = root.join("lock");
        let lock = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        lock.try_lock().map_err(|_| RecordError::Locked(path))?;
        Ok(Self { root, _lock: lock })
    }

    /// What is remembered of a log.
    ///
    /// # Errors
    /// When the head is not one of this key, or entries are missing or damaged.
    pub fn log(&self, name: &LogName, verifier: &LogVerifier) -> Result<KnownLog, RecordError> {
        let folder = self.log_folder(name);
        let damaged = || RecordError::Damaged(name.clone());
        let Some(bytes) = durable::read(&folder.join("checkpoint"))? else {
            return Ok(KnownLog::default());
        };
        let head = SignedCheckpoint::parse(&bytes).and_then(|head| head.verify(verifier));
        let head = head.map_err(|_| damaged())?;
        let mut entries = Vec::new();
        for tile in bundles(TreeSize::ZERO, head.size()) {
            let bytes = durable::read(&folder.join(tile.to_string()))?.ok_or_else(damaged)?;
            let bundle = EntryBundle::parse(&bytes, tile).map_err(|_| damaged())?;
            entries.extend(bundle.into_entries());
        }
        let checked = durable::read(&folder.join("tiles-checked"))?;
        let checked = checked.and_then(|text| String::from_utf8(text).ok()?.trim_end().parse().ok());
        Ok(KnownLog {
            entries,
            tiles_checked: checked.unwrap_or(TreeSize::ZERO).min(head.size()),
            head: Some(head),
        })
    }

    /// Remembers a head, after the entry bundles that are new.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn remember(
        &self,
        name: &LogName,
        head: &VerifiedCheckpoint,
        bundles: &[(TilePath, Vec<u8>)],
        tiles_checked: TreeSize,
    ) -> io::Result<()> {
        let folder = self.log_folder(name);
        for (tile, bytes) in bundles {
            durable::write(&folder.join(tile.to_string()), bytes)?;
        }
        durable::write(&folder.join("checkpoint"), head.as_bytes())?;
        durable::write(&folder.join("tiles-checked"), format!("{tiles_checked}\n").as_bytes())
    }

    /// The units whose objects are to be looked at.
    ///
    /// # Errors
    /// When the list is damaged, or the file system fails.
    pub fn open_units(&self) -> io::Result<Open> {
        match durable::read(&self.root.join("open.json"))? {
            Some(bytes) => Ok(serde_json::from_slice(&bytes)?),
            None => Ok(Open::default()),
        }
    }

    /// Remembers them.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn set_open_units(&self, open: &Open) -> io::Result<()> {
        let text = serde_json::to_vec(&Open {
            version: 1,
            ..open.clone()
        })?;
        durable::write(&self.root.join("open.json"), &text)
    }

    /// Keeps a stored document.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn keep_document(&self, sha256: Digest, stored: &[u8]) -> io::Result<()> {
        let path = self.document_path(sha256);
        if path.is_file() {
            return Ok(());
        }
        durable::write(&path, stored)
    }

    /// A stored document that was right.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn document(&self, sha256: Digest) -> io::Result<Option<Vec<u8>>> {
        durable::read(&self.document_path(sha256))
    }

    /// The auditor's signing key.
    pub fn key(&self) -> PathBuf {
        self.root.join("keys/auditor.key")
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn document_path(&self, sha256: Digest) -> PathBuf {
        let name = sha256.to_string();
        self.root.join("documents").join(&name[..2]).join(name)
    }

    fn log_folder(&self, name: &LogName) -> PathBuf {
        self.root
            .join("log")
            .join(name.operator.as_str())
            .join(name.epoch.to_string())
    }
}

/// The entry bundles of a tree of `size` that hold the entries from `start` on.
pub(super) fn bundles(start: TreeSize, size: TreeSize) -> impl Iterator<Item = TilePath> {
    let first = start.value() / u64::from(sealift_policy::log::tile::WIDTH);
    (first..).map_while(move |index| TilePath::in_tree(TileKind::Entries, index, size))
}
