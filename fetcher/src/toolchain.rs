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
    /// Something that answers as rustc does, and may do anything to its calls.
    #[error("`{0}` is neither rustc itself nor rustup's proxy")]
    InFront(PathBuf),
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
    if let Some(memo) = store.read::<Memo>(&memo_path)
        && Program::of(rustc, &memo.toolchain.sysroot).is_some_and(Program::is_pinned)
        && stamps(rustc, &memo.toolchain, target).is_ok_and(|stamps| stamps == memo.stamps)
    {
        return Ok(memo.toolchain);
    }
    let toolchain = ask(rustc, target).map_err(|error| unknown(error.to_string()))?;
    if !is_official(&toolchain.compiler) {
        return Err(ToolchainProblem::Unofficial(rustc.to_owned()));
    }
    if Program::of(rustc, &toolchain.sysroot).is_none() {
        return Err(ToolchainProblem::InFront(rustc.to_owned()));
    }
    let stamps = stamps(rustc, &toolchain, target).map_err(|error| unknown(error.to_string()))?;
    let memo = Memo { stamps, toolchain };
    // Losing the memory costs time only.
    let _ = store.write(&memo_path, &serde_json::to_vec(&memo).expect("a memo is always JSON"));
    Ok(memo.toolchain)
}

/// Whether `-vV` reads as that of a release by the Rust project. Builds from source say `-dev` or no commit, and those of
/// distributions add who built them to the first line: they have other bytes under the same names.
fn is_official(compiler: &Compiler) -> bool {
    let line = |label: &str| {
        let mut lines = compiler.verbose_version.lines();
        lines.find_map(|line| line.strip_prefix(label)).unwrap_or_default()
    };
    let (release, commit, date) = (line("release: "), line("commit-hash: "), line("commit-date: "));
    let short = commit.get(..9).unwrap_or_default();
    let first = compiler.verbose_version.lines().next();
    let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit
        && !release.contains("-dev")
        && first == Some(&format!("rustc {release} ({short} {date})"))
        && compiler.toolchain().is_some()
}

/// What a program called `rustc` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    /// The compiler of its sysroot, by its own path.
    Compiler,
    /// The compiler of its sysroot, by a name that is searched for.
    Found,
    /// rustup's proxy.
    Proxy,
}

impl Program {
    /// `None` for a program of another kind.
    fn of(rustc: &Path, sysroot: &Path) -> Option<Self> {
        let file = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
        let program = fs::canonicalize(find(rustc)?).ok()?;
        let this = file(&program)?;
        if file(&sysroot.join("bin/rustc")) == Some(this) {
            return Some(if rustc.is_absolute() {
                Self::Compiler
            } else {
                Self::Found
            });
        }
        // Older rustups make their proxies as hard links.
        (file(&program.with_file_name("rustup")) == Some(this)).then_some(Self::Proxy)
    }

    /// Whether the program and its environment alone say which compiler runs. A name that is searched for, or rustup's
    /// proxy without a toolchain, may run another one tomorrow although every file of today's is unchanged.
    fn is_pinned(self) -> bool {
        match self {
            Self::Compiler => true,
            Self::Found => false,
            Self::Proxy => Env::process().non_empty(env::RUSTUP_TOOLCHAIN).is_some(),
        }
    }
}

/// Where a program lies that is started by this name.
fn find(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return Some(program.to_owned());
    }
    let path = Env::process().raw(env::PATH)?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    const COMMIT: &str = "59807616e1fa2540724bfbac14d7976d7e4a3860";

    /// A program that answers as a compiler does, in a sysroot with libraries of this hash.
    struct Made {
        folder: tempfile::TempDir,
        store: Store,
        _alone: MutexGuard<'static, ()>,
    }

    /// A program cannot be started while the child of another test still holds it open for writing.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    impl Made {
        fn new() -> Self {
            let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(&folder.path().join("store")).unwrap();
            Self {
                folder,
                store,
                _alone: alone,
            }
        }

        fn rustc(&self) -> PathBuf {
            self.folder.path().join("bin/rustc")
        }

        /// Replaces the compiler in place.
        fn put(&self, first_line: &str, release: &str, libraries: &str) {
            let version = format!(
                "{first_line}\nbinary: rustc\ncommit-hash: {COMMIT}\ncommit-date: 2026-04-14\nhost: made-up\n\
                 release: {release}\n"
            );
            let root = self.folder.path();
            let _ = fs::remove_dir_all(root.join("lib"));
            fs::create_dir_all(root.join("lib/rustlib/made-up/lib")).unwrap();
            fs::write(root.join(format!("lib/librustc_driver-{libraries}.so")), "").unwrap();
            fs::write(root.join(format!("lib/rustlib/made-up/lib/libstd-{libraries}.so")), "").unwrap();
            self.script(&format!(
                "if [ $1 = -vV ]; then printf '%s' '{version}'; else echo '{}'; fi",
                root.display()
            ));
        }

        fn script(&self, text: &str) {
            let beside = self.folder.path().join("new");
            fs::write(&beside, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755)).unwrap();
            fs::create_dir_all(self.folder.path().join("bin")).unwrap();
            fs::rename(beside, self.rustc()).unwrap();
        }

        fn identify(&self) -> Result<Compiler, ToolchainProblem> {
            identify(&self.store, &self.rustc(), None).map(|toolchain| toolchain.compiler)
        }
    }

    const OFFICIAL: &str = "rustc 1.95.0 (59807616e 2026-04-14)";

    // K12: the compiler that will really run, although its path and even its version text stay.
    #[test]
    fn another_compiler_under_the_same_path_is_noticed() {
        let made = Made::new();
        made.put(OFFICIAL, "1.95.0", "one");
        let first = made.identify().unwrap();
        assert_eq!(made.identify().unwrap(), first);
        made.put(OFFICIAL, "1.95.0", "two");
        let second = made.identify().unwrap();
        assert_eq!(second.verbose_version, first.verbose_version);
        assert_eq!(second.sysroot, ["librustc_driver-two.so", "libstd-two.so"]);
        let nightly = "rustc 1.97.0-nightly (59807616e 2026-04-14)";
        made.put(nightly, "1.97.0-nightly", "two");
        assert!(made.identify().unwrap().verbose_version.starts_with(nightly));
    }

    // K13: a failure is not remembered as an answer.
    #[test]
    fn a_compiler_that_fails_once_is_asked_again() {
        let made = Made::new();
        made.script("exit 1");
        assert!(matches!(made.identify(), Err(ToolchainProblem::Unknown { .. })));
        made.put(OFFICIAL, "1.95.0", "one");
        assert!(made.identify().is_ok());
    }

    // K12: what answers as the compiler does is not the compiler.
    #[test]
    fn a_program_in_front_of_the_compiler_is_not_handled() {
        let made = Made::new();
        made.put(OFFICIAL, "1.95.0", "one");
        let root = made.folder.path();
        assert_eq!(Program::of(&made.rustc(), root), Some(Program::Compiler));
        let beside = |name: &str| root.join("elsewhere").join(name);
        fs::create_dir(root.join("elsewhere")).unwrap();

        fs_err::os::unix::fs::symlink(made.rustc(), beside("rustc")).unwrap();
        assert_eq!(Program::of(&beside("rustc"), root), Some(Program::Compiler));
        assert!(identify(&made.store, &beside("rustc"), None).is_ok());

        fs::remove_file(beside("rustc")).unwrap();
        fs::copy(made.rustc(), beside("rustc")).unwrap();
        let identified = identify(&made.store, &beside("rustc"), None);
        assert!(
            matches!(identified, Err(ToolchainProblem::InFront(_))),
            "{identified:?}"
        );

        // However rustup makes its proxy.
        for link in [fs_err::os::unix::fs::symlink::<PathBuf, PathBuf>, fs::hard_link] {
            fs::write(beside("rustup"), "").unwrap();
            fs::remove_file(beside("rustc")).unwrap();
            link(beside("rustup"), beside("rustc")).unwrap();
            assert_eq!(Program::of(&beside("rustc"), root), Some(Program::Proxy));
        }
        assert_eq!(Program::of(&root.join("nowhere/rustc"), root), None);
    }

    // K14: what is no release of the Rust project is left alone, whatever its names are.
    #[test]
    fn a_compiler_built_from_source_is_not_handled() {
        for (first_line, release) in [
            ("rustc 1.95.0-dev", "1.95.0-dev"),
            ("rustc 1.95.0-dev (59807616e 2026-04-14)", "1.95.0-dev"),
            (
                "rustc 1.95.0 (59807616e 2026-04-14) (built from a source tarball)",
                "1.95.0",
            ),
            (
                "rustc 1.95.0 (59807616e 2026-04-14) (Arch Linux rust 1:1.95.0-1)",
                "1.95.0",
            ),
            ("rustc 1.95.0 (00000000e 2026-04-14)", "1.95.0"),
        ] {
            let made = Made::new();
            made.put(first_line, release, "one");
            assert!(
                matches!(made.identify(), Err(ToolchainProblem::Unofficial(_))),
                "{first_line}"
            );
        }
    }
}
