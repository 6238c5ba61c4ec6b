//! The generated project: depends on every package of a request, so that cargo plans the very same units.
//!
//! Owns its files as texts. Target copies stand under `[dependencies]`, host copies under `[build-dependencies]`, every
//! package at its exact version and with its exact features, renamed so that several versions stand side by side.
//! Must not know where the project lies.

use toml::{Table, Value};

use super::{Request, RequestedPackage};
use crate::name::{CrateName, FeatureName};

/// Name of the generated package. It is never published and never compiled by anybody but a builder.
pub const PACKAGE: &str = "sealift-generated";

/// A file of the generated project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path below the project's folder.
    pub path: &'static str,
    /// Its content.
    pub text: String,
}

/// All files of the generated project.
pub fn files(request: &Request) -> Vec<File> {
    vec![
        File {
            path: "Cargo.toml",
            text: manifest(request),
        },
        File {
            path: "Cargo.lock",
            text: lockfile(request),
        },
        File {
            path: "lib.rs",
            text: "//! Nothing: its dependencies are what is built.\n".to_owned(),
        },
        File {
            path: "build.rs",
            text: "fn main() {}\n".to_owned(),
        },
    ]
}

fn manifest(request: &Request) -> String {
    let mut package = Table::new();
    package.insert("name".into(), PACKAGE.into());
    package.insert("version".into(), "0.0.0".into());
    package.insert("edition".into(), "2021".into());
    package.insert("publish".into(), false.into());
    // Without a build script cargo would not build the build dependencies.
    package.insert("build".into(), "build.rs".into());
    let mut lib = Table::new();
    lib.insert("path".into(), "lib.rs".into());
    let mut workspace = Table::new();
    workspace.insert("resolver".into(), "2".into());
    let mut profile = Table::new();
    profile.insert(
        request.profile.table().into(),
        Value::Table(request.profile_table.to_toml()),
    );

    let mut document = Table::new();
    document.insert("package".into(), Value::Table(package));
    document.insert("lib".into(), Value::Table(lib));
    document.insert("workspace".into(), Value::Table(workspace));
    document.insert(
        "dependencies".into(),
        Value::Table(dependencies(request, |package| &package.target_features)),
    );
    document.insert(
        "build-dependencies".into(),
        Value::Table(dependencies(request, |package| &package.host_features)),
    );
    document.insert("profile".into(), Value::Table(profile));
    document.to_string()
}

fn dependencies(request: &Request, features: fn(&RequestedPackage) -> &Option<Vec<FeatureName>>) -> Table {
    let mut table = Table::new();
    for (index, package) in request.packages.iter().enumerate() {
        let Some(features) = features(package) else { continue };
        // Build metadata is no part of a requirement; the lock file tells such versions apart.
        let version = package.version.as_str().split('+').next().unwrap_or_default();
        let mut dependency = Table::new();
        dependency.insert("package".into(), package.name.as_str().into());
        dependency.insert("version".into(), format!("={version}").into());
        dependency.insert("default-features".into(), false.into());
        let features = features.iter().map(|feature| Value::from(feature.as_str())).collect();
        dependency.insert("features".into(), Value::Array(features));
        table.insert(format!("p{index}"), Value::Table(dependency));
    }
    table
}

fn lockfile(request: &Request) -> String {
    let root: CrateName = PACKAGE.parse().expect("the generated package has a valid name");
    let direct: Vec<_> = request
        .packages
        .iter()
        .filter(|package| package.is_built())
        .map(|package| (package.name.clone(), package.version.clone()))
        .collect();
    request.lockfile().render(&root, &direct)
}
