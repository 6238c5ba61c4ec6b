//! The sequencer: appends leaves to the operator's log, in an order in which a crash at any point is harmless.
//!
//! | step | what a crash after it leaves |
//! | --- | --- |
//! | 1. bundles and tiles are written, durable | files that no head speaks of; the next append writes over them |
//! | 2. the head is signed, in memory | the same: the signature is gone |
//! | 3. the head is swapped, durable | the larger log; its batch head and the remembered head are older |
//! | 4. batch head, remembered head | nothing undone |
//! | 5. (the caller) the batch is published | the service asks for it again |
//!
//! Opening a log is recovery: it does step 4 again. Owns the rule that a unit has one leaf, and the refusal to sign for a
//! log that is older than what was signed or published before.
//! Must not know what is in a unit, or what time it is.

use std::collections::BTreeMap;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::leaf::{Leaf, MalformedLeaf};
use sealift_policy::log::checkpoint::{Checkpoint, CheckpointError};
use sealift_policy::log::key::{LogSigner, LogVerifier};
use sealift_policy::log::number::TreeSize;
use sealift_policy::log::tile::{self, AppendError, BundleError, EntryBundle, TileKind, TilePath};
use sealift_policy::log::tree::{Tree, TreeFull};
use sealift_policy::log::{ConsistencyProof, SignedCheckpoint, VerifiedCheckpoint};

use crate::log_store::LogStore;

/// A log that is open for appending.
#[derive(Debug)]
pub struct Sequencer<S> {
    store: S,
    signer: LogSigner,
    contents: LogContents,
    poisoned: bool,
}

/// What a log holds, read and verified.
#[derive(Debug, Clone)]
pub struct LogContents {
    head: VerifiedCheckpoint,
    tree: Tree,
    leaves: Vec<Leaf>,
    by_key: BTreeMap<UnitKey, usize>,
}

/// What became of a unit that was to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It has a new leaf.
    New,
    /// The same leaf is in the log already.
    Already,
    /// The log says something else about this unit, and will for ever.
    Conflict {
        /// The manifest that is logged.
        logged: Digest,
    },
}

/// Why a log cannot be opened or appended to.
#[derive(Debug, thiserror::Error)]
pub enum SequencerError {
    /// There is no log.
    #[error("there is no log here; `sealift-builder init` makes one")]
    Absent,
    /// There is one already.
    #[error("there is a log here already")]
    Exists,
    /// A file of the log is missing.
    #[error("`{0}` of the log is missing")]
    Missing(String),
    /// The head is not signed by this key.
    #[error("the head of the log is not signed by this operator's key")]
    Head(#[source] CheckpointError),
    /// A bundle, leaf or the root is not what it must be.
    #[error("`{0}` of the log is damaged")]
    Damaged(String),
    /// The log is older than what this operator signed or published before: a restored backup.
    #[error(
        "the log has {size} entries, but a head of {newer} was {what} before: it was restored from an older backup, \
         and signing would fork it"
    )]
    RolledBack {
        /// Entries of the log.
        size: u64,
        /// Entries of the newer head.
        newer: u64,
        /// What was done with that head.
        what: &'static str,
    },
    /// Another head of this log exists that does not belong to it.
    #[error("a head of {size} entries was {what} before that is not of this log: it was forked")]
    Forked {
        /// Entries of that head.
        size: u64,
        /// What was done with it.
        what: &'static str,
    },
    /// A write failed, or it is not known whether it did: the log must be opened again.
    #[error("failed to write the log")]
    Write(#[source] std::io::Error),
    /// A read failed.
    #[error("failed to read the log")]
    Read(#[source] std::io::Error),
    /// An earlier write failed.
    #[error("the log must be opened again after a failed write")]
    Poisoned,
    /// The log is full, or a leaf too large.
    #[error("failed to append to the log")]
    Append(#[from] AppendError),
}

impl LogContents {
    /// Reads and verifies a log: every entry, the root, and the head's signature.
    ///
    /// # Errors
    /// When anything is missing or damaged.
    pub fn read(store: &impl LogStore, key: &LogVerifier) -> Result<Self, SequencerError> {
        let head = store
            .head()
            .map_err(SequencerError::Read)?
            .ok_or(SequencerError::Absent)?;
        let head = SignedCheckpoint::parse(&head)
            .and_then(|head| head.verify(key))
            .map_err(SequencerError::Head)?;
        let mut tree = Tree::default();
        let mut leaves = Vec::new();
        for path in bundles(head.size()) {
            let damaged = || SequencerError::Damaged(path.to_string());
            for entry in read_bundle(store, path)?.entries() {
                let leaf: Result<Leaf, MalformedLeaf> = Leaf::from_canonical(entry);
                leaves.push(leaf.map_err(|_| damaged())?);
                tree.push(sealift_policy::log::TreeHash::of_leaf(entry))
                    .map_err(|TreeFull| damaged())?;
            }
        }
        if tree.root() != head.root() {
            return Err(SequencerError::Damaged("root".to_owned()));
        }
        let by_key = leaves
            .iter()
            .enumerate()
            .map(|(index, leaf)| (leaf.unit_key(), index))
            .collect();
        Ok(Self {
            head,
            tree,
            leaves,
            by_key,
        })
    }

    /// The signed head.
    pub fn head(&self) -> &VerifiedCheckpoint {
        &self.head
    }

    /// All leaves in their order.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// What is logged for a unit.
    pub fn leaf(&self, key: UnitKey) -> Option<&Leaf> {
        self.by_key.get(&key).map(|index| &self.leaves[*index])
    }

    /// The proof that the tree of `new` begins with the tree of `old`; `None` if the log is not that large.
    pub fn consistency(&self, old: TreeSize, new: TreeSize) -> Option<ConsistencyProof> {
        self.tree.consistency(old, new).ok()
    }

    /// Checks that a head which was signed or published before is one of this log.
    fn must_contain(&self, older: &VerifiedCheckpoint, what: &'static str) -> Result<(), SequencerError> {
        let (size, here) = (older.size(), self.tree.size());
        if size > here {
            return Err(SequencerError::RolledBack {
                size: here.value(),
                newer: size.value(),
                what,
            });
        }
        match self.tree.root_at(size) {
            Ok(root) if root == older.root() => Ok(()),
            _ => Err(SequencerError::Forked {
                size: size.value(),
                what,
            }),
        }
    }
}

impl<S: LogStore> Sequencer<S> {
    /// Makes a new, empty log with a signed head.
    ///
    /// # Errors
    /// When there is a log already, or it cannot be written.
    pub fn create(store: S, signer: LogSigner, now: u64) -> Result<Self, SequencerError> {
        if store.head().map_err(SequencerError::Read)?.is_some() {
            return Err(SequencerError::Exists);
        }
        let head = sign(&signer, &Tree::default(), now)?;
        store.swap_head(None, head.as_bytes()).map_err(SequencerError::Write)?;
        Self::open(store, signer)
    }

    /// Opens a log and finishes what a crash may have left undone.
    ///
    /// # Errors
    /// When the log is missing, damaged, of another key, or older than what was signed before.
    pub fn open(store: S, signer: LogSigner) -> Result<Self, SequencerError> {
        let contents = LogContents::read(&store, signer.verifier())?;
        let sequencer = Self {
            store,
            signer,
            contents,
            poisoned: false,
        };
        if let Some(seen) = sequencer.store.seen().map_err(SequencerError::Read)? {
            let seen = SignedCheckpoint::parse(&seen).and_then(|seen| seen.verify(sequencer.signer.verifier()));
            sequencer
                .contents
                .must_contain(&seen.map_err(SequencerError::Head)?, "signed")?;
        }
        sequencer.remember_head()?;
        Ok(sequencer)
    }

    /// What the log holds.
    pub fn contents(&self) -> &LogContents {
        &self.contents
    }

    /// Checks the head that the world sees: signing goes on only if it is one of this log.
    ///
    /// # Errors
    /// When it is newer than the log, not of the log, or not signed by this key.
    pub fn check_published(&self, published: &[u8]) -> Result<(), SequencerError> {
        let published = SignedCheckpoint::parse(published).and_then(|head| head.verify(self.signer.verifier()));
        self.contents
            .must_contain(&published.map_err(SequencerError::Head)?, "published")
    }

    /// Appends leaves and signs the head of the larger log; says what became of each.
    ///
    /// Without a new leaf the head is signed again with the new time.
    ///
    /// # Errors
    /// When a write fails: then the log must be opened again, which tells whether it happened.
    pub fn append(&mut self, leaves: &[Leaf], now: u64) -> Result<Vec<Appended>, SequencerError> {
        if std::mem::replace(&mut self.poisoned, true) {
            return Err(SequencerError::Poisoned);
        }
        let mut outcomes = Vec::new();
        let mut grown = self.contents.clone();
        let old = grown.leaves.len();
        for leaf in leaves {
            outcomes.push(match grown.leaf(leaf.unit_key()) {
                Some(logged) if logged.manifest() == leaf.manifest() => Appended::Already,
                Some(logged) => Appended::Conflict {
                    logged: logged.manifest(),
                },
                None => {
                    grown.by_key.insert(leaf.unit_key(), grown.leaves.len());
                    grown.leaves.push(*leaf);
                    Appended::New
                }
            });
        }
        let last = match bundles(self.contents.tree.size()).last() {
            Some(path) if !path.is_full() => read_bundle(&self.store, path)?,
            _ => EntryBundle::default(),
        };
        let entries = grown.leaves[old..].iter().map(|leaf| leaf.to_canonical().into_bytes());
        let files = tile::append(&mut grown.tree, last, entries)?;

        // 1. A crash here leaves files that no head speaks of.
        for (path, bytes) in files {
            self.store
                .write(&path.to_string(), &bytes)
                .map_err(SequencerError::Write)?;
        }
        // 2. A crash here leaves the same: the signature never left this process.
        let time = now.max(self.contents.head.time());
        grown.head = sign(&self.signer, &grown.tree, time)?;
        // 3. A crash here leaves the larger log, which `open` finds.
        let old_head = self.contents.head.as_bytes();
        self.store
            .swap_head(Some(old_head), grown.head.as_bytes())
            .map_err(SequencerError::Write)?;
        self.contents = grown;
        // 4. A crash here leaves nothing undone.
        self.remember_head()?;
        self.poisoned = false;
        Ok(outcomes)
    }

    fn remember_head(&self) -> Result<(), SequencerError> {
        let head = self.contents.head.as_bytes();
        let path = batch_head(self.contents.head.size());
        if self.store.read(&path).map_err(SequencerError::Read)?.as_deref() != Some(head) {
            self.store.write(&path, head).map_err(SequencerError::Write)?;
        }
        if self.store.seen().map_err(SequencerError::Read)?.as_deref() != Some(head) {
            self.store.set_seen(head).map_err(SequencerError::Write)?;
        }
        Ok(())
    }
}

/// Where the signed head at the end of a batch is kept, so that the batch can be submitted again.
pub fn batch_head(size: TreeSize) -> String {
    format!("heads/{size}")
}

fn bundles(size: TreeSize) -> impl Iterator<Item = TilePath> {
    (0..).map_while(move |index| TilePath::in_tree(TileKind::Entries, index, size))
}

fn read_bundle(store: &impl LogStore, path: TilePath) -> Result<EntryBundle, SequencerError> {
    let bytes = store.read(&path.to_string()).map_err(SequencerError::Read)?;
    let bytes = bytes.ok_or_else(|| SequencerError::Missing(path.to_string()))?;
    EntryBundle::parse(&bytes, path).map_err(|_: BundleError| SequencerError::Damaged(path.to_string()))
}

fn sign(signer: &LogSigner, tree: &Tree, time: u64) -> Result<VerifiedCheckpoint, SequencerError> {
    let origin = signer.verifier().origin().clone();
    let checkpoint = Checkpoint {
        origin,
        size: tree.size(),
        root: tree.root(),
        time,
    };
    let signed = checkpoint
        .sign(signer)
        .and_then(|signed| signed.verify(signer.verifier()));
    signed.map_err(SequencerError::Head)
}

#[cfg(test)]
mod tests;
