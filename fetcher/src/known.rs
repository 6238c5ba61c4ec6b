//! Which content lies at a path of a target folder.
//!
//! Owns the memory of what was installed where, believed only while the file's inode, size and time are what they
//! were; anything else is read and hashed.
//! Must not know what the content is.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fs_err as fs;
use sealift_policy::digest::Digest;

use crate::store::{self, Store};

/// The digest of the file at this path.
pub fn digest_at(store: &Store, path: &Path) -> io::Result<Digest> {
    let stamp = stamp(path)?;
    let memo = fs::read_to_string(store.path(&memo_path(path))).unwrap_or_default();
    if let Some((remembered, digest)) = memo.split_once('\n')
        && remembered == stamp
        && let Ok(digest) = digest.parse()
    {
        return Ok(digest);
    }
    let (digest, _) = store::digest_of_file(path)?;
    Ok(digest)
}

/// Remembers what was just installed at a path. Losing the memory costs time only.
pub fn remember(store: &Store, path: &Path, digest: Digest) {
    if let Ok(stamp) = stamp(path) {
        let _ = store.write(&memo_path(path), format!("{stamp}\n{digest}").as_bytes());
    }
}

fn memo_path(path: &Path) -> String {
    let name = Digest::of(path.as_os_str().as_encoded_bytes()).to_string();
    format!("memo/installed/{}/{name}", &name[..2])
}

fn stamp(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    Ok(format!(
        "{} {} {} {seconds}.{nanoseconds}",
        metadata.dev(),
        metadata.ino(),
        metadata.len()
    ))
}
