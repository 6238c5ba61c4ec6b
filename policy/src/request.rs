//! A request: the crates.io units of a project as strangers can build them, and nothing else about the project.
//!
//! Owns the format (version 1) and its strict reader.
//! [`Request::from_plan`] makes one of what cargo plans, [`project`] renders the generated project with which cargo plans
//! the very same units.
//! Must not know who asks, or where anything lies.

mod asked;
pub mod profile;
pub mod project;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, PlanId};
use crate::lockfile::Lockfile;
use crate::name::{CrateName, CrateVersion, FeatureName, Toolchain};
pub use asked::{Asked, NotRequestable};
use profile::{ProfileKind, ProfileTable};

/// Longest request that is read, in bytes.
pub const MAX_REQUEST: usize = 8 << 20;

/// Most packages of a request.
pub const MAX_PACKAGES: usize = 10_000;

/// Most features of one package.
const MAX_FEATURES: usize = 2_000;

/// Most edges of one package.
const MAX_EDGES: usize = 2_000;

/// Most plans of a request.
const MAX_PLANS: usize = 50_000;

/// "Please build these." Version 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Always 1.
    pub version: u32,
    /// The compiler for which it was planned.
    pub toolchain: Toolchain,
    /// `--target`, when given.
    pub target: Option<TargetName>,
    /// What cargo is asked to do.
    pub profile: ProfileKind,
    /// The project's settings for that profile.
    pub profile_table: ProfileTable,
    /// The packages, by name and version.
    pub packages: Vec<RequestedPackage>,
    /// What cargo plans for the project: tells whether the generated project is planned alike. Not believed.
    pub plan_ids: Vec<PlanId>,
}

/// One package of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedPackage {
    /// Its name.
    pub name: CrateName,
    /// Its exact version.
    pub version: CrateVersion,
    /// SHA-256 of its `.crate`.
    pub checksum: Digest,
    /// Features of the copy that the target gets; without it there is none.
    pub target_features: Option<Vec<FeatureName>>,
    /// Features of the copy for proc macros and build scripts; without it there is none.
    pub host_features: Option<Vec<FeatureName>>,
    /// The packages that the lock file names as its dependencies.
    pub dependencies: Vec<PackageRef>,
}

/// A package of the same request. Its text is `<name>@<version>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageRef {
    /// Its name.
    pub name: CrateName,
    /// Its exact version.
    pub version: CrateVersion,
}

/// A target triple that rustc knows by name; never the path of a specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetName(String);

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum RefusedRequest {
    /// Longer, or with more packages, features or edges, than any real one.
    #[error("the request has too many {0}")]
    TooLarge(&'static str),
    /// Not JSON of the expected shape, or with a name, version or setting that is none.
    #[error("malformed request")]
    Malformed(#[source] serde_json::Error),
    /// A version that this program does not know.
    #[error("request version {0} is not known")]
    Version(u32),
    /// Packages that are there twice or out of order.
    #[error("the packages of the request are not sorted, or `{0}` is there twice")]
    Order(String),
    /// An edge to a package that the request does not have.
    #[error("`{0}` is not in the request but a dependency")]
    Dangling(String),
    /// Nothing to build.
    #[error("there are no crates.io units to build")]
    Empty,
}

impl Request {
    /// Reads a request and checks every rule.
    ///
    /// # Errors
    /// When any rule is broken.
    pub fn parse(bytes: &[u8]) -> Result<Self, RefusedRequest> {
        if bytes.len() > MAX_REQUEST {
            return Err(RefusedRequest::TooLarge("bytes"));
        }
        let request: Self = serde_json::from_slice(bytes).map_err(RefusedRequest::Malformed)?;
        request.check()?;
        Ok(request)
    }

    /// The request as people and programs read it.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("requests have string keys only");
        text.push('\n');
        text
    }

    /// The lock file of exactly these packages.
    pub fn lockfile(&self) -> Lockfile {
        Lockfile::from_packages(self.packages.iter().map(|package| {
            let dependencies = package
                .dependencies
                .iter()
                .map(|d| (d.name.clone(), d.version.clone()))
                .collect();
            let locked = crate::lockfile::LockedPackage {
                checksum: package.checksum,
                dependencies,
            };
            ((package.name.clone(), package.version.clone()), locked)
        }))
    }

    fn check(&self) -> Result<(), RefusedRequest> {
        if self.version != 1 {
            return Err(RefusedRequest::Version(self.version));
        }
        if self.packages.len() > MAX_PACKAGES {
            return Err(RefusedRequest::TooLarge("packages"));
        }
        if self.plan_ids.len() > MAX_PLANS {
            return Err(RefusedRequest::TooLarge("plans"));
        }
        if !self.packages.iter().any(RequestedPackage::is_built) {
            return Err(RefusedRequest::Empty);
        }
        let mut known = BTreeSet::new();
        for package in &self.packages {
            let id = package.id();
            if known.last().is_some_and(|last| *last >= id) {
                return Err(RefusedRequest::Order(id.to_string()));
            }
            let features = [&package.target_features, &package.host_features];
            if features
                .into_iter()
                .flatten()
                .any(|features| features.len() > MAX_FEATURES)
            {
                return Err(RefusedRequest::TooLarge("features"));
            }
            if package.dependencies.len() > MAX_EDGES {
                return Err(RefusedRequest::TooLarge("edges"));
            }
            known.insert(id);
        }
        let edges = self.packages.iter().flat_map(|package| &package.dependencies);
        match edges.into_iter().find(|edge| !known.contains(*edge)) {
            Some(edge) => Err(RefusedRequest::Dangling(edge.to_string())),
            None => Ok(()),
        }
    }
}

impl RequestedPackage {
    fn id(&self) -> PackageRef {
        PackageRef {
            name: self.name.clone(),
            version: self.version.clone(),
        }
    }

    /// Whether it is compiled; all others are there only for the lock file.
    pub fn is_built(&self) -> bool {
        self.target_features.is_some() || self.host_features.is_some()
    }
}

impl std::fmt::Display for PackageRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl TryFrom<String> for PackageRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let malformed = || {
            format!(
                "`{}` is not `<name>@<version>`",
                text.chars().take(80).collect::<String>()
            )
        };
        let (name, version) = text.split_once('@').ok_or_else(malformed)?;
        Ok(Self {
            name: name.parse().map_err(|_| malformed())?,
            version: version.parse().map_err(|_| malformed())?,
        })
    }
}

impl From<PackageRef> for String {
    fn from(package: PackageRef) -> Self {
        package.to_string()
    }
}

impl TargetName {
    /// The triple.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TargetName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let valid = text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.')
            && !text.ends_with(".json");
        if valid {
            Ok(Self(text))
        } else {
            Err("not a target triple".to_owned())
        }
    }
}

impl From<TargetName> for String {
    fn from(target: TargetName) -> Self {
        target.0
    }
}

#[cfg(test)]
mod tests;
