//! The sandbox: one bubblewrap call for each call of rustc and each run of a build script.
//!
//! Inside there is no network, no other process, no key, nothing of the host but system programs and libraries, the
//! toolchain, sources and this pass's folders, all read-only; one writable output folder, gone `/tmp`, limits.
//! Owns the arguments of `bwrap`. Must not know cargo or what is compiled.

pub mod limits;
pub mod run;
mod seccomp;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use sealift_policy::remap::OUT_DIR;

use crate::cli::SandboxKind;
use crate::env;

/// The program that makes sandboxes.
pub const BWRAP: &str = "bwrap";

/// One sandboxed call.
#[derive(Debug)]
pub struct Sandboxed {
    /// What runs.
    pub kind: SandboxKind,
    /// Folders and files that may be read.
    pub read: Vec<PathBuf>,
    /// Folders that may be written.
    pub write: Vec<PathBuf>,
    /// One more, that is seen at [`OUT_DIR`] and is the call's `OUT_DIR`.
    pub out_dir: Option<PathBuf>,
    /// The folder that must not be visible, with the operator's keys below it.
    pub secret: Option<PathBuf>,
    /// The working folder.
    pub folder: PathBuf,
    /// Home folder of the call, below `/tmp`.
    pub home: Option<PathBuf>,
    /// Program and arguments.
    pub call: Vec<OsString>,
    /// The whole environment, or that of this process.
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// Whether it may watch processes that it starts.
    pub tracing: Tracing,
}

/// Whether calls inside may use `ptrace`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracing {
    /// As for everything that is built.
    Denied,
    /// For `strace` and what it watches.
    Allowed,
}

/// Why a call is not run.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A folder that holds the operator's keys, or everything.
    #[error("`{0}` must not be visible in a sandbox")]
    Secret(PathBuf),
    /// A path that is not absolute.
    #[error("`{0}` is not absolute")]
    Relative(PathBuf),
    /// No bubblewrap, or the kernel does not let it work.
    #[error("bubblewrap does not work here: {0}")]
    NoBubblewrap(String),
    /// The call could not be started or watched.
    #[error("failed to run the sandbox")]
    Io(#[from] std::io::Error),
}

/// Where system programs, libraries and headers lie.
const SYSTEM: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// The files of `/etc` without which programs cannot be found or loaded.
const ETC: [&str; 4] = [
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
];

/// Size of `/tmp` in bytes.
const TMP_BYTES: u64 = 2 << 30;

impl Sandboxed {
    /// The arguments of `bwrap`. `seccomp` is the descriptor of a filter.
    ///
    /// # Errors
    /// When a folder would show the keys, or a path is not absolute.
    pub fn bwrap_args(&self, seccomp: Option<i32>) -> Result<Vec<OsString>, SandboxError> {
        for path in (self.read.iter().chain(&self.write).chain(&self.out_dir)).chain([&self.folder]) {
            self.may_be_visible(path)?;
        }
        let mut args = Args::default();
        args.add(&[
            "--unshare-all",
            "--unshare-user",
            "--disable-userns",
            "--die-with-parent",
            "--new-session",
        ]);
        args.add(&[
            "--cap-drop",
            "ALL",
            "--uid",
            "1000",
            "--gid",
            "1000",
            "--hostname",
            "sealift",
        ]);
        for path in SYSTEM.map(Path::new) {
            match fs_err::read_link(path) {
                Ok(target) => args.paths("--symlink", &target, path),
                Err(_) if path.is_dir() => args.paths("--ro-bind", path, path),
                Err(_) => {}
            }
        }
        for path in ETC.map(Path::new) {
            args.paths("--ro-bind-try", path, path);
        }
        args.add(&[
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--size",
            &TMP_BYTES.to_string(),
            "--tmpfs",
            "/tmp",
        ]);
        if let Some(home) = self.home.as_deref().filter(|home| home.starts_with("/tmp")) {
            args.add(&["--dir"]);
            args.0.push(home.into());
        }
        for path in &self.read {
            args.paths("--ro-bind", path, path);
        }
        for path in &self.write {
            args.paths("--bind", path, path);
        }
        if let Some(out_dir) = &self.out_dir {
            args.paths("--bind", out_dir, Path::new(OUT_DIR));
            args.add(&["--setenv", "OUT_DIR", OUT_DIR]);
        }
        args.add(&["--remount-ro", "/"]);
        args.add(&["--chdir"]);
        args.0.push(self.folder.clone().into());
        args.add(&["--setenv", "TMPDIR", "/tmp"]);
        // A wrapper that a build script starts is no part of the build.
        args.add(&["--setenv", env::SEALIFT, "off"]);
        for name in env::OURS {
            args.add(&["--unsetenv", name]);
        }
        if let Some(descriptor) = seccomp {
            args.add(&["--seccomp", &descriptor.to_string()]);
        }
        args.add(&["--"]);
        args.0.extend(self.call.iter().cloned());
        Ok(args.0)
    }

    fn may_be_visible(&self, path: &Path) -> Result<(), SandboxError> {
        if !path.is_absolute() {
            return Err(SandboxError::Relative(path.to_owned()));
        }
        let hidden = self.secret.as_ref().map(|secret| secret.join("keys"));
        let resolved = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let shows = |path: &Path| {
            path.parent().is_none()
                || hidden
                    .as_ref()
                    .is_some_and(|hidden| hidden.starts_with(path) || path.starts_with(hidden))
        };
        if shows(path) || shows(&resolved) {
            Err(SandboxError::Secret(path.to_owned()))
        } else {
            Ok(())
        }
    }
}

#[derive(Default)]
struct Args(Vec<OsString>);

impl Args {
    fn add(&mut self, args: &[&str]) {
        self.0.extend(args.iter().map(OsString::from));
    }

    fn paths(&mut self, option: &str, from: &Path, to: &Path) {
        self.0
            .extend([OsStr::new(option), from.as_os_str(), to.as_os_str()].map(OsStr::to_owned));
    }
}

/// Checks that a sandbox can be made here.
///
/// # Errors
/// When bubblewrap is missing, too old, or the kernel denies it namespaces.
pub fn check() -> Result<(), SandboxError> {
    let probe = Sandboxed {
        kind: SandboxKind::Script,
        read: vec![],
        write: vec![],
        out_dir: None,
        secret: None,
        folder: "/usr".into(),
        home: None,
        call: vec!["/usr/bin/env".into(), "true".into()],
        environment: None,
        tracing: Tracing::Denied,
    };
    let output = std::process::Command::new(BWRAP).args(probe.bwrap_args(None)?).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(SandboxError::NoBubblewrap(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
        Err(error) => Err(SandboxError::NoBubblewrap(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
