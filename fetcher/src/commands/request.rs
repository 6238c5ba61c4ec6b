//! `cargo sealift request`: the project's crates.io units, for others to build.
//!
//! Owns which profile a cargo command means, where its settings are written, and that everything is shown before it is sent. Must not know the format: that is
//! [`sealift_policy::request`]'s.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context as _, ensure};
use sealift_policy::request::profile::{self, ProfileKind};
use sealift_policy::request::{Asked, Request, RequestedPackage, TargetName};

use super::context::Context;
use super::{Exit, RequestArgs};
use crate::cargo::{self, CargoCommand, Settings, Surroundings};
use crate::env;
use crate::prefetch::budget::Limits;
use crate::remote::Remote;
use crate::remote::request::Kept;
use crate::report::shell::{self, Shell, Verbosity, count};

/// Shows the request, and sends it unless it is only to be printed.
pub(super) fn run(context: &Context, args: RequestArgs) -> anyhow::Result<Exit> {
    let (print, yes, json) = (args.print, args.yes, args.json);
    let request = of_project(context, args)?;
    if print {
        shell::data(&request.to_json())?;
        return Ok(Exit::Success);
    }
    let config = &context.config;
    let url = (config.url.as_deref())
        .context("no public store is configured\n  hint: `--print` writes what would be sent, for `sealift-builder build --request FILE`")?;
    ensure!(!config.offline, "offline, as `SEALIFT_OFFLINE` or `config.toml` asks");
    let shell = Shell::stderr(&context.env, Verbosity::Normal);
    shell.status("Requesting", format_args!("{} from `{url}`", summary(&request)));
    for package in request.packages.iter().filter(|package| package.is_built()) {
        shell.status("", line(package));
    }
    let others = request.packages.iter().filter(|package| !package.is_built()).count() as u64;
    shell.status(
        "",
        format_args!(
            "and name and version of {} of the lock file, and the profile's settings",
            count(others, "other package")
        ),
    );
    shell.status("Nothing", "else about the project is sent; `--print` shows every byte");
    if !yes && !shell::confirmed("Send this?")? {
        shell.status("Nothing", "was sent");
        return Ok(Exit::Failed);
    }
    let kept = send(context, url, request.to_json())?;
    if json {
        shell::data(&format!(
            "{}\n",
            serde_json::json!({"version": 1, "request": kept.request})
        ))?;
    }
    shell.status(
        "Requested",
        format_args!(
            "it is kept as {}; operators decide what they build",
            kept.request.short()
        ),
    );
    Ok(Exit::Success)
}

fn send(context: &Context, url: &str, text: String) -> anyhow::Result<Kept> {
    let network = Settings::of(&Surroundings::here(&context.env)).network(&context.env);
    let remote = Remote::new(url, Limits::of(context.config.patience), &network)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let kept = runtime.block_on(remote.ask_for(text));
    runtime.shutdown_background();
    Ok(kept?)
}

/// How much is asked for, and for what.
fn summary(request: &Request) -> String {
    let built = request.packages.iter().filter(|package| package.is_built()).count();
    let target = request
        .target
        .as_ref()
        .map(|target| format!(" for {}", target.as_str()))
        .unwrap_or_default();
    let profile = serde_json::to_value(request.profile).unwrap_or_default();
    format!(
        "{}{target}, profile {}, {}",
        count(built as u64, "package"),
        profile.as_str().unwrap_or_default(),
        request.toolchain
    )
}

/// A package with the features of both of its copies.
fn line(package: &RequestedPackage) -> String {
    let features: BTreeSet<_> = [&package.target_features, &package.host_features]
        .into_iter()
        .flatten()
        .flatten()
        .map(ToString::to_string)
        .collect();
    let features = features.into_iter().collect::<Vec<_>>().join(",");
    let separator = if features.is_empty() { "" } else { " features " };
    format!("{}@{}{separator}{features}", package.name, package.version)
}

fn of_project(context: &Context, args: RequestArgs) -> anyhow::Result<Request> {
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
    Ok(Request::from_plan(&plan.graph, &plan.lockfile, asked)?)
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
