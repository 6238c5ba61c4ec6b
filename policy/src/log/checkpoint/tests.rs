//! Checkpoints, golden and forged.

use proptest::prelude::*;

use super::*;

fn signer(name: &str) -> LogSigner {
    LogSigner::generate(name.parse().unwrap(), &mut rand_core::OsRng)
}

fn checkpoint(origin: &str) -> Checkpoint {
    let root = TreeHash::of_leaf(b"x");
    Checkpoint {
        origin: origin.parse().unwrap(),
        size: 5.try_into().unwrap(),
        root,
        time: 1_700_000_000,
    }
}

/// Signs any text, as a hostile operator can.
fn sign_text(text: &str, key: &LogSigner) -> Vec<u8> {
    let name = key.verifier().origin().as_str();
    let signature = key.signature(text.as_bytes());
    SignedNote::sign(text, name, key.key_id(), signature)
        .unwrap()
        .as_bytes()
        .to_vec()
}

#[test]
fn a_checkpoint_keeps_its_golden_form() {
    insta::assert_snapshot!(checkpoint("sealift/alpha/1").to_string(), @"
    sealift/alpha/1
    5
    PH6byTDck/AfppmF7yQtn56GHzxTVaokzl70tLinDMs=
    time 1700000000
    ");
}

#[test]
fn what_the_log_signed_is_verified_and_its_bytes_are_kept() {
    let key = signer("sealift/alpha/1");
    let signed = checkpoint("sealift/alpha/1").sign(&key).unwrap();
    let received = SignedCheckpoint::parse(signed.as_bytes()).unwrap();
    assert_eq!(received, signed);
    let verified = received.verify(key.verifier()).unwrap();
    assert_eq!(
        (verified.checkpoint(), verified.as_bytes()),
        (&checkpoint("sealift/alpha/1"), signed.as_bytes())
    );
    let reference = tlog_tiles::Checkpoint::from_bytes(checkpoint("sealift/alpha/1").to_string().as_bytes()).unwrap();
    assert_eq!((reference.size(), reference.extension()), (5, "time 1700000000\n"));
}

#[test]
fn t11_the_right_key_over_another_origin_is_refused() {
    let key = signer("sealift/alpha/1");
    let bytes = sign_text(&checkpoint("sealift/alpha/2").to_string(), &key);
    let refused = SignedCheckpoint::parse(&bytes).unwrap().verify(key.verifier());
    assert!(matches!(refused, Err(CheckpointError::OtherLog { .. })));
    assert!(checkpoint("sealift/alpha/2").sign(&key).is_err(), "nor is it signed");
}

#[test]
fn t11_the_right_origin_under_another_logs_key_is_refused() {
    let (alpha, beta) = (signer("sealift/alpha/1"), signer("sealift/beta/1"));
    let bytes = sign_text(&checkpoint("sealift/alpha/1").to_string(), &beta);
    let refused = SignedCheckpoint::parse(&bytes).unwrap().verify(alpha.verifier());
    assert!(matches!(
        refused,
        Err(CheckpointError::Note(NoteError::NotSigned { .. }))
    ));
    let impostor = signer("sealift/alpha/1");
    let signed = checkpoint("sealift/alpha/1").sign(&impostor).unwrap();
    assert!(signed.verify(alpha.verifier()).is_err());
}

#[test]
fn t13_t14_texts_that_are_not_exactly_the_four_lines_are_refused() {
    let key = signer("log");
    let good = checkpoint("log").to_string();
    assert!(SignedCheckpoint::parse(&sign_text(&good, &key)).is_ok());
    let root = TreeHash::of_leaf(b"x").to_string();
    for text in [
        good.replace("log\n5", "log\n005"),
        good.replace("log\n5", "log\n+5"),
        good.replace("log\n5", "log\n18446744073709551616"),
        good.replace(&root, &root[..40]),
        good.replace("time 1700000000\n", ""),
        good.replace("time 17", "time 017"),
        good.replace("time 1700000000", "time 99999999999999999999"),
        good.replace("time", "Time"),
        good.replace("time ", "time  "),
        format!("{good}unknown extension\n"),
        format!("{good}time 1700000001\n"),
        good.replace("log\n", "l+g\n"),
        format!("\n{good}"),
        good.replace("log\n", "log\n\n"),
    ] {
        let refused = SignedCheckpoint::parse(&sign_text(&text, &key)).unwrap_err();
        assert_eq!(refused, CheckpointError::Malformed, "{text}");
    }
    let empty = SignedCheckpoint::parse(&sign_text(&good.replace("log\n5", "log\n0"), &key));
    assert_eq!(empty.unwrap_err(), CheckpointError::EmptyRoot);
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let key = signer("log");
    let signed = checkpoint("log").sign(&key).unwrap();
    for at in 0..signed.as_bytes().len() {
        let mut bytes = signed.as_bytes().to_vec();
        bytes[at] ^= 1;
        let refused = SignedCheckpoint::parse(&bytes).and_then(|changed| changed.verify(key.verifier()));
        assert!(refused.is_err(), "byte {at}");
    }
}

proptest! {
    #[test]
    fn every_checkpoint_survives_its_text(size in 0..=9_007_199_254_740_991_u64, root: [u8; 32], time: u64) {
        let root = if size == 0 { TreeHash::EMPTY } else { TreeHash::from_bytes(root) };
        let checkpoint = Checkpoint { origin: "log".parse().unwrap(), size: size.try_into().unwrap(), root, time };
        prop_assert_eq!(Checkpoint::parse(checkpoint.to_string().as_bytes()), Ok(checkpoint));
    }
}
