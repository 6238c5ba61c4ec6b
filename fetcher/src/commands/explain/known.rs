//! What the local store knows of units that could explain a miss: key documents, dependencies, the closest unit.
//!
//! Owns which known unit comes closest. Must not know what a difference means to people.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::local::{self, UnitEvent};
use sealift_policy::wire::PlanHint;
use serde_json::Value;

use super::difference::{Difference, differences};
use crate::store::Store;
use sealift_policy::cause::Cause;

/// What is known.
#[derive(Debug)]
pub(super) struct Known<'a> {
    store: &'a Store,
    /// Units of this very build: they explain nothing.
    built: BTreeSet<UnitKey>,
    /// Units that the public store named for some plan; found out when it matters.
    named: OnceCell<BTreeSet<UnitKey>>,
}

/// A known unit and where another one differs from it.
#[derive(Debug)]
pub(super) struct Closest {
    pub(super) unit_key: UnitKey,
    pub(super) differs: Vec<Difference>,
}

impl<'a> Known<'a> {
    /// What a store knows, apart from what a build added.
    pub(super) fn of(store: &'a Store, built: BTreeSet<UnitKey>) -> Self {
        Self {
            store,
            built,
            named: OnceCell::new(),
        }
    }

    /// Whether the public store ever named a unit.
    pub(super) fn is_published(&self, key: UnitKey) -> bool {
        let named = self.named.get_or_init(|| {
            let hints = fs_err::read_dir(self.store.path("plans")).into_iter().flatten();
            let hints = hints.filter_map(|entry| serde_json::from_slice(&fs_err::read(entry.ok()?.path()).ok()?).ok());
            hints.flat_map(|hint: PlanHint| hint.unit_keys).collect()
        });
        named.contains(&key)
    }

    /// The key document of a unit.
    pub(super) fn document(&self, key: UnitKey) -> Option<Value> {
        self.store.read(&local::key_path(key))
    }

    /// The unit behind the content of an `--extern`.
    pub(super) fn unit_of(&self, content: &Value) -> Option<UnitKey> {
        let digest = |role: &str| content.get(role)?.as_str()?.parse::<Digest>().ok();
        let library = || digest("rmeta").or_else(|| digest("rlib"));
        let unit = content.get("proc-macro").or_else(|| content.get("baked"));
        match unit.and_then(Value::as_str) {
            Some(key) => key.parse().ok(),
            None => self.store.output(library()?).map(|record| record.unit_key),
        }
    }

    /// The `--extern`s of a unit: name and unit.
    pub(super) fn dependencies(&self, document: &Value) -> Vec<(String, UnitKey)> {
        let externs = document.get("externs").and_then(Value::as_array);
        let dependency = |dependency: &Value| {
            let name = dependency.get("name")?.as_str()?.to_owned();
            Some((name, self.unit_of(dependency.get("content")?)?))
        };
        externs.into_iter().flatten().filter_map(dependency).collect()
    }

    /// Among the units that are known of the same version of the package, and of the same crate of it, the one with the
    /// fewest differences; differences of dependencies count only between equals, since they follow from others.
    pub(super) fn closest(&self, here: &Value) -> Option<Closest> {
        let package = here.get("package")?;
        let part = |name: &str| package.get(name)?.as_str();
        let (name, version) = (part("name")?.parse().ok()?, part("version")?.parse().ok()?);
        let folder = self.store.path(&local::package_path(&name, &version));
        let keys = fs_err::read_dir(folder)
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<UnitKey>().ok());
        keys.filter(|key| !self.built.contains(key))
            .filter_map(|unit_key| {
                let known = self.document(unit_key)?;
                let same = |field: &str| known.get(field) == here.get(field);
                (same("crate_name") && same("crate_type")).then(|| Closest {
                    unit_key,
                    differs: differences(&known, here),
                })
            })
            .filter(|closest| !closest.differs.is_empty())
            .min_by_key(|closest| {
                let own = closest
                    .differs
                    .iter()
                    .filter(|found| found.cause != Cause::Dependency)
                    .count();
                (own, closest.differs.len(), closest.unit_key)
            })
    }

    /// The other versions of a package of which a unit is known.
    pub(super) fn other_versions(&self, unit: &UnitEvent) -> Vec<String> {
        let (Some(name), Some(version)) = (&unit.package, &unit.package_version) else {
            return vec![];
        };
        let Ok(entries) = fs_err::read_dir(self.store.path("by-package")) else {
            return vec![];
        };
        let mut versions: Vec<_> = entries
            .filter_map(|entry| {
                let folder = entry.ok()?.file_name().into_string().ok()?;
                let other = folder.strip_prefix(name.as_str())?.strip_prefix('-')?;
                // `serde-json-1.0` is no version of `serde`.
                let is_version = other.starts_with(|c: char| c.is_ascii_digit()) && other != version;
                is_version.then(|| other.to_owned())
            })
            .collect();
        versions.sort();
        versions
    }
}
