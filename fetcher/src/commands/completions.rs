//! `cargo sealift completions SHELL`.
//!
//! Must not know what is completed.

use clap::CommandFactory as _;

use super::{Cli, Exit};
use crate::report::shell;

/// Prints the script.
pub(super) fn run(name: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(
        name,
        &mut Cli::command().bin_name("cargo-sealift"),
        "cargo-sealift",
        &mut script,
    );
    shell::data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}
