//! Which C compiler is here.
//!
//! Owns asking it, once for each program. Must not know what the answer is for.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use fs_err as fs;
use sealift_policy::digest::Digest;

use crate::env::{self, Env};
use crate::store::Store;

/// The first line of what `cc --version` says; `None` where there is none.
pub fn banner(store: &Store, env: &Env) -> Option<String> {
    let program = program(env)?;
    let metadata = fs::metadata(&program).ok()?;
    let stamp = format!("{program:?} {} {} {}", metadata.ino(), metadata.len(), metadata.mtime());
    let memo = format!("memo/c-compiler/{}", Digest::of(stamp.as_bytes()));
    if let Some(banner) = store.read(&memo) {
        return Some(banner);
    }
    let said = Command::new(&program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let banner: String = String::from_utf8_lossy(&said.stdout)
        .lines()
        .next()?
        .chars()
        .take(200)
        .collect();
    // Losing the memory costs time only.
    let _ = store.write(&memo, &serde_json::to_vec(&banner).ok()?);
    Some(banner)
}

/// The one that scripts take when nothing is said.
fn program(env: &Env) -> Option<PathBuf> {
    let path = env.raw(env::PATH)?;
    let mut folders = std::env::split_paths(&path).map(|folder| folder.join("cc"));
    folders
        .find(|program| program.is_file())
        .and_then(|program| fs::canonicalize(program).ok())
}
