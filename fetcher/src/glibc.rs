//! Which glibc this machine has.
//!
//! Owns finding it without starting a program: the wrapper itself is linked to it. Must not know who asks.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use fs_err as fs;
use memchr::memmem;
use sealift_policy::digest::Digest;

use crate::store::Store;

/// `<major>.<minor>`, or `None` when it cannot be told.
pub fn version(store: &Store) -> Option<String> {
    let library = loaded_library()?;
    let metadata = fs::metadata(&library).ok()?;
    let stamp = format!("{library:?} {} {} {}", metadata.ino(), metadata.len(), metadata.mtime());
    let memo_path = format!("memo/glibc/{}", Digest::of(stamp.as_bytes()));
    if let Some(version) = store.read(&memo_path) {
        return Some(version);
    }
    let version = read_version(&fs::read(&library).ok()?)?;
    // Losing the memory costs time only.
    let _ = store.write(&memo_path, &serde_json::to_vec(&version).ok()?);
    Some(version)
}

fn loaded_library() -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let path = |line: &str| line.find('/').map(|start| PathBuf::from(&line[start..]));
    maps.lines()
        .filter_map(path)
        .find(|path| path.file_name().is_some_and(|name| name == "libc.so.6"))
}

/// From the banner: `GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.`
fn read_version(content: &[u8]) -> Option<String> {
    const BANNER: &[u8] = b" release version ";
    let start = memmem::find(content, BANNER)? + BANNER.len();
    let text: Vec<u8> = content[start..].iter().copied().take(12).collect();
    let text = String::from_utf8_lossy(&text);
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    Some(format!("{}.{}", parts.next()?, parts.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_the_version() {
        let banner = b"\0GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.\nCopyright";
        assert_eq!(read_version(banner), Some("2.36".into()));
        assert_eq!(read_version(b"musl"), None);
    }
}
