//! The keeper's folder: `keys/`, a draft of the next root, and `repository/`, the truth that is copied to where it is
//! served.
//!
//! Owns paths, and that a root enters the repository only with all signatures. Must not know how roles are made.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sealift_policy::tuf::TufFile;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tough::schema::{RoleType, Root, Signed, Timestamp};

use super::key::KeyFile;
use super::root::Progress;
use super::{TrustError, name};
use crate::durable;

/// The file with the draft.
pub const DRAFT: &str = "draft.root.json";

/// A keeper's folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder, which need not be there yet.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Held while something is read and written: a timer may call at any time.
    ///
    /// # Errors
    /// When another process holds it.
    pub fn lock(&self) -> Result<fs_err::File, TrustError> {
        durable::create_folder(&self.0)?;
        fs_err::set_permissions(&self.0, std::fs::Permissions::from_mode(0o700))?;
        let lock = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.0.join("lock"))?;
        lock.file().lock()?;
        Ok(lock)
    }

    /// The newest timestamp.
    ///
    /// # Errors
    /// When it is there and cannot be read: its version must not be given away twice.
    pub fn timestamp(&self) -> Result<Option<Signed<Timestamp>>, TrustError> {
        let path = self.repository().join(TufFile::Timestamp.to_string());
        path.exists().then(|| parse(&path, "a timestamp")).transpose()
    }

    /// The repository.
    pub fn repository(&self) -> PathBuf {
        self.0.join("repository")
    }

    /// The draft's file.
    pub fn draft_path(&self) -> PathBuf {
        self.0.join(DRAFT)
    }

    /// The newest root with all signatures.
    ///
    /// # Errors
    /// When there is one and it cannot be read.
    pub fn root(&self) -> Result<Option<Signed<Root>>, TrustError> {
        let newest = self.versions(|file| match file {
            TufFile::Root(version) => Some(version),
            _ => None,
        })?;
        newest
            .map(|version| self.read(TufFile::Root(version), "a root"))
            .transpose()
    }

    /// The newest version of a kind of file in the repository.
    ///
    /// # Errors
    /// When the folder is there and cannot be listed.
    pub fn versions(&self, kind: impl Fn(TufFile) -> Option<u64>) -> Result<Option<u64>, TrustError> {
        let folder = self.repository().join("metadata");
        if !folder.is_dir() {
            return Ok(None);
        }
        let mut newest = None;
        for entry in fs_err::read_dir(folder)? {
            let file = entry?.file_name().into_string().ok();
            let file = file.and_then(|file| format!("metadata/{file}").parse().ok());
            newest = newest.max(file.and_then(&kind));
        }
        Ok(newest)
    }

    /// A file of the repository.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read<T: DeserializeOwned>(&self, file: TufFile, what: &'static str) -> Result<T, TrustError> {
        parse(&self.repository().join(file.to_string()), what)
    }

    /// Writes a file of the repository.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn write(&self, file: TufFile, bytes: &[u8]) -> Result<(), TrustError> {
        Ok(durable::write(&self.repository().join(file.to_string()), bytes)?)
    }

    /// The draft of the next root.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn draft(&self) -> Result<Option<Signed<Root>>, TrustError> {
        let path = self.draft_path();
        if !path.exists() {
            return Ok(None);
        }
        let draft: Signed<Root> = parse(&path, "a draft of a root")?;
        // A crash can leave a draft behind that has become the root.
        let is_old = (self.root()?).is_some_and(|root| root.signed.version >= draft.signed.version);
        if is_old {
            fs_err::remove_file(path)?;
            return Ok(None);
        }
        Ok(Some(draft))
    }

    /// Writes the draft.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn write_draft(&self, draft: &Signed<Root>) -> Result<(), TrustError> {
        write_json(&self.draft_path(), draft)
    }

    /// Makes a draft that all have signed the root.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub fn adopt_draft(&self) -> Result<Option<u64>, TrustError> {
        let Some(draft) = self.draft()? else { return Ok(None) };
        let old = self.root()?;
        if !Progress::of(&draft, old.as_ref().map(|old| &old.signed)).is_whole() {
            return Ok(None);
        }
        // As clients check it, too.
        draft.signed.verify_role(&draft)?;
        if let Some(old) = &old {
            old.signed.verify_role(&draft)?;
        }
        let version = draft.signed.version.get();
        let mut bytes = serde_json::to_vec_pretty(&draft).expect("metadata has string keys only");
        bytes.push(b'\n');
        // A crash before the draft is gone leaves both, which is noticed above.
        self.write(TufFile::Root(version), &bytes)?;
        durable::write(&self.0.join("root.json"), &bytes)?;
        fs_err::remove_file(self.draft_path())?;
        Ok(Some(version))
    }

    /// Makes a key of a role, under the first number that is free.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new_key(&self, role: RoleType) -> Result<KeyFile, TrustError> {
        let path = |number: u32| self.keys().join(format!("{}-{number}.key", name(role)));
        let free = (1..).map(path).find(|path| path.symlink_metadata().is_err());
        KeyFile::create(&free.expect("numbers do not end"))
    }

    /// The key files of a role that are here.
    ///
    /// # Errors
    /// When the folder is there and cannot be listed.
    pub fn key_files(&self, role: RoleType) -> Result<Vec<KeyFile>, TrustError> {
        let folder = self.keys();
        if !folder.is_dir() {
            return Ok(vec![]);
        }
        let mut files = vec![];
        for entry in fs_err::read_dir(folder)? {
            let path = entry?.path();
            let is_of_role = (path.file_stem().and_then(|stem| stem.to_str()))
                .and_then(|stem| stem.rsplit_once('-'))
                .is_some_and(|(of, _)| of == name(role));
            if is_of_role && path.extension().is_some_and(|ending| ending == "key") {
                files.push(KeyFile::at(&path));
            }
        }
        files.sort_by(|one, other| one.path().cmp(other.path()));
        Ok(files)
    }

    fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }
}

/// Reads a JSON file.
///
/// # Errors
/// When it cannot be read.
pub fn parse<T: DeserializeOwned>(path: &Path, what: &'static str) -> Result<T, TrustError> {
    let bytes = fs_err::read(path)?;
    serde_json::from_slice(&bytes).map_err(|source| TrustError::Malformed {
        path: path.to_owned(),
        what,
        source,
    })
}

/// Writes a JSON file.
///
/// # Errors
/// When the file system fails.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), TrustError> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("metadata has string keys only");
    bytes.push(b'\n');
    Ok(durable::write(path, &bytes)?)
}
