//! A package as others have it: the project that depends on nothing else.
//!
//! Owns its manifest. Must not know what is built of it.

use std::path::{Path, PathBuf};

use sealift_policy::name::{CrateName, CrateVersion, FeatureName};
use sealift_policy::request::Request;
use sealift_policy::request::profile::ProfileKind;
use toml::Table;

use super::{SourceError, fetch, project};
use crate::cargo::Cargo;

/// A package as a dependency, program or not, with exactly these features besides the default ones or without them.
///
/// # Errors
/// When it cannot be resolved, downloaded or planned.
pub fn as_dependency(
    cargo: &Cargo,
    package: (&CrateName, Option<&CrateVersion>),
    features: &[FeatureName],
    defaults: DefaultFeatures,
    profile: ProfileKind,
    scratch: &Path,
) -> Result<Request, SourceError> {
    let manifest = write(cargo, package, features, defaults, scratch)?;
    project(cargo, &manifest, profile, &[], scratch)
}

/// Whether a package's default features are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultFeatures {
    /// As cargo does when nothing is said.
    On,
    /// `default-features = false`.
    Off,
}

/// A project that depends on the package, with its lock file and all sources downloaded. Gives its manifest.
pub(super) fn write(
    cargo: &Cargo,
    package: (&CrateName, Option<&CrateVersion>),
    features: &[FeatureName],
    defaults: DefaultFeatures,
    scratch: &Path,
) -> Result<PathBuf, SourceError> {
    let folder = scratch.join("dependent");
    write_dependent(&folder, package, features, defaults)?;
    let manifest = folder.join("Cargo.toml");
    fetch(cargo, &manifest, false)?;
    Ok(manifest)
}

fn write_dependent(
    folder: &Path,
    (name, version): (&CrateName, Option<&CrateVersion>),
    features: &[FeatureName],
    defaults: DefaultFeatures,
) -> Result<(), SourceError> {
    fs_err::create_dir_all(folder)?;
    let lockfile = folder.join("Cargo.lock");
    if lockfile.exists() {
        fs_err::remove_file(lockfile)?;
    }
    let version = version.map_or("*".to_owned(), |version| {
        format!("={}", version.as_str().split('+').next().unwrap_or_default())
    });
    let mut dependency = Table::new();
    dependency.insert("package".into(), name.as_str().into());
    dependency.insert("version".into(), version.into());
    let features: Vec<toml::Value> = features.iter().map(|feature| feature.as_str().into()).collect();
    dependency.insert("features".into(), features.into());
    dependency.insert("default-features".into(), (defaults == DefaultFeatures::On).into());
    let mut dependencies = Table::new();
    dependencies.insert("it".into(), dependency.into());
    let mut document: Table = "[package]\nname = \"sealift-dependent\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
                               publish = false\n[lib]\npath = \"lib.rs\"\n[workspace]\nresolver = \"2\"\n"
        .parse()
        .expect("a constant manifest");
    document.insert("dependencies".into(), dependencies.into());
    fs_err::write(folder.join("Cargo.toml"), document.to_string())?;
    fs_err::write(folder.join("lib.rs"), "//! Nothing.\n")?;
    Ok(())
}
