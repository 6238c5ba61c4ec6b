//! What was last verified from a pinned TUF root, as `cargo sealift` leaves it for the wrapper.
//!
//! Owns the file `trust/<sha256 of the pinned root>/state.json` in the local store, version 1, and how long it counts. It
//! is as trustworthy as the store, which belongs to its user alone. Must not know how it was verified.

use std::io;
use std::path::Path;

use sealift_policy::digest::Digest;
use sealift_policy::local::{self, VERSION_DIR};
use sealift_policy::trust::TrustPolicy;
use serde::{Deserialize, Serialize};

use super::{NoTrustRoot, PinnedRoot};
use crate::store::Store;

/// Its name in the folder of the root.
pub const STATE_FILE: &str = "state.json";

/// What was verified at most so many seconds ago is not asked for again.
pub const FRESH: u64 = 3600;

/// The clock may have gone back by this many seconds since.
const TOLERANCE: u64 = 3600;

/// What was verified, and until when it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustState {
    /// Always 1.
    pub version: u32,
    /// The SHA-256 of the pinned root.
    pub pinned: Digest,
    /// When the repository was last followed, in seconds since 1970.
    pub updated: u64,
    /// The root that the pinned one led to.
    pub root: RoleState,
    /// The timestamp.
    pub timestamp: RoleState,
    /// The snapshot.
    pub snapshot: RoleState,
    /// The list of targets.
    pub targets: RoleState,
    /// The policy, with everything that the list of revocations revokes.
    pub policy: TrustPolicy,
}

/// Which version of a role's metadata, and until when it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleState {
    /// Its version.
    pub version: u64,
    /// Its expiry, in seconds since 1970.
    pub expires: i64,
}

impl TrustState {
    /// What was verified from this root. One that is damaged or of another root is as good as none.
    pub fn read(store: &Path, root: &PinnedRoot) -> Option<Self> {
        let folder = store.join(VERSION_DIR).join(local::trust_path(root.digest()));
        let bytes = fs_err::read(folder.join(STATE_FILE)).ok()?;
        let state: Self = serde_json::from_slice(&bytes).ok()?;
        (state.version == 1 && state.pinned == root.digest()).then_some(state)
    }

    /// Replaces it, whole.
    pub fn write(&self, store: &Path) -> io::Result<()> {
        let path = format!("{}/{STATE_FILE}", local::trust_path(self.pinned));
        let bytes = serde_json::to_vec(self).expect("states have string keys only");
        Store::open(store)?.write(&path, &bytes)
    }

    /// All roles, with their names.
    pub fn roles(&self) -> [(&'static str, RoleState); 4] {
        [
            ("root", self.root),
            ("timestamp", self.timestamp),
            ("snapshot", self.snapshot),
            ("targets", self.targets),
        ]
    }

    /// The role that expires first.
    pub fn earliest(&self) -> (&'static str, RoleState) {
        let earliest = self.roles().into_iter().min_by_key(|(_, role)| role.expires);
        earliest.expect("there are four")
    }

    /// Whether the repository has to be asked before anything more is downloaded.
    pub fn is_due(&self, now: i64) -> bool {
        self.check(now).is_err() || self.is_older_than(FRESH, now)
    }

    /// Whether it is that many seconds since the repository was asked; also where the clock says that it is to be asked.
    pub fn is_older_than(&self, seconds: u64, now: i64) -> bool {
        let age = u64::try_from(now).ok().and_then(|now| now.checked_sub(self.updated));
        age.is_none_or(|age| age > seconds)
    }

    /// Whether it counts at this time, in seconds since 1970.
    pub fn check(&self, now: i64) -> Result<(), NoTrustRoot> {
        let behind = self.updated.saturating_sub(u64::try_from(now).unwrap_or_default());
        if behind > TOLERANCE {
            return Err(NoTrustRoot::ClockWentBack(behind));
        }
        let (role, RoleState { expires, .. }) = self.earliest();
        if now >= expires {
            return Err(NoTrustRoot::Expired {
                role,
                ago: now.abs_diff(expires),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Verified at 100; the timestamp expires at 1000, everything else at 9000.
    pub(crate) fn state(pinned: Digest) -> TrustState {
        let role = |version, expires| RoleState { version, expires };
        let policy =
            r#"{"version":1,"operators":[],"quorum":{"host_code":2,"library":1},"max_checkpoint_age_seconds":1}"#;
        TrustState {
            version: 1,
            pinned,
            updated: 100,
            root: role(1, 9000),
            timestamp: role(4, 1000),
            snapshot: role(3, 9000),
            targets: role(2, 9000),
            policy: serde_json::from_str(policy).unwrap(),
        }
    }

    // N8
    #[test]
    fn a_state_counts_until_its_first_expiry_and_not_before_it_was_made() {
        let state = state(Digest::of(b"root"));
        assert!(state.check(100).is_ok() && state.check(999).is_ok());
        for late in [1000, 4_070_908_800] {
            let refused = state.check(late).unwrap_err();
            assert!(matches!(refused, NoTrustRoot::Expired { role: "timestamp", .. }));
            assert!(refused.is_expiry());
        }
        let recent = TrustState {
            updated: 1_800_000_000,
            timestamp: RoleState {
                version: 1,
                expires: i64::MAX,
            },
            ..state
        };
        for early in [-1, 0, 1_800_000_000 - 3601] {
            assert!(
                matches!(recent.check(early), Err(NoTrustRoot::ClockWentBack(_))),
                "{early}"
            );
        }
    }

    #[test]
    fn the_file_is_a_versioned_document() {
        let text = serde_json::to_string(&state(Digest::of(b""))).unwrap();
        insta::assert_snapshot!(text, @r#"{"version":1,"pinned":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","updated":100,"root":{"version":1,"expires":9000},"timestamp":{"version":4,"expires":1000},"snapshot":{"version":3,"expires":9000},"targets":{"version":2,"expires":9000},"policy":{"version":1,"operators":[],"quorum":{"host_code":2,"library":1},"witness_policy":"quorum none\n","max_checkpoint_age_seconds":1,"revoked":{"leaves":[],"unit_keys":[],"crates":[],"ranges":[],"toolchains":[]}}}"#);
        let other = text.replacen("\"version\":1", "\"version\":2", 1);
        let folder = tempfile::tempdir().unwrap();
        let root = PinnedRoot {
            path: "root.json".into(),
            bytes: vec![],
            digest: Digest::of(b""),
        };
        state(root.digest).write(folder.path()).unwrap();
        let read = TrustState::read(folder.path(), &root).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        let path = folder
            .path()
            .join("v1")
            .join(local::trust_path(root.digest))
            .join(STATE_FILE);
        for damaged in [other.as_str(), "", &text[..40]] {
            fs_err::write(&path, damaged).unwrap();
            assert_eq!(TrustState::read(folder.path(), &root), None, "{damaged}");
        }
    }
}
