//! Trees of every small size against RFC 6962.

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;

/// RFC 6962, section 2.1, word for word: slow, and independent of the library.
fn reference(leaves: &[Vec<u8>]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest(b"").into(),
        [leaf] => Sha256::digest([b"\0", leaf.as_slice()].concat()).into(),
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = (reference(&leaves[..split]), reference(&leaves[split..]));
            Sha256::digest([b"\x01", left.as_slice(), &right].concat()).into()
        }
    }
}

fn size(value: usize) -> TreeSize {
    (value as u64).try_into().unwrap()
}

#[test]
fn every_size_has_the_root_of_rfc_6962() {
    let leaves: Vec<Vec<u8>> = (0..130_u8).map(|leaf| vec![leaf; usize::from(leaf)]).collect();
    let mut tree = Tree::default();
    assert_eq!(tree.root(), TreeHash::EMPTY);
    for leaf in &leaves {
        tree.push(TreeHash::of_leaf(leaf)).unwrap();
    }
    for count in 0..=leaves.len() {
        assert_eq!(
            tree.root_at(size(count)).unwrap().as_bytes(),
            &reference(&leaves[..count]),
            "{count}"
        );
    }
}

#[test]
fn consistency_holds_between_every_two_sizes() {
    let tree = Tree::of((0..50_u8).map(|leaf| TreeHash::of_leaf(&[leaf]))).unwrap();
    for new in 0..=50 {
        let new = (size(new), tree.root_at(size(new)).unwrap());
        for old in 0..=new.0.value() as usize {
            let old = (size(old), tree.root_at(size(old)).unwrap());
            assert_eq!(
                tree.consistency(old.0, new.0).unwrap().verify(old, new),
                Ok(()),
                "{old:?} {new:?}"
            );
        }
    }
}

#[test]
fn t9_questions_outside_the_tree_are_refused() {
    let tree = Tree::of([TreeHash::of_leaf(b"only")]).unwrap();
    let huge = TreeSize::try_from((1 << 53) - 1).unwrap();
    let last = LeafIndex::try_from((1 << 53) - 2).unwrap();
    assert_eq!(tree.root_at(huge), Err(MerkleError::Outside));
    assert_eq!(tree.leaf(last), Err(MerkleError::Outside));
    assert_eq!(tree.inclusion(last, huge), Err(MerkleError::Outside));
    assert_eq!(tree.inclusion(last, tree.size()), Err(MerkleError::Outside));
    assert_eq!(tree.consistency(tree.size(), TreeSize::ZERO), Err(MerkleError::Outside));
    assert_eq!(tree.consistency(TreeSize::ZERO, huge), Err(MerkleError::Outside));
}

proptest! {
    #[test]
    fn a_tree_grown_in_any_steps_is_the_same(leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..300)) {
        let tree = Tree::of(leaves.iter().map(|leaf| TreeHash::of_leaf(leaf))).unwrap();
        prop_assert_eq!(*tree.root().as_bytes(), reference(&leaves));
        for (at, leaf) in leaves.iter().enumerate() {
            let index = LeafIndex::try_from(at as u64).unwrap();
            let proof = tree.inclusion(index, tree.size()).unwrap();
            let leaf = TreeHash::of_leaf(leaf);
            prop_assert_eq!(proof.verify(index, leaf, tree.size(), tree.root()), Ok(()));
        }
    }
}
