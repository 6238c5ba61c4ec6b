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

#[test]
fn a_key_is_its_text_in_json_and_shows_its_public_half_in_debug() {
    let signer = WitnessSigner::generate("w1".parse().unwrap(), &mut rand_core::OsRng);
    let (key, secret) = (signer.verifier().to_string(), signer.to_secret_text());
    assert_eq!(serde_json::to_string(signer.verifier()).unwrap(), format!("\"{key}\""));
    let shown = format!("{signer:?}");
    assert!(shown.contains(&key) && !shown.contains(secret.splitn(5, '+').nth(4).unwrap()));
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

// Keys of the seeds [1; 32] and [2; 32]; the signatures were made by another implementation (pyca/cryptography).
const GOLDEN_WITNESS: &str = "PRIVATE+KEY+witness.example/w1+df1c0a35+BAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC";
const GOLDEN_LOG: &str = "sealift/alpha/1+d8b43093+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
const GOLDEN_HEAD: &str = "\
sealift/alpha/1
0
47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
time 1700000000

\u{2014} sealift/alpha/1 2LQwk8qINiTB1YOTmCrHO/vT/lMBhPX5P1NBuEj31uozsQ3hpdv8bl4uiUi4bGfabJqP8HKb6A5XbaruT6kV3wConQE=
";
const GOLDEN_LINE: &str = "\u{2014} witness.example/w1 3xwKNQAAAABkGFDLubQbYUmi+qUxdF4gCfUvkunwSCDSpb9SSkcN2r2VqLW0sxgbWQfypym429wnnNFEntqh3c9hjp145CMApQK3BQ==
";

#[test]
fn a_cosignature_is_the_one_that_another_implementation_makes() {
    let head = SignedCheckpoint::parse(GOLDEN_HEAD.as_bytes()).unwrap();
    let head = head.verify(&GOLDEN_LOG.parse().unwrap()).unwrap();
    let witness: WitnessSigner = GOLDEN_WITNESS.parse().unwrap();
    assert_eq!(witness.cosign(&head, 1_679_315_147).unwrap(), GOLDEN_LINE);
    assert_eq!(witness.to_secret_text(), GOLDEN_WITNESS);
    assert_eq!(
        witness.verifier().to_string(),
        "witness.example/w1+df1c0a35+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU"
    );
    assert!(!format!("{witness:?}").contains("BAIC"));
    for time in [0, 1 << 63, u64::MAX] {
        assert_eq!(witness.cosign(&head, time), Err(BadTime(time)));
    }
}

// The example of the specification.
#[test]
fn the_signed_message_is_that_of_the_specification() {
    let body = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let expected = format!("cosignature/v1\ntime 1679315147\n{body}");
    assert_eq!(message(1_679_315_147, body.as_bytes()), expected.as_bytes());
}

#[test]
fn t18_a_log_key_is_no_witness_key_and_the_reverse() {
    let witness = Witness::new();
    assert!(witness.vkey(TYPE_COSIGNATURE).parse::<LogVerifier>().is_err());
    assert!(witness.vkey(0x01).parse::<LogVerifier>().is_ok());
    assert!(witness.vkey(0x01).parse::<WitnessVerifier>().is_err());
    assert!(GOLDEN_WITNESS.parse::<LogSigner>().is_err());
    let log = LogSigner::generate("log".parse().unwrap(), &mut rand_core::OsRng);
    assert!(log.to_secret_text().parse::<WitnessSigner>().is_err());
    assert_eq!(witness.verifier().to_string(), witness.vkey(TYPE_COSIGNATURE));
}
