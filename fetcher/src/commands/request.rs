//! `cargo sealift request`: the project's crates.io units, for others to build.
//!
//! Owns which profile a cargo command means and where its settings are written. Must not know the format: that is
//! [`sealift_policy::request`]'s.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context as _, bail};
use sealift_policy::request::profile::{self, ProfileKind};
use sealift_policy::request::{Asked, Request, TargetName};

use super::context::Context;
use super::{Exit, RequestArgs};
use crate::cargo::{self, CargoCommand};
use crate::env;
use crate::report::shell;

/// Prints the request.
pub(super) fn run(context: &Context, args: RequestArgs) -> anyhow::Result<Exit> {
    if !args.print {
        bail!(
            "sending requests is not supported yet\n  hint: `--print` writes what would be sent, for `sealift-builder build --request FILE`"
        );
    }
    let words = if args.command.is_empty() {
        vec![OsString::from("build")]
    } else {
        args.command
    };
    let command = CargoCommand::new(words).context("no command")?;
    let plan = cargo::plan(&context.env, &command)?;
    let folder = plan.manifest.parent().context("a manifest lies in a folder")?;
    let (kind, profile_table) =
        profile::resolve(&documents(context, &plan.manifest, folder)?, &profile_name(&command))?;
    let checks = command.name == "check" || command.name == "c" || command.name == "clippy";
    let target = command
        .value_of("--target")
        .map(TargetName::try_from)
        .transpose()
        .map_err(anyhow::Error::msg)?;
    let asked = Asked {
        toolchain: plan.toolchain,
        target,
        profile: if checks && kind == ProfileKind::Dev {
            ProfileKind::Check
        } else {
            kind
        },
        profile_table,
    };
    shell::data(&Request::from_plan(&plan.graph, &plan.lockfile, asked)?.to_json())?;
    Ok(Exit::Success)
}

fn profile_name(command: &CargoCommand) -> String {
    let default = match command.name.to_str() {
        Some("bench") => "bench",
        Some("test" | "t") => "test",
        _ => "dev",
    };
    if command.has("--release") || command.has("-r") {
        return "release".into();
    }
    command.value_of("--profile").unwrap_or_else(|| default.into())
}

/// The workspace's manifest, then the configuration files that cargo reads, those that count more last.
fn documents(context: &Context, manifest: &Path, folder: &Path) -> anyhow::Result<Vec<toml::Table>> {
    let mut paths = vec![manifest.to_owned()];
    let home = context.env.absolute_path(env::HOME).map(|home| home.join(".cargo"));
    paths.extend(
        context
            .env
            .absolute_path(env::CARGO_HOME)
            .or(home)
            .map(|home| home.join("config.toml")),
    );
    let above: Vec<_> = folder
        .ancestors()
        .map(|folder| folder.join(".cargo/config.toml"))
        .collect();
    paths.extend(above.into_iter().rev());
    let mut documents = Vec::new();
    for path in paths.iter().filter(|path| path.is_file()) {
        let text = fs_err::read_to_string(path)?;
        documents.push(toml::from_str(&text).with_context(|| format!("failed to read `{}`", path.display()))?);
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_the_one_that_cargo_would_use() {
        let name = |line: &str| profile_name(&CargoCommand::new(line.split(' ').map(OsString::from)).unwrap());
        assert_eq!(name("build"), "dev");
        assert_eq!(name("build -r"), "release");
        assert_eq!(name("build --profile dist"), "dist");
        assert_eq!(name("build --profile=dist"), "dist");
        assert_eq!(name("test"), "test");
        assert_eq!(name("run -- --release"), "dev");
    }
}
