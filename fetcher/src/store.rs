//! The local store on disk: content-addressed outputs and the records about them.
//!
//! Owns atomicity (written beside under a name that nobody else has, then renamed), immutability (read-only, one fixed
//! old modification time), privacy (nobody else may enter the store's folder, whatever the user's mask) and the check that
//! an output is still what it was. A record that is missing or damaged is as good as absent.
//! Must not know what a unit is for, whether it is trusted, or where it will be installed.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use sealift_policy::digest::{Digest, Hasher, UnitKey};
use sealift_policy::local::{self, LocalUnit, OutputRecord, STORED_MTIME, VERSION_DIR};
use sealift_policy::name::{CrateName, CrateVersion};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fresh;

/// A local store.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// The folder of what is not finished.
pub const SCRATCH: &str = "tmp";

/// Most bytes that are read of a record. What is cut off is no record.
const MAX_RECORD: u64 = 256 << 20;

/// Whether a stored file may be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Read only.
    Data,
    /// Read and execute.
    Executable,
}

impl Store {
    /// The store below this folder, which need not exist yet. A store of another user, or one that everybody can write
    /// to, is not opened.
    pub fn open(root: &Path) -> io::Result<Self> {
        let contents = root.join(VERSION_DIR);
        for folder in [root, &contents] {
            match fs::metadata(folder) {
                Ok(metadata) => refuse_shared(&metadata)?,
                // Where nothing can be written, there is nothing to be found either.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let _ = make_private(&contents);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self { root: contents })
    }

    /// A path in the store, from its relative form.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The store's versioned folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The record of a unit.
    pub fn unit(&self, key: UnitKey) -> Option<LocalUnit> {
        self.read(&local::unit_path(key))
            .filter(|unit: &LocalUnit| unit.version == 1 && unit.unit_key == key)
    }

    /// Notes that a unit is about to be used, so that no sweep takes it from the build that does. Failing to costs a
    /// local compilation at worst.
    pub fn mark_used(&self, key: UnitKey) {
        if let Ok(record) = fs::File::open(self.path(&local::unit_path(key))) {
            let _ = rustix::fs::futimens(&record, &crate::install::NOW);
        }
    }

    /// Whether this is an output of the unit as it is stored.
    pub fn keeps(&self, key: UnitKey, output: Digest) -> bool {
        let unit = self.unit(key);
        unit.is_some_and(|unit| unit.manifest.contains(&output.to_string()))
    }

    /// Writes the record of a unit; what it refers to must be there already.
    pub fn write_unit(&self, unit: &LocalUnit) -> io::Result<()> {
        self.write(&local::unit_path(unit.unit_key), &json(unit))
    }

    /// The library or proc macro with an output of this content.
    pub fn output(&self, digest: Digest) -> Option<OutputRecord> {
        self.read(&local::output_path(digest))
            .filter(|record: &OutputRecord| record.version == 1)
    }

    /// Writes the record under each of its outputs.
    pub fn write_output(&self, record: &OutputRecord) -> io::Result<()> {
        for output in &record.outputs {
            self.write(&local::output_path(output.sha256), &json(record))?;
        }
        Ok(())
    }

    /// Keeps a key document and lists it under its package.
    pub fn write_key(&self, key: UnitKey, document: &str, name: &CrateName, version: &CrateVersion) -> io::Result<()> {
        let path = local::key_path(key);
        if self.path(&path).exists() {
            return Ok(());
        }
        self.write(&path, document.as_bytes())?;
        self.write(&format!("{}/{key}", local::package_path(name, version)), b"")
    }

    /// Reads a JSON record.
    pub fn read<T: DeserializeOwned>(&self, relative: &str) -> Option<T> {
        serde_json::from_slice(&read_small(&self.path(relative)).ok()?).ok()
    }

    /// Writes a file whole or not at all.
    pub fn write(&self, relative: &str, content: &[u8]) -> io::Result<()> {
        let scratch = self.scratch(|scratch| write_new(scratch, content))?;
        move_to(scratch.path(), &self.path(relative))
    }

    /// Adds lines to a file, whole: the kernel keeps lines of several processes apart. A file that has grown to
    /// `limit` bytes begins anew.
    pub fn append(&self, relative: &str, line: &[u8], limit: u64) -> io::Result<()> {
        use std::io::Write as _;
        let path = self.path(relative);
        let mut options = fs::OpenOptions::new();
        options.append(true).create(true);
        let mut file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
                options.open(&path)?
            }
            opened => opened?,
        };
        if file.metadata()?.len() >= limit {
            file.set_len(0)?;
        }
        file.write_all(line)
    }

    /// The file with this content, if it is there and still what it was. One that was changed is removed.
    pub fn blob(&self, digest: Digest, size: u64) -> Option<PathBuf> {
        let path = self.path(&local::cas_path(digest));
        let metadata = fs::symlink_metadata(&path).ok()?;
        if metadata.is_file() && metadata.len() == size && metadata.mtime() == STORED_MTIME {
            return Some(path);
        }
        // Whoever writes to a stored file changes its time; only then is it worth reading it all.
        match digest_of_file(&path) {
            Ok((found, _)) if found == digest && metadata.is_file() => set_stored_time(&path).ok().map(|()| path),
            _ => {
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Takes a finished file into the store, sharing its bytes where it can.
    pub fn adopt(&self, file: &Path, digest: Digest, mode: Mode) -> io::Result<()> {
        let path = self.path(&local::cas_path(digest));
        // What lies there is believed no more than at any other time.
        if self.blob(digest, fs::metadata(file)?.len()).is_some() {
            return Ok(());
        }
        let scratch = match self.scratch(|scratch| fs::hard_link(file, scratch)) {
            Ok(scratch) => scratch,
            Err(_) => self.scratch(|scratch| copy_new(file, scratch))?,
        };
        finish(scratch.path(), &path, mode)
    }

    /// Puts bytes into the store whose digest the caller has verified.
    pub fn insert(&self, bytes: &[u8], digest: Digest, mode: Mode) -> io::Result<()> {
        let path = self.path(&local::cas_path(digest));
        let scratch = self.scratch(|scratch| write_new(scratch, bytes))?;
        finish(scratch.path(), &path, mode)
    }

    /// A new private folder in the store. Its name says whose it is, for [`crate::in_use::leftovers`].
    pub fn scratch_folder(&self) -> io::Result<tempfile::TempDir> {
        let parent = self.path(SCRATCH);
        fs::create_dir_all(&parent)?;
        tempfile::Builder::new()
            .prefix(&format!("c{}-", std::process::id()))
            .tempdir_in(parent)
    }

    /// A new file. What is left of it goes with the value. Its name says whose it is, for [`crate::in_use::leftovers`].
    fn scratch(&self, mut make: impl FnMut(&Path) -> io::Result<()>) -> io::Result<tempfile::NamedTempFile<()>> {
        let folder = self.path(SCRATCH);
        let prefix = format!("f{}-", std::process::id());
        match fresh::file(&folder, &prefix, &mut make) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_dir() => {
                fs::create_dir_all(&folder)?;
                fresh::file(&folder, &prefix, make)
            }
            made => made,
        }
    }
}

fn finish(scratch: &Path, path: &Path, mode: Mode) -> io::Result<()> {
    let bits = match mode {
        Mode::Data => 0o444,
        Mode::Executable => 0o555,
    };
    set_stored_time(scratch)?;
    fs::set_permissions(scratch, std::fs::Permissions::from_mode(bits))?;
    move_to(scratch, path)
}

fn refuse_shared(folder: &std::fs::Metadata) -> io::Result<()> {
    let refused = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if folder.uid() != rustix::process::geteuid().as_raw() {
        return refused("the local store belongs to another user");
    }
    if folder.mode() & 0o002 != 0 {
        return refused("everybody can write to the local store");
    }
    Ok(())
}

/// Makes folders that only the user may enter.
fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    fs::File::create_new(path)?.write_all(content)
}

/// Reads a file that is small as a rule, without asking first how long it is.
fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::with_capacity(8 << 10);
    fs::File::open(path)?.take(MAX_RECORD).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn copy_new(from: &Path, to: &Path) -> io::Result<()> {
    let from = fs::File::open(from)?;
    let to = fs::File::create_new(to)?;
    io::copy(&mut from.file(), &mut to.file()).map(drop)
}

/// SHA-256 and size of a file.
pub fn digest_of_file(path: &Path) -> io::Result<(Digest, u64)> {
    use std::io::Read;
    let mut file = fs::File::open(path)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hasher.finish(), size)),
            count => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
        }
    }
}

fn json<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have string keys only")
}

fn set_stored_time(path: &Path) -> io::Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(STORED_MTIME.unsigned_abs());
    // Setting times needs ownership, not write permission, so a read-only descriptor will do.
    fs::File::open(path)?.file().set_modified(time)
}

/// Renames into a folder that may not exist yet. What the old name may still name goes with it: renaming one hard link of a
/// file over another keeps both.
fn move_to(from: &Path, to: &Path) -> io::Result<()> {
    match (fs::rename(from, to), to.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(parent)?;
            fs::rename(from, to)
        }
        (renamed, _) => renamed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    #[test]
    fn a_stored_file_that_was_changed_is_noticed_and_removed() {
        let (_folder, store) = store();
        let digest = Digest::of(b"content");
        store.insert(b"content", digest, Mode::Data).unwrap();
        let path = store.blob(digest, 7).unwrap();
        fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, b"CONTENT").unwrap();
        assert_eq!(store.blob(digest, 7), None);
        assert!(!path.exists());
    }

    #[test]
    fn a_stored_file_that_was_only_touched_is_kept() {
        let (_folder, store) = store();
        let digest = Digest::of(b"content");
        store.insert(b"content", digest, Mode::Data).unwrap();
        let path = store.blob(digest, 7).unwrap();
        fs::File::open(&path)
            .unwrap()
            .file()
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap();
        assert_eq!(store.blob(digest, 7), Some(path.clone()));
        assert_eq!(fs::metadata(&path).unwrap().mtime(), STORED_MTIME);
    }

    #[test]
    fn a_damaged_record_is_as_good_as_absent() {
        let (_folder, store) = store();
        let key = UnitKey::new(Digest::of(b"key"));
        store.write(&local::unit_path(key), b"{\"version\":1").unwrap();
        assert!(store.unit(key).is_none());
    }

    // A mask that lets everybody write, as some containers have.
    #[test]
    fn nobody_else_may_enter_the_store_whatever_the_mask_was() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("new/store");
        let store = Store::open(&root).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&root), mode(store.root())), (0o700, 0o700));
        // A root that was there, of whatever mode.
        let root = folder.path().join("old");
        fs::create_dir(&root).unwrap();
        let store = Store::open(&root).unwrap();
        assert_eq!(mode(store.root()), 0o700);
        fs::set_permissions(store.root(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let refused = Store::open(&root).unwrap_err();
        assert_eq!(refused.to_string(), "everybody can write to the local store");
    }
}
