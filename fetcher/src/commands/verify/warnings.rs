//! What others say against the packages that a target folder has from the local store: yanked, or with an advisory (RustSec).
//!
//! A warning, never a refusal: Sealift publishes what rustc makes of a package, whatever is said about it. Who wants a version
//! refused names it in the trust policy (`revoked.crates`).
//! Owns reading the advisory database (a local copy) and what cargo keeps of the registry's index. No network: both say what
//! they said when somebody last fetched them. Must not know how files were found.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustsec::database::Query;
use rustsec::{Collection, Database};
use sealift_policy::name::{CrateName, CrateVersion};
use serde::{Deserialize, Serialize};

/// A package, and how many files of the target folder are of it.
pub(super) type Packages = BTreeMap<(CrateName, CrateVersion), u64>;

/// What was found, and what could not be looked at.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Warnings {
    /// The advisory database that was read, if there was one.
    pub(super) advisories: Option<PathBuf>,
    /// What is said, by package.
    pub(super) found: Vec<Warning>,
    /// Packages of which cargo keeps no readable index entry: whether they were yanked is not known.
    pub(super) yanks_unknown: Vec<String>,
    /// Packages whose name or version no advisory can name: whether there is one is not known.
    pub(super) advisories_unknown: Vec<String>,
    /// Files of which it is not known what package they are of, since the local store has lost its key document.
    pub(super) files_of_nobody: u64,
    /// Why the database was not read that lies where `cargo audit` keeps it.
    pub(super) unread: Option<String>,
}

/// What is said against one package.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Warning {
    pub(super) package: CrateName,
    pub(super) version: CrateVersion,
    /// Files of the target folder.
    pub(super) files: u64,
    pub(super) warning: Said,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Said {
    /// Its author took it back.
    Yanked,
    /// There is an advisory about it.
    Advisory {
        id: String,
        title: String,
        /// Of one that is no vulnerability: `unmaintained`, `unsound`, `notice`.
        informational: Option<String>,
    },
}

/// Looks the packages up. Without a path of its own, the database is the one that `cargo audit` fetches, if it is there and
/// can be read; if not, the answer says so.
///
/// # Errors
/// If the database that was asked for cannot be read.
pub(super) fn look(
    packages: &Packages,
    advisories: Option<&Path>,
    cargo_home: Option<&Path>,
) -> anyhow::Result<Warnings> {
    let usual = cargo_home
        .map(|home| home.join("advisory-db"))
        .filter(|path| path.is_dir());
    let mut warnings = Warnings::default();
    let database = match (advisories, usual) {
        (Some(path), _) => Some((open(path)?, path.to_owned())),
        (None, None) => None,
        (None, Some(path)) => match open(&path) {
            Ok(database) => Some((database, path)),
            Err(error) => {
                warnings.unread = Some(format!("{error:#}"));
                None
            }
        },
    };
    let database = database.map(|(database, path)| {
        warnings.advisories = Some(path);
        database
    });
    for ((name, version), files) in packages {
        let yanked = cargo_home.and_then(|home| is_yanked(home, name, version));
        if yanked.is_none() {
            warnings.yanks_unknown.push(format!("{name}@{version}"));
        }
        let yanked = (yanked == Some(true)).then_some(Said::Yanked);
        let said = database.as_ref().map(|database| said_of(database, name, version));
        if matches!(said, Some(None)) {
            warnings.advisories_unknown.push(format!("{name}@{version}"));
        }
        let advisories = said.flatten().unwrap_or_default();
        warnings
            .found
            .extend(yanked.into_iter().chain(advisories).map(|warning| Warning {
                package: name.clone(),
                version: version.clone(),
                files: *files,
                warning,
            }));
    }
    Ok(warnings)
}

fn open(path: &Path) -> anyhow::Result<Database> {
    Database::open(path).with_context(|| {
        format!(
            "failed to read the advisory database `{}`\n  hint: a copy of RustSec's has a folder `crates`",
            path.display()
        )
    })
}

/// What the database says about one version; `None` if it cannot be asked. What was withdrawn is said no more.
fn said_of(database: &Database, name: &CrateName, version: &CrateVersion) -> Option<Vec<Said>> {
    let (name, version) = (name.as_str().parse().ok()?, version.as_str().parse().ok()?);
    let query = Query::new()
        .collection(Collection::Crates)
        .withdrawn(false)
        .package_name(name)
        .package_version(version);
    let found = database.query(&query).into_iter();
    let said = found.map(|advisory| Said::Advisory {
        id: advisory.metadata.id.to_string(),
        title: advisory.metadata.title.clone(),
        informational: advisory.metadata.informational.as_ref().map(ToString::to_string),
    });
    Some(said.collect())
}

/// Whether cargo's copy of the index says that a version was yanked; `None` if it says nothing.
///
/// The copy is one file for each package: a header, then for each version its number, a zero byte, the index's line about it
/// (JSON), and a zero byte. It is cargo's own and may change: what does not read like that says nothing.
fn is_yanked(cargo_home: &Path, name: &CrateName, version: &CrateVersion) -> Option<bool> {
    let registries = fs_err::read_dir(cargo_home.join("registry/index")).ok()?;
    let file = index_path(name);
    let said = registries.filter_map(|registry| {
        let bytes = fs_err::read(registry.ok()?.path().join(".cache").join(&file)).ok()?;
        let lines = bytes.split(|byte| *byte == 0).filter(|line| line.starts_with(b"{"));
        let mut lines = lines.filter_map(|line| serde_json::from_slice::<IndexLine>(line).ok());
        let line = lines.find(|line| line.name == name.as_str() && line.vers == version.as_str())?;
        Some(line.yanked)
    });
    // Of several registries, mirrors of each other, the one that warns counts.
    said.reduce(|one, other| one || other)
}

#[derive(Deserialize)]
struct IndexLine {
    name: String,
    vers: String,
    yanked: bool,
}

/// Where a registry's index keeps a package.
fn index_path(name: &CrateName) -> PathBuf {
    let name = name.as_str().to_lowercase();
    match name.len() {
        1 => Path::new("1").join(name),
        2 => Path::new("2").join(name),
        3 => Path::new("3").join(&name[..1]).join(name),
        _ => Path::new(&name[..2]).join(&name[2..4]).join(&name),
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            package,
            version,
            files,
            warning,
        } = self;
        let files = crate::report::shell::count(*files, "file");
        match warning {
            Said::Yanked => write!(f, "{package}@{version} ({files}) was yanked"),
            Said::Advisory {
                id,
                title,
                informational,
            } => {
                let kind = informational.as_deref().unwrap_or("vulnerable");
                write!(f, "{package}@{version} ({files}) is {kind}: {id}: {title}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let advisory = |id: &str, more: &str| {
            let crates = folder.path().join("crates/hurt");
            fs_err::create_dir_all(&crates).unwrap();
            let text = format!(
                "```toml\n[advisory]\nid = \"{id}\"\npackage = \"hurt\"\ndate = \"2024-01-01\"\n{more}\n\
                 [versions]\npatched = [\">= 1.2.0\"]\n```\n\n# It hurts\n\nVery much.\n"
            );
            fs_err::write(crates.join(format!("{id}.md")), text).unwrap();
        };
        advisory("RUSTSEC-2024-0001", "");
        advisory("RUSTSEC-2024-0002", "informational = \"unmaintained\"");
        advisory("RUSTSEC-2024-0003", "withdrawn = \"2024-02-01\"");
        folder
    }

    /// A home of cargo's that knows two versions of a package.
    fn home() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("registry/index/registry-0123/.cache/hu/rt");
        fs_err::create_dir_all(&cache).unwrap();
        let line = |version: &str, yanked: bool| {
            format!("{version}\0{{\"name\":\"hurt\",\"vers\":\"{version}\",\"deps\":[],\"yanked\":{yanked}}}\0")
        };
        let text = format!(
            "\u{3}\u{2}\0\0\0etag: x\0{}{}",
            line("1.0.0", true),
            line("1.2.0", false)
        );
        fs_err::write(cache.join("hurt"), text).unwrap();
        folder
    }

    fn packages(list: &[(&str, &str)]) -> Packages {
        let package = |(name, version): &(&str, &str)| ((name.parse().unwrap(), version.parse().unwrap()), 2);
        list.iter().map(package).collect()
    }

    #[test]
    fn t27_yanked_versions_and_advisories_are_said_and_nothing_is_dropped_in_silence() {
        let (database, home) = (database(), home());
        let packages = packages(&[("hurt", "1.0.0"), ("hurt", "1.2.0"), ("unheard-of", "1.0.0")]);
        let warnings = look(&packages, Some(database.path()), Some(home.path())).unwrap();
        let mut said: Vec<_> = warnings.found.iter().map(Warning::to_string).collect();
        said.sort();
        assert_eq!(
            said,
            [
                "hurt@1.0.0 (2 files) is unmaintained: RUSTSEC-2024-0002: It hurts",
                "hurt@1.0.0 (2 files) is vulnerable: RUSTSEC-2024-0001: It hurts",
                "hurt@1.0.0 (2 files) was yanked",
            ]
        );
        assert_eq!(warnings.yanks_unknown, ["unheard-of@1.0.0"]);
    }

    #[test]
    fn the_database_of_cargo_audit_is_found_and_none_is_none() {
        let (database, home) = (database(), home());
        let packages = packages(&[("hurt", "1.0.0")]);
        let without = look(&packages, None, Some(home.path())).unwrap();
        assert_eq!((without.advisories, without.found.len()), (None, 1));
        let usual = home.path().join("advisory-db");
        fs_err::rename(database.path(), &usual).unwrap();
        let with = look(&packages, None, Some(home.path())).unwrap();
        assert_eq!((with.advisories, with.found.len()), (Some(usual), 3));
        fs_err::create_dir_all(database.path()).unwrap();
    }

    #[test]
    fn a_database_that_nobody_asked_for_and_that_cannot_be_read_is_said_and_stops_nothing() {
        let home = home();
        fs_err::create_dir_all(home.path().join("advisory-db")).unwrap();
        let warnings = look(&packages(&[("hurt", "1.0.0")]), None, Some(home.path())).unwrap();
        assert!(warnings.unread.unwrap().contains("advisory-db"));
        assert_eq!((warnings.advisories, warnings.found.len()), (None, 1));
    }

    #[test]
    fn a_database_that_cannot_be_read_is_an_error() {
        let empty = tempfile::tempdir().unwrap();
        assert!(look(&Packages::new(), Some(empty.path()), None).is_err());
        let damaged = database();
        fs_err::write(
            damaged.path().join("crates/hurt/RUSTSEC-2024-0001.md"),
            "```toml\n[advi",
        )
        .unwrap();
        assert!(look(&Packages::new(), Some(damaged.path()), None).is_err());
    }

    #[test]
    fn an_index_that_reads_otherwise_says_nothing() {
        let home = home();
        let cache = home.path().join("registry/index/registry-0123/.cache/hu/rt/hurt");
        for text in ["", "{}", "\u{4}{\"name\":\"hurt\"}", "1.0.0\0{\"vers\":\"1.0.0\"}"] {
            fs_err::write(&cache, text).unwrap();
            let warnings = look(&packages(&[("hurt", "1.0.0")]), None, Some(home.path())).unwrap();
            assert_eq!(warnings.yanks_unknown, ["hurt@1.0.0"], "{text}");
        }
    }

    #[test]
    fn an_index_keeps_packages_by_the_letters_of_their_names() {
        for (name, path) in [
            ("a", "1/a"),
            ("ab", "2/ab"),
            ("Abc", "3/a/abc"),
            ("serde", "se/rd/serde"),
        ] {
            assert_eq!(index_path(&name.parse().unwrap()), Path::new(path));
        }
    }
}
