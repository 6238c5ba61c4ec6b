//! The two passes: the same generated project, built twice as differently as an honest compiler does not notice.
//!
//! | | first | second |
//! | --- | --- | --- |
//! | folders | short | longer names |
//! | jobs | n | n + 1 |
//! | home, user, time zone, locale | one set | another |
//! | wrapper's store | empty | empty |
//!
//! Owns what differs and how cargo is run. Must not know what is done with the results.

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sealift_policy::request::Request;

use crate::cargo::Cargo;
use crate::env;
use crate::generated;
use crate::progress;
use crate::source::SourceError;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The first pass.
    First,
    /// The second pass.
    Second,
}

/// A pass: its folders and circumstances.
#[derive(Debug, Clone)]
pub struct Pass {
    which: Which,
    root: PathBuf,
    jobs: usize,
}

/// With what everything is built.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Cargo with the home that holds the sources.
    pub cargo: Cargo,
    /// The wrapper.
    pub wrapper: PathBuf,
    /// This program, which makes sandboxes; `None` when there are to be none.
    pub sandbox: Option<PathBuf>,
    /// The operator's data folder, which sandboxes must not show.
    pub secret: PathBuf,
}

/// How cargo ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassOutcome {
    /// Everything was built.
    Complete,
    /// Something failed; the rest was built. Holds the end of what cargo said.
    Failed(String),
}

/// Why a pass was not run.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The generated project could not be written.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A folder or process failed.
    #[error("failed to run a pass")]
    Io(#[from] io::Error),
}

/// How much of what cargo said is shown when it failed, in bytes.
const MAX_MESSAGE: usize = 6_000;

impl Pass {
    /// A pass below `work`.
    pub fn new(which: Which, work: &Path, jobs: usize) -> Self {
        let (name, jobs) = match which {
            Which::First => ("a", jobs),
            Which::Second => ("second-pass-with-a-longer-name", jobs + 1),
        };
        Self {
            which,
            root: work.join(name),
            jobs,
        }
    }

    /// The wrapper's store of this pass.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Builds the request; `lockfile` is the completed one, `units` the number of units for the progress bar.
    ///
    /// # Errors
    /// When it cannot be started. What fails to compile is an outcome.
    pub fn build(
        &self,
        tools: &Tools,
        request: &Request,
        lockfile: &Path,
        units: u64,
    ) -> Result<PassOutcome, PassError> {
        let log = self.root.join(format!("cargo-{}.log", request.profile));
        let mut child = self
            .cargo_build(tools, request, lockfile)?
            .args(["--keep-going", "--message-format", "json-render-diagnostics"])
            .stdout(Stdio::piped())
            .stderr(fs_err::File::create(&log)?.into_file())
            .spawn()?;
        let bar = progress::bar(&format!("{}, {} pass", request.profile, self.name()), units);
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line?;
                if line.starts_with(b"{\"reason\":\"compiler-artifact\"")
                    || line.starts_with(b"{\"reason\":\"build-script")
                {
                    bar.inc(1);
                }
            }
        }
        let status = child.wait()?;
        bar.finish_and_clear();
        if status.success() {
            Ok(PassOutcome::Complete)
        } else {
            Ok(PassOutcome::Failed(end_of(&log)?))
        }
    }

    /// The folder of everything in this pass.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The command by which cargo builds the request, offline, with the wrapper and sandboxes; its project is written.
    ///
    /// # Errors
    /// When a folder or file cannot be written.
    pub fn cargo_build(&self, tools: &Tools, request: &Request, lockfile: &Path) -> Result<Command, PassError> {
        let project = self.root.join("project");
        let manifest = generated::write(request, &project)?;
        fs_err::copy(lockfile, project.join("Cargo.lock")).map_err(PassError::Io)?;
        fs_err::create_dir_all(self.store())?;
        let home = self.cargo_home(tools)?;
        let cargo = tools.cargo.with_home(&home);
        let mut command = cargo.command();
        command
            .args(request.profile.cargo_args())
            .args(["--locked", "--offline"])
            .args(["--jobs", &self.jobs.to_string(), "--manifest-path"])
            .arg(&manifest);
        if let Some(target) = &request.target {
            command.args(["--target", target.as_str()]);
        }
        command
            .envs(self.environment())
            .env("CARGO_TARGET_DIR", self.root.join("target"))
            .env("CARGO_INCREMENTAL", "0")
            .env("RUSTC_WRAPPER", &tools.wrapper)
            .env(env::STORE, self.store());
        if let Some(sandbox) = &tools.sandbox {
            command
                .env(env::SANDBOX, sandbox)
                .env(env::SANDBOX_READ, self.readable(tools)?)
                .env(env::SANDBOX_SECRET, &tools.secret);
        }
        Ok(command)
    }

    fn name(&self) -> &'static str {
        match self.which {
            Which::First => "first",
            Which::Second => "second",
        }
    }

    fn environment(&self) -> [(&'static str, &'static str); 6] {
        match self.which {
            Which::First => [
                ("HOME", "/tmp/home"),
                ("USER", "one"),
                ("LOGNAME", "one"),
                ("TZ", "UTC"),
                ("LANG", "C"),
                ("LC_ALL", "C"),
            ],
            Which::Second => [
                ("HOME", "/tmp/another-home-folder"),
                ("USER", "somebody-else"),
                ("LOGNAME", "somebody-else"),
                ("TZ", "Asia/Kathmandu"),
                ("LANG", "C.UTF-8"),
                ("LC_ALL", "C.UTF-8"),
            ],
        }
    }

    /// A home of this pass's own. Cargo finds the downloaded archives there and unpacks them once more, so that sources
    /// truly lie under paths of this pass: compilers of other languages resolve links before they note a path.
    fn cargo_home(&self, tools: &Tools) -> io::Result<PathBuf> {
        let home = self.root.join("cargo-home");
        let registry = home.join("registry");
        fs_err::create_dir_all(&registry)?;
        for shared in ["cache", "index"] {
            let link = registry.join(shared);
            if link.symlink_metadata().is_err() {
                std::os::unix::fs::symlink(tools.cargo.home().join("registry").join(shared), link)?;
            }
        }
        // Without it, a registry that is replaced by a mirror would be looked for under another name.
        let configuration = tools.cargo.home().join("config.toml");
        if configuration.is_file() {
            fs_err::copy(configuration, home.join("config.toml"))?;
        }
        Ok(home)
    }

    fn readable(&self, tools: &Tools) -> io::Result<std::ffi::OsString> {
        let folders = [&self.root, tools.cargo.toolchain().sysroot(), &tools.wrapper];
        std::env::join_paths(folders).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }
}

fn end_of(log: &Path) -> io::Result<String> {
    let text = String::from_utf8_lossy(&fs_err::read(log)?).into_owned();
    let from = text.len().saturating_sub(MAX_MESSAGE);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Ok(text[from..].trim_end().to_owned())
}
