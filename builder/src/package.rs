//! Published packages: what a `.crate` contains, unpacked with suspicion.
//!
//! Owns the rules for archives (A3). Must not know how they are downloaded.

use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use sealift_policy::digest::Digest;
use sealift_policy::name::{CrateName, CrateVersion};

/// Largest `.crate` that is read. The registry's own limit is 10 MB unless it was raised for a crate.
const MAX_ARCHIVE: u64 = 512 << 20;

/// Largest unpacked package.
const MAX_UNPACKED: u64 = 4 << 30;

/// Most files of a package.
const MAX_FILES: usize = 200_000;

/// Why a `.crate` is not used.
#[derive(Debug, thiserror::Error)]
pub enum BadArchive {
    /// Not what the registry's index says.
    #[error("the archive's checksum is {found}, the index says {expected}")]
    Checksum {
        /// Of the archive.
        found: Digest,
        /// Of the index.
        expected: Digest,
    },
    /// Larger than any real package.
    #[error("the archive is too large")]
    TooLarge,
    /// A link, device or a path that leaves the package's folder.
    #[error("the archive has the unexpected entry `{0}`")]
    Entry(String),
    /// Not a compressed archive, or the file system failed.
    #[error("failed to unpack the archive")]
    Io(#[from] io::Error),
}

/// Checks the archive and unpacks it below `folder`; returns the package's own folder.
///
/// # Errors
/// When it is not what the index says, or holds anything but plain files in the package's folder. Nothing is unpacked
/// before the checksum is known to be right.
pub fn unpack(
    archive: &Path,
    expected: Digest,
    (name, version): (&CrateName, &CrateVersion),
    folder: &Path,
) -> Result<PathBuf, BadArchive> {
    let mut bytes = Vec::new();
    fs_err::File::open(archive)?
        .take(MAX_ARCHIVE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_ARCHIVE {
        return Err(BadArchive::TooLarge);
    }
    let found = Digest::of(&bytes);
    if found != expected {
        return Err(BadArchive::Checksum { found, expected });
    }
    let root = format!("{name}-{version}");
    let unpacked = flate2::read::GzDecoder::new(bytes.as_slice()).take(MAX_UNPACKED);
    let mut archive = tar::Archive::new(unpacked);
    for (count, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let odd = || {
            BadArchive::Entry(
                path.to_string_lossy()
                    .chars()
                    .take(200)
                    .flat_map(char::escape_default)
                    .collect(),
            )
        };
        if count >= MAX_FILES {
            return Err(BadArchive::TooLarge);
        }
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_plain || !path.starts_with(&root) {
            return Err(odd());
        }
        let target = folder.join(&path);
        match entry.header().entry_type() {
            tar::EntryType::Directory => fs_err::create_dir_all(&target)?,
            tar::EntryType::Regular => {
                if let Some(parent) = target.parent() {
                    fs_err::create_dir_all(parent)?;
                }
                // `create_new` follows no link and replaces nothing: an entry that is there twice is refused.
                let mut file = fs_err::OpenOptions::new().write(true).create_new(true).open(&target)?;
                io::copy(&mut entry, &mut file)?;
            }
            tar::EntryType::XGlobalHeader | tar::EntryType::XHeader => {}
            _ => return Err(odd()),
        }
    }
    Ok(folder.join(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with one entry of this type and path, written past the checks of the `tar` crate.
    fn archive(entry_type: tar::EntryType, path: &str) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(entry_type);
        header.set_size(if entry_type == tar::EntryType::Regular { 2 } else { 0 });
        header.set_mode(0o644);
        header.set_link_name("target").unwrap();
        header.set_cksum();
        builder
            .append(
                &header,
                &b"hi"[..if entry_type == tar::EntryType::Regular { 2 } else { 0 }],
            )
            .unwrap();
        let tar = builder.into_inner().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut gzip, &tar).unwrap();
        gzip.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> (tempfile::TempDir, Result<PathBuf, BadArchive>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.crate");
        fs_err::write(&file, bytes).unwrap();
        let to = folder.path().join("to");
        let package = ("x".parse().unwrap(), "1.0.0".parse().unwrap());
        let result = unpack(&file, Digest::of(bytes), (&package.0, &package.1), &to);
        (folder, result)
    }

    #[test]
    fn an_ordinary_file_is_unpacked() {
        let (_folder, result) = unpacked(&archive(tar::EntryType::Regular, "x-1.0.0/src/lib.rs"));
        assert_eq!(fs_err::read(result.unwrap().join("src/lib.rs")).unwrap(), b"hi");
    }

    #[test]
    fn entries_outside_the_package_and_links_are_refused() {
        for (entry_type, path) in [
            (tar::EntryType::Regular, "x-1.0.0/../../evil"),
            (tar::EntryType::Regular, "/tmp/evil"),
            (tar::EntryType::Regular, "y-1.0.0/evil"),
            (tar::EntryType::Symlink, "x-1.0.0/link"),
            (tar::EntryType::Link, "x-1.0.0/link"),
            (tar::EntryType::Fifo, "x-1.0.0/fifo"),
            (tar::EntryType::Char, "x-1.0.0/device"),
        ] {
            let (folder, result) = unpacked(&archive(entry_type, path));
            assert!(matches!(result, Err(BadArchive::Entry(_))), "{path}");
            assert!(!folder.path().join("to").exists(), "{path}");
        }
    }

    #[test]
    fn an_archive_that_the_index_does_not_know_is_refused_before_it_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.crate");
        fs_err::write(&file, archive(tar::EntryType::Regular, "x-1.0.0/a")).unwrap();
        let package = ("x".parse().unwrap(), "1.0.0".parse().unwrap());
        let result = unpack(
            &file,
            Digest::of(b"other"),
            (&package.0, &package.1),
            &folder.path().join("to"),
        );
        assert!(matches!(result, Err(BadArchive::Checksum { .. })));
        assert!(!folder.path().join("to").exists());
    }
}
