//! A memory of signatures that were found right, so that a head on which many units stand is checked once.
//!
//! Owns what such a memory is asked for: one fact of arithmetic, that this key made this signature of this text. It holds
//! whatever a policy says, before and after any change of it, and says nothing of whom to believe. Whoever can write to the
//! memory can make a signature right, so it must lie where only those can write who decide anyway.
//! Must not know where a memory lies.

use std::collections::BTreeSet;
use std::sync::Mutex;

use signed_note::Verifier;

use super::key::LogVerifier;
use crate::digest::{Digest, Hasher};

/// Remembers signatures that were right.
pub trait SignatureMemory {
    /// Whether the signature that is named by this digest was once found right.
    fn knows(&self, signature: Digest) -> bool;
    /// Takes note of one that was found right.
    fn learn(&self, signature: Digest);
}

/// Remembers nothing.
#[derive(Debug, Clone, Copy)]
pub struct Forgetful;

impl SignatureMemory for Forgetful {
    fn knows(&self, _: Digest) -> bool {
        false
    }

    fn learn(&self, _: Digest) {}
}

/// Remembers for as long as it lives.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<BTreeSet<Digest>>);

impl SignatureMemory for InMemory {
    fn knows(&self, signature: Digest) -> bool {
        self.0.lock().is_ok_and(|known| known.contains(&signature))
    }

    fn learn(&self, signature: Digest) {
        if let Ok(mut known) = self.0.lock() {
            known.insert(signature);
        }
    }
}

/// Whether this Ed25519 key made this signature of this text: known, or found out by `verify` and learned.
pub(super) fn is_right(
    memory: &dyn SignatureMemory,
    (key, text, signature): (&[u8; 32], &[u8], &[u8]),
    verify: impl FnOnce() -> bool,
) -> bool {
    let fact = fact(key, text, signature);
    if memory.knows(fact) {
        return true;
    }
    let is_right = verify();
    if is_right {
        memory.learn(fact);
    }
    is_right
}

/// A log's key that asks a memory first.
pub(super) struct Remembering<'a> {
    pub(super) log: &'a LogVerifier,
    pub(super) memory: &'a dyn SignatureMemory,
}

impl Verifier for Remembering<'_> {
    fn name(&self) -> &str {
        self.log.name()
    }

    fn key_id(&self) -> u32 {
        self.log.key_id()
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let claimed = (self.log.public_key(), text, signature);
        is_right(self.memory, claimed, || self.log.verify(text, signature))
    }
}

/// Names one signature: lengths come before what has no fixed one, so that no two are named alike.
fn fact(key: &[u8; 32], text: &[u8], signature: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(b"sealift: a right ed25519 signature\n");
    hasher.update(key);
    hasher.update(&(signature.len() as u64).to_be_bytes());
    hasher.update(signature);
    hasher.update(text);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use base64::prelude::{BASE64_STANDARD, Engine as _};

    use super::*;
    use crate::log::cosignature::{CosignatureError, VerifiedCosignature, WitnessSigner};
    use crate::log::{Checkpoint, LogSigner, SignedCheckpoint, TreeHash, TreeSize, VerifiedCheckpoint};

    #[derive(Default)]
    struct Memory(RefCell<BTreeSet<Digest>>);

    impl SignatureMemory for Memory {
        fn knows(&self, signature: Digest) -> bool {
            self.0.borrow().contains(&signature)
        }

        fn learn(&self, signature: Digest) {
            assert!(
                self.0.borrow_mut().insert(signature),
                "what is known is not computed again"
            );
        }
    }

    fn signer() -> LogSigner {
        LogSigner::generate("log".parse().unwrap(), &mut rand_core::OsRng)
    }

    fn head(signer: &LogSigner, time: u64) -> Vec<u8> {
        let checkpoint = Checkpoint {
            origin: signer.verifier().origin().clone(),
            size: TreeSize::ZERO,
            root: TreeHash::EMPTY,
            time,
        };
        checkpoint.sign(signer).unwrap().as_bytes().to_vec()
    }

    fn verifies(bytes: &[u8], signer: &LogSigner, memory: &Memory) -> bool {
        let head = SignedCheckpoint::parse(bytes).unwrap();
        head.verify_with(signer.verifier(), memory).is_ok()
    }

    #[test]
    fn a_fact_is_of_one_key_one_text_and_one_signature() {
        let facts = [
            fact(&[1; 32], b"text", b"made"),
            fact(&[2; 32], b"text", b"made"),
            fact(&[1; 32], b"texts", b"made"),
            fact(&[1; 32], b"text", b"makes"),
            // The same bytes in a row, cut elsewhere.
            fact(&[1; 32], b"etext", b"mad"),
        ];
        assert_eq!(BTreeSet::from(facts).len(), facts.len());
        let memory = InMemory::default();
        assert!(!memory.knows(facts[0]));
        memory.learn(facts[0]);
        assert!(memory.knows(facts[0]) && !memory.knows(facts[1]));
    }

    #[test]
    fn a_right_signature_is_learned_once_and_then_known() {
        let (memory, log) = (Memory::default(), signer());
        for _ in 0..2 {
            assert!(verifies(&head(&log, 1), &log, &memory));
        }
        assert_eq!(memory.0.borrow().len(), 1);
        assert!(verifies(&head(&log, 2), &log, &memory));
        assert_eq!(memory.0.borrow().len(), 2, "another text has a signature of its own");
    }

    // The forger has the key's name, and a memory that knows the true head.
    #[test]
    fn what_is_known_vouches_for_no_other_key_text_or_signature() {
        let (memory, log, forger) = (Memory::default(), signer(), signer());
        let truth = head(&log, 1);
        assert!(verifies(&truth, &log, &memory));
        let known = memory.0.borrow().clone();
        assert!(
            !verifies(&head(&forger, 1), &log, &memory),
            "the same text by another key"
        );
        assert!(!verifies(&truth, &forger, &memory), "the same note for another key");
        let text = String::from_utf8(truth).unwrap();
        assert!(
            !verifies(text.replace("time 1", "time 2").as_bytes(), &log, &memory),
            "another text"
        );
        let mut forged = text.clone().into_bytes();
        let inside = text.trim_end().len() - 10;
        forged[inside] = if forged[inside] == b'A' { b'B' } else { b'A' };
        assert!(!verifies(&forged, &log, &memory), "another signature");
        assert_eq!(*memory.0.borrow(), known, "nothing wrong is learned");
    }

    // The forger holds a true cosignature that the memory knows, and changes what it is under.
    #[test]
    fn what_is_known_of_a_witness_vouches_for_no_other_time_head_or_witness() {
        let (memory, log) = (Memory::default(), signer());
        let witness = |name: &str| WitnessSigner::generate(name.parse().unwrap(), &mut rand_core::OsRng);
        let (one, two) = (witness("w1"), witness("w1"));
        let verified = |bytes: &[u8]| SignedCheckpoint::parse(bytes).unwrap().verify(log.verifier()).unwrap();
        let with = |time: u64, line: &str| verified(&[head(&log, time), line.as_bytes().to_vec()].concat());
        let line = one.cosign(&verified(&head(&log, 1)), 7).unwrap();
        let time = |witness: &WitnessSigner, head: &VerifiedCheckpoint| {
            let cosigned = witness.verifier().cosigned_with(&memory, head);
            cosigned.map(VerifiedCosignature::time)
        };
        for _ in 0..2 {
            assert_eq!(time(&one, &with(1, &line)), Ok(7));
        }
        assert_eq!(memory.0.borrow().len(), 1);
        // Key id and time come first: the twelfth byte is the time's last one.
        let (name, base64) = line.trim_end().rsplit_once(' ').unwrap();
        let changed = |change: &dyn Fn(&mut [u8])| {
            let mut bytes = BASE64_STANDARD.decode(base64).unwrap();
            change(&mut bytes);
            format!("{name} {}\n", BASE64_STANDARD.encode(bytes))
        };
        let bad = |verified: Result<u64, CosignatureError>| matches!(verified, Err(CosignatureError::Bad { .. }));
        let of_two = changed(&|bytes| bytes[..4].copy_from_slice(&two.verifier().key_id().to_be_bytes()));
        assert!(bad(time(&two, &with(1, &of_two))), "another witness");
        assert!(bad(time(&one, &with(2, &line))), "another head");
        assert!(
            bad(time(&one, &with(1, &changed(&|bytes| bytes[11] ^= 1)))),
            "another time"
        );
        assert_eq!(memory.0.borrow().len(), 1, "nothing wrong is learned");
    }
}
