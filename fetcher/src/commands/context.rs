//! What every command starts from.
//!
//! Owns where the other programs lie. Must not know any command.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::cargo;
use crate::config::{Config, State};
use crate::env::{self, Env};

/// The wrapper's file name.
pub(super) const WRAPPER: &str = "sealift-rustc";

/// This process's surroundings.
#[derive(Debug)]
pub(super) struct Context {
    /// The environment.
    pub(super) env: Env,
    /// What the user configured.
    pub(super) config: Config,
}

impl Context {
    /// Of this process.
    pub(super) fn load() -> Self {
        Self::of(Env::process())
    }

    /// Of an environment.
    pub(super) fn of(env: Env) -> Self {
        let config = Config::from_env(&env);
        Self { env, config }
    }

    /// The local store's root, or why there is none.
    pub(super) fn store(&self) -> anyhow::Result<&Path> {
        match &self.config.state {
            State::On { store } => Ok(store),
            State::Aside(aside) => Err(aside.clone()).context("Sealift steps aside"),
        }
    }

    /// The target folder of the project in the current folder, if there is one. It need not exist yet.
    pub(super) fn target_dir(&self) -> Option<PathBuf> {
        if let Some(folder) = self.env.non_empty(env::CARGO_TARGET_DIR) {
            return std::path::absolute(folder).ok();
        }
        let output = Command::new(cargo::program(&self.env))
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .output()
            .ok()?;
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        metadata.get("target_directory")?.as_str().map(PathBuf::from)
    }

    /// The wrapper beside this program.
    pub(super) fn wrapper() -> anyhow::Result<PathBuf> {
        let this = std::env::current_exe().context("failed to find this program's own file")?;
        let wrapper = this.with_file_name(WRAPPER);
        anyhow::ensure!(wrapper.is_file(), "`{}` is not there", wrapper.display());
        Ok(wrapper)
    }
}
