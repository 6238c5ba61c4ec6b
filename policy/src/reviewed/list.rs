//! The file in which the list is written.
//!
//! Owns its format (`runs.toml`). Must not know what is asked of the list.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::{PkgConfig, Reviewed};
use crate::name::{CrateName, CrateVersion};

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    run: Vec<Reviewed>,
    alike: Vec<Alike>,
}

/// Packages of which the same was found out, all from one template.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Alike {
    why: String,
    compiles_c: bool,
    versions: BTreeMap<CrateName, Vec<CrateVersion>>,
}

impl Alike {
    fn each(self) -> impl Iterator<Item = Reviewed> {
        let Self {
            why,
            compiles_c,
            versions,
        } = self;
        versions.into_iter().map(move |(package, versions)| Reviewed {
            package,
            versions,
            why: why.clone(),
            compiles_c,
            bakes_out_dir: false,
            refused_features: vec![],
            required_features: vec![],
            unset: vec![],
            headers: vec![],
            system_library: None,
            pkg_config: PkgConfig::default(),
        })
    }
}

impl List {
    fn read() -> Self {
        toml::from_str(include_str!("../runs.toml")).expect("the list is read by a test")
    }
}

/// Sorted by package.
pub(super) static LIST: LazyLock<Vec<Reviewed>> = LazyLock::new(|| {
    let List { mut run, alike } = List::read();
    run.extend(alike.into_iter().flat_map(Alike::each));
    run.sort_by(|a, b| a.package.as_str().cmp(b.package.as_str()));
    run
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reviewed::release;

    #[test]
    fn the_list_is_sorted_and_says_why() {
        let List { run, .. } = List::read();
        assert!(run.is_sorted_by(|a, b| a.package.as_str() <= b.package.as_str()));
        for reviewed in LIST.iter() {
            assert!(reviewed.why.len() > 20, "{}", reviewed.package);
            // What follows `+` would never be equal.
            assert!(
                (reviewed.versions.iter()).all(|version| release(version) == version.as_str()),
                "{}",
                reviewed.package
            );
        }
    }

    #[test]
    fn packages_that_are_alike_are_found_by_their_own_versions() {
        let run = |package: &str, version: &str| {
            crate::reviewed::run(&package.parse().unwrap(), &version.parse().unwrap(), |_| false)
                .map(|found| found.package.as_str())
        };
        assert_eq!(run("tree-sitter-bash", "0.25.1"), Some("tree-sitter-bash"));
        assert_eq!(run("tree-sitter-bash", "0.7.2"), None);
        assert_eq!(run("tree-sitter-yaml", "0.7.2"), Some("tree-sitter-yaml"));
        assert_eq!(run("zstd-sys", "2.1.2+zstd.1.5.7"), Some("zstd-sys"));
    }
}
