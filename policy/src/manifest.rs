//! The manifest: what a unit produced, the same bytes from every honest operator.
//!
//! Owns the format and its validation; a [`Manifest`] that exists has safe output names.
//! Must not know where outputs lie, who vouches for them, or how long they took to compile
//! (compile times differ from machine to machine and travel in unsigned hints).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::canonical::{self, NotCanonical};
use crate::digest::{Digest, UnitKey};

/// Longest manifest, in bytes of canonical JSON.
pub const MAX_MANIFEST: usize = 4 << 20;

/// Largest output, in bytes.
pub const MAX_OUTPUT: u64 = 4 << 30;

/// What one unit produced. Version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What compiled native code in it, such as `gcc (Debian 12.2.0-14) 12.2.0`, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Lines that rustc printed about the unit's own code, as JSON, with remapped paths.
    pub diagnostics: Vec<String>,
    /// What the unit read from the environment, as rustc's dep-info lists it.
    pub env_deps: Vec<EnvDep>,
    /// The newest glibc symbol version that a linked output needs, such as `2.34`; of objects that are not linked yet the
    /// version that they were compiled for.
    pub glibc: Option<String>,
    /// The files, at most one of each role, in the order of the roles.
    pub outputs: Vec<Output>,
    /// The files that rustc read, in its order, for the dep-info that cargo reads.
    pub sources: Vec<Source>,
    /// The unit.
    pub unit_key: UnitKey,
    /// Always 1.
    pub version: u32,
}

/// One file that a unit produced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The canonical file name (see [`Role::file_name`]).
    pub name: String,
    /// What the file is.
    pub role: Role,
    /// SHA-256 of its content.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// What an output is. A unit has at most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// `lib<crate>-<key>.rmeta`.
    Rmeta,
    /// `lib<crate>-<key>.rlib`. Stored compressed with the rmeta as prefix.
    Rlib,
    /// `lib<crate>-<key>.so`, loaded by rustc on the build host.
    ProcMacro,
    /// `<crate>-<key>`, a build script run by cargo on the build host.
    BuildScript,
    /// `<crate>-<key>.stdout`, what a build script printed, with canonical paths.
    Stdout,
    /// `<crate>-<key>.tar`, what a build script left in `OUT_DIR`: a tar archive (POSIX ustar with GNU long names) of
    /// regular files, sorted by name, with owner, group and times 0.
    OutDir,
}

/// One variable that the unit read, and what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvDep {
    /// The variable's name.
    pub name: String,
    /// Its value with remapped paths; `None` when it was unset, which is not the same as empty.
    pub value: Option<String>,
}

/// One file that rustc read, relative to a root that every machine has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The file, relative, with `/` and without `..`.
    pub path: String,
    /// What it is relative to.
    pub root: SourceRoot,
}

/// The roots below which a published unit may read files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceRoot {
    /// The unpacked package.
    Package,
    /// The build script's `OUT_DIR`.
    OutDir,
}

/// Why bytes are not a manifest.
#[derive(Debug, thiserror::Error)]
pub enum MalformedManifest {
    /// Not canonical JSON of the right shape.
    #[error("malformed manifest")]
    NotCanonical(#[from] NotCanonical),
    /// A version that this program does not know.
    #[error("manifest version {0} is not known")]
    Version(u32),
    /// An output that is not what its role is called, is there twice, out of order or too large.
    #[error("unexpected output `{0}`")]
    Output(String),
    /// A source path that leaves its root.
    #[error("unexpected source path `{0}`")]
    Source(String),
    /// A glibc version that is not `<major>.<minor>`.
    #[error("malformed glibc version `{0}`")]
    Glibc(String),
}

impl Role {
    /// The one canonical name of an output: what the canonical call gives it.
    pub fn file_name(self, crate_name: &str, key: UnitKey) -> String {
        let key = key.short();
        match self {
            Self::Rmeta => format!("lib{crate_name}-{key}.rmeta"),
            Self::Rlib => format!("lib{crate_name}-{key}.rlib"),
            Self::ProcMacro => format!("lib{crate_name}-{key}.so"),
            Self::BuildScript => format!("{crate_name}-{key}"),
            Self::Stdout => format!("{crate_name}-{key}.stdout"),
            Self::OutDir => format!("{crate_name}-{key}.tar"),
        }
    }

    /// Whether the file itself is run or loaded on the build host.
    pub fn is_host_code(self) -> bool {
        matches!(self, Self::ProcMacro | Self::BuildScript)
    }
}

impl Manifest {
    /// The bytes that are hashed, stored and logged.
    pub fn to_canonical(&self) -> String {
        canonical::to_string(self)
    }

    /// Reads a manifest from its canonical bytes and checks everything that does not need another document.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, MalformedManifest> {
        let manifest: Self = canonical::from_bytes(bytes, MAX_MANIFEST)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The output of this role.
    pub fn output(&self, role: Role) -> Option<&Output> {
        self.outputs.iter().find(|output| output.role == role)
    }

    /// The crate name that the outputs' names speak of; `None` for a manifest without outputs.
    pub fn crate_name(&self) -> Option<&str> {
        let output = self.outputs.first()?;
        output.crate_name(self.unit_key)
    }

    fn check(&self) -> Result<(), MalformedManifest> {
        if self.version != 1 {
            return Err(MalformedManifest::Version(self.version));
        }
        let mut crates = BTreeSet::new();
        let mut last_role = None;
        for output in &self.outputs {
            let malformed =
                || MalformedManifest::Output(output.name.chars().take(80).flat_map(char::escape_default).collect());
            let crate_name = output.crate_name(self.unit_key).ok_or_else(malformed)?;
            crates.insert(crate_name);
            if last_role >= Some(output.role) || output.size > MAX_OUTPUT || crates.len() > 1 {
                return Err(malformed());
            }
            last_role = Some(output.role);
        }
        for source in &self.sources {
            if !is_plain_relative(&source.path) {
                return Err(MalformedManifest::Source(
                    source.path.chars().take(80).flat_map(char::escape_default).collect(),
                ));
            }
        }
        match &self.glibc {
            Some(version) if glibc_version(version).is_none() => {
                Err(MalformedManifest::Glibc(version.chars().take(20).collect()))
            }
            _ => Ok(()),
        }
    }
}

impl Output {
    /// The crate name inside the file name, when the name is exactly what the role asks for.
    fn crate_name(&self, key: UnitKey) -> Option<&str> {
        let (prefix, extension) = match self.role {
            Role::Rmeta => ("lib", ".rmeta"),
            Role::Rlib => ("lib", ".rlib"),
            Role::ProcMacro => ("lib", ".so"),
            Role::BuildScript => ("", ""),
            Role::Stdout => ("", ".stdout"),
            Role::OutDir => ("", ".tar"),
        };
        let stem = self.name.strip_prefix(prefix)?.strip_suffix(extension)?;
        let crate_name = stem.strip_suffix(&key.short())?.strip_suffix('-')?;
        let valid = (1..=128).contains(&crate_name.len())
            && crate_name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !crate_name.starts_with(|c: char| c.is_ascii_digit());
        valid.then_some(crate_name)
    }
}

/// Parses `<major>.<minor>` of a glibc version, for comparison.
pub fn glibc_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    let digits = |part: &str| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(major) || !digits(minor) {
        return None;
    }
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn is_plain_relative(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= 4096
        && !path.contains(['\\', '\0', '\n', '\r'])
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let unit_key = UnitKey::new(Digest::of(b"key"));
        let output = |role: Role| Output {
            name: role.file_name("memchr", unit_key),
            role,
            sha256: Digest::of(b"x"),
            size: 1,
        };
        Manifest {
            baseline: None,
            diagnostics: vec![],
            env_deps: vec![EnvDep {
                name: "CARGO_PKG_VERSION".into(),
                value: Some("2.7.4".into()),
            }],
            glibc: None,
            outputs: vec![output(Role::Rmeta), output(Role::Rlib)],
            sources: vec![Source {
                path: "src/lib.rs".into(),
                root: SourceRoot::Package,
            }],
            unit_key,
            version: 1,
        }
    }

    #[test]
    fn a_manifest_keeps_its_golden_form() {
        insta::assert_snapshot!(manifest().to_canonical(), @r#"{"diagnostics":[],"env_deps":[{"name":"CARGO_PKG_VERSION","value":"2.7.4"}],"glibc":null,"outputs":[{"name":"libmemchr-2c70e12b7a0646f9.rmeta","role":"rmeta","sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","size":1},{"name":"libmemchr-2c70e12b7a0646f9.rlib","role":"rlib","sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","size":1}],"sources":[{"path":"src/lib.rs","root":"package"}],"unit_key":"2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683","version":1}"#);
        let text = manifest().to_canonical();
        assert_eq!(Manifest::from_canonical(text.as_bytes()).unwrap(), manifest());
    }

    #[test]
    fn output_names_other_than_the_canonical_one_are_refused() {
        let good = manifest().outputs[0].name.clone();
        for name in [
            "../x",
            "/etc/passwd",
            "a\\b",
            "a\0b",
            "con",
            "",
            "libmemchr.rmeta",
            "libMEMCHR-0.rmeta",
            &good.replace("memchr", "mem/chr"),
            &good.replace("memchr", ".."),
        ] {
            let mut manifest = manifest();
            manifest.outputs[0].name = name.to_owned();
            let refused = Manifest::from_canonical(manifest.to_canonical().as_bytes());
            assert!(matches!(refused, Err(MalformedManifest::Output(_))), "{name}");
        }
    }

    #[test]
    fn an_output_twice_or_of_another_crate_is_refused() {
        let mut twice = manifest();
        twice.outputs[1] = twice.outputs[0].clone();
        assert!(Manifest::from_canonical(twice.to_canonical().as_bytes()).is_err());
        let mut other = manifest();
        other.outputs[1].name = other.outputs[1].name.replace("memchr", "Memchr");
        assert!(Manifest::from_canonical(other.to_canonical().as_bytes()).is_err());
    }

    #[test]
    fn an_output_larger_than_any_is_refused() {
        let mut manifest = manifest();
        manifest.outputs[1].size = MAX_OUTPUT;
        assert!(Manifest::from_canonical(manifest.to_canonical().as_bytes()).is_ok());
        manifest.outputs[1].size += 1;
        let refused = Manifest::from_canonical(manifest.to_canonical().as_bytes());
        assert!(matches!(refused, Err(MalformedManifest::Output(_))));
    }

    #[test]
    fn sources_that_leave_their_root_are_refused() {
        // A line break would be a line of its own in what cargo reads.
        for path in [
            "../x", "/x", "a/../b", "a//b", "", "a\\b", "./a", "a\nb", "a\rb", "a\0b",
        ] {
            let mut manifest = manifest();
            manifest.sources[0].path = path.into();
            assert!(
                Manifest::from_canonical(manifest.to_canonical().as_bytes()).is_err(),
                "{path}"
            );
        }
    }

    #[test]
    fn unknown_versions_and_fields_are_refused() {
        let text = manifest().to_canonical();
        assert!(Manifest::from_canonical(text.replace(r#""version":1}"#, r#""version":2}"#).as_bytes()).is_err());
        assert!(Manifest::from_canonical(text.replace(r#""version":1}"#, r#""version":1,"x":1}"#).as_bytes()).is_err());
    }

    // Two spellings of one manifest would be two digests, two leaves, and honest operators that seem to disagree.
    #[test]
    fn an_absent_baseline_that_is_spelt_out_and_a_null_that_is_left_out_are_refused() {
        let text = manifest().to_canonical();
        for wrong in [
            text.replace("{\"diagnostics\"", "{\"baseline\":null,\"diagnostics\""),
            text.replace("\"glibc\":null,", ""),
        ] {
            assert_ne!(wrong, text);
            let refused = Manifest::from_canonical(wrong.as_bytes());
            assert!(matches!(refused, Err(MalformedManifest::NotCanonical(_))), "{wrong}");
        }
    }
}
