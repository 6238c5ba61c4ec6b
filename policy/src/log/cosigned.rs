//! Which signature lines of a checkpoint are worth keeping, and how those of two copies become one.
//!
//! Owns the merge. It needs no clock and no order: whoever merges the same copies gets the same bytes, so that mirrors
//! agree. Must not know which witnesses are enough.

use signed_note::{Signature, Verifier};

use super::checkpoint::{CheckpointError, SignedCheckpoint, VerifiedCheckpoint};
use super::cosignature::WitnessVerifier;
use super::key::LogVerifier;
use super::note::MAX_SIGNATURES;

/// The head with one signature of its log and one cosignature of each of these witnesses that has cosigned it, taken
/// from either copy; of several the oldest, so that one from the future never displaces a usable one. Lines of anybody
/// else, and such as do not verify, are left out. A copy of another text adds nothing.
pub fn merged(
    log: &LogVerifier,
    witnesses: &[WitnessVerifier],
    head: &VerifiedCheckpoint,
    other: &VerifiedCheckpoint,
) -> Result<VerifiedCheckpoint, CheckpointError> {
    let copies = [Some(head), Some(other).filter(|other| is_same_text(head, other))];
    let mut bytes = [head.note().text(), b"\n"].concat();
    // Verified: every signature of the log's key holds.
    if let Some(signature) = head.note().signatures_of(log).next() {
        bytes.extend(line(log, signature));
    }
    // What does not fit into a note is left out, as a note that has it would be refused by everybody.
    for witness in witnesses.iter().take(MAX_SIGNATURES - 1) {
        let lines = copies
            .into_iter()
            .flatten()
            .flat_map(|copy| copy.note().signatures_of(witness));
        let valid = lines.filter_map(|signature| Some((witness.time_of(head.note().text(), signature)?, signature)));
        if let Some((_, signature)) = valid.min() {
            bytes.extend(line(witness, signature));
        }
    }
    SignedCheckpoint::parse(&bytes)?.verify(log)
}

/// Whether two signed heads say the very same: size, root and time.
pub fn is_same_text(one: &VerifiedCheckpoint, other: &VerifiedCheckpoint) -> bool {
    one.note().text() == other.note().text()
}

fn line(key: &impl Verifier, signature: &[u8]) -> Vec<u8> {
    let line = Signature::new(key.name().to_owned(), key.key_id(), signature.to_vec());
    line.expect("the name is a key's").to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::cosignature::WitnessSigner;
    use crate::log::{Checkpoint, LogSigner, TreeHash, TreeSize};

    struct Fixture {
        log: LogSigner,
        witnesses: [WitnessSigner; 2],
    }

    impl Fixture {
        fn new() -> Self {
            let witness = |name: &str| WitnessSigner::generate(name.parse().unwrap(), &mut rand_core::OsRng);
            Self {
                log: LogSigner::generate("log".parse().unwrap(), &mut rand_core::OsRng),
                witnesses: [witness("w1"), witness("w2")],
            }
        }

        fn head(&self, time: u64, lines: &[String]) -> VerifiedCheckpoint {
            let checkpoint = Checkpoint {
                origin: "log".parse().unwrap(),
                size: TreeSize::ZERO,
                root: TreeHash::EMPTY,
                time,
            };
            let bytes = [
                checkpoint.sign(&self.log).unwrap().as_bytes(),
                lines.concat().as_bytes(),
            ]
            .concat();
            SignedCheckpoint::parse(&bytes)
                .unwrap()
                .verify(self.log.verifier())
                .unwrap()
        }

        fn merged(&self, head: &VerifiedCheckpoint, other: &VerifiedCheckpoint) -> VerifiedCheckpoint {
            let witnesses = self.witnesses.clone().map(|witness| witness.verifier().clone());
            merged(self.log.verifier(), &witnesses, head, other).unwrap()
        }

        fn times(&self, head: &VerifiedCheckpoint) -> [Option<u64>; 2] {
            let time = |witness: &WitnessSigner| witness.verifier().cosigned(head).ok().map(|seen| seen.time());
            self.witnesses.each_ref().map(time)
        }
    }

    #[test]
    fn what_either_copy_has_is_kept_once_in_whatever_order_they_are_merged() {
        let world = Fixture::new();
        let bare = world.head(1, &[]);
        let [one, two] = world
            .witnesses
            .each_ref()
            .map(|witness| witness.cosign(&bare, 7).unwrap());
        let late = world.witnesses[0].cosign(&bare, 1 << 60).unwrap();
        let copies = [
            vec![],
            vec![one.clone()],
            vec![two.clone(), late.clone()],
            vec![late, one, two],
        ];
        let copies = copies.map(|lines| world.head(1, &lines));
        for a in &copies {
            for b in &copies {
                let both = world.merged(a, b);
                assert_eq!(both.as_bytes(), world.merged(b, a).as_bytes());
                assert_eq!(both.as_bytes(), world.merged(&both, a).as_bytes());
                let expected = |index: usize| world.times(a)[index].or(world.times(b)[index]).is_some();
                assert_eq!(
                    world.times(&both).map(|time| time.is_some()),
                    [expected(0), expected(1)]
                );
            }
        }
        assert_eq!(
            world.times(&world.merged(&copies[2], &copies[1])),
            [Some(7), Some(7)],
            "the usable one stays"
        );
        assert_eq!(world.merged(&bare, &bare).as_bytes(), bare.as_bytes());
    }

    #[test]
    fn no_more_cosignatures_are_kept_than_a_note_may_have() {
        let world = Fixture::new();
        let bare = world.head(1, &[]);
        assert!(is_same_text(&bare, &world.head(1, &[])) && !is_same_text(&bare, &world.head(2, &[])));
        let witnesses: Vec<_> = (0..2 * MAX_SIGNATURES)
            .map(|index| WitnessSigner::generate(format!("w{index}").parse().unwrap(), &mut rand_core::OsRng))
            .collect();
        let lines: Vec<_> = (witnesses.iter().map(|witness| witness.cosign(&bare, 7).unwrap())).collect();
        // The log's own line is one of them.
        let (one, two) = lines[..2 * (MAX_SIGNATURES - 1)].split_at(MAX_SIGNATURES - 1);
        let verifiers: Vec<_> = witnesses.iter().map(|witness| witness.verifier().clone()).collect();
        let both = [world.head(1, one), world.head(1, two)];
        let merged = merged(world.log.verifier(), &verifiers, &both[0], &both[1]).unwrap();
        let is_kept = |witness: &&WitnessVerifier| witness.cosigned(&merged).is_ok();
        assert_eq!(verifiers.iter().filter(is_kept).count(), MAX_SIGNATURES - 1);
    }

    #[test]
    fn lines_of_strangers_bad_lines_and_those_for_another_text_are_left_out() {
        let world = Fixture::new();
        let (bare, later) = (world.head(1, &[]), world.head(2, &[]));
        let stranger = Fixture::new().witnesses[0].cosign(&bare, 7).unwrap();
        let for_another = world.witnesses[0].cosign(&later, 7).unwrap();
        let good = world.witnesses[1].cosign(&bare, 7).unwrap();
        let noisy = world.head(1, &[stranger, for_another, good.clone(), good.clone()]);
        assert_eq!(
            world.merged(&noisy, &noisy).as_bytes(),
            world.head(1, &[good]).as_bytes()
        );
        let other = world.head(2, &[world.witnesses[0].cosign(&later, 7).unwrap()]);
        assert_eq!(world.merged(&bare, &other).as_bytes(), bare.as_bytes());
    }
}
