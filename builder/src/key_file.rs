//! The file with a signing key, of a log, of a witness or of provenance: made once, readable by its owner only, read by who
//! signs only.
//!
//! Must not know what is signed.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sealift_policy::log::key::KeyError;

use crate::{durable, no_follow};

/// Why there is no usable key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is none.
    #[error("the signing key `{0}` is missing")]
    Missing(PathBuf),
    /// Others than its owner could read it.
    #[error("`{path}` can be read by others (mode {mode:03o}): the key must be taken as known to them")]
    Exposed {
        /// The key or its folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A link or something else that is no file.
    #[error("`{0}` is not a plain file")]
    NotAFile(PathBuf),
    /// The text is no key.
    #[error("`{0}` does not hold a signing key")]
    Malformed(PathBuf, #[source] KeyError),
    /// There is one already, which is never replaced.
    #[error("`{0}` exists already, and a key is never replaced: a new one needs a new epoch or name")]
    Exists(PathBuf),
    /// The file system failed.
    #[error("failed to use the signing key")]
    Io(#[from] io::Error),
}

/// Longest key file in bytes; a real one has less than 1000.
const MAX_KEY: u64 = 4096;

/// Writes a new key, given as its text.
///
/// # Errors
/// When there is one already, or the file system fails.
pub fn create(path: &Path, secret: &str) -> Result<(), KeyFileError> {
    let folder = path
        .parent()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    if path.symlink_metadata().is_ok() {
        return Err(KeyFileError::Exists(path.to_owned()));
    }
    durable::create_folder(folder)?;
    fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    create_private(path, secret)
}

/// Writes a new key of any kind, in a folder that may be there for other things.
///
/// # Errors
/// As [`create`].
pub fn create_private(path: &Path, text: &str) -> Result<(), KeyFileError> {
    if path.symlink_metadata().is_ok() {
        return Err(KeyFileError::Exists(path.to_owned()));
    }
    durable::write_mode(path, format!("{}\n", text.trim_end()).as_bytes(), 0o600)?;
    Ok(())
}

/// Reads the key.
///
/// # Errors
/// When it is missing, not a plain file, malformed, or could have been read by others.
pub fn read<Key: FromStr<Err = KeyError>>(path: &Path) -> Result<Key, KeyFileError> {
    let text = read_text(path)?;
    text.trim_end()
        .parse()
        .map_err(|error| KeyFileError::Malformed(path.to_owned(), error))
}

/// Reads the text of a key in a folder that is private, too.
///
/// # Errors
/// When it is missing, not a plain file, or could have been read by others.
pub fn read_text(path: &Path) -> Result<String, KeyFileError> {
    let text = read_private(path)?;
    let folder = path
        .parent()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    must_be_private(folder, fs_err::metadata(folder)?.permissions().mode())?;
    Ok(text)
}

/// Reads the text of a key of any kind, wherever it lies.
///
/// # Errors
/// When it is missing, not a plain file, or could have been read by others.
pub fn read_private(path: &Path) -> Result<String, KeyFileError> {
    let file = no_follow::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => KeyFileError::Missing(path.to_owned()),
        _ if no_follow::is_link(&error) => KeyFileError::NotAFile(path.to_owned()),
        _ => error.into(),
    })?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(KeyFileError::NotAFile(path.to_owned()));
    }
    must_be_private(path, meta.permissions().mode())?;
    let mut text = String::new();
    file.take(MAX_KEY).read_to_string(&mut text)?;
    Ok(text)
}

fn must_be_private(path: &Path, mode: u32) -> Result<(), KeyFileError> {
    let mode = mode & 0o777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(KeyFileError::Exposed {
            path: path.to_owned(),
            mode,
        })
    }
}

#[cfg(test)]
mod tests {
    use sealift_policy::log::{LogSigner, Origin};

    use super::*;

    fn read(path: &Path) -> Result<LogSigner, KeyFileError> {
        super::read(path)
    }

    fn new_secret() -> String {
        let origin = Origin::of(&"alpha".parse().unwrap(), 1);
        LogSigner::generate(origin, &mut rand_core::OsRng).to_secret_text()
    }

    fn new_key() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/1.key");
        create(&path, &new_secret()).unwrap();
        (folder, path)
    }

    #[test]
    fn a_new_key_is_private_and_reads_back() {
        let (_folder, path) = new_key();
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(read(&path).is_ok());
    }

    #[test]
    fn a_key_or_folder_that_others_can_read_stops_the_signer() {
        for (file, mode) in [("1.key", 0o640), ("1.key", 0o604), ("", 0o755)] {
            let (_folder, path) = new_key();
            let changed = path.parent().unwrap().join(file);
            fs_err::set_permissions(&changed, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(
                matches!(read(&path), Err(KeyFileError::Exposed { .. })),
                "{file} {mode:o}"
            );
        }
    }

    #[test]
    fn a_missing_linked_or_malformed_key_stops_the_signer() {
        let (folder, path) = new_key();
        let elsewhere = folder.path().join("elsewhere");
        fs_err::rename(&path, &elsewhere).unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::Missing(_))));
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::NotAFile(_))));
        fs_err::remove_file(&path).unwrap();
        durable::write_mode(&path, b"no key", 0o600).unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::Malformed(..))));
    }

    #[test]
    fn a_key_is_never_replaced() {
        let (_folder, path) = new_key();
        let again = create(&path, &new_secret());
        assert!(matches!(again, Err(KeyFileError::Exists(_))));
    }
}
