//! Proof files, golden and forged.

use proptest::prelude::*;

use super::*;
use crate::log::checkpoint::Checkpoint;
use crate::log::key::LogSigner;
use crate::log::tree::Tree;

fn log(leaves: &[&[u8]]) -> (LogSigner, Tree, SignedCheckpoint) {
    let signer = LogSigner::generate("sealift/alpha/1".parse().unwrap(), &mut rand_core::OsRng);
    let tree = Tree::of(leaves.iter().map(|leaf| TreeHash::of_leaf(leaf))).unwrap();
    let origin = signer.verifier().origin().clone();
    let checkpoint = Checkpoint {
        origin,
        size: tree.size(),
        root: tree.root(),
        time: 1,
    }
    .sign(&signer)
    .unwrap();
    (signer, tree, checkpoint)
}

fn proof(at: u64) -> (LogSigner, TlogProof) {
    let (signer, tree, checkpoint) = log(&[b"zero", b"one", b"two"]);
    let index = LeafIndex::try_from(at).unwrap();
    (
        signer,
        TlogProof {
            index,
            proof: tree.inclusion(index, tree.size()).unwrap(),
            checkpoint,
        },
    )
}

#[test]
fn a_proof_file_keeps_its_golden_form() {
    let text = String::from_utf8(proof(1).1.to_bytes()).unwrap();
    let head = text.split_once("time 1\n").unwrap().0;
    insta::assert_snapshot!(head, @"
    c2sp.org/tlog-proof@v1
    index 1
    bWt2UodlmLLAZro08EeWsBkoXSCZHlm/ueen5swtT5g=
    qxq38Hx8j+Dv9LpvqlPH5EEukaWZFT6KpOAb7s5beCU=

    sealift/alpha/1
    3
    A9jN2rnQIZbqXtL42/AQnTXSHwcp5YXyeuKU7VUuwys=
    ");
}

#[test]
fn a_leaf_is_proved_by_the_file_alone() {
    let (signer, proof) = proof(1);
    let read = TlogProof::parse(&proof.to_bytes()).unwrap();
    assert_eq!(read, proof);
    let verified = read.verify(b"one", signer.verifier()).unwrap();
    assert_eq!(
        (verified.leaf(), verified.index().value()),
        (TreeHash::of_leaf(b"one"), 1)
    );
    assert!(proof.clone().verify(b"two", signer.verifier()).is_err());
    let stranger = LogSigner::generate("sealift/alpha/1".parse().unwrap(), &mut rand_core::OsRng);
    assert!(proof.verify(b"one", stranger.verifier()).is_err());
}

#[test]
fn an_extra_line_is_allowed_and_dropped() {
    let (_, proof) = proof(0);
    let text = String::from_utf8(proof.to_bytes()).unwrap();
    let with = text.replace("index", "extra aGVsbG8=\nindex");
    assert_eq!(TlogProof::parse(with.as_bytes()), Ok(proof));
    for wrong in [
        "extra aGVsbG8\n",
        "extra aGVsbG8=\nextra aGVsbG8=\n",
        "extra\n",
        "other\n",
    ] {
        let with = text.replace("index", &format!("{wrong}index"));
        assert!(TlogProof::parse(with.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn a_file_may_be_as_large_as_two_notes() {
    // Base64 comes in fours: with a time of so many digits the limit is met exactly.
    let text = String::from_utf8(proof(0).1.to_bytes())
        .unwrap()
        .replace("time 1\n", "time 1000\n");
    let with = |length: usize| text.replace("index", &format!("extra {}\nindex", "A".repeat(length)));
    let room = 2 * super::super::note::MAX_BYTES - with(0).len();
    assert_eq!(room % 4, 0);
    assert!(TlogProof::parse(with(room).as_bytes()).is_ok());
    assert_eq!(TlogProof::parse(with(room + 4).as_bytes()), Err(ProofError::Malformed));
}

#[test]
fn t9_t13_files_that_break_the_format_are_refused() {
    let (_, proof) = proof(1);
    let text = String::from_utf8(proof.to_bytes()).unwrap();
    let hash = proof.proof.hashes()[0].to_string();
    for wrong in [
        String::new(),
        text.replace("@v1", "@v2"),
        text.replace("index 1", "index 01"),
        text.replace("index 1", "index -1"),
        text.replace("index 1", "index 18446744073709551616"),
        text.replace("index 1\n", ""),
        text.replace(&hash, &hash[1..]),
        text.replace(&hash, &format!(" {hash}")),
        text.replacen("\n\n", "\n", 1),
        text.replacen("\n\n", "\n\n\n", 1),
        text.replace('\n', "\r\n"),
        text.replace("index 1\n", &format!("index 1\n{}", format!("{hash}\n").repeat(60))),
        format!("{text}x"),
        format!("{text}{}", "x".repeat(MAX_BYTES)),
    ] {
        assert!(TlogProof::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn t9_a_proof_of_another_index_is_refused() {
    for other in [0, 2, 3, 1 << 40] {
        let (signer, mut proof) = proof(1);
        proof.index = other.try_into().unwrap();
        assert!(proof.verify(b"one", signer.verifier()).is_err(), "{other}");
    }
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[ -~\n]{0,200}") {
        let _ = TlogProof::parse(&bytes);
        let _ = TlogProof::parse(format!("{HEADER}\n{text}").as_bytes());
    }
}
