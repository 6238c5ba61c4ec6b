//! The rules of a witness, without sockets: every refusal, every pair of sizes, and what survives a restart.

use sealift_policy::evidence::Evidence;
use sealift_policy::log::{Checkpoint, ConsistencyProof, LogSigner, Tree, TreeHash, TreeSize};

use super::*;

struct Fixture {
    folder: tempfile::TempDir,
    key: WitnessSigner,
    log: LogSigner,
    witness: Option<Witness>,
}

/// A body before it becomes bytes.
#[derive(Clone)]
struct Asked {
    old: u64,
    proof: ConsistencyProof,
    head: VerifiedCheckpoint,
}

impl Asked {
    fn body(&self) -> Vec<u8> {
        request::body(size(self.old), &self.proof, &self.head)
    }
}

fn size(value: u64) -> TreeSize {
    value.try_into().unwrap()
}

fn tree(salt: u8) -> Tree {
    Tree::of((0..9_u8).map(|leaf| TreeHash::of_leaf(&[leaf, salt]))).unwrap()
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = WitnessSigner::generate("witness.example/w1".parse().unwrap(), &mut rand_core::OsRng);
        let log = LogSigner::generate("sealift/alpha/1".parse().unwrap(), &mut rand_core::OsRng);
        let mut fixture = Self {
            folder,
            key,
            log,
            witness: None,
        };
        fixture.restart().unwrap();
        fixture
    }

    fn restart(&mut self) -> Result<(), HeadsError> {
        self.witness = None;
        let logs = format!("log {}\n", self.log.verifier()).parse().unwrap();
        let data = WitnessData::open(self.folder.path())?;
        self.witness = Some(Witness::new(data, self.key.clone(), logs)?);
        Ok(())
    }

    fn head(&self, tree: &Tree, at: u64) -> VerifiedCheckpoint {
        signed(&self.log, tree.root_at(size(at)).unwrap(), at)
    }

    fn asked(&self, tree: &Tree, old: u64, new: u64) -> Asked {
        Asked {
            old,
            proof: tree.consistency(size(old.min(new)), size(new)).unwrap(),
            head: self.head(tree, new),
        }
    }

    fn ask(&self, body: &[u8]) -> Result<String, WitnessError> {
        self.witness.as_ref().unwrap().add_checkpoint(body, 1000)
    }

    fn refusal(&self, body: &[u8]) -> Refusal {
        match self.ask(body) {
            Err(WitnessError::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    fn known(&self) -> Option<u64> {
        let hash = data::origin_hash(self.log.verifier().origin());
        let latest = self.witness.as_ref().unwrap().latest(&hash).unwrap();
        latest.map(|head| head.size().value())
    }
}

fn signed(log: &LogSigner, root: TreeHash, at: u64) -> VerifiedCheckpoint {
    let checkpoint = Checkpoint {
        origin: log.verifier().origin().clone(),
        size: size(at),
        root,
        time: 100 + at,
    };
    checkpoint.sign(log).unwrap().verify(log.verifier()).unwrap()
}

#[test]
fn a_head_that_extends_the_last_one_is_cosigned_and_served() {
    let mut fixture = Fixture::new();
    let tree = tree(0);
    for (old, new) in [(0, 0), (0, 3), (3, 3), (3, 8), (8, 9)] {
        let asked = fixture.asked(&tree, old, new);
        let line = fixture.ask(&asked.body()).unwrap();
        let cosigned = with_line(&asked.head, &line)
            .unwrap()
            .verify(fixture.log.verifier())
            .unwrap();
        assert_eq!(fixture.key.verifier().cosigned(&cosigned).unwrap().time(), 1000);
        assert_eq!(fixture.known(), Some(new));
        let hash = data::origin_hash(fixture.log.verifier().origin());
        let served = fixture.witness.as_ref().unwrap().latest(&hash).unwrap().unwrap();
        assert_eq!(served.as_bytes(), cosigned.as_bytes());
        fixture.restart().unwrap();
    }
    assert!(fixture.witness.as_ref().unwrap().latest("00").unwrap().is_none());
}

// Every old size, new size and last head, of the log and of a fork: exactly what extends the last head is cosigned.
#[test]
fn t15_of_all_sizes_of_a_log_and_a_fork_exactly_those_that_extend_the_last_head_are_cosigned() {
    let fixture = Fixture::new();
    let (honest, fork) = (tree(0), tree(1));
    let logs = format!("log {}\n", fixture.log.verifier()).parse().unwrap();
    for known in 0..=9 {
        let last = (known > 0).then(|| fixture.head(&honest, known));
        for (old, new) in (0..=9).flat_map(|old| (old..=9).map(move |new| (old, new))) {
            for (tree, is_fork) in [(&honest, false), (&fork, true)] {
                let body = fixture.asked(tree, old, new).body();
                let request = Request::parse(&body).unwrap().verified(&logs).unwrap();
                let expected = if old != known {
                    Decision::Refuse(Refusal::Conflict { known: size(known) })
                } else if is_fork && known > 0 {
                    Decision::Refuse(Refusal::NotConsistent { known: size(known) })
                } else {
                    Decision::Cosign
                };
                assert_eq!(
                    decide(&request, last.as_ref()),
                    expected,
                    "{known} {old} {new} {is_fork}"
                );
            }
        }
    }
}

#[test]
fn each_refusal_has_its_reason_and_changes_nothing() {
    let fixture = Fixture::new();
    let (honest, fork) = (tree(0), tree(1));
    fixture.ask(&fixture.asked(&honest, 0, 5).body()).unwrap();
    let good = fixture.asked(&honest, 5, 9);
    let stranger = LogSigner::generate("sealift/beta/1".parse().unwrap(), &mut rand_core::OsRng);
    let namesake = LogSigner::generate("sealift/alpha/1".parse().unwrap(), &mut rand_core::OsRng);
    let signed_by = |log: &LogSigner| Asked {
        head: signed(log, honest.root(), 9),
        ..good.clone()
    };
    let with_proof = |hashes: Vec<TreeHash>| {
        let mut text = "old 5\n".to_owned();
        text.extend(hashes.iter().map(|hash| format!("{hash}\n")));
        [text.as_bytes(), b"\n", good.head.as_bytes()].concat()
    };
    let hashes = good.proof.hashes().to_vec();
    let not_consistent = Refusal::NotConsistent { known: size(5) };
    let text = String::from_utf8(good.body()).unwrap();
    for (body, expected) in [
        (signed_by(&stranger).body(), Refusal::UnknownLog),
        (signed_by(&namesake).body(), Refusal::NotSigned),
        (
            fixture.asked(&honest, 0, 9).body(),
            Refusal::Conflict { known: size(5) },
        ),
        (
            fixture.asked(&honest, 3, 9).body(),
            Refusal::Conflict { known: size(5) },
        ),
        (fixture.asked(&fork, 5, 9).body(), not_consistent.clone()),
        (fixture.asked(&fork, 5, 5).body(), not_consistent.clone()),
        (with_proof(vec![]), not_consistent.clone()),
        (with_proof(hashes[1..].to_vec()), not_consistent.clone()),
        (
            with_proof([hashes.clone(), vec![hashes[0]]].concat()),
            not_consistent.clone(),
        ),
        (with_proof(vec![hashes[0]; 63]), not_consistent),
        (
            with_proof(vec![hashes[0]; 64]),
            Refusal::Malformed("the proof is too long"),
        ),
        (
            fixture.asked(&honest, 9, 5).body(),
            Refusal::Malformed("the old size is beyond the checkpoint's"),
        ),
        (
            text.replace("old 5", "old 05").into(),
            Refusal::Malformed("the first line is not `old <size>`"),
        ),
        (
            text.replace("old 5", "Old 5").into(),
            Refusal::Malformed("the first line is not `old <size>`"),
        ),
        (
            text.replace("old 5\n", "old 5\nx\n").into(),
            Refusal::Malformed("a line of the proof is no hash"),
        ),
        (
            text.replace("\n9\n", "\n09\n").into(),
            Refusal::Malformed("the checkpoint is malformed"),
        ),
        (b"old 5\n".to_vec(), Refusal::Malformed("there is no empty line")),
        (b"\xff\n\nx".to_vec(), Refusal::Malformed("the body is no text")),
        (
            vec![b'\n'; request::MAX_BODY + 1],
            Refusal::Malformed("the body is too long"),
        ),
    ] {
        assert_eq!(
            fixture.refusal(&body),
            expected,
            "{}",
            String::from_utf8_lossy(&body[..body.len().min(400)])
        );
        assert_eq!(fixture.known(), Some(5));
    }
    fixture.ask(&good.body()).unwrap();
}

#[test]
fn a_proof_from_size_0_must_be_empty_and_an_empty_tree_has_one_root() {
    let fixture = Fixture::new();
    let tree = tree(0);
    let text = String::from_utf8(fixture.asked(&tree, 0, 5).body()).unwrap();
    let padded = text.replace("old 0\n", &format!("old 0\n{}\n", TreeHash::EMPTY));
    let not_consistent = Refusal::NotConsistent { known: TreeSize::ZERO };
    assert_eq!(fixture.refusal(padded.as_bytes()), not_consistent);
    let empty = String::from_utf8(fixture.asked(&tree, 0, 0).body()).unwrap();
    let other = empty.replace(&TreeHash::EMPTY.to_string(), &tree.root().to_string());
    assert_eq!(fixture.refusal(other.as_bytes()), not_consistent);
    assert_eq!(fixture.known(), None);
}

#[test]
fn signatures_of_others_are_neither_asked_about_nor_kept() {
    let fixture = Fixture::new();
    let asked = fixture.asked(&tree(0), 0, 5);
    let other = WitnessSigner::generate("witness.example/w2".parse().unwrap(), &mut rand_core::OsRng);
    let noise = other.cosign(&asked.head, 7).unwrap().repeat(20);
    let line = fixture.ask(&[asked.body(), noise.into_bytes()].concat()).unwrap();
    let hash = data::origin_hash(fixture.log.verifier().origin());
    let kept = fixture.witness.as_ref().unwrap().latest(&hash).unwrap().unwrap();
    assert_eq!(kept.as_bytes(), [asked.head.as_bytes(), line.as_bytes()].concat());
}

#[test]
fn t15_a_log_that_contradicts_itself_is_convicted_by_what_the_witness_keeps() {
    let fixture = Fixture::new();
    fixture.ask(&fixture.asked(&tree(0), 0, 5).body()).unwrap();
    for new in [5, 9] {
        fixture.refusal(&fixture.asked(&tree(1), 5, new).body());
    }
    let files: Vec<_> = fs_err::read_dir(fixture.folder.path().join("evidence"))
        .unwrap()
        .collect();
    assert_eq!(files.len(), 2);
    for file in files {
        let evidence = Evidence::parse(&fs_err::read(file.unwrap().path()).unwrap()).unwrap();
        assert!(evidence.judge(&[fixture.log.verifier().clone()]).unwrap().is_proof());
    }
}

#[test]
fn what_strangers_make_of_honest_heads_never_takes_the_place_of_a_proof() {
    let fixture = Fixture::new();
    fixture.ask(&fixture.asked(&tree(0), 0, 5).body()).unwrap();
    let hash = |salt: u8| TreeHash::of_leaf(&[salt]);
    let judged = || {
        let files = fs_err::read_dir(fixture.folder.path().join("evidence")).unwrap();
        let keys = [fixture.log.verifier().clone()];
        let mut proofs: Vec<_> = files
            .map(|file| Evidence::parse(&fs_err::read(file.unwrap().path()).unwrap()).unwrap())
            .map(|evidence| evidence.judge(&keys).unwrap().is_proof())
            .collect();
        proofs.sort_unstable();
        proofs
    };
    let junk = |from: u8| {
        for salt in from..from + 20 {
            for new in [5, 9] {
                let mut asked = fixture.asked(&tree(0), 5, new);
                asked.proof = vec![hash(salt)].try_into().unwrap();
                fixture.refusal(&asked.body());
            }
        }
    };
    junk(0);
    assert_eq!(judged(), [false; 16]);
    fixture.refusal(&fixture.asked(&tree(1), 5, 9).body());
    junk(20);
    assert_eq!(judged(), [&[false; 16][..], &[true]].concat());
    // One fork under endless hashes, too, is kept a limited number of times.
    for salt in 0..70 {
        let mut asked = fixture.asked(&tree(1), 5, 5);
        asked.proof = vec![hash(salt)].try_into().unwrap();
        fixture.refusal(&asked.body());
    }
    assert_eq!(judged().len(), 16 + 64);
}

#[test]
fn a_witness_whose_memory_is_damaged_or_of_another_key_cosigns_nothing() {
    let mut fixture = Fixture::new();
    fixture.ask(&fixture.asked(&tree(0), 0, 5).body()).unwrap();
    let path = fixture
        .folder
        .path()
        .join("heads")
        .join(data::origin_hash(fixture.log.verifier().origin()));
    let good = fs_err::read(&path).unwrap();
    for damaged in [good[..20].to_vec(), vec![], b"old".to_vec()] {
        fs_err::write(&path, damaged).unwrap();
        let asked = fixture.asked(&tree(1), 0, 9).body();
        assert!(matches!(
            fixture.ask(&asked),
            Err(WitnessError::Heads(HeadsError::Damaged { .. }))
        ));
        assert!(matches!(fixture.restart(), Err(HeadsError::Damaged { .. })));
        fs_err::write(&path, &good).unwrap();
        fixture.restart().unwrap();
    }
}

#[test]
fn a_head_that_cannot_be_remembered_is_not_cosigned() {
    let fixture = Fixture::new();
    fixture.ask(&fixture.asked(&tree(0), 0, 5).body()).unwrap();
    let heads = fixture.folder.path().join("heads");
    let elsewhere = fixture.folder.path().join("elsewhere");
    fs_err::rename(&heads, &elsewhere).unwrap();
    fs_err::write(&heads, "no folder").unwrap();
    assert!(matches!(
        fixture.ask(&fixture.asked(&tree(0), 5, 9).body()),
        Err(WitnessError::Heads(_))
    ));
    fs_err::remove_file(&heads).unwrap();
    fs_err::rename(&elsewhere, &heads).unwrap();
    assert_eq!(fixture.known(), Some(5));
}

#[test]
fn a_clock_that_cannot_be_right_changes_nothing() {
    let fixture = Fixture::new();
    let body = fixture.asked(&tree(0), 0, 5).body();
    let witness = fixture.witness.as_ref().unwrap();
    assert!(matches!(witness.add_checkpoint(&body, 0), Err(WitnessError::Clock(_))));
    assert_eq!(fixture.known(), None);
}

#[test]
fn two_witnesses_never_work_on_one_folder() {
    let fixture = Fixture::new();
    assert!(matches!(
        WitnessData::open(fixture.folder.path()),
        Err(HeadsError::Locked(_))
    ));
}

// The race of the specification: both requests are consistent with the same head.
#[test]
fn of_requests_at_the_same_time_one_goes_first_and_the_others_are_told() {
    let fixture = Fixture::new();
    let bodies: Vec<_> = (1..=9).map(|new| fixture.asked(&tree(0), 0, new).body()).collect();
    let answers = std::thread::scope(|scope| {
        let running: Vec<_> = bodies.iter().map(|body| scope.spawn(|| fixture.ask(body))).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let first = 1 + answers.iter().position(Result::is_ok).unwrap() as u64;
    assert_eq!(fixture.known(), Some(first));
}
