//! Which C compiler is here.
//!
//! Owns asking it, once for each program. Must not know what the answer is for.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use fs_err as fs;
use sealift_policy::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::env::{self, Env};
use crate::store::Store;

/// A C compiler by what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CCompiler {
    /// The first line of what `cc --version` says.
    pub banner: String,
    /// `gcc`, `clang`, or the banner of another one.
    pub family: String,
}

/// The one that scripts take when nothing is said; `None` where there is none.
pub fn here(store: &Store, env: &Env) -> Option<CCompiler> {
    let program = program(env)?;
    let metadata = fs::metadata(&program).ok()?;
    let stamp = format!("{program:?} {} {} {}", metadata.ino(), metadata.len(), metadata.mtime());
    let memo = format!("memo/c-compilers/{}", Digest::of(stamp.as_bytes()));
    if let Some(compiler) = store.read(&memo) {
        return Some(compiler);
    }
    let said = Command::new(&program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let compiler = understand(&String::from_utf8_lossy(&said.stdout))?;
    // Losing the memory costs time only.
    let _ = store.write(&memo, &serde_json::to_vec(&compiler).ok()?);
    Some(compiler)
}

/// Where it lies.
pub fn program(env: &Env) -> Option<PathBuf> {
    let path = env.raw(env::PATH)?;
    let mut folders = std::env::split_paths(&path).map(|folder| folder.join("cc"));
    folders
        .find(|program| program.is_file())
        .and_then(|program| fs::canonicalize(program).ok())
}

fn understand(said: &str) -> Option<CCompiler> {
    let banner: String = said.lines().next()?.chars().take(200).collect();
    // A distribution's gcc calls itself by the name that it was started by.
    let family = if said.contains("clang") {
        "clang".to_owned()
    } else if said.contains("Free Software Foundation") {
        "gcc".to_owned()
    } else {
        banner.clone()
    };
    Some(CCompiler { banner, family })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_apart() {
        let family = |said: &str| understand(said).unwrap().family;
        let gcc = "cc (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright (C) 2022 Free Software Foundation, Inc.\n";
        assert_eq!(family(gcc), "gcc");
        assert_eq!(
            family("Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu\n"),
            "clang"
        );
        assert_eq!(
            family("tcc version 0.9.27 (x86_64 Linux)\n"),
            "tcc version 0.9.27 (x86_64 Linux)"
        );
        assert_eq!(understand(""), None);
    }
}
