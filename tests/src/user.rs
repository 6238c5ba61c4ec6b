//! A user: an own `CARGO_HOME` and local store, and builds with or without Sealift.
//!
//! Must not know how a unit is found: it runs cargo and reads the records of the build.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::child::{Finished, run};
use crate::env::{clean_command, path_with};
use crate::outcome::Outcomes;
use crate::programs::Programs;
use crate::registry::Registry;
use crate::sources::Downloads;
use crate::world::Access;

/// Someone with a machine of their own, as far as Sealift can tell.
#[derive(Debug, Clone)]
pub struct User {
    programs: Programs,
    home: PathBuf,
    config: PathBuf,
    store: PathBuf,
}

/// Who compiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// cargo alone.
    Plain,
    /// cargo with the wrapper, and nothing that could reach the network.
    Wrapper,
    /// `cargo sealift`, which fetches first.
    Sealift,
}

/// One cargo command.
#[derive(Debug, Clone)]
pub struct Build {
    project: PathBuf,
    target: PathBuf,
    through: Through,
    access: Option<Access>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

/// What came of it.
#[derive(Debug)]
pub struct Built {
    /// cargo itself.
    pub cargo: Finished,
    /// What happened to each unit; empty for a plain build.
    pub units: Outcomes,
}

impl Built {
    /// How long it took.
    pub fn wall(&self) -> Duration {
        self.cargo.wall
    }

    /// The warnings and errors of Sealift's own, which a normal build does not have.
    pub fn loud_lines(&self) -> Vec<&str> {
        self.cargo
            .stderr
            .lines()
            .filter(|line| line.contains(": sealift: "))
            .collect()
    }
}

impl User {
    /// A new user below a folder, with the sources of a project and nothing else.
    ///
    /// # Errors
    /// If the sources cannot be laid down.
    pub fn new(folder: &Path, programs: &Programs, downloads: &Downloads, project: &Path) -> Result<Self> {
        let user = Self {
            programs: programs.clone(),
            home: folder.join("cargo-home"),
            config: folder.join("config"),
            store: folder.join("store"),
        };
        fs_err::create_dir_all(&user.config)?;
        downloads.lay_home(&user.home, project)?;
        Ok(user)
    }

    /// Makes a user below a folder for whom a registry of our own making is crates.io.
    ///
    /// # Errors
    /// If the home cannot be laid down.
    pub fn of_registry(folder: &Path, programs: &Programs, registry: &Registry) -> Result<Self> {
        let user = Self {
            programs: programs.clone(),
            home: folder.join("cargo-home"),
            config: folder.join("config"),
            store: folder.join("store"),
        };
        fs_err::create_dir_all(&user.config)?;
        registry.configure(&user.home)?;
        Ok(user)
    }

    /// The same user with another, empty store.
    #[must_use]
    pub fn with_store(&self, store: PathBuf) -> Self {
        Self { store, ..self.clone() }
    }

    /// The same user with another `CARGO_HOME`.
    #[must_use]
    pub fn with_home(&self, home: PathBuf) -> Self {
        Self { home, ..self.clone() }
    }

    /// The local store's folder.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// The user's `CARGO_HOME`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Runs a cargo command.
    ///
    /// # Errors
    /// If it cannot be started or its records cannot be read. A build that fails is no error here.
    pub fn run(&self, build: &Build) -> Result<Built> {
        let before = Outcomes::builds(&self.store)?;
        let mut command = self.command(build);
        let cargo = run(&mut command)?;
        let units = Outcomes::since(&self.store, &before)?;
        Ok(Built { cargo, units })
    }

    /// A cargo command that is yet to be run.
    pub fn command(&self, build: &Build) -> std::process::Command {
        let mut command = match build.through {
            Through::Plain | Through::Wrapper => clean_command("cargo"),
            Through::Sealift => {
                let mut command = clean_command(self.programs.cargo_sealift());
                command.arg("sealift");
                command
            }
        };
        command.args(&build.args).current_dir(&build.project);
        self.set_up(&mut command);
        command.env("CARGO_TARGET_DIR", &build.target);
        if build.through == Through::Wrapper {
            command.env("RUSTC_WRAPPER", self.programs.rustc_wrapper());
        }
        if let Some(access) = &build.access {
            command
                .env("SEALIFT_URL", &access.url)
                .env("SEALIFT_TRUST_ROOT", &access.trust_policy);
        }
        command.envs(build.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a cargo command that must succeed.
    ///
    /// # Errors
    /// If it does not.
    pub fn build(&self, build: &Build) -> Result<Built> {
        let Built { cargo, units } = self.run(build)?;
        let what = || {
            format!(
                "`cargo {}` failed in `{}`",
                display(&build.args),
                build.project.display()
            )
        };
        Ok(Built {
            cargo: cargo.successful().with_context(what)?,
            units,
        })
    }

    /// A `cargo sealift` command about past builds: its standard output.
    ///
    /// # Errors
    /// If it fails.
    pub fn sealift(&self, project: &Path, args: &[&str], access: Option<&Access>) -> Result<Finished> {
        let mut command = clean_command(self.programs.cargo_sealift());
        command.arg("sealift").args(args).current_dir(project);
        self.set_up(&mut command);
        if let Some(access) = access {
            command
                .env("SEALIFT_URL", &access.url)
                .env("SEALIFT_TRUST_ROOT", &access.trust_policy);
        }
        run(&mut command)
    }

    fn set_up(&self, command: &mut std::process::Command) {
        command
            .env("PATH", path_with(self.programs.folder()))
            .env("CARGO_HOME", &self.home)
            .env("XDG_CONFIG_HOME", &self.config)
            .env("SEALIFT_STORE", &self.store)
            .env("CARGO_TERM_COLOR", "never");
    }
}

impl Build {
    /// `cargo <args> --locked` in a project, with a target folder anywhere.
    pub fn new<'a>(project: &Path, target: &Path, through: Through, args: impl IntoIterator<Item = &'a str>) -> Self {
        let mut args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        args.push("--locked".into());
        Self {
            project: project.into(),
            target: target.into(),
            through,
            access: None,
            args,
            env: vec![],
        }
    }

    /// Where cargo may write the lock file.
    #[must_use]
    pub fn unlocked(mut self) -> Self {
        self.args.retain(|arg| arg != "--locked");
        self
    }

    /// With a service and a trust policy.
    #[must_use]
    pub fn from_world(mut self, access: &Access) -> Self {
        self.access = Some(access.clone());
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// With another argument.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Somebody else compiles.
    #[must_use]
    pub fn through(mut self, through: Through) -> Self {
        self.through = through;
        self
    }
}

fn display(args: &[OsString]) -> String {
    args.iter()
        .map(|arg| arg.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
