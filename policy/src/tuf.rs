//! What Sealift's TUF repository contains: the names of its files, their limits, and the list of revocations.
//!
//! Owns [`TufFile`], the one spelling of each name (<https://theupdateframework.github.io/specification/v1.0.33/>,
//! consistent snapshots), and how a list of revocations joins a trust policy. Must not know how metadata is signed or
//! verified: that is crate `tough`'s, in the programs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::provenance::TrustedRoot;
use crate::trust::{Revocations, TrustPolicy};

/// The longest metadata file in bytes. Ours have some kilobytes.
pub const MAX_METADATA: u64 = 1 << 20;

/// The longest target in bytes.
pub const MAX_TARGET: u64 = 16 << 20;

/// The most versions of the root that are followed at once.
pub const MAX_ROOT_UPDATES: u64 = 256;

/// The only major version of the TUF specification that is understood.
pub const SPEC_MAJOR: &str = "1";

/// The version of the TUF specification that is written.
pub const SPEC_VERSION: &str = "1.0.31";

/// What the repository distributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetFile {
    /// Who is believed: a [`crate::trust::TrustPolicy`].
    TrustPolicy,
    /// What is not believed any more: a [`RevocationList`].
    Revocations,
    /// What is believed of a Sigstore instance: a [`crate::provenance::TrustedRoot`].
    TrustedRoot,
}

impl TargetFile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::TrustPolicy, Self::Revocations, Self::TrustedRoot];

    /// Its name as a TUF target.
    pub fn name(self) -> &'static str {
        match self {
            Self::TrustPolicy => "trust-policy.json",
            Self::Revocations => "revocations.json",
            Self::TrustedRoot => "trusted_root.json",
        }
    }
}

/// The policy with all that the repository distributes beside it.
pub fn joined(policy: TrustPolicy, root: Option<TrustedRoot>, revoked: Option<RevocationList>) -> TrustPolicy {
    let policy = match root {
        Some(root) => policy.trusting(root),
        None => policy,
    };
    match revoked {
        Some(list) => policy.revoking(list.revoked()),
        None => policy,
    }
}

/// A file of the repository. Displays as its path below the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TufFile {
    /// A version of the root. Never changes.
    Root(u64),
    /// The newest timestamp. Changes.
    Timestamp,
    /// A version of the snapshot. Never changes.
    Snapshot(u64),
    /// A version of the list of targets. Never changes.
    Targets(u64),
    /// A target by the SHA-256 of its content. Never changes.
    Target(Digest, TargetFile),
}

impl TufFile {
    /// Whether the file, once there, never changes.
    pub fn is_immutable(self) -> bool {
        self != Self::Timestamp
    }

    /// The most bytes that it may have.
    pub fn limit(self) -> u64 {
        match self {
            Self::Target(..) => MAX_TARGET,
            _ => MAX_METADATA,
        }
    }
}

impl fmt::Display for TufFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(version) => write!(f, "metadata/{version}.root.json"),
            Self::Timestamp => f.write_str("metadata/timestamp.json"),
            Self::Snapshot(version) => write!(f, "metadata/{version}.snapshot.json"),
            Self::Targets(version) => write!(f, "metadata/{version}.targets.json"),
            Self::Target(digest, target) => write!(f, "targets/{digest}.{}", target.name()),
        }
    }
}

/// The text names no file of the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a file of the TUF repository")]
pub struct NotATufFile;

impl FromStr for TufFile {
    type Err = NotATufFile;

    fn from_str(text: &str) -> Result<Self, NotATufFile> {
        let file = read(text).ok_or(NotATufFile)?;
        // Every file has one spelling.
        if file.to_string() == text {
            Ok(file)
        } else {
            Err(NotATufFile)
        }
    }
}

fn read(text: &str) -> Option<TufFile> {
    if let Some(target) = text.strip_prefix("targets/") {
        let (digest, name) = target.split_once('.')?;
        let target = TargetFile::ALL.into_iter().find(|target| target.name() == name)?;
        return Some(TufFile::Target(digest.parse().ok()?, target));
    }
    let metadata = text.strip_prefix("metadata/")?;
    if metadata == "timestamp.json" {
        return Some(TufFile::Timestamp);
    }
    let (version, role) = metadata.split_once('.')?;
    let version = version.parse().ok().filter(|version| *version > 0)?;
    match role {
        "root.json" => Some(TufFile::Root(version)),
        "snapshot.json" => Some(TufFile::Snapshot(version)),
        "targets.json" => Some(TufFile::Targets(version)),
        _ => None,
    }
}

/// What is not believed any more, as it is published beside the trust policy: a JSON document, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RevocationDocument", into = "RevocationDocument")]
pub struct RevocationList {
    revoked: Revocations,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevocationDocument {
    version: u32,
    revoked: Revocations,
}

/// A version of the list that this program does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("revocation list version {0} is not known")]
pub struct UnknownVersion(u32);

impl RevocationList {
    /// A list of these.
    pub fn new(revoked: Revocations) -> Self {
        Self { revoked }
    }

    /// What it revokes.
    pub fn revoked(&self) -> &Revocations {
        &self.revoked
    }
}

impl TryFrom<RevocationDocument> for RevocationList {
    type Error = UnknownVersion;

    fn try_from(document: RevocationDocument) -> Result<Self, UnknownVersion> {
        match document.version {
            1 => Ok(Self::new(document.revoked)),
            other => Err(UnknownVersion(other)),
        }
    }
}

impl From<RevocationList> for RevocationDocument {
    fn from(list: RevocationList) -> Self {
        Self {
            version: 1,
            revoked: list.revoked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_one_spelling_and_nothing_else_is_one() {
        let digest = Digest::of(b"");
        let target = |target| TufFile::Target(digest, target);
        for file in [
            TufFile::Root(1),
            TufFile::Timestamp,
            TufFile::Snapshot(12),
            TufFile::Targets(u64::MAX),
            target(TargetFile::TrustPolicy),
            target(TargetFile::Revocations),
            target(TargetFile::TrustedRoot),
        ] {
            assert_eq!(file.to_string().parse(), Ok(file));
        }
        for text in [
            "",
            "metadata/root.json",
            "metadata/0.root.json",
            "metadata/01.root.json",
            "metadata/+1.root.json",
            "metadata/18446744073709551616.root.json",
            "metadata/1.timestamp.json",
            "metadata/1.delegated.json",
            "metadata/../metadata/timestamp.json",
            "targets/trust-policy.json",
            &format!("targets/{digest}.other.json"),
            &format!("targets/{}.trust-policy.json", digest.to_string().to_uppercase()),
            &format!("targets/{digest}.../trust-policy.json"),
        ] {
            assert_eq!(text.parse::<TufFile>(), Err(NotATufFile), "{text}");
        }
    }

    #[test]
    fn the_list_of_revocations_is_a_versioned_document() {
        let text = r#"{"version":1,"revoked":{"leaves":[],"unit_keys":[],"crates":[{"name":"syn","version":"2.0.1"}],"ranges":[],"toolchains":[]}}"#;
        let list: RevocationList = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&list).unwrap(), text);
        assert_eq!(list.revoked().crates.len(), 1);
        for other in [
            "{}",
            r#"{"version":2,"revoked":{}}"#,
            r#"{"version":1}"#,
            r#"{"version":1,"revoked":{"crate":[]}}"#,
        ] {
            assert!(serde_json::from_str::<RevocationList>(other).is_err(), "{other}");
        }
    }
}
