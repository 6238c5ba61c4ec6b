//! Which glibc this machine has.
//!
//! Owns finding it without starting a program: the one that the compiler is started with, which lies beside its program
//! interpreter. Must not know who asks.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use memchr::memmem;
use sealift_policy::digest::Digest;

use crate::host_program;
use crate::store::Store;

/// `<major>.<minor>` of the glibc that runs this program, or `None` when it cannot be told.
pub fn version(store: &Store, program: &Path) -> Option<String> {
    let library = library_of(program)?;
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

fn library_of(program: &Path) -> Option<PathBuf> {
    let interpreter = fs::canonicalize(host_program::interpreter(program)?).ok()?;
    Some(interpreter.with_file_name("libc.so.6"))
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
    fn it_is_the_one_that_runs_the_program() {
        let said = std::process::Command::new("ldd").arg("--version").output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let expected = said.lines().next().unwrap().rsplit(' ').next().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let this = std::env::current_exe().unwrap();
        for _ in ["found", "remembered"] {
            assert_eq!(version(&store, &this).as_deref(), Some(expected));
        }
        assert_eq!(
            version(&store, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))),
            None
        );
    }

    #[test]
    fn the_banner_names_the_version() {
        let banner = b"\0GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.\nCopyright";
        assert_eq!(read_version(banner), Some("2.36".into()));
        assert_eq!(read_version(b"musl"), None);
    }
}
