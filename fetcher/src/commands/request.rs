//! `cargo sealift request`: the project's crates.io units, for others to build.
//!
//! Owns what is asked of cargo for it. Must not know the format: that is [`sealift_policy::request`]'s.

use std::ffi::OsString;

use anyhow::Context as _;

use super::context::Context;
use super::{Exit, RequestArgs};
use crate::cargo::{self, CargoCommand};

/// Prints or sends the request.
pub(super) fn run(context: &Context, args: RequestArgs) -> anyhow::Result<Exit> {
    let words = if args.command.is_empty() { vec![OsString::from("build")] } else { args.command };
    let command = CargoCommand::new(words).context("no command")?;
    let plan = cargo::plan(&context.env, &command)?;
    drop(plan);
    anyhow::bail!("not there yet")
}
