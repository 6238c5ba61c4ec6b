//! Whether an unpacked or vendored package is what its `.crate` holds.
//!
//! Owns the comparison of the files on disk with the archive, and the memory of its result, which is believed only
//! while every file's size, times and inode are what they were, and never for files younger than the clock's
//! resolution. A package is identified by the bytes of its archive, never by name and version.
//! Must not know registries or what is compiled.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use sealift_policy::digest::{Digest, Hasher};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::store::{self, Store};

/// A file changed within this many seconds before it was looked at may change again without another time.
const CLOCK_RESOLUTION: i64 = 2;

/// Most bytes that an archive may unpack to.
const MAX_UNPACKED: u64 = 2 << 30;

/// Why a package cannot be handled.
#[derive(Debug, thiserror::Error)]
pub enum SourceProblem {
    /// Not a registry package.
    #[error("not an unpacked registry package: `{0}`")]
    NotRegistry(PathBuf),
    /// A vendored package whose archive cargo has not downloaded here: what its notes say of checksums was written by
    /// whoever wrote the files.
    #[error("the vendored package `{0}` cannot be compared: its archive is not in cargo's home")]
    NoArchive(PathBuf),
    /// The archive or a file cannot be read.
    #[error("cannot compare `{path}` with its archive: {problem}")]
    Unreadable {
        /// The package.
        path: PathBuf,
        /// What failed.
        problem: String,
    },
    /// The files differ from the archive's.
    #[error("`{0}` differs from the published package")]
    Changed(PathBuf),
}

#[derive(Serialize, Deserialize)]
struct Memo {
    files: Digest,
    archive: Digest,
    checksum: Digest,
}

/// What a walk over the unpacked files saw.
struct Seen {
    files: Vec<PathBuf>,
    stamp: Digest,
    newest: i64,
}

/// A package on disk and the archive with which it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    root: PathBuf,
    archive: PathBuf,
    kind: Kind,
}

/// Who laid a package down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// cargo, below its home.
    Registry,
    /// `cargo vendor`, anywhere.
    Vendored,
}

/// An unpacked package that holds exactly the files of its archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// SHA-256 of the `.crate`.
    pub checksum: Digest,
    /// The files' stamp from before they were compared (see [`stamp_of_tree`]).
    pub stamp: Digest,
}

/// What changes when a file below a folder does: names, sizes, times and inodes.
pub fn stamp_of_tree(root: &Path) -> io::Result<Digest> {
    Ok(walk(root)?.stamp)
}

/// Adds one file's part of a tree's stamp.
pub fn add_to_stamp(hasher: &mut Hasher, relative: &Path, metadata: &std::fs::Metadata) {
    let name = relative.as_os_str().as_encoded_bytes();
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name);
    hasher.update(stamp(metadata).as_flattened());
}

/// Whether `cargo vendor` laid a package down, by the note that cargo asks for.
pub fn is_vendored(root: &Path) -> bool {
    root.join(VENDOR_NOTE).is_file()
}

impl Unpacked {
    /// Finds the archive of the package in this folder; of a vendored one by its `<name>-<version>` in cargo's home.
    pub fn find(root: &Path, package: &str, home: Option<&Path>) -> Result<Self, SourceProblem> {
        let (archive, kind) = if is_vendored(root) {
            let archive = home.and_then(|home| downloaded(home, package));
            (
                archive.ok_or_else(|| SourceProblem::NoArchive(root.to_owned()))?,
                Kind::Vendored,
            )
        } else {
            let archive = archive_of(root).ok_or_else(|| SourceProblem::NotRegistry(root.to_owned()))?;
            (archive, Kind::Registry)
        };
        Ok(Self {
            root: root.to_owned(),
            archive,
            kind,
        })
    }
}

/// Checks that a package holds exactly the files of its `.crate`.
pub fn check(store: &Store, unpacked: &Unpacked) -> Result<Checked, SourceProblem> {
    let Unpacked { root, archive, kind } = unpacked;
    let unreadable = |error: io::Error| SourceProblem::Unreadable {
        path: root.clone(),
        problem: error.to_string(),
    };
    // What changes while it is read is young, too.
    let began = clock::seconds();
    let seen = walk(root).map_err(unreadable)?;
    let archive_stamp = stamp_of(archive).map_err(unreadable)?;
    let name = root.to_string_lossy();
    let memo_path = format!("memo/sources/{}", Digest::of(name.as_bytes()));
    if let Some(memo) = store.read::<Memo>(&memo_path)
        && memo.files == seen.stamp
        && memo.archive == archive_stamp
    {
        return Ok(Checked {
            checksum: memo.checksum,
            stamp: seen.stamp,
        });
    }
    let (checksum, _) = store::digest_of_file(archive).map_err(unreadable)?;
    let published = published_files(archive).map_err(unreadable)?;
    if !same_files(root, *kind, &seen.files, &published).map_err(unreadable)? {
        return Err(SourceProblem::Changed(root.clone()));
    }
    if seen.newest < began - CLOCK_RESOLUTION {
        let memo = Memo {
            files: seen.stamp,
            archive: archive_stamp,
            checksum,
        };
        // Losing the memory costs time only.
        let _ = store.write(&memo_path, &serde_json::to_vec(&memo).expect("a memo is always JSON"));
    }
    Ok(Checked {
        checksum,
        stamp: seen.stamp,
    })
}

/// `<registry>/cache/<id>/<name>-<version>.crate` for `<registry>/src/<id>/<name>-<version>`.
fn archive_of(root: &Path) -> Option<PathBuf> {
    let id = root.parent()?;
    let src = id.parent()?;
    if src.file_name()? != "src" {
        return None;
    }
    let mut file = root.file_name()?.to_owned();
    file.push(".crate");
    let archive = src.with_file_name("cache").join(id.file_name()?).join(file);
    archive.is_file().then_some(archive)
}

/// `<home>/registry/cache/<any id>/<name>-<version>.crate`. Whichever is found: the files are compared with it.
fn downloaded(home: &Path, package: &str) -> Option<PathBuf> {
    let registries = fs::read_dir(home.join("registry/cache")).ok()?;
    let mut archives = registries
        .flatten()
        .map(|registry| registry.path().join(format!("{package}.crate")));
    archives.find(|archive| archive.is_file())
}

fn walk(root: &Path) -> io::Result<Seen> {
    let mut hasher = Hasher::default();
    let mut files = vec![];
    let mut newest = i64::MIN;
    for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let relative = entry
            .path()
            .strip_prefix(root)
            .expect("a walk stays below its root")
            .to_owned();
        if metadata.is_dir() {
            continue;
        }
        if !metadata.is_file() {
            return Err(io::Error::other(format!(
                "`{}` is not a regular file",
                entry.path().display()
            )));
        }
        add_to_stamp(&mut hasher, &relative, &metadata);
        newest = newest.max(metadata.ctime()).max(metadata.mtime());
        files.push(relative);
    }
    Ok(Seen {
        files,
        stamp: hasher.finish(),
        newest,
    })
}

fn stamp_of(path: &Path) -> io::Result<Digest> {
    Ok(Digest::of(stamp(&fs::metadata(path)?).as_flattened()))
}

fn stamp(metadata: &std::fs::Metadata) -> [[u8; 8]; 7] {
    [
        metadata.dev().to_le_bytes(),
        metadata.ino().to_le_bytes(),
        metadata.len().to_le_bytes(),
        metadata.mtime().to_le_bytes(),
        metadata.mtime_nsec().to_le_bytes(),
        metadata.ctime().to_le_bytes(),
        metadata.ctime_nsec().to_le_bytes(),
    ]
}

/// Digests of the archive's files by their path below the package.
fn published_files(archive: &Path) -> io::Result<BTreeMap<PathBuf, Digest>> {
    let name = archive.file_name().and_then(|name| name.to_str());
    let prefix = name
        .and_then(|name| name.strip_suffix(".crate"))
        .ok_or(io::ErrorKind::InvalidInput)?;
    let unpacked = flate2::read::GzDecoder::new(fs::File::open(archive)?).take(MAX_UNPACKED);
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(unpacked).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        if !entry.header().entry_type().is_file() {
            return Err(io::Error::other("the archive holds something that is not a file"));
        }
        let path = entry.path()?.into_owned();
        let relative = path.strip_prefix(prefix).map_err(io::Error::other)?.to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        files.insert(relative, Digest::of(&content));
    }
    Ok(files)
}

fn same_files(root: &Path, kind: Kind, found: &[PathBuf], published: &BTreeMap<PathBuf, Digest>) -> io::Result<bool> {
    let mut matching = 0;
    let note = Path::new(match kind {
        Kind::Registry => UNPACKED_NOTE,
        Kind::Vendored => VENDOR_NOTE,
    });
    for file in found {
        match published.get(file) {
            Some(digest) if store::digest_of_file(&root.join(file))?.0 == *digest => matching += 1,
            None if file == note => {}
            _ => return Ok(false),
        }
    }
    let is_left_out = |file: &&PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        kind == Kind::Vendored && NOT_VENDORED.contains(&name) && !found.contains(file)
    };
    Ok(matching + published.keys().filter(is_left_out).count() == published.len())
}

/// cargo's own note that unpacking was finished.
const UNPACKED_NOTE: &str = ".cargo-ok";

/// cargo's own note of what it vendored.
const VENDOR_NOTE: &str = ".cargo-checksum.json";

/// What `cargo vendor` leaves out, since a repository around it would heed it (`vendor.rs`).
const NOT_VENDORED: [&str; 2] = [".gitattributes", ".gitignore"];

#[cfg(test)]
mod tests;
