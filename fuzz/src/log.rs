//! What must hold for the texts and files of a log: notes, checkpoints, proofs, tiles.
//!
//! Must not know how inputs are found.

use sealift_policy::evidence::Evidence;
use sealift_policy::log::cosignature::WitnessVerifier;
use sealift_policy::log::note::{MAX_BYTES, MAX_SIGNATURES, SignedNote};
use sealift_policy::log::tile::{TileKind, WIDTH, append};
use sealift_policy::log::{
    Checkpoint, EntryBundle, LeafIndex, LogSigner, LogVerifier, Origin, SignedCheckpoint, TilePath, TlogProof, Tree,
    TreeHash, TreeSize,
};

use crate::world::WORLD;

/// A note is kept as it came, its text is what stands before the last empty line, and nobody has signed it who has not.
/// A key has one spelling.
pub fn note(data: &[u8]) {
    if let Ok(note) = SignedNote::parse(data) {
        assert!(data.len() <= MAX_BYTES);
        assert_eq!(note.as_bytes(), data);
        let signatures = data.strip_prefix(note.text()).expect("the text is the beginning");
        let signatures = signatures
            .strip_prefix(b"\n\xe2\x80\x94 ")
            .expect("signatures follow an empty line");
        assert!(note.text().ends_with(b"\n"));
        assert!(!signatures.windows(2).any(|pair| pair == b"\n\n"));
        assert!(signatures.split(|&byte| byte == b'\n').count() <= MAX_SIGNATURES + 1);
        for maker in &WORLD.makers {
            if note.verify(maker.signer.verifier()).is_ok() {
                assert_eq!(
                    note.text(),
                    WORLD.head(maker).unverified().to_string().as_bytes(),
                    "a forgery"
                );
            }
        }
    }
    let Ok(text) = str::from_utf8(data) else { return };
    assert_one_spelling::<LogVerifier>(text);
    assert_one_spelling::<WitnessVerifier>(text);
    assert_one_spelling::<Origin>(text);
    if let Ok(signer) = text.parse::<LogSigner>() {
        assert_eq!(signer.to_secret_text(), text);
        assert!(
            !format!("{signer:?}").contains(&text["PRIVATE+KEY+".len()..]),
            "the secret is shown"
        );
    }
}

/// A checkpoint has one text, which reads back when it is signed; and one signature is for one origin.
pub fn checkpoint(data: &[u8]) {
    let Ok(parsed) = SignedCheckpoint::parse(data) else {
        return;
    };
    assert_eq!(parsed.as_bytes(), data);
    let claimed = parsed.unverified().clone();
    assert!(
        data.starts_with(format!("{claimed}\n").as_bytes()),
        "two texts of one checkpoint"
    );
    let maker = &WORLD.makers[0];
    let (signer, verifier) = (&maker.signer, maker.signer.verifier());
    if claimed.origin != *verifier.origin() {
        assert!(parsed.verify(verifier).is_err(), "believed for another log");
        assert!(claimed.clone().sign(signer).is_err(), "signed for another log");
    }
    let own = Checkpoint {
        origin: verifier.origin().clone(),
        ..claimed
    };
    let signed = own.clone().sign(signer).expect("the origin is the key's");
    let read = SignedCheckpoint::parse(signed.as_bytes()).expect("what is signed reads back");
    let verified = read.verify(verifier).expect("what is signed is believed");
    assert_eq!(verified.checkpoint(), &own);
    assert_eq!(verified.as_bytes(), signed.as_bytes());
}

/// Evidence reads back as it is written, and none of it convicts a log whose key has signed one history.
pub fn evidence(data: &[u8]) {
    let Ok(evidence) = Evidence::parse(data) else { return };
    let file = evidence.to_file();
    assert_eq!(
        Evidence::parse(file.as_bytes()).expect("what is written reads back"),
        evidence
    );
    let keys: Vec<_> = WORLD
        .makers
        .iter()
        .map(|maker| maker.signer.verifier().clone())
        .collect();
    if let Ok(finding) = evidence.judge(&keys) {
        assert!(!finding.is_proof(), "an honest log is convicted: {finding:?}");
    }
    // Whoever judges by the keys that the file names asks for trouble, and gets an answer.
    let claimed: Vec<_> = evidence.claimed_keys().into_iter().cloned().collect();
    let _ = evidence.judge(&claimed);
}

/// A proof file without its `extra` line has one spelling, and proves only what is in the tree.
pub fn proof(data: &[u8]) {
    if let Ok(proof) = TlogProof::parse(data) {
        let text = proof.to_bytes();
        assert_eq!(TlogProof::parse(&text).as_ref(), Ok(&proof));
        let second = data.split(|&byte| byte == b'\n').nth(1).unwrap_or_default();
        if second.starts_with(b"extra ") {
            assert_eq!(text.len() + second.len() + 1, data.len());
        } else {
            assert_eq!(text, data);
        }
        for maker in &WORLD.makers {
            let leaf = WORLD.leaf();
            if let Ok(inclusion) = proof.clone().verify(leaf.as_bytes(), maker.signer.verifier()) {
                assert_eq!(inclusion.index(), WORLD.index, "a forgery");
                assert_eq!(inclusion.leaf(), TreeHash::of_leaf(leaf.as_bytes()));
            }
        }
    }
    inclusion(data);
}

/// Of a small tree: a proof holds for its leaf, index and size, and for no other. What is tried comes from the data.
fn inclusion(data: &[u8]) {
    let [size, index, other, flip, rest @ ..] = data else {
        return;
    };
    let (size, other) = (size % 40 + 1, other % 40 + 1);
    let leaves = (0..size.max(other)).map(|at| TreeHash::of_leaf(&[at]));
    let tree = Tree::of(leaves).expect("a few leaves fit");
    let size_of = |count: u8| TreeSize::try_from(u64::from(count)).expect("a small size");
    let at = |index: u8| LeafIndex::try_from(u64::from(index)).expect("a small index");
    let (index, leaf) = (at(index % size), TreeHash::of_leaf(&[index % size]));
    let root = |size: u8| tree.root_at(size_of(size)).expect("within the tree");
    let proof = tree.inclusion(index, size_of(size)).expect("within the tree");
    assert_eq!(proof.verify(index, leaf, size_of(size), root(size)), Ok(()));
    if other != size {
        assert!(proof.verify(index, leaf, size_of(other), root(other)).is_err());
    }
    let wrong = at(flip % 64);
    if wrong != index {
        assert!(proof.verify(wrong, leaf, size_of(size), root(size)).is_err());
    }
    // Other hashes: some of them replaced, dropped or added.
    let mut hashes = proof.hashes().to_vec();
    for change in rest.chunks(2).take(8) {
        let place = usize::from(change[0]) % (hashes.len() + 1);
        match change.get(1) {
            Some(byte) if byte % 3 == 0 && place < hashes.len() => hashes[place] = TreeHash::of_leaf(&[*byte]),
            Some(byte) if byte % 3 == 1 => hashes.insert(place, TreeHash::of_leaf(&[*byte])),
            _ if place < hashes.len() => drop(hashes.remove(place)),
            _ => {}
        }
    }
    if let Ok(changed) = sealift_policy::log::InclusionProof::try_from(hashes)
        && changed != proof
    {
        assert!(changed.verify(index, leaf, size_of(size), root(size)).is_err());
    }
    let (old, new) = (size.min(other), size.max(other));
    let consistency = tree.consistency(size_of(old), size_of(new)).expect("within the tree");
    assert_eq!(
        consistency.verify((size_of(old), root(old)), (size_of(new), root(new))),
        Ok(())
    );
    if old != new {
        assert!(
            consistency
                .verify((size_of(old), root(new)), (size_of(new), root(new)))
                .is_err()
        );
        assert!(
            consistency
                .verify((size_of(old), root(old)), (size_of(new), root(old)))
                .is_err()
        );
    }
}

/// A tile has one path, a bundle of entries one form, and in how many steps a log grew cannot be seen.
pub fn tile(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        assert_one_spelling::<TilePath>(text);
        assert_one_spelling::<TreeSize>(text);
        assert_one_spelling::<LeafIndex>(text);
        assert_one_spelling::<TreeHash>(text);
    }
    let Some((&width, bytes)) = data.split_first() else {
        return;
    };
    let size = TreeSize::try_from(u64::from(width) + 1).expect("a small size");
    let path = TilePath::in_tree(TileKind::Entries, 0, size).expect("a tree of one leaf has a bundle");
    let Ok(bundle) = EntryBundle::parse(bytes, path) else {
        return;
    };
    assert_eq!(bundle.entries().len(), usize::from(path.width()));
    let written: Vec<u8> = bundle.entries().iter().flat_map(|entry| framed(entry)).collect();
    assert_eq!(written, bytes);
    grow(bundle.into_entries(), usize::from(width));
}

fn grow(entries: Vec<Vec<u8>>, first: usize) {
    let mut at_once = Tree::default();
    let files = append(&mut at_once, EntryBundle::default(), entries.clone()).expect("they fit");
    assert!(
        files
            .iter()
            .all(|(path, bytes)| path.width() <= WIDTH && !bytes.is_empty())
    );
    assert_eq!(files.len(), TilePath::all(at_once.size()).count());
    let mut in_steps = Tree::default();
    let (early, late) = entries.split_at(first / 2);
    append(&mut in_steps, EntryBundle::default(), early.to_vec()).expect("they fit");
    let last = EntryBundle::default().appended(early.to_vec());
    append(&mut in_steps, last, late.to_vec()).expect("they fit");
    assert_eq!((at_once.size(), at_once.root()), (in_steps.size(), in_steps.root()));
}

fn framed(entry: &[u8]) -> Vec<u8> {
    let length = u16::try_from(entry.len()).expect("its length was read from two bytes");
    [&length.to_be_bytes(), entry].concat()
}

/// What parses is written as it was read: nothing has two spellings.
fn assert_one_spelling<T: std::str::FromStr + std::fmt::Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}
