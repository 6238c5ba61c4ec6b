//! Inclusion and consistency proofs of RFC 6962, as they are checked.
//!
//! Owns the bound on their length and the checks on sizes that keep the arithmetic of `tlog_tiles` inside its
//! domain. Must not know where a proof comes from or how it is written.

use serde::{Deserialize, Serialize};
use tlog_tiles::Hash;

use super::number::{LeafIndex, TreeHash, TreeSize};

/// The most hashes that a proof can have: one for each level of the largest tree.
pub const MAX_HASHES: usize = 54;

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// More hashes than any tree needs.
    #[error("a proof of more than {MAX_HASHES} hashes")]
    TooLong,
    /// A hash that is not 32 bytes in base64.
    #[error("malformed proof")]
    Malformed,
    /// The index is not in the tree, or the older tree is the larger one.
    #[error("a proof for a leaf or tree that lies outside the tree")]
    Outside,
    /// The number of hashes is not the one for these sizes, or they lead to another root.
    #[error("the proof does not lead to the root")]
    Mismatch,
}

macro_rules! proof {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "Vec<TreeHash>", into = "Vec<TreeHash>")]
        pub struct $name(Vec<TreeHash>);

        impl $name {
            /// The hashes, lowest first.
            pub fn hashes(&self) -> &[TreeHash] {
                &self.0
            }

            /// Reads the hashes from their base64 texts, as JSON documents carry them.
            pub fn parse(texts: &[String]) -> Result<Self, MerkleError> {
                if texts.len() > MAX_HASHES {
                    return Err(MerkleError::TooLong);
                }
                let hashes: Result<_, _> = texts.iter().map(|text| text.parse()).collect();
                hashes.map(Self).map_err(|_| MerkleError::Malformed)
            }

            /// The hashes as base64 texts.
            pub fn to_texts(&self) -> Vec<String> {
                self.0.iter().map(TreeHash::to_string).collect()
            }

            fn path(&self) -> Vec<Hash> {
                self.0.iter().copied().map(Hash::from).collect()
            }
        }

        impl TryFrom<Vec<TreeHash>> for $name {
            type Error = MerkleError;

            fn try_from(hashes: Vec<TreeHash>) -> Result<Self, Self::Error> {
                if hashes.len() <= MAX_HASHES { Ok(Self(hashes)) } else { Err(MerkleError::TooLong) }
            }
        }

        impl From<$name> for Vec<TreeHash> {
            fn from(proof: $name) -> Self {
                proof.0
            }
        }
    };
}

proof! {
    /// That a leaf lies in a tree: from the leaf's sibling up to the root's child.
    InclusionProof
}

proof! {
    /// That a smaller tree is the beginning of a larger one.
    ConsistencyProof
}

impl InclusionProof {
    /// Checks that the tree of `size` and `root` has a leaf of this hash at `index`.
    pub fn verify(&self, index: LeafIndex, leaf: TreeHash, size: TreeSize, root: TreeHash) -> Result<(), MerkleError> {
        if !size.contains(index) {
            return Err(MerkleError::Outside);
        }
        tlog_tiles::check_record(&self.path(), size.value(), root.into(), index.value(), leaf.into())
            .map_err(|_| MerkleError::Mismatch)
    }
}

impl ConsistencyProof {
    /// Checks that the tree of `new` begins with the tree of `old`; each is a size and a root.
    ///
    /// Everything begins with the empty tree: then there is nothing to prove and the proof is empty.
    pub fn verify(&self, old: (TreeSize, TreeHash), new: (TreeSize, TreeHash)) -> Result<(), MerkleError> {
        if old.0 > new.0 {
            return Err(MerkleError::Outside);
        }
        if old.0 == TreeSize::ZERO {
            let empty = old.1 == TreeHash::EMPTY && self.0.is_empty() && (new.0 != old.0 || new.1 == old.1);
            return if empty { Ok(()) } else { Err(MerkleError::Mismatch) };
        }
        tlog_tiles::check_tree(&self.path(), new.0.value(), new.1.into(), old.0.value(), old.1.into())
            .map_err(|_| MerkleError::Mismatch)
    }

    /// The root that a tree with the root of `new` has at the size `old`, as far as these hashes show it: then no other
    /// root at that size is consistent with `new`. `None` where they do not lead to the root of `new`, and where `old` is
    /// a power of two, since the proof then takes the older root as given.
    pub fn shown_root(&self, old: TreeSize, new: (TreeSize, TreeHash)) -> Option<TreeHash> {
        let (mut from, mut to) = (old.value().checked_sub(1)?, new.0.value().checked_sub(1)?);
        if from >= to || old.value().is_power_of_two() {
            return None;
        }
        // RFC 9162, 2.1.4.2: both roots are computed side by side.
        let shift = from.trailing_ones();
        (from, to) = (from >> shift, to >> shift);
        let (first, rest) = self.0.split_first()?;
        let (mut older, mut newer) = (Hash::from(*first), Hash::from(*first));
        for hash in rest.iter().copied().map(Hash::from) {
            if to == 0 {
                return None;
            }
            if from % 2 == 1 || from == to {
                older = tlog_tiles::node_hash(hash, older);
                newer = tlog_tiles::node_hash(hash, newer);
                while from % 2 == 0 && from != 0 {
                    (from, to) = (from >> 1, to >> 1);
                }
            } else {
                newer = tlog_tiles::node_hash(newer, hash);
            }
            (from, to) = (from >> 1, to >> 1);
        }
        (to == 0 && TreeHash::from(newer) == new.1).then(|| older.into())
    }
}

#[cfg(test)]
mod tests;
