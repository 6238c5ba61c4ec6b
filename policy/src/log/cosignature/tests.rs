//! Cosignatures, counted and forged.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ed25519_dalek::{Signer as _, SigningKey};
use signed_note::{Signature, Verifier as _};

use super::*;
use crate::log::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::log::key::{LogSigner, LogVerifier};
use crate::log::number::{TreeHash, TreeSize};

struct Witness(SigningKey);

impl Witness {
    fn new() -> Self {
        Self(SigningKey::generate(&mut rand_core::OsRng))
    }

    fn vkey(&self, kind: u8) -> String {
        let key = [&[kind], self.0.verifying_key().as_bytes().as_slice()].concat();
        format!(
            "w1+{:08x}+{}",
            signed_note::key_id("w1", &key),
            BASE64_STANDARD.encode(&key)
        )
    }

    fn verifier(&self) -> WitnessVerifier {
        self.vkey(TYPE_COSIGNATURE).parse().unwrap()
    }

    /// A cosignature line that states `stated` and signs `signed`.
    fn line(&self, text: &str, signed: u64, stated: u64) -> Vec<u8> {
        let message = format!("cosignature/v1\ntime {signed}\n{text}");
        let signature = [
            stated.to_be_bytes().as_slice(),
            &self.0.sign(message.as_bytes()).to_bytes(),
        ]
        .concat();
        Signature::new("w1".into(), self.verifier().key_id(), signature)
            .unwrap()
            .to_bytes()
    }
}

fn cosigned(lines: &[Vec<u8>]) -> VerifiedCheckpoint {
    let log = LogSigner::generate("log".parse().unwrap(), &mut rand_core::OsRng);
    let bytes = [checkpoint().sign(&log).unwrap().as_bytes(), &lines.concat()].concat();
    SignedCheckpoint::parse(&bytes).unwrap().verify(log.verifier()).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: "log".parse().unwrap(),
        size: TreeSize::ZERO,
        root: TreeHash::EMPTY,
        time: 1,
    }
}

#[test]
fn a_witness_counts_with_its_newest_cosignature() {
    let witness = Witness::new();
    let text = checkpoint().to_string();
    let seen = witness
        .verifier()
        .cosigned(&cosigned(&[witness.line(&text, 7, 7), witness.line(&text, 9, 9)]));
    assert_eq!(seen.unwrap().time(), 9);
}

#[test]
fn t17_cosignatures_at_time_0_or_of_other_times_texts_and_keys_do_not_count() {
    let witness = Witness::new();
    let text = checkpoint().to_string();
    let bad = Err(CosignatureError::Bad {
        witness: "w1".parse().unwrap(),
    });
    let missing = Err(CosignatureError::Missing {
        witness: "w1".parse().unwrap(),
    });
    let of = |lines: &[Vec<u8>]| witness.verifier().cosigned(&cosigned(lines));
    assert_eq!(of(&[]), missing);
    assert_eq!(of(&[Witness::new().line(&text, 7, 7)]), missing);
    assert_eq!(of(&[witness.line(&text, 0, 0)]), bad);
    assert_eq!(of(&[witness.line(&text, 1 << 63, 1 << 63)]), bad);
    assert_eq!(of(&[witness.line(&text, 7, 8)]), bad);
    assert_eq!(of(&[witness.line("other\n", 7, 7)]), bad);
    assert_eq!(of(&[witness.line(&text, 7, 7), witness.line(&text, 7, 8)]), bad);
}

// As any other key's signature on a note: whoever asks the note itself is told the same.
#[test]
fn a_note_is_verified_by_a_witness_as_its_cosignatures_are() {
    let witness = Witness::new();
    let text = checkpoint().to_string();
    for (stated, holds) in [(7, true), (8, false), (0, false)] {
        let head = cosigned(&[witness.line(&text, 7, stated)]);
        assert_eq!(head.note().verify(&witness.verifier()).is_ok(), holds, "{stated}");
        assert_eq!(witness.verifier().cosigned(&head).is_ok(), holds, "{stated}");
    }
}

#[test]
fn t18_a_log_key_is_no_witness_key_and_the_reverse() {
    let witness = Witness::new();
    assert!(witness.vkey(TYPE_COSIGNATURE).parse::<LogVerifier>().is_err());
    assert!(witness.vkey(0x01).parse::<LogVerifier>().is_ok());
    assert!(witness.vkey(0x01).parse::<WitnessVerifier>().is_err());
    assert_eq!(witness.verifier().to_string(), witness.vkey(TYPE_COSIGNATURE));
}
