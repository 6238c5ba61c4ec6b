//! Build scripts whose runs are shared: those of which a person found that everybody's run gives the same.
//!
//! Owns the list (`runs.toml`), which says of each package why, and under which circumstances not. A script that asks the
//! system for libraries, programs or the time is not on it. Must not know keys or what a run gave.

use std::sync::LazyLock;

use semver::{Version, VersionReq};
use serde::Deserialize;

use crate::name::{CrateName, CrateVersion};

/// What was found out about a package's build script.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reviewed {
    /// The package.
    package: CrateName,
    /// The versions that were looked at.
    versions: VersionReq,
    /// Why everybody's run gives the same, for people.
    pub why: String,
    /// Whether it runs the C compiler, so that what it gives depends on that.
    #[serde(default)]
    pub compiles_c: bool,
    /// With one of these features its runs are not shared.
    #[serde(default)]
    refused_features: Vec<String>,
    /// Without one of these features its runs are not shared.
    #[serde(default)]
    required_features: Vec<String>,
    /// Variables that it reads without saying so: when one is set its run is not shared.
    #[serde(default)]
    pub unset: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    run: Vec<Reviewed>,
}

/// Sorted by package.
static LIST: LazyLock<Vec<Reviewed>> = LazyLock::new(|| {
    let list: List = toml::from_str(include_str!("runs.toml")).expect("the list is read by a test");
    list.run
});

/// What was found out about a package with these features, if its runs are shared.
pub fn run(
    package: &CrateName,
    version: &CrateVersion,
    has_feature: impl Fn(&str) -> bool,
) -> Option<&'static Reviewed> {
    let start = LIST.partition_point(|reviewed| reviewed.package.as_str() < package.as_str());
    let mut of_package = LIST[start..].iter().take_while(|reviewed| reviewed.package == *package);
    let version = Version::parse(version.as_str()).ok()?;
    of_package.find(|reviewed| {
        reviewed.versions.matches(&version)
            && reviewed.required_features.iter().all(|feature| has_feature(feature))
            && !reviewed.refused_features.iter().any(|feature| has_feature(feature))
    })
}

/// The packages on the list, each with what was found out.
pub fn all() -> impl Iterator<Item = (&'static CrateName, &'static VersionReq, &'static Reviewed)> {
    LIST.iter()
        .map(|reviewed| (&reviewed.package, &reviewed.versions, reviewed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_says_why() {
        assert!(LIST.is_sorted_by(|a, b| a.package.as_str() <= b.package.as_str()));
        for reviewed in LIST.iter() {
            assert!(reviewed.why.len() > 20, "{}", reviewed.package);
        }
    }

    // S12
    #[test]
    fn scripts_that_ask_the_system_are_not_on_it() {
        for (package, version) in [
            ("openssl-sys", "0.9.109"),
            ("libz-sys", "1.1.22"),
            ("pkg-config", "0.3.32"),
        ] {
            assert!(
                run(&package.parse().unwrap(), &version.parse().unwrap(), |_| false).is_none(),
                "{package}"
            );
        }
    }
}
