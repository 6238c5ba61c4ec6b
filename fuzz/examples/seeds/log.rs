//! Notes, checkpoints, proofs, tiles. Must not know where seeds go.

use sealift_fuzz::world::{NOW, WORLD};
use sealift_policy::evidence::{Evidence, HeadPair, LoggedLeaf, StatementPair};
use sealift_policy::log::tile::append;
use sealift_policy::log::{Checkpoint, EntryBundle, LeafIndex, SignedCheckpoint, TlogProof, Tree, TreeHash, TreeSize};

use crate::seed;

fn evidence(head: &str) -> std::io::Result<()> {
    let vkey = WORLD.makers[0].signer.verifier().clone();
    let heads = Evidence::Heads(HeadPair {
        vkey,
        known: head.to_owned(),
        offered: head.to_owned(),
        consistency: vec![TreeHash::EMPTY.to_string()],
        smaller_root_in_larger: Some(TreeHash::EMPTY),
    });
    seed("evidence", "heads", heads.to_file())?;
    let leaves = WORLD
        .makers
        .iter()
        .zip(WORLD.proofs())
        .map(|(maker, proof)| LoggedLeaf {
            vkey: maker.signer.verifier().clone(),
            leaf: WORLD.leaf(),
            proof: proof.proof,
        });
    let leaves: Vec<_> = leaves.collect();
    if let [first, second] = &leaves[..] {
        let statements = Evidence::Statements(StatementPair {
            first: first.clone(),
            second: second.clone(),
        });
        seed("evidence", "statements", statements.to_file())?;
    }
    Ok(())
}

pub(crate) fn log() -> std::io::Result<()> {
    for maker in &WORLD.makers {
        let head = WORLD.head(maker);
        seed("note", &format!("head-{}", maker.name), head.as_bytes())?;
        seed("checkpoint", &format!("head-{}", maker.name), head.as_bytes())?;
        seed(
            "note",
            &format!("key-{}", maker.name),
            maker.signer.verifier().to_string(),
        )?;
        seed("note", &format!("secret-{}", maker.name), maker.signer.to_secret_text())?;
    }
    seed(
        "note",
        "witness",
        "w1.example+c1f84a3d+BMvUvLHmtaaEzIfn2Vsgy9uHcN+XR7Lh7tdBfjCMqDVt",
    )?;
    let head = WORLD.head(&WORLD.makers[0]);
    let text = String::from_utf8_lossy(head.as_bytes());
    let (before, signature) = text.split_once("\n\n").unwrap_or_default();
    seed("note", "empty-line-inside", format!("text\n\n{before}\n\n{signature}"))?;
    seed("note", "two-signatures", format!("{before}\n\n{signature}{signature}"))?;
    seed(
        "checkpoint",
        "two-signatures",
        format!("{before}\n\n{signature}{signature}"),
    )?;
    let now = NOW.to_string();
    seed("checkpoint", "old-time", text.replace(&now, "0"))?;
    let empty = Checkpoint {
        size: TreeSize::ZERO,
        root: TreeHash::EMPTY,
        ..head.unverified().clone()
    };
    seed(
        "checkpoint",
        "empty-tree",
        empty.sign(&WORLD.makers[0].signer).expect("its own origin").as_bytes(),
    )?;
    seed("checkpoint", "other-line", text.replace("time ", "extension "))?;
    for proof in WORLD.proofs() {
        seed("proof", &format!("file-{}", proof.operator), &proof.proof)?;
        let extra = proof.proof.replacen("\nindex", "\nextra AAAA\nindex", 1);
        seed("proof", &format!("extra-{}", proof.operator), extra)?;
    }
    evidence(&text)?;
    let first = TlogProof {
        index: LeafIndex::try_from(0).expect("a small index"),
        proof: Default::default(),
        checkpoint: SignedCheckpoint::parse(head.as_bytes()).expect("it was signed"),
    };
    seed("proof", "no-hashes", first.to_bytes())?;
    seed("proof", "small-trees", [7, 3, 11, 40, 0, 1, 2, 3, 4, 5])?;
    for (name, path) in [
        ("full", "tile/0/x001/234"),
        ("partial", "tile/entries/x001/x234/067.p/5"),
        ("level", "tile/6/000.p/1"),
        ("size", "9007199254740991"),
        ("hash", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ] {
        seed("tile", &format!("path-{name}"), path)?;
    }
    for count in [1usize, 3, 256] {
        let leaves = (0..count).map(|at| vec![b'l'; at % 5]);
        let files = append(&mut Tree::default(), EntryBundle::default(), leaves).expect("they fit");
        let width = u8::try_from(count - 1).expect("at most 256");
        seed(
            "tile",
            &format!("bundle-{count}"),
            [&[width], files[0].1.as_slice()].concat(),
        )?;
    }
    Ok(())
}
