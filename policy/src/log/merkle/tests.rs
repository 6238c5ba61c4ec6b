//! Inclusion and consistency proofs against a reference implementation, and every way to get them wrong.

use proptest::prelude::*;

use super::*;
use crate::log::tree::Tree;

fn index(value: u64) -> LeafIndex {
    value.try_into().unwrap()
}

fn size(value: u64) -> TreeSize {
    value.try_into().unwrap()
}

fn tree(leaves: u64) -> Tree {
    Tree::of((0..leaves).map(|leaf| TreeHash::of_leaf(&leaf.to_be_bytes()))).unwrap()
}

#[test]
fn t9_an_inclusion_proof_holds_for_its_own_index_size_and_leaf_only() {
    let large = tree(70);
    for leaves in 1..40 {
        for at in 0..leaves {
            let proof = large.inclusion(index(at), size(leaves)).unwrap();
            let leaf = large.leaf(index(at)).unwrap();
            let root = large.root_at(size(leaves)).unwrap();
            assert_eq!(proof.verify(index(at), leaf, size(leaves), root), Ok(()));
            for other in (0..leaves + 2).filter(|&other| other != at) {
                assert!(proof.verify(index(other), leaf, size(leaves), root).is_err());
            }
            assert!(
                proof
                    .verify(index(at), large.leaf(index(at + 1)).unwrap(), size(leaves), root)
                    .is_err()
            );
            assert!(
                proof
                    .verify(index(at), leaf, size(leaves), large.root_at(size(leaves + 1)).unwrap())
                    .is_err()
            );
        }
    }
}

#[test]
fn t9_one_hash_too_many_or_too_few_is_refused() {
    let tree = tree(21);
    let (at, all) = (index(13), tree.size());
    let good = tree.inclusion(at, all).unwrap().0;
    let leaf = tree.leaf(at).unwrap();
    for wrong in [
        &good[1..],
        &good[..good.len() - 1],
        &[good.clone(), vec![leaf]].concat(),
        &[],
    ] {
        let proof = InclusionProof(wrong.to_vec());
        assert_eq!(proof.verify(at, leaf, all, tree.root()), Err(MerkleError::Mismatch));
    }
    let good = tree.consistency(size(13), all).unwrap().0;
    let old = (size(13), tree.root_at(size(13)).unwrap());
    for wrong in [
        &good[1..],
        &good[..good.len() - 1],
        &[good.clone(), vec![leaf]].concat(),
        &[],
    ] {
        let proof = ConsistencyProof(wrong.to_vec());
        assert_eq!(proof.verify(old, (all, tree.root())), Err(MerkleError::Mismatch));
    }
}

#[test]
fn t9_sixty_three_and_more_hashes_are_refused_before_any_arithmetic() {
    for count in [55, 63, 64, 10_000] {
        assert_eq!(
            InclusionProof::try_from(vec![TreeHash::EMPTY; count]),
            Err(MerkleError::TooLong)
        );
        assert_eq!(
            ConsistencyProof::try_from(vec![TreeHash::EMPTY; count]),
            Err(MerkleError::TooLong)
        );
    }
}

#[test]
fn t9_the_empty_tree_contains_nothing_and_begins_every_tree() {
    let none = InclusionProof::default();
    assert_eq!(
        none.verify(index(0), TreeHash::EMPTY, size(0), TreeHash::EMPTY),
        Err(MerkleError::Outside)
    );
    let (empty, five) = ((size(0), TreeHash::EMPTY), (size(5), tree(5).root()));
    let nothing = ConsistencyProof::default();
    assert_eq!(nothing.verify(empty, five), Ok(()));
    assert_eq!(nothing.verify(empty, empty), Ok(()));
    assert_eq!(nothing.verify(empty, (size(0), five.1)), Err(MerkleError::Mismatch));
    assert_eq!(nothing.verify((size(0), five.1), five), Err(MerkleError::Mismatch));
    assert_eq!(
        ConsistencyProof(vec![five.1]).verify(empty, five),
        Err(MerkleError::Mismatch)
    );
    assert_eq!(nothing.verify(five, empty), Err(MerkleError::Outside));
}

#[test]
fn t15_a_tree_with_another_past_is_not_consistent() {
    let old = tree(11);
    let mut other = Tree::of((0..10).map(|leaf: u64| TreeHash::of_leaf(&leaf.to_be_bytes()))).unwrap();
    other.push(TreeHash::of_leaf(b"another")).unwrap();
    other.push(TreeHash::of_leaf(b"later")).unwrap();
    let proof = other.consistency(size(11), size(12)).unwrap();
    let refused = proof.verify((size(11), old.root()), (size(12), other.root()));
    assert_eq!(refused, Err(MerkleError::Mismatch));
    let same_size = ConsistencyProof::default().verify((size(11), old.root()), (size(11), tree(12).root()));
    assert_eq!(same_size, Err(MerkleError::Mismatch));
}

#[test]
fn t10_a_leaf_that_reads_like_an_inner_node_is_another_hash() {
    let (left, right) = (TreeHash::of_leaf(b"left"), TreeHash::of_leaf(b"right"));
    let tree = Tree::of([left, right]).unwrap();
    let looks_like_a_node = [left.as_bytes().as_slice(), right.as_bytes()].concat();
    assert_eq!(looks_like_a_node.len(), 64);
    let leaf = TreeHash::of_leaf(&looks_like_a_node);
    assert_ne!(leaf, tree.root());
    assert!(
        InclusionProof::default()
            .verify(index(0), leaf, size(1), tree.root())
            .is_err()
    );
    for prefix in [0, 1] {
        assert_ne!(
            TreeHash::of_leaf(&[&[prefix], looks_like_a_node.as_slice()].concat()),
            tree.root()
        );
    }
}

#[test]
fn the_older_root_is_shown_by_the_proof_unless_its_size_is_a_power_of_two() {
    let tree = tree(70);
    for new in 1..70_u64 {
        let head = (size(new), tree.root_at(size(new)).unwrap());
        for old in 0..new {
            let proof = tree.consistency(size(old), size(new)).unwrap();
            let expected = (old != 0 && !old.is_power_of_two()).then(|| tree.root_at(size(old)).unwrap());
            assert_eq!(proof.shown_root(size(old), head), expected, "{old} {new}");
            assert_eq!(proof.shown_root(size(old), (head.0, TreeHash::EMPTY)), None);
            for wrong in [
                &proof.0[..proof.0.len().saturating_sub(1)],
                &[proof.0.clone(), vec![head.1]].concat(),
            ] {
                assert!(
                    wrong.len() == proof.0.len()
                        || ConsistencyProof(wrong.to_vec()).shown_root(size(old), head).is_none()
                );
            }
        }
    }
}

#[test]
fn a_smaller_tree_shows_no_root_of_a_larger_one() {
    let leaves = [&b"a"[..], b"b", b"c"].map(TreeHash::of_leaf);
    let node = |left: TreeHash, right: TreeHash| TreeHash::from(tlog_tiles::node_hash(left.into(), right.into()));
    // What the steps of RFC 9162 lead to when they are begun with a size of 7 in a tree of 3.
    let root = node(leaves[2], node(leaves[0], leaves[1]));
    let proof = ConsistencyProof(leaves.to_vec());
    assert_eq!(proof.shown_root(size(7), (size(3), root)), None);
}

proptest! {
    #[test]
    fn t9_hostile_numbers_and_hashes_never_panic(
        at in 0..(1_u64 << 53) - 1,
        old in 0..1_u64 << 53,
        new in 0..1_u64 << 53,
        hashes in prop::collection::vec(any::<[u8; 32]>(), 0..=MAX_HASHES),
    ) {
        let hashes: Vec<_> = hashes.into_iter().map(TreeHash::from_bytes).collect();
        let inclusion = InclusionProof(hashes.clone());
        prop_assert!(inclusion.verify(index(at), TreeHash::EMPTY, size(new), TreeHash::EMPTY).is_err());
        let proof = ConsistencyProof(hashes);
        prop_assert_eq!(proof.shown_root(size(old), (size(new), TreeHash::EMPTY)), None);
        let refused = proof.verify((size(old), TreeHash::of_leaf(b"a")), (size(new), TreeHash::EMPTY));
        prop_assert!(refused.is_err());
    }

    #[test]
    fn a_changed_hash_is_refused(leaves in 2_u64..200, at: prop::sample::Index, which: prop::sample::Index, bit in 0..256_usize) {
        let tree = tree(leaves);
        let at = index(at.index(leaves as usize) as u64);
        let mut hashes = tree.inclusion(at, tree.size()).unwrap().0;
        let which = which.index(hashes.len());
        let mut bytes = *hashes[which].as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        hashes[which] = TreeHash::from_bytes(bytes);
        let refused = InclusionProof(hashes).verify(at, tree.leaf(at).unwrap(), tree.size(), tree.root());
        prop_assert_eq!(refused, Err(MerkleError::Mismatch));
    }
}
