//! Package id specifications as cargo writes them, and where a package comes from.
//!
//! Owns which source is crates.io. Source replacement (mirrors, vendoring) does not show in these ids.
//! Must not know what the package contains.

use std::fmt;
use std::str::FromStr;

use crate::name::{CrateName, CrateVersion};

/// How cargo names crates.io in lock files and package ids, whatever protocol and mirror it uses.
pub const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A package of a unit graph.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PackageId {
    /// A package of crates.io.
    CratesIo(CrateName, CrateVersion),
    /// Any other: workspace, path, git, another registry. Its text is cargo's.
    Other(String),
}

/// Why a text is not a package id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a package id")]
pub struct MalformedPackageId(String);

impl FromStr for PackageId {
    type Err = MalformedPackageId;

    /// Reads `<source>#<name>@<version>`, `<source>#<version>` and, of older versions, `<name> <version> (<source>)`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || MalformedPackageId(text.chars().take(200).flat_map(char::escape_default).collect());
        if text.is_empty() || text.len() > 4096 {
            return Err(malformed());
        }
        let (name, version, source) = split(text).ok_or_else(malformed)?;
        if source != CRATES_IO {
            return Ok(Self::Other(text.to_owned()));
        }
        let name = name.parse().map_err(|_| malformed())?;
        Ok(Self::CratesIo(name, version.parse().map_err(|_| malformed())?))
    }
}

fn split(text: &str) -> Option<(&str, &str, &str)> {
    if let Some(rest) = text.strip_suffix(')') {
        let (package, source) = rest.split_once(" (")?;
        let (name, version) = package.split_once(' ')?;
        return Some((name, version, source));
    }
    let (source, fragment) = text.rsplit_once('#')?;
    match fragment.split_once('@') {
        Some((name, version)) => Some((name, version, source)),
        None => {
            let path = source.split('?').next()?;
            Some((path.rsplit('/').next()?, fragment, source))
        }
    }
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CratesIo(name, version) => write!(f, "{name}@{version}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_forms_name_the_same_package() {
        let expected = PackageId::CratesIo("memchr".parse().unwrap(), "2.7.4".parse().unwrap());
        assert_eq!(format!("{CRATES_IO}#memchr@2.7.4").parse(), Ok(expected.clone()));
        assert_eq!(format!("memchr 2.7.4 ({CRATES_IO})").parse(), Ok(expected));
    }

    #[test]
    fn every_other_source_is_not_crates_io() {
        for text in [
            "path+file:///home/u/memchr#2.7.4",
            "path+file:///home/u/x#memchr@2.7.4",
            "git+https://example.org/memchr?branch=main#memchr@2.7.4",
            "registry+https://example.org/index#memchr@2.7.4",
            "memchr 2.7.4 (path+file:///home/u/memchr)",
            "path+file:///home/u (copy)/memchr#2.7.4",
        ] {
            assert_eq!(text.parse(), Ok(PackageId::Other(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn odd_names_and_versions_of_crates_io_are_refused() {
        for fragment in ["../x@1.0.0", "x@1", "x@", "@1.0.0", "1.0.0", "x", "x@1.0.0/.."] {
            assert!(
                format!("{CRATES_IO}#{fragment}").parse::<PackageId>().is_err(),
                "{fragment}"
            );
        }
        assert!("".parse::<PackageId>().is_err());
        assert!("memchr".parse::<PackageId>().is_err());
    }
}
