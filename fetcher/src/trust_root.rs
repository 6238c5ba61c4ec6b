//! The trust policy on disk: what trust starts from on this machine.
//!
//! Owns reading it under a limit. Must not know where it is configured, or what is decided by it.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sealift_policy::trust::TrustPolicy;

/// Longest trust policy in bytes.
const MAX_POLICY: u64 = 16 << 20;

/// Why there is no trust policy. Without one nothing that was downloaded is believed.
#[derive(Debug, thiserror::Error)]
pub enum NoTrustRoot {
    /// None is configured.
    #[error("no trust policy is configured")]
    NotConfigured,
    /// The file cannot be read.
    #[error("failed to read the trust policy")]
    Unreadable(#[source] io::Error),
    /// The file is not a trust policy.
    #[error("`{path}` is not a trust policy")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads the policy that is configured.
pub fn load(path: Option<&Path>) -> Result<TrustPolicy, NoTrustRoot> {
    let path = path.ok_or(NoTrustRoot::NotConfigured)?;
    let mut bytes = Vec::new();
    let file = fs_err::File::open(path).map_err(NoTrustRoot::Unreadable)?;
    file.take(MAX_POLICY)
        .read_to_end(&mut bytes)
        .map_err(NoTrustRoot::Unreadable)?;
    parse(path, &bytes)
}

/// Reads a policy from these bytes of the file at `path`.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<TrustPolicy, NoTrustRoot> {
    serde_json::from_slice(bytes).map_err(|source| NoTrustRoot::Malformed {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_unreadable_or_malformed_policy_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trust-policy.json");
        assert!(matches!(load(None), Err(NoTrustRoot::NotConfigured)));
        assert!(matches!(load(Some(&path)), Err(NoTrustRoot::Unreadable(_))));
        assert!(matches!(load(Some(folder.path())), Err(NoTrustRoot::Unreadable(_))));
        for text in ["", "{}", "[1", r#"{"version":2}"#] {
            fs_err::write(&path, text).unwrap();
            assert!(
                matches!(load(Some(&path)), Err(NoTrustRoot::Malformed { .. })),
                "{text}"
            );
        }
    }
}
