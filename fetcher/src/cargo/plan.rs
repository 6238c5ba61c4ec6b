//! cargo's plan of a command: asked for, never guessed.
//!
//! Owns the questions. Asking compiles nothing and leaves no trace in the target folder.
//! Must not know what is done with a plan.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use sealift_policy::lockfile::{Lockfile, MalformedLockfile};
use sealift_policy::name::Toolchain;
use sealift_policy::plan::{Planned, plan_ids};
use sealift_policy::unit_graph::{MalformedGraph, UnitGraph};

use super::command::CargoCommand;
use super::install;
use crate::env::{self, Env};

/// What cargo plans for a command.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The workspace's manifest.
    pub(crate) manifest: PathBuf,
    /// The compiler, as the public store names it.
    pub(crate) toolchain: Toolchain,
    /// The whole graph.
    pub(crate) graph: UnitGraph,
    /// What the project locks.
    pub(crate) lockfile: Lockfile,
    /// The compile units of crates.io packages, each after its dependencies.
    pub(crate) planned: Vec<Planned>,
}

/// Why there is no plan. None of these is an error: cargo itself says what is wrong with a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPlan {
    /// A command that compiles nothing, or of which it is not known what it compiles.
    #[error("`cargo {0}` has no plan that is known beforehand")]
    Command(String),
    /// A program that cannot be run.
    #[error("failed to run `{program}`")]
    Run {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// cargo refuses the command, or asks for help.
    #[error("cargo prints no unit graph")]
    NoGraph(#[source] MalformedGraph),
    /// No lock file, or one that does not parse.
    #[error("no usable `Cargo.lock`")]
    NoLockfile(#[source] Option<MalformedLockfile>),
    /// A compiler that says nothing about its version.
    #[error("rustc does not name its version")]
    NoToolchain,
    /// A package that is to be installed cannot be looked at.
    #[error("failed to look at the package that is to be installed")]
    Install(#[source] io::Error),
}

/// Where cargo is asked: as whom, and in which folder.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The environment.
    pub(crate) env: Env,
    /// cargo's program.
    pub(crate) cargo: OsString,
    /// The compiler that cargo uses, where that is known already.
    pub(crate) rustc: Option<OsString>,
    /// The folder; `None` for that of this process.
    pub(crate) folder: Option<PathBuf>,
    /// Everything is resolved and downloaded, so there is nothing to ask the network for.
    pub(crate) is_resolved: bool,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn here(env: &Env) -> Self {
        Self {
            env: env.clone(),
            cargo: program(env),
            rustc: None,
            folder: None,
            is_resolved: false,
        }
    }

    /// A program that runs there.
    pub(crate) fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        self.env.give_to(&mut command);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    /// cargo, asked for something that only unstable flags tell. It answers for itself and does nothing of ours.
    pub(crate) fn question(&self) -> Command {
        let mut command = self.command(&self.cargo);
        command
            .env(env::RUSTC_BOOTSTRAP, "1")
            // Its remembered answers of rustc must not change by our asking, since freshness depends on them.
            .env(env::CARGO_CACHE_RUSTC_INFO, "0")
            .env(env::RUSTC_WRAPPER, "");
        command
    }
}

/// The cargo that called us, else the one on the search path.
pub(crate) fn program(env: &Env) -> OsString {
    env.non_empty(env::CARGO).unwrap_or_else(|| "cargo".into())
}

/// What cargo plans for this command in this process's surroundings.
pub(crate) fn plan(env: &Env, command: &CargoCommand) -> Result<Plan, NoPlan> {
    Surroundings::here(env).plan(command)
}

impl Surroundings {
    /// What cargo plans for this command.
    pub(crate) fn plan(&self, command: &CargoCommand) -> Result<Plan, NoPlan> {
        if command.name == "install" {
            let package = install::Package::of(self, command)?;
            return self.plan_of(&package.command(), Some(package.manifest()));
        }
        self.plan_of(
            command,
            command.value_of("--manifest-path").map(PathBuf::from).as_deref(),
        )
    }

    fn plan_of(&self, command: &CargoCommand, manifest: Option<&Path>) -> Result<Plan, NoPlan> {
        let words = command
            .question()
            .ok_or_else(|| NoPlan::Command(command.name.display().to_string()))?;
        let mut graph = self.question();
        graph.args(words);
        if self.is_resolved {
            graph.env(env::CARGO_NET_OFFLINE, "true");
        }
        let mut workspace = self.command(&self.cargo);
        workspace.args(["locate-project", "--workspace", "--message-format", "plain"]);
        if let Some(manifest) = manifest {
            workspace.arg("--manifest-path").arg(manifest);
        }
        let known = self.rustc.clone().or_else(|| self.env.non_empty(env::RUSTC));
        let mut rustc = self.command(&known.unwrap_or_else(|| "rustc".into()));
        rustc.arg("-vV");

        let ask = [graph, workspace, rustc].map(spawn);
        let [graph, workspace, rustc] = ask.map(|asked| asked.and_then(Asked::answer));
        let graph = text(&graph?);
        // `cargo run` prints the graph and then fails for want of a program, so its exit code says nothing.
        let graph = UnitGraph::parse(&graph).map_err(NoPlan::NoGraph)?;
        let toolchain = toolchain(&text(&rustc?)).ok_or(NoPlan::NoToolchain)?;
        let manifest = PathBuf::from(text(&workspace?).trim_end());
        let lockfile =
            fs_err::read_to_string(manifest.with_file_name("Cargo.lock")).map_err(|_| NoPlan::NoLockfile(None))?;
        let lockfile = Lockfile::parse(&lockfile).map_err(|error| NoPlan::NoLockfile(Some(error)))?;
        let planned = plan_ids(&graph, &lockfile, &toolchain);
        Ok(Plan {
            manifest,
            toolchain,
            graph,
            lockfile,
            planned,
        })
    }
}

struct Asked {
    program: String,
    child: Child,
}

fn spawn(mut command: Command) -> Result<Asked, NoPlan> {
    let program = command.get_program().display().to_string();
    // What cargo has to say about the command it says again when it runs.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => Ok(Asked { program, child }),
        Err(source) => Err(NoPlan::Run { program, source }),
    }
}

impl Asked {
    fn answer(self) -> Result<Output, NoPlan> {
        let Self { program, child } = self;
        child
            .wait_with_output()
            .map_err(|source| NoPlan::Run { program, source })
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn toolchain(verbose_version: &str) -> Option<Toolchain> {
    let line = |label: &str| verbose_version.lines().find_map(|line| line.strip_prefix(label));
    format!("{}-{}", line("release: ")?, line("host: ")?).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_is_release_and_host() {
        let verbose = "rustc 1.95.0 (abc 2026-01-01)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n";
        assert_eq!(toolchain(verbose).unwrap().as_str(), "1.95.0-x86_64-unknown-linux-gnu");
        assert_eq!(toolchain("rustc 1.95.0"), None);
    }
}
