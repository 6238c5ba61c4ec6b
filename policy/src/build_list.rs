//! The build list: what an operator builds every night.
//!
//! Owns the format (TOML, version 1) and the list that comes with Sealift. Must not know how anything is built.

use serde::Deserialize;

use crate::name::{CrateName, CrateVersion, FeatureName};
use crate::request::profile::ProfileKind;

/// Most entries of a list.
const MAX_ENTRIES: usize = 10_000;

/// Programs that many people compile themselves.
const POPULAR: &str = include_str!("../data/popular.toml");

/// What is built, in this order: most compile time saved for most users first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildList {
    /// Always 1.
    pub version: u32,
    /// The entries.
    #[serde(default)]
    pub build: Vec<Entry>,
}

/// One package to build.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name.
    pub name: CrateName,
    /// Its exact version; the newest without one.
    #[serde(rename = "crate-version")]
    pub crate_version: Option<CrateVersion>,
    /// Features besides the default ones.
    #[serde(default)]
    pub features: Vec<FeatureName>,
    /// For which profiles.
    #[serde(default = "every_profile")]
    pub profiles: Vec<ProfileKind>,
}

/// Why a text is not a build list.
#[derive(Debug, thiserror::Error)]
pub enum MalformedBuildList {
    /// Not TOML of the expected shape, or with a name that is none.
    #[error("malformed build list")]
    Toml(#[source] Box<toml::de::Error>),
    /// A version that this program does not know.
    #[error("build list version {0} is not known")]
    Version(u32),
    /// More entries than anybody can build in a night.
    #[error("the build list has more than {MAX_ENTRIES} entries")]
    TooLong,
}

fn every_profile() -> Vec<ProfileKind> {
    ProfileKind::ALL.to_vec()
}

impl BuildList {
    /// Reads a list.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(text: &str) -> Result<Self, MalformedBuildList> {
        let list: Self = toml::from_str(text).map_err(|error| MalformedBuildList::Toml(Box::new(error)))?;
        if list.version != 1 {
            return Err(MalformedBuildList::Version(list.version));
        }
        if list.build.len() > MAX_ENTRIES {
            Err(MalformedBuildList::TooLong)
        } else {
            Ok(list)
        }
    }

    /// The list that comes with Sealift.
    pub fn popular() -> Self {
        Self::parse(POPULAR).expect("the list that is compiled in was tested")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_that_comes_with_sealift_is_valid() {
        assert!(!BuildList::popular().build.is_empty());
    }

    #[test]
    fn an_entry_means_every_profile_unless_it_says_otherwise() {
        let list = BuildList::parse("version = 1\n[[build]]\nname = \"serde\"\n").unwrap();
        assert_eq!(list.build[0].profiles, ProfileKind::ALL);
    }

    #[test]
    fn odd_lists_are_refused() {
        for text in [
            "",
            "version = 2",
            "version = 1\nextra = 1",
            "version = 1\n[[build]]\nname = \"../x\"",
            "version = 1\n[[build]]\nname = \"x\"\ncrate-version = \"^1\"",
            "version = 1\n[[build]]\nname = \"x\"\nfeatures = [\"--all\"]",
            "version = 1\n[[build]]\nname = \"x\"\nprofiles = [\"fast\"]",
        ] {
            assert!(BuildList::parse(text).is_err(), "{text}");
        }
    }
}
