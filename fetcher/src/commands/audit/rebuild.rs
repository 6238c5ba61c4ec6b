//! Compiling some units again: the project's own cargo in a target folder of its own, with a store of its own that holds
//! everything but these units.
//!
//! The workspace's own crates are not compiled: nothing depends on them that is asked for.
//! Owns the scratch folder, which is removed at the end. Must not know what is compared.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::local::{self, Outcome, UnitOrigin};
use sealift_policy::manifest::Manifest;
use sealift_policy::name::{CrateName, CrateVersion};
use tempfile::TempDir;

use super::super::context::Context;
use super::Sampled;
use crate::cargo::{self, CargoCommand};
use crate::env;
use crate::events;
use crate::prefetch::deposit::Deposit;
use crate::report::verdict;
use crate::store::Store;

/// What was compiled again.
pub(super) struct Rebuild {
    scratch: TempDir,
    store: Store,
}

impl Rebuild {
    /// Compiles the sample as the command would.
    ///
    /// # Errors
    /// If it cannot be tried. That cargo fails is none: it does, where the workspace's own crates begin.
    pub(super) fn run(
        context: &Context,
        command: &CargoCommand,
        deposit: &Deposit,
        packages: &BTreeSet<(CrateName, CrateVersion)>,
        sample: &[Sampled],
    ) -> anyhow::Result<Self> {
        let name = match command.name.to_str() {
            Some("build" | "b" | "run" | "r") => "build",
            Some("check" | "c" | "clippy") => "check",
            Some("test" | "t") => "test",
            Some("bench") => "bench",
            _ => bail!(
                "`cargo {}` cannot be audited\n  hint: `-- build`, `-- check` and `-- test` can",
                command.name.display()
            ),
        };
        let scratch = deposit.store().scratch_folder()?;
        let store = Store::open(&scratch.path().join("store"))?;
        let left_out: BTreeSet<UnitKey> = sample.iter().map(|sampled| sampled.key).collect();
        for (name, version) in packages {
            for key in keys(deposit.store(), name, version) {
                if !left_out.contains(&key) {
                    // A unit that cannot be lent is compiled.
                    let _ = lend(deposit.store(), &store, key);
                }
            }
        }
        let target = scratch.path().join("target");
        let log = fs_err::File::create(scratch.path().join("log"))?;
        let mut cargo = Command::new(cargo::program(&context.env));
        cargo
            .args(&command.globals)
            .arg(name)
            .args(command.for_cargo())
            .arg("--keep-going");
        if matches!(name, "test" | "bench") {
            cargo.arg("--no-run");
        }
        cargo
            .env(env::CARGO_TARGET_DIR, &target)
            .env(env::CARGO_BUILD_BUILD_DIR, &target)
            .env(env::RUSTC_WRAPPER, Context::wrapper()?)
            .env(env::RUSTC_WORKSPACE_WRAPPER, skipping(scratch.path())?)
            .env(env::STORE, scratch.path().join("store"))
            .env(env::URL, "")
            .env(env::NEXT_WRAPPER, "")
            .env_remove(env::BUILD)
            .env_remove(env::SEALIFT)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.into_parts().0);
        cargo.status().context("failed to run cargo")?;
        Ok(Self { scratch, store })
    }

    /// What compiling a unit here gave, or why it was not compiled.
    pub(super) fn manifest(&self, key: UnitKey) -> Result<Manifest, String> {
        match self.store.unit(key) {
            Some(unit) if matches!(unit.origin, UnitOrigin::Compiled { .. }) => {
                Manifest::from_canonical(unit.manifest.as_bytes()).map_err(|error| error.to_string())
            }
            _ => Err(self.reason(key)),
        }
    }

    /// An output of what was compiled here.
    pub(super) fn output(&self, digest: Digest) -> PathBuf {
        self.store.path(&local::cas_path(digest))
    }

    /// The last line that cargo said, but for its own summary.
    pub(super) fn last_words(&self) -> String {
        let said = fs_err::read_to_string(self.scratch.path().join("log")).unwrap_or_default();
        let line = said.lines().rev().find(|line| line.starts_with("error"));
        line.unwrap_or("cargo said nothing").to_owned()
    }

    fn reason(&self, key: UnitKey) -> String {
        let root = self.store.root().parent().unwrap_or_else(|| Path::new("/"));
        let builds = events::builds(root).unwrap_or_default();
        let found = builds
            .into_iter()
            .filter_map(|build| events::read(root, build).ok())
            .find_map(|build| {
                let unit = verdict::units(&build.events).find(|unit| unit.unit_key == Some(key))?;
                let reason = unit.reason.clone().unwrap_or_else(|| "it is not known why".into());
                Some(match unit.outcome {
                    Outcome::Compiled | Outcome::Rejected => format!("it was compiled and not kept: {reason}"),
                    Outcome::HitCompiled | Outcome::HitFetched | Outcome::PassedThrough => reason,
                })
            });
        found.unwrap_or_else(|| "this project does not need it as it is now".into())
    }
}

/// A wrapper that compiles nothing, for the workspace's own crates: no unit of the sample depends on them. cargo's questions
/// about the compiler are answered.
fn skipping(folder: &Path) -> anyhow::Result<PathBuf> {
    let script = folder.join("skip");
    fs_err::write(
        &script,
        "#!/bin/sh\ncase \" $* \" in *\" --emit=\"*) exit 1 ;; esac\nexec \"$@\"\n",
    )?;
    fs_err::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(script)
}

/// The units that are known of a package.
fn keys(store: &Store, name: &CrateName, version: &CrateVersion) -> Vec<UnitKey> {
    let entries = fs_err::read_dir(store.path(&local::package_path(name, version)));
    let names = entries.into_iter().flatten().filter_map(Result::ok);
    names
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Lets another store on the same file system have a unit: other names of the same files.
fn lend(from: &Store, to: &Store, key: UnitKey) -> anyhow::Result<()> {
    let unit = from.unit(key).context("no such unit")?;
    let manifest = Manifest::from_canonical(unit.manifest.as_bytes())?;
    let link = |relative: &str| -> anyhow::Result<()> {
        let name = to.path(relative);
        fs_err::create_dir_all(name.parent().context("a file lies in a folder")?)?;
        if !name.exists() {
            fs_err::hard_link(from.path(relative), name)?;
        }
        Ok(())
    };
    for output in &manifest.outputs {
        link(&local::cas_path(output.sha256))?;
    }
    link(&local::key_path(key))?;
    // The record last, and as a copy: whoever compiles the unit again writes its own.
    to.write_unit(&unit)?;
    Ok(())
}
