//! What trust starts from on this machine: a trust policy file, or a pinned TUF root and what was last verified from it.
//!
//! Owns telling the two apart and reading them under a limit. Both programs use it, the wrapper for each unit that was
//! fetched, so it neither verifies TUF metadata nor touches the network: `cargo sealift` does, and leaves a
//! [`TrustState`] in the local store. Must not know where the file is configured, or what is decided by it.

mod state;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sealift_policy::digest::Digest;
use sealift_policy::trust::TrustPolicy;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::config::Config;
#[cfg(test)]
pub(crate) use state::tests::state as state_for_tests;
pub use state::{FRESH, RoleState, STATE_FILE, TrustState};

/// Longest trust policy or root in bytes.
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
    /// A TUF root from which no policy was verified yet.
    #[error("no trust policy was fetched yet for the TUF root `{0}`")]
    NotFetched(PathBuf),
    /// What was verified is not to be believed any longer.
    #[error("the TUF metadata of the trust policy has expired: {role}, {ago} seconds ago")]
    Expired {
        /// The role that expired first.
        role: &'static str,
        /// How long ago.
        ago: u64,
    },
    /// It was verified at a time that has not come yet.
    #[error("the clock is {0} seconds behind the time at which the trust policy was verified")]
    ClockWentBack(u64),
}

impl NoTrustRoot {
    /// Whether there is a trust root, and only its time is over.
    pub fn is_expiry(&self) -> bool {
        matches!(self, Self::Expired { .. } | Self::ClockWentBack(_))
    }
}

/// What trust starts from.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one, and nothing holds many")]
pub enum TrustRoot {
    /// A trust policy, as whoever set Sealift up wrote it.
    Policy(TrustPolicy),
    /// A TUF root, whose repository distributes the policy.
    Tuf(PinnedRoot),
}

/// A TUF root as it was pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedRoot {
    path: PathBuf,
    bytes: Vec<u8>,
    digest: Digest,
}

impl PinnedRoot {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The SHA-256 of its content.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// What both kinds of file may have at their top: TUF metadata has `signed`, a trust policy never has.
#[derive(Deserialize)]
struct Shape {
    signed: Option<IgnoredAny>,
}

/// Reads what is configured.
pub fn read(path: Option<&Path>) -> Result<TrustRoot, NoTrustRoot> {
    let path = path.ok_or(NoTrustRoot::NotConfigured)?;
    let mut bytes = Vec::with_capacity(8 << 10);
    let file = fs_err::File::open(path).map_err(NoTrustRoot::Unreadable)?;
    file.take(MAX_POLICY)
        .read_to_end(&mut bytes)
        .map_err(NoTrustRoot::Unreadable)?;
    parse(path, bytes)
}

/// Reads these bytes of the file at `path`.
pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<TrustRoot, NoTrustRoot> {
    let malformed = |source| NoTrustRoot::Malformed {
        path: path.to_owned(),
        source,
    };
    if serde_json::from_slice(&bytes).is_ok_and(|shape: Shape| shape.signed.is_some()) {
        return Ok(TrustRoot::Tuf(PinnedRoot {
            path: path.to_owned(),
            digest: Digest::of(&bytes),
            bytes,
        }));
    }
    serde_json::from_slice(&bytes).map(TrustRoot::Policy).map_err(malformed)
}

/// The policy of now, in seconds since 1970.
pub fn load(config: &Config, now: i64) -> Result<TrustPolicy, NoTrustRoot> {
    load_with_age(config, now).map(|(policy, _)| policy)
}

/// The same, and whether it is time to look for a newer one.
pub fn load_with_age(config: &Config, now: i64) -> Result<(TrustPolicy, bool), NoTrustRoot> {
    match read(config.trust_policy.as_deref())? {
        TrustRoot::Policy(policy) => Ok((policy, false)),
        TrustRoot::Tuf(root) => {
            let state = config.store().and_then(|store| TrustState::read(store, &root));
            let state = state.ok_or_else(|| NoTrustRoot::NotFetched(root.path.clone()))?;
            state.check(now)?;
            let is_due = state.is_due(now);
            Ok((state.policy, is_due))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{self, Env};

    #[test]
    fn a_missing_unreadable_or_malformed_policy_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trust-policy.json");
        assert!(matches!(read(None), Err(NoTrustRoot::NotConfigured)));
        assert!(matches!(read(Some(&path)), Err(NoTrustRoot::Unreadable(_))));
        assert!(matches!(read(Some(folder.path())), Err(NoTrustRoot::Unreadable(_))));
        for text in ["", "{}", "[1", r#"{"version":2}"#, r#"{"signed":null}"#, "[]", "1"] {
            fs_err::write(&path, text).unwrap();
            assert!(
                matches!(read(Some(&path)), Err(NoTrustRoot::Malformed { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_tuf_root_counts_by_what_was_verified_from_this_very_file() {
        let folder = tempfile::tempdir().unwrap();
        let pinned = folder.path().join("root.json");
        let config = Config::from_env(&Env::made_up([
            (env::STORE, folder.path().join("store").as_os_str()),
            (env::TRUST_ROOT, pinned.as_os_str()),
        ]));
        fs_err::write(&pinned, r#"{"signed":{},"signatures":[]}"#).unwrap();
        assert!(matches!(load(&config, 100), Err(NoTrustRoot::NotFetched(_))));
        let TrustRoot::Tuf(root) = read(Some(&pinned)).unwrap() else {
            panic!("a TUF root")
        };
        state::tests::state(root.digest())
            .write(config.store().unwrap())
            .unwrap();
        assert!(load(&config, 100).is_ok());
        // Another root, although the same state lies beside it.
        fs_err::write(&pinned, r#"{"signed":{"other":1},"signatures":[]}"#).unwrap();
        assert!(matches!(load(&config, 100), Err(NoTrustRoot::NotFetched(_))));
    }
}
