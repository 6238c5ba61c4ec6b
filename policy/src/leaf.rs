//! The leaf: the statement `UnitKey -> manifest digest` that operators log.
//!
//! Owns its one spelling. Honest operators write identical bytes, so that "k of n built the same bits"
//! is "k logs of distinct operators contain this leaf hash".
//! Must not know who logged it.

use serde::{Deserialize, Serialize};

use crate::canonical::{self, NotCanonical};
use crate::digest::{Digest, UnitKey};

/// Longest leaf in bytes; a real one has 172.
pub const MAX_LEAF: usize = 256;

/// What an operator states: this unit, compiled from this key, gave this manifest. Version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    manifest: Digest,
    unit_key: UnitKey,
    version: u32,
}

/// Why bytes are not a leaf.
#[derive(Debug, thiserror::Error)]
pub enum MalformedLeaf {
    /// Not canonical JSON of the right shape.
    #[error("malformed leaf")]
    NotCanonical(#[from] NotCanonical),
    /// A version that this program does not know.
    #[error("leaf version {0} is not known")]
    Version(u32),
}

impl Leaf {
    /// States that `unit_key` gave the manifest with this digest.
    pub const fn new(unit_key: UnitKey, manifest: Digest) -> Self {
        Self {
            manifest,
            unit_key,
            version: 1,
        }
    }

    /// The unit.
    pub const fn unit_key(&self) -> UnitKey {
        self.unit_key
    }

    /// SHA-256 of the manifest's bytes.
    pub const fn manifest(&self) -> Digest {
        self.manifest
    }

    /// The bytes that are logged.
    pub fn to_canonical(&self) -> String {
        canonical::to_string(self)
    }

    /// Reads a leaf; any other spelling of the same statement is refused.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, MalformedLeaf> {
        let leaf: Self = canonical::from_bytes(bytes, MAX_LEAF)?;
        if leaf.version == 1 {
            Ok(leaf)
        } else {
            Err(MalformedLeaf::Version(leaf.version))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_keeps_its_golden_form() {
        let leaf = Leaf::new(UnitKey::new(Digest::of(b"key")), Digest::of(b"manifest"));
        insta::assert_snapshot!(leaf.to_canonical(), @r#"{"manifest":"05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f","unit_key":"2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683","version":1}"#);
        assert_eq!(Leaf::from_canonical(leaf.to_canonical().as_bytes()).unwrap(), leaf);
    }

    #[test]
    fn other_spellings_of_a_leaf_are_refused() {
        let text = Leaf::new(UnitKey::new(Digest::of(b"key")), Digest::of(b"manifest")).to_canonical();
        for wrong in [
            format!("{text} "),
            format!("{text}\n"),
            format!("\u{feff}{text}"),
            text.replace("\"version\":1", "\"version\":1.0"),
            text.replace("\"version\":1", "\"version\":2"),
            text.replace("\"version\":1", "\"version\":1,\"version\":1"),
            text.replace("{\"manifest", "{\"extra\":1,\"manifest"),
            text.replace("05b3", "05B3"),
            format!("{text}{}", " ".repeat(300)),
        ] {
            assert!(Leaf::from_canonical(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
