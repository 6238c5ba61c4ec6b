//! What is built: a project, a published package or a request becomes a [`Request`].
//!
//! Owns reading other people's projects: manifests, lock files and profiles. No line of their code is run here, and of
//! their configuration files only `[profile]` counts.
//! Must not know how a request is built.

mod dependent;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use sealift_policy::lockfile::Lockfile;
use sealift_policy::name::{CrateName, CrateVersion, FeatureName};
use sealift_policy::request::profile::{self, ProfileKind};
use sealift_policy::request::{Asked, Request};
use sealift_policy::unit_graph::UnitGraph;
use toml::Table;

pub use self::dependent::{DefaultFeatures, as_dependency};
use crate::cargo::{Cargo, CargoError};
use crate::package::{self, BadArchive};

/// What an operator can be asked to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The dependencies of a project with manifest and lock file in this folder.
    Project(PathBuf),
    /// A published package.
    Crate {
        /// Its name.
        name: CrateName,
        /// Its exact version; the newest without one.
        version: Option<CrateVersion>,
        /// Features besides the default ones.
        features: Vec<FeatureName>,
    },
    /// A request in a file.
    Request(PathBuf),
}

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Cargo cannot read or plan the project.
    #[error(transparent)]
    Cargo(#[from] CargoError),
    /// A file cannot be read or written.
    #[error("failed to read the project")]
    Io(#[from] std::io::Error),
    /// The project has no lock file.
    #[error("`{0}` does not exist: a project is built as its lock file says")]
    NoLockfile(PathBuf),
    /// A lock file, unit graph or manifest that cannot be read.
    #[error("failed to understand `{0}`")]
    Malformed(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The registry's archive is not what it should be.
    #[error("the archive of `{0}` is refused")]
    Archive(String, #[source] BadArchive),
    /// The registry does not have the package.
    #[error("`{0}` was not found in the registry")]
    NoPackage(CrateName),
    /// The request was planned for another compiler.
    #[error("the request is for the toolchain {asked}, this is {here}")]
    OtherToolchain {
        /// What the request says.
        asked: String,
        /// What is installed here.
        here: String,
    },
    /// The plan cannot be requested.
    #[error("the plan cannot be turned into a request")]
    NotRequestable(#[from] sealift_policy::request::NotRequestable),
}

impl Source {
    /// Turns the source into a request for one profile; `scratch` is a folder for files on the way.
    ///
    /// # Errors
    /// When the source cannot be read, resolved or planned.
    pub fn request(&self, cargo: &Cargo, profile: ProfileKind, scratch: &Path) -> Result<Request, SourceError> {
        fs_err::create_dir_all(scratch)?;
        match self {
            Self::Project(folder) => {
                let manifest = fs_err::canonicalize(folder.join("Cargo.toml"))?;
                project(cargo, &manifest, profile, &[], scratch)
            }
            Self::Crate {
                name,
                version,
                features,
            } => published(cargo, (name, version.as_ref()), features, profile, scratch),
            Self::Request(file) => requested(cargo, file, profile),
        }
    }

    /// The profiles that are built when none is named: a request knows its own.
    ///
    /// # Errors
    /// When the request cannot be read.
    pub fn default_profiles(&self) -> Result<Vec<ProfileKind>, SourceError> {
        match self {
            Self::Request(file) => Ok(vec![read_request(file)?.profile]),
            Self::Project(_) | Self::Crate { .. } => Ok(vec![ProfileKind::Dev]),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Project(folder) => write!(f, "project `{}`", folder.display()),
            Self::Crate {
                name,
                version: Some(version),
                ..
            } => write!(f, "{name}@{version}"),
            Self::Crate {
                name, version: None, ..
            } => name.fmt(f),
            Self::Request(file) => write!(f, "request `{}`", file.display()),
        }
    }
}

fn read_request(file: &Path) -> Result<Request, SourceError> {
    let bytes = fs_err::read(file)?;
    Request::parse(&bytes).map_err(|error| malformed(file, error))
}

fn requested(cargo: &Cargo, file: &Path, profile: ProfileKind) -> Result<Request, SourceError> {
    let mut request = read_request(file)?;
    let here = cargo.toolchain().name();
    if request.toolchain != *here {
        return Err(SourceError::OtherToolchain {
            asked: request.toolchain.to_string(),
            here: here.to_string(),
        });
    }
    if request.profile != profile {
        // The plans and, between dev and release, the settings are those of another profile.
        request.plan_ids.clear();
        if request.profile.table() != profile.table() {
            request.profile_table = Default::default();
        }
        request.profile = profile;
    }
    Ok(request)
}

fn project(
    cargo: &Cargo,
    manifest: &Path,
    profile: ProfileKind,
    features: &[FeatureName],
    scratch: &Path,
) -> Result<Request, SourceError> {
    let locate = [
        "locate-project",
        "--workspace",
        "--message-format=plain",
        "--manifest-path",
    ]
    .map(OsStr::new);
    let root = cargo.download(&[&locate[..], &[manifest.as_os_str()]].concat())?;
    let root = PathBuf::from(root.trim_end());
    let folder = root.parent().unwrap_or(Path::new("/"));
    let lockfile = folder.join("Cargo.lock");
    if !lockfile.is_file() {
        return Err(SourceError::NoLockfile(lockfile));
    }
    fetch(cargo, manifest, true)?;

    let mut documents = vec![read_toml(&root)?];
    let configuration = folder.join(".cargo/config.toml");
    let mut extra = Vec::new();
    if configuration.is_file() {
        let mut profiles = read_toml(&configuration)?;
        profiles.retain(|name, _| name == "profile");
        let copy = scratch.join("profiles.toml");
        fs_err::write(&copy, profiles.to_string())?;
        extra.extend([OsString::from("--config"), copy.into_os_string()]);
        documents.push(profiles);
    }
    if !features.is_empty() {
        let list: Vec<_> = features.iter().map(FeatureName::as_str).collect();
        extra.extend([OsString::from("--features"), list.join(",").into()]);
    }
    let (_, profile_table) = profile::resolve(&documents, profile.table()).map_err(|error| malformed(&root, error))?;
    let graph = cargo.unit_graph(manifest, profile, &extra)?;
    let graph = UnitGraph::parse(&graph).map_err(|error| malformed(manifest, error))?;
    let asked = Asked {
        toolchain: cargo.toolchain().name().clone(),
        target: None,
        profile,
        profile_table,
    };
    Ok(Request::from_plan(&graph, &read_lockfile(&lockfile)?, asked)?)
}

/// A program with its own lock file is built as it says; everything else at the newest compatible versions.
fn published(
    cargo: &Cargo,
    (name, version): (&CrateName, Option<&CrateVersion>),
    features: &[FeatureName],
    profile: ProfileKind,
    scratch: &Path,
) -> Result<Request, SourceError> {
    let manifest = dependent::write(cargo, (name, version), features, DefaultFeatures::On, scratch)?;
    let lockfile = read_lockfile(&manifest.with_file_name("Cargo.lock"))?;
    let found = lockfile
        .packages()
        .find(|((found, at), _)| found == name && version.is_none_or(|v| v == at));
    let Some(((_, version), locked)) = found else {
        return Err(SourceError::NoPackage(name.clone()));
    };
    let archive = cargo
        .archive(name, version)
        .ok_or_else(|| SourceError::NoPackage(name.clone()))?;
    let unpacked = scratch.join("unpacked");
    if unpacked.exists() {
        fs_err::remove_dir_all(&unpacked)?;
    }
    let package = package::unpack(&archive, locked.checksum, (name, version), &unpacked)
        .map_err(|error| SourceError::Archive(format!("{name}@{version}"), error))?;
    let is_program = read_toml(&package.join("Cargo.toml"))?.contains_key("bin");
    if is_program && package.join("Cargo.lock").is_file() {
        project(cargo, &package.join("Cargo.toml"), profile, features, scratch)
    } else {
        project(cargo, &manifest, profile, &[], scratch)
    }
}

/// Downloads the sources that the host needs. Without `locked`, cargo completes the lock file first.
///
/// # Errors
/// When cargo fails.
pub fn fetch(cargo: &Cargo, manifest: &Path, locked: bool) -> Result<(), CargoError> {
    let mut args = vec![OsStr::new("fetch"), OsStr::new("--manifest-path"), manifest.as_os_str()];
    args.extend(["--target", cargo.toolchain().host()].map(OsStr::new));
    if locked {
        args.push(OsStr::new("--locked"));
    }
    cargo.download(&args).map(drop)
}

/// Reads a lock file.
///
/// # Errors
/// When it is absent or malformed.
pub fn read_lockfile(file: &Path) -> Result<Lockfile, SourceError> {
    let text = fs_err::read_to_string(file)?;
    Lockfile::parse(&text).map_err(|error| malformed(file, error))
}

fn read_toml(file: &Path) -> Result<Table, SourceError> {
    fs_err::read_to_string(file)?
        .parse()
        .map_err(|error: toml::de::Error| malformed(file, error))
}

fn malformed(file: &Path, error: impl std::error::Error + Send + Sync + 'static) -> SourceError {
    SourceError::Malformed(file.to_owned(), Box::new(error))
}
