//! Heads of real logs: which replace the one that was seen before, and which are refused with evidence.

use rand_core::OsRng;
use sealift_policy::evidence::Finding;
use sealift_policy::log::{Checkpoint, LogSigner, Origin, Tree, TreeSize};

use super::*;

/// A log that can sign any of its older trees, and a store that looks at it.
struct Fixture {
    folder: tempfile::TempDir,
    signer: LogSigner,
    tree: Tree,
}

impl Fixture {
    fn new() -> Self {
        let operator: OperatorName = "alpha".parse().unwrap();
        let leaves = (0..9_u8).map(|leaf| TreeHash::of_leaf(&[leaf]));
        Self {
            folder: tempfile::tempdir().unwrap(),
            signer: LogSigner::generate(Origin::of(&operator, 1), &mut OsRng),
            tree: Tree::of(leaves).unwrap(),
        }
    }

    fn log(&self) -> Log {
        Log {
            operator: "alpha".parse().unwrap(),
            epoch: 1,
            key: self.signer.verifier().clone(),
        }
    }

    fn heads(&self) -> Heads {
        Heads::new(self.folder.path())
    }

    fn offer(&self, tree: &Tree, from: u64, size: u64) -> LogState {
        let (from, size) = (TreeSize::try_from(from).unwrap(), TreeSize::try_from(size).unwrap());
        let checkpoint = Checkpoint {
            origin: self.signer.verifier().origin().clone(),
            size,
            root: tree.root_at(size).unwrap(),
            time: 1_700_000_000 + size.value(),
        };
        let consistency = if from <= size {
            tree.consistency(from, size).unwrap()
        } else {
            ConsistencyProof::default()
        };
        LogState {
            operator: "alpha".parse().unwrap(),
            epoch: 1,
            checkpoint: String::from_utf8(checkpoint.sign(&self.signer).unwrap().as_bytes().to_vec()).unwrap(),
            consistency: consistency.hashes().iter().map(ToString::to_string).collect(),
        }
    }

    fn advance(&self, offer: &LogState) -> Result<u64, HeadRefused> {
        self.advance_as(Standing::Counts, offer)
    }

    fn advance_as(&self, standing: Standing, offer: &LogState) -> Result<u64, HeadRefused> {
        let heads = self.heads();
        let known = heads.known(&self.log());
        heads
            .advance(&self.log(), known.as_ref(), offer, |_| standing)
            .map(|head| head.size().value())
    }

    /// What a stranger makes of it who has nothing but the log's key.
    fn judged(&self, evidence: &Evidence) -> Finding {
        evidence.judge(&[self.signer.verifier().clone()]).unwrap()
    }

    fn known(&self) -> Option<u64> {
        self.heads().known(&self.log()).map(|head| head.size().value())
    }

    fn evidence(&self) -> Vec<Evidence> {
        let folder = self.folder.path().join("v1/evidence");
        let Ok(files) = fs_err::read_dir(folder) else {
            return vec![];
        };
        files
            .map(|file| Evidence::parse(&fs_err::read(file.unwrap().path()).unwrap()).unwrap())
            .collect()
    }
}

fn fork() -> Tree {
    Tree::of((0..9_u8).map(|leaf| TreeHash::of_leaf(&[leaf ^ 1]))).unwrap()
}

#[test]
fn heads_that_extend_the_known_one_are_remembered() {
    let log = Fixture::new();
    assert_eq!(log.known(), None);
    assert_eq!(log.advance(&log.offer(&log.tree, 0, 3)).unwrap(), 3);
    assert_eq!(log.advance(&log.offer(&log.tree, 3, 7)).unwrap(), 7);
    assert_eq!(log.advance(&log.offer(&log.tree, 7, 7)).unwrap(), 7);
    assert_eq!(log.known(), Some(7));
    assert_eq!(log.evidence(), []);
}

#[test]
fn a_smaller_tree_is_refused_with_both_heads_as_evidence() {
    let log = Fixture::new();
    let seven = log.offer(&log.tree, 0, 7);
    let three = log.offer(&log.tree, 0, 3);
    log.advance(&seven).unwrap();
    let refused = log.advance(&three).unwrap_err();
    assert!(
        matches!(
            refused,
            HeadRefused::Contradicts {
                how: Contradiction::Smaller { known: 7, offered: 3 },
                ..
            }
        ),
        "{refused}"
    );
    assert_eq!(log.known(), Some(7));
    let evidence = log.evidence();
    let [Evidence::Heads(pair)] = &evidence[..] else {
        panic!("{evidence:?}")
    };
    assert_eq!((&pair.known, &pair.offered), (&seven.checkpoint, &three.checkpoint));
    // It once was the log's head: whoever serves it again has signed nothing.
    assert!(!log.judged(&evidence[0]).is_proof());
}

#[test]
fn two_trees_of_one_size_are_refused() {
    let log = Fixture::new();
    log.advance(&log.offer(&log.tree, 0, 7)).unwrap();
    let refused = log.advance(&log.offer(&fork(), 7, 7)).unwrap_err();
    assert!(matches!(
        refused,
        HeadRefused::Contradicts {
            how: Contradiction::OtherRoot { size: 7 },
            ..
        }
    ));
    let evidence = log.evidence();
    assert_eq!(evidence.len(), 1);
    assert!(log.judged(&evidence[0]).is_proof());
}

#[test]
fn a_larger_tree_that_is_not_consistent_is_refused() {
    let log = Fixture::new();
    log.advance(&log.offer(&log.tree, 0, 3)).unwrap();
    let mut without_proof = log.offer(&log.tree, 3, 7);
    without_proof.consistency.clear();
    let mut nonsense = log.offer(&log.tree, 3, 7);
    nonsense.consistency[0] = "x".into();
    let mut endless = log.offer(&log.tree, 3, 7);
    endless.consistency = vec![endless.consistency[0].clone(); 100];
    for offer in [log.offer(&fork(), 3, 7), without_proof, nonsense, endless] {
        let refused = log.advance(&offer).unwrap_err();
        assert!(matches!(
            refused,
            HeadRefused::Contradicts {
                how: Contradiction::NotConsistent { known: 3, offered: 7 },
                ..
            }
        ));
    }
    assert_eq!(log.known(), Some(3));
    // The fork's own proof convicts it, and stays. The others are offers that an honest log could have been given by a liar:
    // the last is kept.
    let proofs = log
        .evidence()
        .iter()
        .filter(|evidence| log.judged(evidence).is_proof())
        .count();
    assert_eq!((proofs, log.evidence().len()), (1, 2));
}

#[test]
fn a_log_that_contradicts_itself_without_end_leaves_room_for_the_evidence_against_others() {
    let log = Fixture::new();
    log.advance(&log.offer(&log.tree, 0, 7)).unwrap();
    let folder = log.folder.path().join("v1/evidence");
    fs_err::create_dir_all(&folder).unwrap();
    let kept = || fs_err::read_dir(&folder).unwrap().count();
    // Of another log, of another kind, and of a log whose operator's name only begins like this one's.
    for number in 0..70 {
        fs_err::write(folder.join(format!("heads-beta-1-{number:016x}.json")), "").unwrap();
        fs_err::write(folder.join(format!("heads-alpha-1-2-{number:016x}.json")), "").unwrap();
        fs_err::write(folder.join(format!("object-{number:016x}")), "").unwrap();
    }
    for size in [7, 8, 9] {
        log.advance(&log.offer(&fork(), 7, size)).unwrap_err();
    }
    assert_eq!(kept(), 213);
    for number in 3..64 {
        fs_err::write(folder.join(format!("heads-alpha-1-{number:016x}.json")), "").unwrap();
    }
    let mut again = log.offer(&fork(), 7, 7);
    again.consistency = vec![TreeHash::of_leaf(b"x").to_string()];
    log.advance(&again).unwrap_err();
    assert_eq!(kept(), 274);
}

#[test]
fn a_head_of_another_key_is_refused_and_nothing_is_remembered() {
    let log = Fixture::new();
    let other = Fixture::new();
    let refused = log.advance(&other.offer(&other.tree, 0, 3)).unwrap_err();
    assert!(matches!(refused, HeadRefused::NotSigned { .. }));
    assert_eq!(log.known(), None);
}

#[test]
fn a_damaged_or_foreign_remembered_head_is_as_good_as_none() {
    let log = Fixture::new();
    log.advance(&log.offer(&log.tree, 0, 7)).unwrap();
    let path = log.folder.path().join("v1/heads/alpha/1");
    let mut text = fs_err::read(&path).unwrap();
    text[30] ^= 1;
    fs_err::write(&path, text).unwrap();
    assert_eq!(log.known(), None);
    assert_eq!(log.advance(&log.offer(&log.tree, 0, 8)).unwrap(), 8);
}

#[test]
fn a_build_that_began_earlier_does_not_put_the_remembered_head_back() {
    let log = Fixture::new();
    log.advance(&log.offer(&log.tree, 0, 3)).unwrap();
    let heads = log.heads();
    let known_earlier = heads.known(&log.log());
    log.advance(&log.offer(&log.tree, 3, 9)).unwrap();
    heads
        .advance(&log.log(), known_earlier.as_ref(), &log.offer(&log.tree, 3, 7), |_| {
            Standing::Counts
        })
        .unwrap();
    assert_eq!(log.known(), Some(9));
}

// Who has the log's key and no witness could else make clients refuse what everybody else has.
#[test]
fn a_head_that_does_not_count_is_not_remembered_and_is_refused_where_it_contradicts() {
    let log = Fixture::new();
    log.advance(&log.offer(&log.tree, 0, 3)).unwrap();
    let shown = log.advance_as(Standing::DoesNotCount, &log.offer(&log.tree, 3, 7));
    assert_eq!(shown.unwrap(), 7);
    assert_eq!(log.known(), Some(3));
    let refused = log.advance_as(Standing::DoesNotCount, &log.offer(&fork(), 3, 3));
    assert!(matches!(refused, Err(HeadRefused::Contradicts { .. })), "{refused:?}");
    assert_eq!(log.advance(&log.offer(&log.tree, 3, 9)).unwrap(), 9);
}

// A stolen key of a log that has ended.
#[test]
fn a_head_after_the_end_of_a_log_is_refused_and_the_last_one_counts_whatever_was_seen_meanwhile() {
    let log = Fixture::new();
    log.advance(&log.offer(&log.tree, 0, 7)).unwrap();
    let refused = log.advance_as(Standing::AfterItsEnd, &log.offer(&log.tree, 7, 9));
    assert!(
        matches!(refused, Err(HeadRefused::AfterItsEnd { size: 9, .. })),
        "{refused:?}"
    );
    assert_eq!(log.known(), Some(7));
    assert_eq!(log.advance_as(Standing::Last, &log.offer(&log.tree, 7, 3)).unwrap(), 3);
    assert!(log.evidence().is_empty());
}
