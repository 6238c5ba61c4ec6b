//! The operators' logs as this process serves them: head and tree in memory, read from the store.
//!
//! Owns reading a log back and checking that it is the one that its checkpoint speaks of.
//! Must not know how a log grows.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use sealift_policy::layout::ObjectPath;
use sealift_policy::leaf::Leaf;
use sealift_policy::log::tile::{self, TileKind};
use sealift_policy::log::{
    EntryBundle, LeafIndex, LogVerifier, SignedCheckpoint, TilePath, Tree, TreeHash, TreeSize, VerifiedCheckpoint,
};

use crate::store::{LogName, Store};

/// The longest entry bundle: 256 entries of the longest length.
const MAX_BUNDLE: u64 = 256 * (2 + 65_535);

/// Why a log cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store failed.
    #[error("failed to read log `{log}`")]
    Store {
        /// Which log.
        log: LogName,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The stored checkpoint is not one of the configured key.
    #[error("the stored checkpoint of log `{log}` is not one of the configured key")]
    Checkpoint {
        /// Which log.
        log: LogName,
        /// Why.
        #[source]
        source: sealift_policy::log::checkpoint::CheckpointError,
    },
    /// A tile is missing or damaged.
    #[error("`{path}` of log `{log}` is missing or damaged")]
    Tile {
        /// Which log.
        log: LogName,
        /// Which tile.
        path: TilePath,
    },
    /// The entries are not those that were signed.
    #[error("the entries of log `{log}` do not give the root of its checkpoint")]
    Root {
        /// Which log.
        log: LogName,
    },
}

/// One log.
#[derive(Debug)]
pub struct ServedLog {
    /// Its name.
    pub name: LogName,
    /// Its key.
    pub verifier: LogVerifier,
    state: RwLock<Arc<LogState>>,
    // Held while a submission to this log is received and published.
    admission: Mutex<()>,
    // A write of the head failed, so the store may be ahead of the memory.
    uncertain: AtomicBool,
}

/// A log at one moment.
#[derive(Debug, Default)]
pub struct LogState {
    /// The head; `None` before the first submission.
    pub checkpoint: Option<VerifiedCheckpoint>,
    /// The tree of the head.
    pub tree: Tree,
    /// The entries of the last, partial bundle.
    pub last: EntryBundle,
}

impl ServedLog {
    /// Reads a log from the store.
    pub fn load(store: &dyn Store, name: LogName, verifier: LogVerifier) -> Result<Self, LogError> {
        let state = load(store, &name, &verifier)?;
        Ok(Self {
            name,
            verifier,
            state: RwLock::new(Arc::new(state)),
            admission: Mutex::new(()),
            uncertain: AtomicBool::new(false),
        })
    }

    /// The log now.
    pub fn state(&self) -> Arc<LogState> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until no other submission to this log is being admitted.
    pub fn admit(&self) -> MutexGuard<'_, ()> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a new state.
    pub fn replace(&self, state: LogState) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }

    /// Remembers that the head in the store may be another than the one in memory.
    pub fn set_uncertain(&self) {
        self.uncertain.store(true, Ordering::SeqCst);
    }

    /// Reads the log again if the store may be ahead. The caller holds [`Self::admit`].
    pub fn settle(&self, store: &dyn Store) -> Result<(), LogError> {
        if self.uncertain.load(Ordering::SeqCst) {
            self.replace(load(store, &self.name, &self.verifier)?);
            self.uncertain.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Whether a tile belongs to the log as it is. What a crash left behind, beyond the head, does not.
    pub fn covers(&self, path: TilePath) -> bool {
        let level = match path.kind() {
            TileKind::Entries => 0,
            TileKind::Hashes(level) => u32::from(level),
        };
        let end = path
            .index()
            .checked_mul(u64::from(tile::WIDTH))
            .map(|start| start + u64::from(path.width()));
        let size = self.state().tree.size().value();
        end.is_some_and(|end| end <= size.checked_shr(8 * level).unwrap_or(0))
    }
}

fn load(store: &dyn Store, name: &LogName, verifier: &LogVerifier) -> Result<LogState, LogError> {
    let failed = |source| LogError::Store {
        log: name.clone(),
        source,
    };
    let Some(head) = store.head(name).map_err(failed)? else {
        return Ok(LogState::default());
    };
    let checkpoint = SignedCheckpoint::parse(&head)
        .and_then(|checkpoint| checkpoint.verify(verifier))
        .map_err(|source| LogError::Checkpoint {
            log: name.clone(),
            source,
        })?;
    let mut tree = Tree::default();
    let mut last = EntryBundle::default();
    for path in bundles(checkpoint.size(), TreeSize::ZERO) {
        last = bundle(store, name, path)?;
        for entry in last.entries() {
            tree.push(TreeHash::of_leaf(entry))
                .expect("the checkpoint's size is a tree's");
        }
        if path.is_full() {
            last = EntryBundle::default();
        }
    }
    if tree.root() != checkpoint.root() {
        return Err(LogError::Root { log: name.clone() });
    }
    Ok(LogState {
        checkpoint: Some(checkpoint),
        tree,
        last,
    })
}

/// The entry bundles of a tree of `size` that hold the entries from `start` on.
fn bundles(size: TreeSize, start: TreeSize) -> impl Iterator<Item = TilePath> {
    let first = start.value() / u64::from(tile::WIDTH);
    (first..).map_while(move |index| TilePath::in_tree(TileKind::Entries, index, size))
}

fn bundle(store: &dyn Store, name: &LogName, path: TilePath) -> Result<EntryBundle, LogError> {
    let object = store
        .open(&tile_path(name, path))
        .and_then(|object| object.map(|object| object.read_all(MAX_BUNDLE)).transpose())
        .map_err(|source| LogError::Store {
            log: name.clone(),
            source,
        })?;
    let damaged = || LogError::Tile {
        log: name.clone(),
        path,
    };
    EntryBundle::parse(&object.ok_or_else(damaged)?, path).map_err(|_| damaged())
}

/// The leaves of a log from `start` up to `size`, each with its index.
pub fn leaves(
    store: &dyn Store,
    name: &LogName,
    start: TreeSize,
    size: TreeSize,
) -> Result<Vec<(LeafIndex, Leaf)>, LogError> {
    let mut leaves = Vec::new();
    for path in bundles(size, start) {
        let from = path.index() * u64::from(tile::WIDTH);
        for (index, entry) in (from..).zip(bundle(store, name, path)?.entries()) {
            let damaged = || LogError::Tile {
                log: name.clone(),
                path,
            };
            if index >= start.value() {
                let leaf = Leaf::from_canonical(entry).map_err(|_| damaged())?;
                leaves.push((LeafIndex::try_from(index).map_err(|_| damaged())?, leaf));
            }
        }
    }
    Ok(leaves)
}

/// Where a tile of a log lies.
pub fn tile_path(name: &LogName, path: TilePath) -> ObjectPath {
    ObjectPath::Tile(name.operator.clone(), name.epoch, path.to_string())
}
