//! `Cargo.lock`: which packages a project uses, with their checksums and edges.
//!
//! Owns reading versions 1 to 4 of the format and writing version 4.
//! Must not know where lock files lie or how versions are chosen.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::digest::Digest;
use crate::name::{CrateName, CrateVersion};
use crate::package_id::CRATES_IO;

/// Longest lock file that is read, in bytes.
pub const MAX_LOCKFILE: usize = 16 << 20;

/// Most packages of a lock file.
pub const MAX_PACKAGES: usize = 50_000;

/// The packages of crates.io in a lock file. All others are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lockfile {
    packages: BTreeMap<(CrateName, CrateVersion), LockedPackage>,
}

/// One package of crates.io in a lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPackage {
    /// SHA-256 of the `.crate`.
    pub checksum: Digest,
    /// The packages of crates.io that it depends on, on any platform, in order.
    pub dependencies: Vec<(CrateName, CrateVersion)>,
}

/// Why a text is not a lock file.
#[derive(Debug, thiserror::Error)]
pub enum MalformedLockfile {
    /// Longer, or with more packages, than any real one.
    #[error("the lock file is too large")]
    TooLarge,
    /// Not TOML of the expected shape.
    #[error("malformed lock file")]
    Toml(#[source] Box<toml::de::Error>),
    /// A name, version or checksum of a crates.io package that is none.
    #[error("malformed package `{0}` in the lock file")]
    Package(String),
}

impl Lockfile {
    /// Reads the text of a `Cargo.lock`.
    ///
    /// # Errors
    /// When it is not one. Packages without a checksum (path, git) are left out, not refused.
    pub fn parse(text: &str) -> Result<Self, MalformedLockfile> {
        if text.len() > MAX_LOCKFILE {
            return Err(MalformedLockfile::TooLarge);
        }
        let raw: RawLockfile = toml::from_str(text).map_err(|error| MalformedLockfile::Toml(Box::new(error)))?;
        if raw.package.len() > MAX_PACKAGES {
            return Err(MalformedLockfile::TooLarge);
        }
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in raw.package.iter().filter(|package| package.is_crates_io()) {
            versions.entry(&package.name).or_default().push(&package.version);
        }
        let mut packages = BTreeMap::new();
        for package in raw.package.iter().filter(|package| package.is_crates_io()) {
            let malformed =
                || MalformedLockfile::Package(package.name.chars().take(80).flat_map(char::escape_default).collect());
            let name: CrateName = package.name.parse().map_err(|_| malformed())?;
            let version: CrateVersion = package.version.parse().map_err(|_| malformed())?;
            // Versions 1 and 2 of the format keep checksums in a table of their own.
            let old_key = format!("checksum {name} {version} ({CRATES_IO})");
            let Some(checksum) = package.checksum.as_ref().or_else(|| raw.metadata.get(&old_key)) else {
                continue;
            };
            let checksum = checksum.parse().map_err(|_| malformed())?;
            let dependencies = package
                .dependencies
                .iter()
                .filter_map(|text| resolve(text, &versions))
                .collect();
            packages.insert((name, version), LockedPackage { checksum, dependencies });
        }
        Ok(Self { packages })
    }

    /// A lock file of these packages.
    pub fn from_packages(packages: impl IntoIterator<Item = ((CrateName, CrateVersion), LockedPackage)>) -> Self {
        Self {
            packages: packages.into_iter().collect(),
        }
    }

    /// What is locked for this version of a package.
    pub fn package(&self, name: &CrateName, version: &CrateVersion) -> Option<&LockedPackage> {
        self.packages.get(&(name.clone(), version.clone()))
    }

    /// The SHA-256 of the `.crate` of this version of a package.
    pub fn checksum(&self, name: &CrateName, version: &CrateVersion) -> Option<Digest> {
        self.package(name, version).map(|package| package.checksum)
    }

    /// All packages, by name and version.
    pub fn packages(&self) -> impl Iterator<Item = (&(CrateName, CrateVersion), &LockedPackage)> {
        self.packages.iter()
    }

    /// The text of a `Cargo.lock` for a project `root` of version 0.0.0 that depends directly on `direct`.
    pub fn render(&self, root: &CrateName, direct: &[(CrateName, CrateVersion)]) -> String {
        let mut text = String::from("version = 4\n");
        let several = |name: &CrateName| self.packages.keys().filter(|(n, _)| n == name).nth(1).is_some();
        let list = |packages: &[(CrateName, CrateVersion)]| {
            let mut names: Vec<String> = packages
                .iter()
                .filter(|package| self.packages.contains_key(package))
                .map(|(name, version)| {
                    if several(name) {
                        format!("{name} {version}")
                    } else {
                        name.to_string()
                    }
                })
                .collect();
            names.sort();
            names.dedup();
            names
                .into_iter()
                .map(|name| format!(" \"{name}\",\n"))
                .collect::<String>()
        };
        text.push_str(&format!("\n[[package]]\nname = \"{root}\"\nversion = \"0.0.0\"\n"));
        text.push_str(&format!("dependencies = [\n{}]\n", list(direct)));
        for ((name, version), package) in &self.packages {
            text.push_str(&format!("\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n"));
            text.push_str(&format!(
                "source = \"{CRATES_IO}\"\nchecksum = \"{}\"\n",
                package.checksum
            ));
            if !package.dependencies.is_empty() {
                text.push_str(&format!("dependencies = [\n{}]\n", list(&package.dependencies)));
            }
        }
        text
    }
}

/// `name`, `name version` or `name version (source)`; `None` for what is not of crates.io.
fn resolve(text: &str, versions: &BTreeMap<&str, Vec<&str>>) -> Option<(CrateName, CrateVersion)> {
    let mut parts = text.splitn(3, ' ');
    let name = parts.next()?;
    let known = versions.get(name)?;
    let version = match parts.next() {
        Some(version) => known.iter().find(|v| **v == version)?,
        None => match known.as_slice() {
            [only] => only,
            _ => return None,
        },
    };
    if parts.next().is_some_and(|source| source != format!("({CRATES_IO})")) {
        return None;
    }
    Some((name.parse().ok()?, version.parse().ok()?))
}

#[derive(Deserialize)]
struct RawLockfile {
    #[serde(default)]
    package: Vec<RawPackage>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl RawPackage {
    fn is_crates_io(&self) -> bool {
        self.source.as_deref() == Some(CRATES_IO)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn package(name: &str, version: &str) -> (CrateName, CrateVersion) {
        (name.parse().unwrap(), version.parse().unwrap())
    }

    #[test]
    fn old_and_new_lock_files_give_the_same_checksums() {
        let checksum = Digest::of(b"crate");
        let new = format!(
            "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"{CRATES_IO}\"\nchecksum = \"{checksum}\"\n"
        );
        let old = format!(
            "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"{CRATES_IO}\"\n[metadata]\n\"checksum a 1.0.0 ({CRATES_IO})\" = \"{checksum}\"\n"
        );
        let (name, version) = package("a", "1.0.0");
        assert_eq!(Lockfile::parse(&new).unwrap().checksum(&name, &version), Some(checksum));
        assert_eq!(Lockfile::parse(&old).unwrap(), Lockfile::parse(&new).unwrap());
    }

    #[test]
    fn packages_of_other_sources_are_left_out() {
        let checksum = Digest::of(b"crate");
        let text = format!(
            "[[package]]\nname = \"own\"\nversion = \"1.0.0\"\ndependencies = [\"x\"]\n\
             [[package]]\nname = \"x\"\nversion = \"1.0.0\"\nsource = \"git+https://example.org/x#abc\"\n\
             [[package]]\nname = \"y\"\nversion = \"1.0.0\"\nsource = \"registry+https://example.org/index\"\nchecksum = \"{checksum}\"\n"
        );
        assert_eq!(Lockfile::parse(&text).unwrap(), Lockfile::default());
    }

    #[test]
    fn what_is_rendered_reads_back() {
        let locked = |dependencies: &[(CrateName, CrateVersion)]| LockedPackage {
            checksum: Digest::of(b"crate"),
            dependencies: dependencies.to_vec(),
        };
        let (a, b1, b2) = (package("a", "1.0.0"), package("b", "1.0.0"), package("b", "2.0.0+x"));
        let lockfile = Lockfile::from_packages([
            (a.clone(), locked(&[b1.clone(), b2.clone()])),
            (b1.clone(), locked(&[])),
            (b2.clone(), locked(std::slice::from_ref(&b1))),
        ]);
        let text = lockfile.render(&"root".parse().unwrap(), &[a, b1, b2]);
        assert_eq!(Lockfile::parse(&text).unwrap(), lockfile);
    }

    #[test]
    fn odd_names_are_refused() {
        for (name, version) in [("../x", "1.0.0"), ("x", "1"), ("--x", "1.0.0")] {
            let text = format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{CRATES_IO}\"\n");
            assert!(
                matches!(Lockfile::parse(&text), Err(MalformedLockfile::Package(_))),
                "{name}"
            );
        }
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in ".{0,300}") {
            let _ = Lockfile::parse(&text);
        }
    }
}
