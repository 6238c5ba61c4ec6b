//! What is remembered of a repository between updates, below `trust/<sha256 of the pinned root>` in the local store.
//!
//! `seen/` holds the newest verified metadata as `tough` compares with it, so that going back is noticed; `kept/` the
//! newest files as they came, so that they need not come again; `state.json` what the wrapper reads, written last. Owns
//! that none of them goes back to something older. Must not know how metadata is verified.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use sealift_policy::digest::Digest;
use sealift_policy::local;
use sealift_policy::tuf::TufFile;
use serde::Deserialize;

use crate::heads::locked;
use crate::store::Store;
use crate::trust_root::{PinnedRoot, TrustState};

/// The metadata with which `tough` compares.
const COMPARED: [&str; 3] = ["root.json", "timestamp.json", "snapshot.json"];

/// What is remembered of one repository.
pub(super) struct Seen {
    store: Store,
    store_root: PathBuf,
    pinned: PinnedRoot,
    folder: String,
}

/// The version of a root that was verified.
#[derive(Deserialize)]
struct Versioned {
    signed: Version,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

impl Seen {
    /// What is remembered for this root.
    pub(super) fn open(store: &Path, root: &PinnedRoot) -> io::Result<Self> {
        let seen = Self {
            store: Store::open(store)?,
            store_root: store.to_owned(),
            pinned: root.clone(),
            folder: local::trust_path(root.digest()),
        };
        fs_err::create_dir_all(seen.store.path(&seen.folder))?;
        Ok(seen)
    }

    /// The newest root that was verified; the pinned one where there is none.
    pub(super) fn root(&self, pinned: &PinnedRoot) -> Vec<u8> {
        let newest = fs_err::read(self.path("seen/root.json")).ok();
        let newest = newest.filter(|bytes| version(bytes) > version(pinned.bytes()));
        newest.unwrap_or_else(|| pinned.bytes().to_owned())
    }

    /// Its version.
    pub(super) fn root_version(&self) -> u64 {
        version(&self.root(&self.pinned))
    }

    /// A folder of `tough`'s own, with what was seen.
    pub(super) fn datastore(&self) -> io::Result<tempfile::TempDir> {
        let folder = self.store.scratch_folder()?;
        for name in COMPARED {
            match fs_err::copy(self.path(&format!("seen/{name}")), folder.path().join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(folder)
    }

    /// The files that came the last time.
    pub(super) fn kept(&self) -> Vec<(TufFile, Vec<u8>)> {
        let files = (self.kept_files()).filter(|(file, _)| *file != TufFile::Timestamp);
        files
            .filter_map(|(file, path)| Some((file, fs_err::read(path).ok()?)))
            .collect()
    }

    fn kept_files(&self) -> impl Iterator<Item = (TufFile, PathBuf)> {
        let folder = self.path("kept");
        let files = walkdir::WalkDir::new(&folder).into_iter().filter_map(Result::ok);
        files.filter_map(move |entry| {
            let name = entry.path().strip_prefix(&folder).ok()?.to_str()?;
            Some((name.parse().ok()?, entry.path().to_owned()))
        })
    }

    /// Remembers what was verified, unless another build has remembered something newer meanwhile; gives what counts now.
    pub(super) fn keep(
        &self,
        datastore: &Path,
        state: TrustState,
        files: &BTreeMap<TufFile, Vec<u8>>,
    ) -> io::Result<TrustState> {
        let _lock = self.lock()?;
        let order = |state: &TrustState| (state.root.version, state.timestamp.version, state.updated);
        if let Some(newer) = TrustState::read(&self.store_root, &self.pinned)
            && order(&newer) > order(&state)
            && newer.check(i64::try_from(state.updated).unwrap_or(i64::MAX)).is_ok()
        {
            return Ok(newer);
        }
        // It may have remembered a newer root alone: what was verified from an older one does not count any longer.
        let followed = fs_err::read(datastore.join("root.json")).unwrap_or_default();
        if version(&followed) < self.root_version() {
            return Err(io::Error::other("another process has followed a newer root meanwhile"));
        }
        self.copy_compared(datastore)?;
        let kept = |file: &TufFile| matches!(file, TufFile::Snapshot(_) | TufFile::Targets(_) | TufFile::Target(..));
        for (file, bytes) in files.iter().filter(|(file, _)| kept(file)) {
            self.store.write(&format!("{}/kept/{file}", self.folder), bytes)?;
        }
        // The state last: what it says was remembered before.
        state.write(&self.store_root)?;
        for (file, path) in self.kept_files() {
            if !files.contains_key(&file) {
                let _ = fs_err::remove_file(path);
            }
        }
        Ok(state)
    }

    /// Remembers a newer root, and that older timestamps and snapshots do not bind it, as `tough` left them.
    pub(super) fn keep_root(&self, datastore: &Path) -> io::Result<()> {
        let newest = fs_err::read(datastore.join("root.json")).unwrap_or_default();
        let _lock = self.lock()?;
        if version(&newest) > self.root_version() {
            self.store.write(&format!("{}/seen/root.json", self.folder), &newest)?;
            for name in ["timestamp.json", "snapshot.json"] {
                if !datastore.join(name).exists() {
                    self.forget(name)?;
                }
            }
        }
        Ok(())
    }

    fn copy_compared(&self, datastore: &Path) -> io::Result<()> {
        for name in COMPARED {
            match fs_err::read(datastore.join(name)) {
                Ok(bytes) => self.store.write(&format!("{}/seen/{name}", self.folder), &bytes)?,
                Err(_) => self.forget(name)?,
            }
        }
        Ok(())
    }

    fn forget(&self, name: &str) -> io::Result<()> {
        match fs_err::remove_file(self.path(&format!("seen/{name}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes what was received into one file, named by its content, so that a thousand builds keep one copy. That it
    /// cannot be written must not turn a refusal into something else.
    pub(super) fn put_evidence(&self, what: &str, files: &BTreeMap<TufFile, Vec<u8>>) -> Option<PathBuf> {
        let files: BTreeMap<String, String> = (files.iter())
            .map(|(file, bytes)| (file.to_string(), String::from_utf8_lossy(bytes).into_owned()))
            .collect();
        let document =
            serde_json::json!({"version": 1, "pinned": self.pinned.digest(), "refused": what, "files": files});
        let text = serde_json::to_vec(&document).expect("documents have string keys only");
        let name = format!("evidence/tuf-{}.json", Digest::of(&text).short());
        self.store.write(&name, &text).ok()?;
        Some(self.store.path(&name))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.store.path(&self.folder).join(name)
    }

    /// Only one process at a time remembers something.
    fn lock(&self) -> io::Result<fs_err::File> {
        let lock = fs_err::File::create(self.path("lock"))?;
        if locked(lock.file()) {
            Ok(lock)
        } else {
            Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                "another process holds the lock",
            ))
        }
    }
}

fn version(root: &[u8]) -> u64 {
    serde_json::from_slice(root).map_or(0, |root: Versioned| root.signed.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust_root::{TrustRoot, state_for_tests as state};

    #[test]
    fn t22_a_root_that_another_build_has_remembered_meanwhile_is_not_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let root = |version: u64| format!(r#"{{"signed":{{"version":{version}}}}}"#).into_bytes();
        let TrustRoot::Tuf(pinned) = crate::trust_root::parse(Path::new("/pinned/root.json"), root(1)).unwrap() else {
            panic!("a TUF root")
        };
        let seen = Seen::open(folder.path(), &pinned).unwrap();
        let followed = |version| {
            let datastore = seen.datastore().unwrap();
            fs_err::write(datastore.path().join("root.json"), root(version)).unwrap();
            datastore
        };
        let (ours, theirs) = (followed(1), followed(2));
        // Theirs failed at what the root leads to; ours began before.
        seen.keep_root(theirs.path()).unwrap();
        let kept = seen.keep(ours.path(), state(pinned.digest()), &BTreeMap::new());
        assert!(kept.is_err());
        assert_eq!(seen.root_version(), 2);
        assert!(TrustState::read(folder.path(), &pinned).is_none());
        // From the newer root it counts.
        let again = followed(2);
        assert!(
            seen.keep(again.path(), state(pinned.digest()), &BTreeMap::new())
                .is_ok()
        );
    }
}
