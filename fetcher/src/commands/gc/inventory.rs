//! What a local store holds: outputs and the units that name them.
//!
//! Must not know what is to go.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::local::{self, LocalUnit};
use sealift_policy::manifest::Manifest;

use crate::store::Store;

/// When the kernel last saw a file of the store change, be linked or be marked: exact, to notice whoever comes meanwhile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moment {
    seconds: i64,
    nanoseconds: i64,
}

impl Moment {
    /// Of a file; `None` when it is gone.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs_err::symlink_metadata(path).ok()?;
        Some(Self {
            seconds: metadata.ctime(),
            nanoseconds: metadata.ctime_nsec(),
        })
    }
}

/// One stored unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) key: UnitKey,
    pub(super) outputs: Vec<Digest>,
    /// When it was stored or last used, in seconds since 1970.
    pub(super) used: i64,
    /// The same of its record, exactly.
    pub(super) record: Moment,
    /// What its compiler says of itself, when that was asked for and is known.
    pub(super) compiler: Option<String>,
}

/// One stored output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) size: u64,
    /// When it was stored or last linked into a target folder, in seconds since 1970.
    pub(super) used: i64,
    /// The same, exactly.
    pub(super) changed: Moment,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) blobs: BTreeMap<Digest, Blob>,
    pub(super) units: Vec<Candidate>,
}

impl Inventory {
    /// Of a store; `None` when there is no time for it.
    pub(super) fn of(store: &Store, with_compilers: bool, until: Option<Instant>) -> Option<Self> {
        let in_time = || until.is_none_or(|until| Instant::now() < until);
        let mut inventory = Self::default();
        // Units first: an output that is stored meanwhile is then known to belong to nobody only if it is young.
        for path in files(&store.path("units")) {
            if !in_time() {
                return None;
            }
            inventory.units.extend(candidate(store, &path, with_compilers));
        }
        for path in files(&store.path("cas")) {
            if !in_time() {
                return None;
            }
            let digest = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            if let (Some(digest), Ok(metadata), Some(changed)) =
                (digest, fs_err::symlink_metadata(&path), Moment::of(&path))
            {
                let (size, used) = (metadata.len(), changed.seconds);
                inventory.blobs.insert(digest, Blob { size, used, changed });
            }
        }
        for unit in &mut inventory.units {
            let linked = unit
                .outputs
                .iter()
                .filter_map(|digest| Some(inventory.blobs.get(digest)?.used));
            unit.used = linked.fold(unit.used, i64::max);
        }
        in_time().then_some(inventory)
    }
}

fn candidate(store: &Store, path: &Path, with_compiler: bool) -> Option<Candidate> {
    let record = Moment::of(path)?;
    let unit: LocalUnit = serde_json::from_slice(&fs_err::read(path).ok()?).ok()?;
    let manifest = Manifest::from_canonical(unit.manifest.as_bytes()).ok()?;
    let document = with_compiler.then(|| fs_err::read(store.path(&local::key_path(unit.unit_key))).ok());
    let document = document
        .flatten()
        .and_then(|bytes| UnitDocument::from_canonical(&bytes).ok());
    Some(Candidate {
        key: unit.unit_key,
        outputs: manifest.outputs.iter().map(|output| output.sha256).collect(),
        used: marked(path)?,
        record,
        compiler: document.map(|(_, document)| document.compiler().verbose_version.clone()),
    })
}

/// When a unit's record was written or marked last. Marking sets both times, and an archive that brought the store here,
/// as CI's caches do, set the first to what it was.
fn marked(path: &Path) -> Option<i64> {
    let metadata = fs_err::symlink_metadata(path).ok()?;
    Some(metadata.mtime().min(metadata.ctime()))
}

/// Every file below a folder.
pub(super) fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = walkdir::WalkDir::new(folder)
        .follow_links(false)
        .into_iter()
        .filter_map(Result::ok);
    entries
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_record_that_an_archive_brought_here_is_as_old_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("unit.json");
        fs_err::write(&record, "{}").unwrap();
        let now = Moment::of(&record).unwrap().seconds;
        assert!((now - 1..=now).contains(&marked(&record).unwrap()));
        let file = fs_err::File::open(&record).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        file.file().set_modified(long_ago).unwrap();
        assert_eq!(marked(&record), Some(1_700_000_000));
        // Nor is one from a time to come younger than it is.
        let to_come = SystemTime::UNIX_EPOCH + Duration::from_secs(9_000_000_000);
        file.file().set_modified(to_come).unwrap();
        assert!(marked(&record).unwrap() < 9_000_000_000);
    }
}
