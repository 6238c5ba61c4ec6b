//! Each kind of evidence: what it proves, and how it is forged.

use super::*;
use crate::digest::Digest;
use crate::log::{Checkpoint, LogSigner, Tree};

const SECRET: &str = "PRIVATE+KEY+sealift/alpha/1+d8b43093+AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";

fn alpha() -> LogSigner {
    SECRET.parse().unwrap()
}

fn stranger(name: &str) -> LogSigner {
    LogSigner::generate(Origin::of(&name.parse().unwrap(), 1), &mut rand_core::OsRng)
}

fn size(value: u64) -> TreeSize {
    value.try_into().unwrap()
}

fn honest() -> Tree {
    Tree::of((0..9_u8).map(|leaf| TreeHash::of_leaf(&[leaf]))).unwrap()
}

/// Of the same size as the honest one, with another second entry.
fn rewritten() -> Tree {
    Tree::of((0..9_u8).map(|leaf| TreeHash::of_leaf(&[if leaf == 1 { 100 } else { leaf }]))).unwrap()
}

fn head(signer: &LogSigner, tree: &Tree, at: u64, time: u64) -> String {
    let checkpoint = Checkpoint {
        origin: signer.verifier().origin().clone(),
        size: size(at),
        root: tree.root_at(size(at)).unwrap(),
        time,
    };
    String::from_utf8(checkpoint.sign(signer).unwrap().as_bytes().to_vec()).unwrap()
}

fn pair(known: String, offered: String, proof: &ConsistencyProof) -> HeadPair {
    HeadPair {
        vkey: alpha().verifier().clone(),
        known,
        offered,
        consistency: proof.to_texts(),
        smaller_root_in_larger: None,
    }
}

fn judge(pair: HeadPair) -> Finding {
    let evidence = Evidence::Heads(pair);
    assert_eq!(Evidence::parse(evidence.to_file().as_bytes()).unwrap(), evidence);
    evidence.judge(&[alpha().verifier().clone()]).unwrap()
}

fn log() -> Origin {
    alpha().verifier().origin().clone()
}

#[test]
fn t15_two_trees_of_one_size_are_proof() {
    let [one, other] = [honest(), rewritten()].map(|tree| head(&alpha(), &tree, 7, 100));
    let finding = judge(pair(one.clone(), other, &ConsistencyProof::default()));
    assert_eq!(
        finding,
        Finding::TwoTrees {
            log: log(),
            size: size(7)
        }
    );
    assert!(finding.is_proof());
    let later = head(&alpha(), &honest(), 7, 200);
    assert_eq!(
        judge(pair(one, later, &ConsistencyProof::default())),
        Finding::NoContradiction
    );
}

// The forked log's own consistency proof convicts it: it leads to the signed root, from another beginning.
#[test]
fn t15_a_larger_tree_is_proof_when_its_own_hashes_show_another_beginning() {
    let fork = rewritten();
    for smaller in [3, 5, 6, 7] {
        let known = head(&alpha(), &honest(), smaller, 100);
        let proof = fork.consistency(size(smaller), size(9)).unwrap();
        let finding = judge(pair(known, head(&alpha(), &fork, 9, 200), &proof));
        let forked = Finding::Forked {
            log: log(),
            smaller: size(smaller),
            larger: size(9),
        };
        assert_eq!(finding, forked);
        assert!(finding.is_proof());
    }
}

#[test]
fn t15_at_a_power_of_two_the_root_must_be_given_and_must_hold() {
    let fork = rewritten();
    for smaller in [1, 2, 4, 8] {
        let known = head(&alpha(), &honest(), smaller, 100);
        let proof = fork.consistency(size(smaller), size(9)).unwrap();
        let bare = pair(known, head(&alpha(), &fork, 9, 200), &proof);
        let with = |root| HeadPair {
            smaller_root_in_larger: Some(root),
            ..bare.clone()
        };
        let expected = if smaller == 1 {
            // The first entry is the same in both.
            Finding::NoContradiction
        } else {
            assert_eq!(judge(bare.clone()), Finding::Unproven { log: log() });
            Finding::Forked {
                log: log(),
                smaller: size(smaller),
                larger: size(9),
            }
        };
        assert_eq!(judge(with(fork.root_at(size(smaller)).unwrap())), expected);
        assert!(!judge(with(TreeHash::of_leaf(b"invented"))).is_proof());
    }
}

#[test]
fn an_honest_log_is_never_convicted_whatever_proof_and_root_a_liar_adds() {
    let tree = honest();
    for smaller in 0..9 {
        let known = head(&alpha(), &tree, smaller, 100);
        let offered = head(&alpha(), &tree, 9, 200);
        for (from, other) in (0..=9)
            .flat_map(|from| [(from, &tree), (from, &tree)])
            .chain([(3, &rewritten())])
        {
            let proof = other.consistency(size(from), size(9)).unwrap();
            for root in [
                None,
                Some(TreeHash::EMPTY),
                Some(rewritten().root_at(size(smaller)).unwrap()),
            ] {
                let mut lie = pair(known.clone(), offered.clone(), &proof);
                lie.smaller_root_in_larger = root;
                assert!(!judge(lie.clone()).is_proof(), "{smaller} {from}");
                (lie.known, lie.offered) = (lie.offered, lie.known);
                assert!(!judge(lie).is_proof(), "{smaller} {from}");
            }
        }
        let proof = tree.consistency(size(smaller), size(9)).unwrap();
        assert_eq!(judge(pair(known, offered, &proof)), Finding::NoContradiction);
    }
}

#[test]
fn a_smaller_head_is_proof_only_if_it_was_signed_later() {
    let none = ConsistencyProof::default();
    let large = head(&alpha(), &honest(), 7, 200);
    let old = judge(pair(large.clone(), head(&alpha(), &honest(), 3, 100), &none));
    assert_eq!(old, Finding::OldHead { log: log() });
    assert!(!old.is_proof());
    let back = judge(pair(large, head(&alpha(), &honest(), 3, 201), &none));
    assert_eq!(
        back,
        Finding::WentBack {
            log: log(),
            smaller: size(3),
            larger: size(7)
        }
    );
    assert!(back.is_proof());
}

#[test]
fn a_proof_that_leads_nowhere_proves_nothing() {
    let known = head(&alpha(), &honest(), 3, 100);
    let offered = head(&alpha(), &rewritten(), 9, 200);
    let mut nonsense = pair(known, offered, &honest().consistency(size(3), size(9)).unwrap());
    assert_eq!(judge(nonsense.clone()), Finding::Unproven { log: log() });
    for consistency in [vec![], vec!["x".to_owned()], vec![TreeHash::EMPTY.to_string(); 100]] {
        nonsense.consistency = consistency;
        assert_eq!(judge(nonsense.clone()), Finding::Unproven { log: log() });
    }
}

#[test]
fn only_the_keys_that_are_given_count() {
    let [one, other] = [honest(), rewritten()].map(|tree| head(&alpha(), &tree, 7, 100));
    let good = pair(one, other, &ConsistencyProof::default());
    let evidence = Evidence::Heads(good.clone());
    let refused = |keys: &[LogVerifier]| evidence.judge(keys).unwrap_err();
    assert!(matches!(refused(&[]), NoEvidence::NoKey(_)));
    assert!(matches!(
        refused(&[stranger("beta").verifier().clone()]),
        NoEvidence::NoKey(_)
    ));
    // Another key of that name: what a liar signs in a log's name proves nothing about the log.
    assert!(matches!(
        refused(&[stranger("alpha").verifier().clone()]),
        NoEvidence::NotSigned { .. }
    ));
    let forged = HeadPair {
        offered: head(&stranger("alpha"), &rewritten(), 7, 100),
        ..good.clone()
    };
    let refused = Evidence::Heads(forged)
        .judge(&[alpha().verifier().clone()])
        .unwrap_err();
    assert!(matches!(refused, NoEvidence::NotSigned { .. }));
    // Two logs of different names, both of which are known.
    let beta = stranger("beta");
    let mixed = HeadPair {
        offered: head(&beta, &rewritten(), 7, 100),
        ..good
    };
    let keys = [alpha().verifier().clone(), beta.verifier().clone()];
    assert!(matches!(
        Evidence::Heads(mixed).judge(&keys).unwrap_err(),
        NoEvidence::Unrelated("logs")
    ));
}

fn logged(signer: &LogSigner, leaves: &[Leaf], index: u64) -> LoggedLeaf {
    let texts: Vec<String> = leaves.iter().map(Leaf::to_canonical).collect();
    let tree = Tree::of(texts.iter().map(|leaf| TreeHash::of_leaf(leaf.as_bytes()))).unwrap();
    let at = LeafIndex::try_from(index).unwrap();
    let checkpoint = head(signer, &tree, leaves.len() as u64, 100);
    let proof = TlogProof {
        index: at,
        proof: tree.inclusion(at, tree.size()).unwrap(),
        checkpoint: SignedCheckpoint::parse(checkpoint.as_bytes()).unwrap(),
    };
    LoggedLeaf {
        vkey: signer.verifier().clone(),
        leaf: texts[usize::try_from(index).unwrap()].clone(),
        proof: String::from_utf8(proof.to_bytes()).unwrap(),
    }
}

fn leaf(unit: &[u8], manifest: &[u8]) -> Leaf {
    Leaf::new(UnitKey::new(Digest::of(unit)), Digest::of(manifest))
}

#[test]
fn a5_two_leaves_for_one_unit_convict_one_log_and_leave_two_logs_in_doubt() {
    let (alpha, beta) = (alpha(), stranger("beta"));
    let keys = [alpha.verifier().clone(), beta.verifier().clone()];
    let leaves = [leaf(b"u", b"1"), leaf(b"v", b"1"), leaf(b"u", b"2"), leaf(b"u", b"1")];
    let judge = |first: LoggedLeaf, second: LoggedLeaf| {
        let evidence = Evidence::Statements(StatementPair { first, second });
        assert_eq!(Evidence::parse(evidence.to_file().as_bytes()).unwrap(), evidence);
        evidence.judge(&keys)
    };
    let second = judge(logged(&alpha, &leaves, 0), logged(&alpha, &leaves, 2)).unwrap();
    assert!(matches!(second, Finding::SecondLeaf { .. }) && second.is_proof());
    // The same statement twice in one log is a second leaf all the same.
    assert!(
        judge(logged(&alpha, &leaves, 0), logged(&alpha, &leaves, 3))
            .unwrap()
            .is_proof()
    );
    assert_eq!(
        judge(logged(&alpha, &leaves, 0), logged(&alpha, &leaves, 0)).unwrap(),
        Finding::NoContradiction
    );
    let differ = judge(logged(&alpha, &leaves, 0), logged(&beta, &leaves, 2)).unwrap();
    assert!(matches!(differ, Finding::Disagreement { .. }) && !differ.is_proof());
    assert_eq!(
        judge(logged(&alpha, &leaves, 0), logged(&beta, &leaves, 3)).unwrap(),
        Finding::NoContradiction
    );
    let unrelated = judge(logged(&alpha, &leaves, 0), logged(&beta, &leaves, 1)).unwrap_err();
    assert!(matches!(unrelated, NoEvidence::Unrelated("units")));
    let mut swapped = logged(&alpha, &leaves, 0);
    swapped.leaf = leaves[2].to_canonical();
    assert!(matches!(
        judge(swapped, logged(&beta, &leaves, 0)).unwrap_err(),
        NoEvidence::NotSigned { .. }
    ));
}

#[test]
fn the_format_is_the_golden_file() {
    let known = head(&alpha(), &honest(), 3, 100);
    let fork = rewritten();
    let proof = fork.consistency(size(3), size(9)).unwrap();
    let evidence = Evidence::Heads(pair(known, head(&alpha(), &fork, 9, 200), &proof));
    let golden = include_str!("../../testdata/evidence-heads-1.json");
    assert_eq!(evidence.to_file(), golden);
    assert_eq!(Evidence::parse(golden.as_bytes()).unwrap(), evidence);
}

#[test]
fn other_versions_kinds_fields_and_lengths_are_refused() {
    let golden = include_str!("../../testdata/evidence-heads-1.json");
    let other = golden.replace("\"version\": 1", "\"version\": 2");
    assert!(matches!(Evidence::parse(other.as_bytes()), Err(NoEvidence::Version(2))));
    for text in [
        String::new(),
        golden.replace("\"heads\"", "\"tails\""),
        golden.replace("\"known\"", "\"extra\": 1, \"known\""),
        golden.replace("\"version\": 1", "\"version\": 1, \"extra\": 1"),
        format!("{golden}{}", " ".repeat(MAX_BYTES)),
    ] {
        assert!(
            matches!(Evidence::parse(text.as_bytes()), Err(NoEvidence::Malformed(_))),
            "{text:.80}"
        );
    }
}
