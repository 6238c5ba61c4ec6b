//! A memory of signatures that were found right, so that a head on which many units stand is checked once.
//!
//! Owns what such a memory is asked for: one fact of arithmetic, that this key made this signature of this text. It holds
//! whatever a policy says, before and after any change of it, and says nothing of whom to believe. Whoever can write to the
//! memory can make a signature right, so it must lie where only those can write who decide anyway.
//! Must not know where a memory lies.

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
        let fact = fact(self.log, text, signature);
        if self.memory.knows(fact) {
            return true;
        }
        let is_right = self.log.verify(text, signature);
        if is_right {
            self.memory.learn(fact);
        }
        is_right
    }
}

/// Names one signature: lengths come before what has no fixed one, so that no two are named alike.
fn fact(log: &LogVerifier, text: &[u8], signature: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(b"sealift: a right ed25519 signature\n");
    hasher.update(log.public_key());
    hasher.update(&(signature.len() as u64).to_be_bytes());
    hasher.update(signature);
    hasher.update(text);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::*;
    use crate::log::{Checkpoint, LogSigner, SignedCheckpoint, TreeHash, TreeSize};

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
}
