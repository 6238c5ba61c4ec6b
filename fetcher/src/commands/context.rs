//! What every command starts from.
//!
//! Owns where the other programs lie. Must not know any command.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::config::{Config, State};
use crate::env::Env;

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
        let env = Env::process();
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

    /// The wrapper beside this program.
    pub(super) fn wrapper() -> anyhow::Result<PathBuf> {
        let this = std::env::current_exe().context("failed to find this program's own file")?;
        let wrapper = this.with_file_name(WRAPPER);
        anyhow::ensure!(wrapper.is_file(), "`{}` is not there", wrapper.display());
        Ok(wrapper)
    }
}
