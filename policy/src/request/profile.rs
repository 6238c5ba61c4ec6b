//! Profile tables: what of `[profile.*]` reaches the compilation of dependencies.
//!
//! Owns which settings are known, how `inherits` is resolved, and the table that a generated project gets.
//! Must not know where manifests and configuration files lie.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::RequestedPackage;

/// What cargo is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileKind {
    /// `cargo check`.
    Check,
    /// `cargo build`.
    Dev,
    /// `cargo build --release`.
    Release,
}

/// The settings of one profile, resolved to what cargo calls `dev` or `release`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileTable {
    /// For everything.
    #[serde(default)]
    pub settings: Settings,
    /// For proc macros, build scripts and their dependencies.
    #[serde(default)]
    pub build_override: Settings,
    /// For single packages, by cargo's package id specification (`name`, `name@version`) or `*`.
    #[serde(default)]
    pub package: BTreeMap<PackageSpec, Settings>,
}

/// Settings by their names in `Cargo.toml`. Holds no name and no value that cargo would not take.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<String, serde_json::Value>",
    into = "BTreeMap<String, serde_json::Value>"
)]
pub struct Settings(BTreeMap<String, Value>);

/// Which packages an override is for: `*`, `name` or `name@version`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageSpec(String);

/// Why a profile cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedProfile {
    /// A profile that inherits from one that does not exist, or in a circle.
    #[error("profile `{0}` inherits from no known profile")]
    Inherits(String),
    /// Not a profile's name.
    #[error("`{0}` is not one of `check`, `dev` and `release`")]
    Name(String),
    /// A setting that is unknown or has a value that it cannot have.
    #[error("profile setting `{0}` is not known, or has a value that it cannot have")]
    Setting(String),
    /// A package specification that is none.
    #[error("`{0}` is not `*`, `<name>` or `<name>@<version>`")]
    Spec(String),
}

/// What `[profile.*]` may set for dependencies. Whatever else is there is about the project's own crates, or unstable.
const SETTINGS: [&str; 10] = [
    "codegen-units",
    "debug",
    "debug-assertions",
    "lto",
    "opt-level",
    "overflow-checks",
    "panic",
    "rpath",
    "split-debuginfo",
    "strip",
];

/// Cargo allows a profile to inherit from any other; a chain longer than this is a circle.
const MAX_INHERITANCE: usize = 32;

impl ProfileKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Check, Self::Dev, Self::Release];

    /// Name of the `[profile.*]` table that applies.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Check | Self::Dev => "dev",
            Self::Release => "release",
        }
    }

    /// Arguments of cargo.
    pub const fn cargo_args(self) -> &'static [&'static str] {
        match self {
            Self::Check => &["check"],
            Self::Dev => &["build"],
            Self::Release => &["build", "--release"],
        }
    }
}

impl FromStr for ProfileKind {
    type Err = MalformedProfile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "check" => Ok(Self::Check),
            "dev" => Ok(Self::Dev),
            "release" => Ok(Self::Release),
            _ => Err(MalformedProfile::Name(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for ProfileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Check => "check",
            Self::Dev => "dev",
            Self::Release => "release",
        })
    }
}

/// Reads the profile `name` of a manifest, and of configuration files that overrule it, the last most.
///
/// Returns whether it comes down to `dev` or `release`, with all that it inherits. Settings that do not concern
/// dependencies are left out, and so are unknown ones.
///
/// # Errors
/// When the profile or one it inherits from does not exist.
pub fn resolve(documents: &[Table], name: &str) -> Result<(ProfileKind, ProfileTable), MalformedProfile> {
    let of = |name: &str| {
        let mut merged = Table::new();
        for document in documents {
            if let Some(Value::Table(table)) = document.get("profile").and_then(|profiles| profiles.get(name)) {
                merge(&mut merged, table);
            }
        }
        merged
    };
    let mut chain = Vec::new();
    let mut current = name.to_owned();
    let kind = loop {
        let table = of(&current);
        let parent = table.get("inherits").and_then(Value::as_str).map(str::to_owned);
        let is_defined = !table.is_empty();
        chain.push(table);
        match (current.as_str(), parent) {
            ("dev", _) => break ProfileKind::Dev,
            ("release", _) => break ProfileKind::Release,
            ("test", _) => current = "dev".to_owned(),
            ("bench", _) => current = "release".to_owned(),
            (_, Some(parent)) if is_defined && chain.len() < MAX_INHERITANCE => current = parent,
            _ => return Err(MalformedProfile::Inherits(name.chars().take(80).collect())),
        }
    };
    let mut merged = Table::new();
    for table in chain.iter().rev() {
        merge(&mut merged, table);
    }
    Ok((kind, ProfileTable::from_toml(&merged)))
}

/// Tables are merged, everything else is replaced.
fn merge(into: &mut Table, from: &Table) {
    for (name, value) in from {
        match (into.get_mut(name), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            _ => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}

impl ProfileTable {
    fn from_toml(table: &Table) -> Self {
        let section = |name: &str| table.get(name).and_then(Value::as_table);
        let package = section("package").into_iter().flatten().filter_map(|(spec, settings)| {
            Some((
                PackageSpec::try_from(spec.clone()).ok()?,
                Settings::from_toml(settings.as_table()?),
            ))
        });
        Self {
            settings: Settings::from_toml(table),
            build_override: section("build-override").map(Settings::from_toml).unwrap_or_default(),
            package: package.collect(),
        }
    }

    /// The table without overrides for packages that are not among these, such as the project's own.
    #[must_use]
    pub fn without_strangers(mut self, packages: &[RequestedPackage]) -> Self {
        self.package
            .retain(|spec, _| spec.0 == "*" || packages.iter().any(|package| spec.matches(package)));
        self
    }

    /// The table as it stands below `[profile.<name>]`.
    pub fn to_toml(&self) -> Table {
        let mut table = self.settings.0.clone().into_iter().collect::<Table>();
        if !self.build_override.0.is_empty() {
            table.insert(
                "build-override".into(),
                Value::Table(self.build_override.0.clone().into_iter().collect()),
            );
        }
        if !self.package.is_empty() {
            let package = self.package.iter();
            let package = package
                .map(|(spec, settings)| (spec.0.clone(), Value::Table(settings.0.clone().into_iter().collect())));
            table.insert("package".into(), Value::Table(package.collect()));
        }
        table
    }
}

impl Settings {
    fn from_toml(table: &Table) -> Self {
        Self(
            table
                .iter()
                .filter(|(name, value)| is_valid(name, value))
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect(),
        )
    }
}

fn is_valid(name: &str, value: &Value) -> bool {
    SETTINGS.contains(&name)
        && match value {
            Value::Boolean(_) => true,
            Value::Integer(number) => (0..=65_536).contains(number),
            Value::String(text) => {
                text.len() <= 40
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            }
            _ => false,
        }
}

impl TryFrom<BTreeMap<String, serde_json::Value>> for Settings {
    type Error = MalformedProfile;

    fn try_from(settings: BTreeMap<String, serde_json::Value>) -> Result<Self, Self::Error> {
        let mut checked = BTreeMap::new();
        for (name, value) in settings {
            let malformed =
                || MalformedProfile::Setting(name.chars().take(80).flat_map(char::escape_default).collect());
            let value = match value {
                serde_json::Value::Bool(value) => Value::Boolean(value),
                serde_json::Value::Number(number) => Value::Integer(number.as_i64().ok_or_else(malformed)?),
                serde_json::Value::String(text) => Value::String(text),
                _ => return Err(malformed()),
            };
            if !is_valid(&name, &value) {
                return Err(malformed());
            }
            checked.insert(name, value);
        }
        Ok(Self(checked))
    }
}

impl From<Settings> for BTreeMap<String, serde_json::Value> {
    fn from(settings: Settings) -> Self {
        let json = |value| match value {
            Value::Boolean(value) => serde_json::Value::Bool(value),
            Value::Integer(number) => number.into(),
            Value::String(text) => serde_json::Value::String(text),
            _ => unreachable!("settings are checked when they are made"),
        };
        settings
            .0
            .into_iter()
            .map(|(name, value)| (name, json(value)))
            .collect()
    }
}

impl PackageSpec {
    fn matches(&self, package: &RequestedPackage) -> bool {
        match self.0.split_once('@') {
            // A version may be given in part: `name@1.2`.
            Some((name, version)) => {
                name == package.name.as_str()
                    && package
                        .version
                        .as_str()
                        .strip_prefix(version)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '+']))
            }
            None => self.0 == package.name.as_str(),
        }
    }
}

impl TryFrom<String> for PackageSpec {
    type Error = MalformedProfile;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let malformed = || MalformedProfile::Spec(text.chars().take(80).flat_map(char::escape_default).collect());
        let normal = text.replacen(':', "@", 1);
        let (name, version) = normal
            .split_once('@')
            .map_or((normal.as_str(), None), |(n, v)| (n, Some(v)));
        let version_is_plain = version.is_none_or(|version| {
            version.starts_with(|c: char| c.is_ascii_digit())
                && version.len() <= 128
                && version
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b))
        });
        let name_is_plain = (name == "*" && version.is_none()) || name.parse::<crate::name::CrateName>().is_ok();
        if name_is_plain && version_is_plain {
            Ok(Self(normal))
        } else {
            Err(malformed())
        }
    }
}

impl From<PackageSpec> for String {
    fn from(spec: PackageSpec) -> Self {
        spec.0
    }
}

#[cfg(test)]
mod tests;
