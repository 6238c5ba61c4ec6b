//! A TUF root before it is pinned: is it one, is it signed as it says itself, and by whom.
//!
//! Must not know where it is pinned.

use sealift_policy::tuf::SPEC_MAJOR;
use serde::Serialize;
use tough::schema::{RoleType, Root, Signed};

use crate::trust_root::PinnedRoot;

/// What people compare before they pin a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RootSummary {
    /// Its version.
    pub(crate) version: u64,
    /// How many of its keys must sign the next root.
    pub(crate) threshold: u64,
    /// The ids of its keys, in hexadecimal digits.
    pub(crate) keys: Vec<String>,
}

/// The text is no root that could be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotARoot {
    /// Not metadata of a root.
    #[error("not a TUF root")]
    Malformed(#[source] serde_json::Error),
    /// Fewer signatures than it asks for itself.
    #[error("the TUF root is not signed as it says itself: {0}")]
    NotSigned(String),
    /// Another version of the specification.
    #[error("the TUF root is written by version `{0}` of the specification, which is not known")]
    Specification(String),
}

/// Reads a root that signs itself.
pub(crate) fn summary(root: &PinnedRoot) -> Result<RootSummary, NotARoot> {
    let signed: Signed<Root> = serde_json::from_slice(root.bytes()).map_err(NotARoot::Malformed)?;
    if signed.signed.spec_version.split('.').next() != Some(SPEC_MAJOR) {
        let version = signed.signed.spec_version.chars().take(20).collect();
        return Err(NotARoot::Specification(version));
    }
    let verified = signed.signed.verify_role(&signed);
    verified.map_err(|error| NotARoot::NotSigned(crate::prefetch::chain(&error)))?;
    let role = signed.signed.roles.get(&RoleType::Root);
    Ok(RootSummary {
        version: signed.signed.version.get(),
        threshold: role.map_or(0, |role| role.threshold.get()),
        keys: role.map_or_else(Vec::new, |role| {
            let digits = |byte: &u8| format!("{byte:02x}");
            role.keyids.iter().map(|id| id.iter().map(digits).collect()).collect()
        }),
    })
}
