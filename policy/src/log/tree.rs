//! A whole Merkle tree in memory (about 64 bytes for each leaf): grows, proves, and knows every older size.
//!
//! Owns the hashes. Must not know leaves' contents, files or signatures.

use tlog_tiles::{Hash, HashReader};

use super::merkle::{ConsistencyProof, InclusionProof, MerkleError};
use super::number::{LeafIndex, TreeHash, TreeSize};

/// An RFC 6962 tree that only grows.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: TreeSize,
    // In the order of `tlog_tiles::stored_hash_index`: append-only, a smaller tree is a prefix.
    hashes: Hashes,
}

#[derive(Debug, Clone, Default)]
struct Hashes(Vec<Hash>);

/// The tree has as many leaves as a [`TreeSize`] can count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tree is full")]
pub struct TreeFull;

const INSIDE: &str = "every hash below the checked size is stored";

impl Tree {
    /// A tree of these leaves' hashes.
    pub fn of(leaves: impl IntoIterator<Item = TreeHash>) -> Result<Self, TreeFull> {
        let mut tree = Self::default();
        for leaf in leaves {
            tree.push(leaf)?;
        }
        Ok(tree)
    }

    /// The number of leaves.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// Appends a leaf by its hash ([`TreeHash::of_leaf`]).
    pub fn push(&mut self, leaf: TreeHash) -> Result<LeafIndex, TreeFull> {
        let size = self.size.checked_add(1).ok_or(TreeFull)?;
        let index = LeafIndex::try_from(self.size.value()).map_err(|_| TreeFull)?;
        let new = tlog_tiles::stored_hashes_for_record_hash(index.value(), leaf.into(), &self.hashes).expect(INSIDE);
        self.hashes.0.extend(new);
        self.size = size;
        Ok(index)
    }

    /// The root.
    pub fn root(&self) -> TreeHash {
        self.root_at(self.size).expect("a tree contains itself")
    }

    /// The root that the tree had at an older size.
    pub fn root_at(&self, size: TreeSize) -> Result<TreeHash, MerkleError> {
        self.check(size)?;
        Ok(tlog_tiles::tree_hash(size.value(), &self.hashes).expect(INSIDE).into())
    }

    /// The hash of a leaf.
    pub fn leaf(&self, index: LeafIndex) -> Result<TreeHash, MerkleError> {
        if !self.size.contains(index) {
            return Err(MerkleError::Outside);
        }
        let at = [tlog_tiles::stored_hash_index(0, index.value())];
        Ok(self.hashes.read_hashes(&at).expect(INSIDE)[0].into())
    }

    /// The proof that a leaf lies in the tree of `size`.
    pub fn inclusion(&self, index: LeafIndex, size: TreeSize) -> Result<InclusionProof, MerkleError> {
        self.check(size)?;
        if !size.contains(index) {
            return Err(MerkleError::Outside);
        }
        let path = tlog_tiles::prove_record(size.value(), index.value(), &self.hashes).expect(INSIDE);
        path.into_iter().map(TreeHash::from).collect::<Vec<_>>().try_into()
    }

    /// The proof that the tree of `new` begins with the tree of `old`; empty if `old` is empty.
    pub fn consistency(&self, old: TreeSize, new: TreeSize) -> Result<ConsistencyProof, MerkleError> {
        self.check(new)?;
        if old > new {
            return Err(MerkleError::Outside);
        }
        if old == TreeSize::ZERO {
            return Ok(ConsistencyProof::default());
        }
        let path = tlog_tiles::prove_tree(new.value(), old.value(), &self.hashes).expect(INSIDE);
        path.into_iter().map(TreeHash::from).collect::<Vec<_>>().try_into()
    }

    /// The contents of one tile of hashes (see [`super::tile`]).
    pub(super) fn tile(&self, tile: &tlog_tiles::Tile) -> Vec<u8> {
        tile.read_data(&self.hashes).expect(INSIDE)
    }

    fn check(&self, size: TreeSize) -> Result<(), MerkleError> {
        if size <= self.size {
            Ok(())
        } else {
            Err(MerkleError::Outside)
        }
    }
}

impl HashReader for Hashes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let at = |&index: &u64| usize::try_from(index).ok().and_then(|index| self.0.get(index)).copied();
        indexes
            .iter()
            .map(|index| at(index).ok_or(tlog_tiles::Error::IndexesNotInTree))
            .collect()
    }
}

#[cfg(test)]
mod tests;
