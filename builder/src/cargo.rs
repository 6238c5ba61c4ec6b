//! Calls of cargo: always with an environment of our own, from the root folder, where no configuration file of a
//! project or user takes part. (The operator's own, in cargo's home, does: for mirrors and proxies.)
//!
//! Owns what of the caller's environment reaches cargo (nothing but what downloads need) and the commands that plan.
//! Must not know what the plan is for.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sealift_policy::name::{CrateName, CrateVersion};
use sealift_policy::request::profile::ProfileKind;

use crate::env;
use crate::toolchain::Toolchain;

/// How cargo is called for one purpose.
#[derive(Debug, Clone)]
pub struct Cargo {
    toolchain: Toolchain,
    home: PathBuf,
}

/// Why cargo did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CargoError {
    /// It could not be started.
    #[error("failed to run cargo")]
    Run(#[source] std::io::Error),
    /// It failed.
    #[error("`cargo {command}` failed:\n{stderr}")]
    Failed {
        /// Its arguments.
        command: String,
        /// What it said, cut to its last lines.
        stderr: String,
    },
    /// A configuration file that would take part in every call.
    #[error("`{0}` would change what cargo does")]
    Configuration(PathBuf),
}

/// How long the end of a failed command's message may be.
const MAX_MESSAGE: usize = 4_000;

impl Cargo {
    /// Cargo of this toolchain with its home.
    ///
    /// # Errors
    /// When a configuration file in the root folder would take part.
    pub fn new(toolchain: &Toolchain, home: &Path) -> Result<Self, CargoError> {
        let files = ["/.cargo/config.toml", "/.cargo/config"].map(PathBuf::from);
        match files.into_iter().find(|file| file.is_file() && !file.starts_with(home)) {
            Some(file) => Err(CargoError::Configuration(file)),
            None => Ok(Self {
                toolchain: toolchain.clone(),
                home: home.to_owned(),
            }),
        }
    }

    /// The same cargo with another home and working state.
    #[must_use]
    pub fn with_home(&self, home: &Path) -> Self {
        Self {
            toolchain: self.toolchain.clone(),
            home: home.to_owned(),
        }
    }

    /// A command with nothing in its environment but what cargo cannot do without.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.toolchain.cargo());
        command
            .env_clear()
            .env("PATH", self.path())
            .env("CARGO_HOME", &self.home)
            .env("HOME", &self.home)
            .env("RUSTC", self.toolchain.rustc())
            .env("CARGO_TERM_COLOR", "never")
            .current_dir("/")
            .stdin(Stdio::null());
        command
    }

    /// Programs of the toolchain first: some scripts ask for `rustc` by its bare name.
    pub fn path(&self) -> OsString {
        let bin = self.toolchain.sysroot().join("bin");
        let caller = env::path();
        let folders = std::iter::once(bin).chain(std::env::split_paths(&caller));
        std::env::join_paths(folders).unwrap_or(caller)
    }

    /// Runs a command that may use the network; returns its standard output.
    ///
    /// # Errors
    /// When it cannot be started or fails.
    pub fn download(&self, args: &[&OsStr]) -> Result<String, CargoError> {
        let mut command = self.command();
        command.args(args).envs(env::for_downloads());
        run(command)
    }

    /// What cargo plans for the project, as JSON.
    ///
    /// # Errors
    /// When the lock file does not fit the manifest, sources are missing, or cargo fails otherwise.
    pub fn unit_graph(&self, manifest: &Path, profile: ProfileKind, extra: &[OsString]) -> Result<String, CargoError> {
        let mut command = self.command();
        command
            .args(profile.cargo_args())
            .args([
                "--locked",
                "--offline",
                "--unit-graph",
                "-Zunstable-options",
                "--manifest-path",
            ])
            .arg(manifest)
            .args(extra)
            .env("RUSTC_BOOTSTRAP", "1")
            // Never read or write what cargo remembers about rustc in a target folder.
            .env("CARGO_CACHE_RUSTC_INFO", "0")
            .env("CARGO_TARGET_DIR", self.home.join("no-target"));
        run(command)
    }

    /// The downloaded archive of a package, if it is there.
    pub fn archive(&self, name: &CrateName, version: &CrateVersion) -> Option<PathBuf> {
        let registries = fs_err::read_dir(self.home.join("registry/cache")).ok()?;
        registries
            .flatten()
            .map(|registry| registry.path().join(format!("{name}-{version}.crate")))
            .find(|archive| archive.is_file())
    }

    /// Cargo's home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The toolchain.
    pub fn toolchain(&self) -> &Toolchain {
        &self.toolchain
    }
}

fn run(mut command: Command) -> Result<String, CargoError> {
    let output = command.output().map_err(CargoError::Run)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let from = stderr.len().saturating_sub(MAX_MESSAGE);
    let from = (from..=stderr.len())
        .find(|at| stderr.is_char_boundary(*at))
        .unwrap_or(0);
    Err(CargoError::Failed {
        command: args.join(" "),
        stderr: stderr[from..].trim_end().to_owned(),
    })
}
