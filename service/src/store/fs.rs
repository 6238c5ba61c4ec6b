//! The store in a folder. Objects lie at their URL path, so any web server can serve the same folder.
//!
//! Beside `v1/`: `journal/` (notes), `requests/` (what people want built), `tmp/` (staged content, emptied at the start), `lock` (one process for a folder).
//! Must not know what objects mean.

use std::collections::BTreeSet;
use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sealift_policy::digest::Digest;
use sealift_policy::layout::ObjectPath;

use super::durable::{self, Source};
use super::{HeadStore, Journal, LogName, NewObject, Object, ObjectStore, RequestStore, Staging, SwapError};

/// A store in a folder that this process holds alone.
#[derive(Debug)]
pub struct FsStore {
    root: PathBuf,
    // Compare-and-swap of heads: this process is the only one, so a lock within it is enough.
    heads: Mutex<()>,
    // `None` for a store that is only looked at.
    _lock: Option<fs_err::File>,
}

impl FsStore {
    /// Opens or creates the folder, takes its lock and removes what earlier processes had staged.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs_err::create_dir_all(root)?;
        let root = fs_err::canonicalize(root)?;
        let lock = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(root.join("lock"))?;
        match lock.file().try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("`{}` is in use by another process", root.display());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let store = Self {
            root,
            heads: Mutex::new(()),
            _lock: Some(lock),
        };
        if store.temp().exists() {
            fs_err::remove_dir_all(store.temp())?;
        }
        for folder in [
            store.temp(),
            store.journal(),
            store.requests_folder(),
            store.root.join("v1"),
        ] {
            fs_err::create_dir_all(folder)?;
        }
        Ok(store)
    }

    /// Opens an existing folder for reading, also while a service holds it.
    pub fn inspect(root: &Path) -> io::Result<Self> {
        let root = fs_err::canonicalize(root)?;
        Ok(Self {
            root,
            heads: Mutex::new(()),
            _lock: None,
        })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn temp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    fn requests_folder(&self) -> PathBuf {
        self.root.join("requests")
    }

    /// Every name in an [`ObjectPath`] has passed its own strict parser, so the path stays inside the folder.
    fn path(&self, path: &ObjectPath) -> PathBuf {
        file_of(&self.root, path)
    }
}

/// Where the object lies below the root of a folder store.
pub fn file_of(root: &Path, path: &ObjectPath) -> PathBuf {
    root.join(path.to_string().trim_start_matches('/'))
}

/// Opens a regular file; `None` if there is none.
pub fn open_file(path: &Path) -> io::Result<Option<Object>> {
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    Ok(Some(Object {
        length: metadata.len(),
        file,
    }))
}

impl ObjectStore for FsStore {
    fn open(&self, path: &ObjectPath) -> io::Result<Option<Object>> {
        open_file(&self.path(path))
    }

    fn stage(&self) -> io::Result<Staging> {
        tempfile::NamedTempFile::new_in(self.temp()).map(Staging)
    }

    fn put(&self, objects: Vec<(ObjectPath, NewObject)>) -> io::Result<()> {
        let file = |(path, object): (ObjectPath, NewObject)| match object {
            NewObject::Bytes(bytes) => (self.path(&path), Source::Bytes(bytes)),
            NewObject::Staged(staged) => (self.path(&path), Source::Temp(staged.0)),
        };
        durable::write(objects.into_iter().map(file).collect(), &self.temp())
    }

    fn put_same(&self, paths: Vec<ObjectPath>, bytes: Vec<u8>) -> io::Result<()> {
        // Each path once: a link onto itself would leave its temporary name behind.
        let files: BTreeSet<PathBuf> = paths.iter().map(|path| self.path(path)).collect();
        let mut files = files.into_iter();
        let Some(first) = files.next() else { return Ok(()) };
        durable::write(vec![(first.clone(), Source::Bytes(bytes))], &self.temp())?;
        let links = files.map(|file| (file, Source::Link(first.clone())));
        durable::write(links.collect(), &self.temp())
    }
}

impl HeadStore for FsStore {
    fn head(&self, log: &LogName) -> io::Result<Option<Vec<u8>>> {
        let limit = sealift_policy::log::note::MAX_BYTES as u64;
        self.open(&checkpoint(log))?
            .map(|object| object.read_all(limit))
            .transpose()
    }

    fn swap(&self, log: &LogName, expected: Option<&[u8]>, new: &[u8]) -> Result<(), SwapError> {
        let _held = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        if self.head(log)?.as_deref() != expected {
            return Err(SwapError::Changed);
        }
        Ok(self.put(vec![(checkpoint(log), NewObject::Bytes(new.to_vec()))])?)
    }
}

fn checkpoint(log: &LogName) -> ObjectPath {
    ObjectPath::Checkpoint(log.operator.clone(), log.epoch)
}

impl Journal for FsStore {
    fn note(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        durable::write(
            vec![(self.journal().join(name), Source::Bytes(bytes.to_vec()))],
            &self.temp(),
        )
    }

    fn notes(&self) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut notes = Vec::new();
        for entry in fs_err::read_dir(self.journal())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            match fs_err::read(entry.path()) {
                Ok(bytes) => notes.push((name, bytes)),
                // Another log's note, struck meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        notes.sort();
        Ok(notes)
    }

    fn strike(&self, name: &str) -> io::Result<()> {
        durable::remove(&self.journal().join(name))
    }
}

impl RequestStore for FsStore {
    fn requests(&self) -> io::Result<(usize, u64)> {
        let (mut count, mut bytes) = (0, 0);
        for entry in fs_err::read_dir(self.requests_folder())? {
            match entry?.metadata() {
                Ok(metadata) => (count, bytes) = (count + 1, bytes + metadata.len()),
                // Taken away meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok((count, bytes))
    }

    fn keep_request(&self, name: Digest, bytes: &[u8]) -> io::Result<()> {
        let path = self.requests_folder().join(format!("{name}.json"));
        durable::write(vec![(path, Source::Bytes(bytes.to_vec()))], &self.temp())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn name() -> LogName {
        LogName {
            operator: "alpha".parse().unwrap(),
            epoch: 1,
        }
    }

    #[test]
    fn a_folder_serves_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let store = FsStore::open(folder.path()).unwrap();
        assert!(FsStore::open(folder.path()).is_err());
        drop(store);
        assert!(FsStore::open(folder.path()).is_ok());
    }

    #[test]
    fn staged_content_is_no_object_and_vanishes() {
        let folder = tempfile::tempdir().unwrap();
        let store = FsStore::open(folder.path()).unwrap();
        let path = ObjectPath::Cas(Digest::of(b"x"));
        let mut staged = store.stage().unwrap();
        staged.write_all(b"content").unwrap();
        assert!(store.open(&path).unwrap().is_none());
        drop(staged);
        assert_eq!(fs_err::read_dir(store.temp()).unwrap().count(), 0);
        let mut staged = store.stage().unwrap();
        staged.write_all(b"content").unwrap();
        let staged = NewObject::Staged(staged.finish().unwrap());
        store.put(vec![(path.clone(), staged)]).unwrap();
        assert_eq!(store.open(&path).unwrap().unwrap().read_all(100).unwrap(), b"content");
        assert!(store.open(&path).unwrap().unwrap().read_all(3).is_err());
    }

    #[test]
    fn one_object_under_many_paths_lies_on_the_disk_once() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let store = FsStore::open(folder.path()).unwrap();
        let paths: Vec<_> = (0..5_u8).map(|byte| ObjectPath::Cas(Digest::of(&[byte]))).collect();
        // Again, as after a crash, with other bytes and a path that is there twice.
        for content in [b"content", b"another"] {
            let twice = paths.iter().chain(&paths[..1]).cloned().collect();
            store.put_same(twice, content.to_vec()).unwrap();
            for path in &paths {
                assert_eq!(store.open(path).unwrap().unwrap().read_all(100).unwrap(), content);
            }
            let inode = |path| fs_err::metadata(store.path(path)).unwrap().ino();
            assert!(paths.iter().all(|path| inode(path) == inode(&paths[0])));
        }
        // What replaces one of them leaves the others alone.
        store
            .put(vec![(paths[1].clone(), NewObject::Bytes(b"new".to_vec()))])
            .unwrap();
        assert_eq!(
            store.open(&paths[2]).unwrap().unwrap().read_all(100).unwrap(),
            b"another"
        );
        assert_eq!(fs_err::read_dir(store.temp()).unwrap().count(), 0);
        store.put_same(vec![], vec![]).unwrap();
    }

    #[test]
    fn what_a_killed_process_had_staged_is_removed_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        drop(FsStore::open(folder.path()).unwrap());
        fs_err::write(folder.path().join("tmp/left"), b"behind").unwrap();
        let store = FsStore::open(folder.path()).unwrap();
        assert_eq!(fs_err::read_dir(store.temp()).unwrap().count(), 0);
    }

    #[test]
    fn a_head_is_replaced_only_if_it_is_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = FsStore::open(folder.path()).unwrap();
        assert!(matches!(
            store.swap(&name(), Some(b"other"), b"one"),
            Err(SwapError::Changed)
        ));
        store.swap(&name(), None, b"one").unwrap();
        assert!(matches!(store.swap(&name(), None, b"two"), Err(SwapError::Changed)));
        store.swap(&name(), Some(b"one"), b"two").unwrap();
        assert_eq!(store.head(&name()).unwrap().unwrap(), b"two");
    }
}
