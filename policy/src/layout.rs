//! Every object of the public store, and its one path.
//!
//! Owns the URL layout below `/`. Every path in the system is a variant of [`ObjectPath`].
//! Must not know where objects are stored or how they are served.

use std::fmt;

use crate::digest::{Digest, PlanId, UnitKey};
use crate::name::{OperatorName, Toolchain};
use crate::tuf::TufFile;

/// Longest content of an object whose size no manifest states: manifests and key documents.
pub const MAX_DOCUMENT: u64 = 4 << 20;

/// Largest zstd window that a reader allows, as a power of two.
pub const MAX_WINDOW_LOG: u32 = 27;

/// zstd level at which operators compress.
pub const COMPRESSION_LEVEL: i32 = 12;

/// An object of the public store. Displays as its absolute URL path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectPath {
    /// The newest signed checkpoint of a log. Changes.
    Checkpoint(OperatorName, u32),
    /// A tile or entry bundle of a log, by its C2SP path such as `tile/0/x001/234`. Immutable once full.
    Tile(OperatorName, u32, String),
    /// A C2SP tlog-proof that the log contains the unit's leaf. Immutable.
    Proof(OperatorName, u32, UnitKey),
    /// Which units are known for a plan. A hint.
    Plan(Toolchain, PlanId),
    /// Which manifests are known for a unit, and who vouches. A hint.
    Unit(UnitKey),
    /// The Sigstore bundle in which an operator says how the unit of a manifest was built. Written anew when the operator
    /// states the same in another log.
    Provenance(Digest, OperatorName),
    /// A manifest, key document or output: one zstd frame, addressed by the SHA-256 of its content. Immutable.
    Cas(Digest),
    /// A file of the TUF repository that trust starts from. All but the timestamp are immutable.
    Tuf(TufFile),
}

impl ObjectPath {
    /// Whether the object, once there, never changes. (A partial tile is superseded, not changed.)
    pub fn is_immutable(&self) -> bool {
        match self {
            Self::Tile(..) | Self::Proof(..) | Self::Cas(_) => true,
            Self::Checkpoint(..) | Self::Plan(..) | Self::Unit(_) | Self::Provenance(..) => false,
            Self::Tuf(file) => file.is_immutable(),
        }
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint(operator, epoch) => write!(f, "/v1/log/{operator}/{epoch}/checkpoint"),
            Self::Tile(operator, epoch, tile) => write!(f, "/v1/log/{operator}/{epoch}/{tile}"),
            Self::Proof(operator, epoch, key) => write!(f, "/v1/proof/{operator}/{epoch}/{key}.tlog-proof"),
            Self::Plan(toolchain, plan) => write!(f, "/v1/plan/{toolchain}/{plan}.json"),
            Self::Unit(key) => write!(f, "/v1/unit/{key}.json"),
            Self::Provenance(manifest, operator) => write!(f, "/v1/provenance/{manifest}.{operator}.sigstore.json"),
            Self::Cas(digest) => write!(f, "/v1/cas/{digest}"),
            Self::Tuf(file) => write!(f, "/v1/tuf/{file}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_has_the_path_that_the_design_names() {
        let operator: OperatorName = "alpha".parse().unwrap();
        let digest = Digest::of(b"");
        let paths = [
            ObjectPath::Checkpoint(operator.clone(), 1),
            ObjectPath::Tile(operator.clone(), 1, "tile/0/x001/234".into()),
            ObjectPath::Proof(operator.clone(), 1, UnitKey::new(digest)),
            ObjectPath::Plan("1.95.0-x86_64-unknown-linux-gnu".parse().unwrap(), PlanId::new(digest)),
            ObjectPath::Unit(UnitKey::new(digest)),
            ObjectPath::Provenance(digest, operator),
            ObjectPath::Cas(digest),
            ObjectPath::Tuf(TufFile::Timestamp),
        ];
        let text = paths
            .map(|path| path.to_string())
            .join("\n")
            .replace(&digest.to_string(), "<digest>");
        insta::assert_snapshot!(text, @"
        /v1/log/alpha/1/checkpoint
        /v1/log/alpha/1/tile/0/x001/234
        /v1/proof/alpha/1/<digest>.tlog-proof
        /v1/plan/1.95.0-x86_64-unknown-linux-gnu/<digest>.json
        /v1/unit/<digest>.json
        /v1/provenance/<digest>.alpha.sigstore.json
        /v1/cas/<digest>
        /v1/tuf/metadata/timestamp.json
        ");
    }
}
