//! Which compiler a call really runs.
//!
//! Owns asking rustc who it is, and remembering the answer while the compiler's files are what they were. A failure is
//! never remembered.
//! Must not know calls or keys beyond the identity that goes into them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use sealift_policy::digest::Digest;
use sealift_policy::key::Compiler;
use serde::{Deserialize, Serialize};

use crate::env::{self, Env};
use crate::store::Store;

/// A compiler and where it lies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Toolchain {
    /// Who it is.
    pub compiler: Compiler,
    /// Its sysroot.
    pub sysroot: PathBuf,
}

/// Why a compiler is not handled.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainProblem {
    /// It could not be asked.
    #[error("cannot ask `{rustc}` who it is: {problem}")]
    Unknown {
        /// The program.
        rustc: PathBuf,
        /// What failed.
        problem: String,
    },
    /// Not an official release.
    #[error("`{0}` is not an official release of rustc")]
    Unofficial(PathBuf),
}

#[derive(Serialize, Deserialize)]
struct Memo {
    stamps: Vec<String>,
    toolchain: Toolchain,
}

/// The compiler behind this program for this target (the host's own when `None`).
pub fn identify(store: &Store, rustc: &Path, target: Option<&str>) -> Result<Toolchain, ToolchainProblem> {
    let unknown = |problem: String| ToolchainProblem::Unknown {
        rustc: rustc.to_owned(),
        problem,
    };
    let question = question(rustc, target);
    let memo_path = format!("memo/toolchains/{}", Digest::of(question.as_bytes()));
    if is_pinned(rustc)
        && let Some(memo) = store.read::<Memo>(&memo_path)
        && stamps(rustc, &memo.toolchain, target).is_ok_and(|stamps| stamps == memo.stamps)
    {
        return Ok(memo.toolchain);
    }
    let toolchain = ask(rustc, target).map_err(|error| unknown(error.to_string()))?;
    let version = &toolchain.compiler.verbose_version;
    let official = version
        .lines()
        .any(|line| line.starts_with("commit-hash: ") && !line.ends_with("unknown"))
        && !version.lines().next().is_some_and(|line| line.contains("-dev"))
        && toolchain.compiler.toolchain().is_some();
    if !official {
        return Err(ToolchainProblem::Unofficial(rustc.to_owned()));
    }
    let stamps = stamps(rustc, &toolchain, target).map_err(|error| unknown(error.to_string()))?;
    let memo = Memo { stamps, toolchain };
    // Losing the memory costs time only.
    let _ = store.write(&memo_path, &serde_json::to_vec(&memo).expect("a memo is always JSON"));
    Ok(memo.toolchain)
}

/// Whether the program and its environment alone say which compiler runs. A name that is searched for, or rustup's
/// proxy without a toolchain, may run another one tomorrow although every file of today's is unchanged.
fn is_pinned(rustc: &Path) -> bool {
    let is_proxy = fs::canonicalize(rustc).is_ok_and(|path| path.file_name().is_some_and(|name| name == "rustup"));
    rustc.is_absolute() && (!is_proxy || Env::process().non_empty(env::RUSTUP_TOOLCHAIN).is_some())
}

/// What decides which compiler a pinned program runs.
fn question(rustc: &Path, target: Option<&str>) -> String {
    let env = Env::process();
    let [toolchain, home] = [env::RUSTUP_TOOLCHAIN, env::RUSTUP_HOME].map(|name| env.raw(name));
    format!("{rustc:?} {target:?} {toolchain:?} {home:?}")
}

fn ask(rustc: &Path, target: Option<&str>) -> io::Result<Toolchain> {
    let verbose_version = text(Command::new(rustc).arg("-vV").output()?)?;
    let sysroot = PathBuf::from(text(Command::new(rustc).arg("--print=sysroot").output()?)?.trim_end());
    let host = verbose_version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap_or_default();
    let mut names = libraries(&sysroot.join("lib"), "librustc_driver-")?;
    names.extend(libraries(&library_folder(&sysroot, target.unwrap_or(host)), "libstd-")?);
    names.sort();
    if names.len() < 2 {
        return Err(io::Error::other("its sysroot lacks libstd or librustc_driver"));
    }
    Ok(Toolchain {
        compiler: Compiler {
            sysroot: names,
            verbose_version,
        },
        sysroot,
    })
}

fn text(output: std::process::Output) -> io::Result<String> {
    if !output.status.success() {
        return Err(io::Error::other(output.status.to_string()));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

fn library_folder(sysroot: &Path, target: &str) -> PathBuf {
    sysroot.join("lib/rustlib").join(target).join("lib")
}

fn libraries(folder: &Path, prefix: &str) -> io::Result<Vec<String>> {
    let mut names = vec![];
    for entry in fs::read_dir(folder)? {
        if let Ok(name) = entry?.file_name().into_string()
            && name.starts_with(prefix)
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Times and sizes of the files that would change with the compiler.
fn stamps(rustc: &Path, toolchain: &Toolchain, target: Option<&str>) -> io::Result<Vec<String>> {
    let Toolchain { compiler, sysroot } = toolchain;
    let host = compiler
        .verbose_version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap_or_default();
    let libraries = library_folder(sysroot, target.unwrap_or(host));
    let mut files = vec![sysroot.join("bin/rustc"), sysroot.join("lib"), libraries.clone()];
    if rustc.is_absolute() {
        files.push(rustc.to_owned());
    }
    for name in &compiler.sysroot {
        files.push(if name.starts_with("libstd-") {
            libraries.join(name)
        } else {
            sysroot.join("lib").join(name)
        });
    }
    files
        .iter()
        .map(|file| {
            let metadata = fs::metadata(file)?;
            Ok(format!(
                "{} {} {}.{}",
                metadata.ino(),
                metadata.len(),
                metadata.mtime(),
                metadata.mtime_nsec()
            ))
        })
        .collect()
}
