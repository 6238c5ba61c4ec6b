//! The rules about cosignatures: whose lines of a checkpoint are kept, and when there are enough.
//!
//! Where the policy names no witness nothing is known about them: lines stay as they came with the head, and none is
//! added later, since anybody can write some. Must not know the time: what is cosigned for the future counts with clients,
//! who have a clock, only once it has come.

use sealift_policy::log::VerifiedCheckpoint;
use sealift_policy::log::checkpoint::CheckpointError;
use sealift_policy::log::cosigned::{is_same_text, merged};

use super::{Known, Refusal};

/// The checkpoint with the lines of its log and of the policy's witnesses. Those of strangers would be stored for ever.
pub(super) fn of_the_policy(
    checkpoint: VerifiedCheckpoint,
    known: Known<'_>,
) -> Result<VerifiedCheckpoint, CheckpointError> {
    match known.witnesses.witnesses() {
        [] => Ok(checkpoint),
        witnesses => merged(known.verifier, witnesses, &checkpoint, &checkpoint),
    }
}

/// Refuses a head that the policy's quorum of witnesses has not cosigned.
pub(super) fn must_be_enough(checkpoint: &VerifiedCheckpoint, known: Known<'_>) -> Result<(), Refusal> {
    if known.witnesses.is_met(|witness| witness.cosigned(checkpoint).is_ok()) {
        Ok(())
    } else {
        Err(Refusal::NotWitnessed)
    }
}

/// The known head with the cosignatures of this copy of it; `None` if it is another head, or adds nothing.
///
/// What an older cosignature displaces counts as added, as the one that is known may be from the future. That ends: the
/// oldest valid one of each witness stays. Dropping lines of those whom the policy does not name adds nothing.
pub(super) fn with_more_lines(
    checkpoint: &VerifiedCheckpoint,
    known: Known<'_>,
) -> Result<Option<VerifiedCheckpoint>, CheckpointError> {
    let witnesses = known.witnesses.witnesses();
    let Some(head) = known.checkpoint.filter(|head| is_same_text(head, checkpoint)) else {
        return Ok(None);
    };
    let alone = merged(known.verifier, witnesses, head, head)?;
    let both = merged(known.verifier, witnesses, head, checkpoint)?;
    Ok(Some(both).filter(|both| both.as_bytes() != alone.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sealift_policy::log::cosignature::WitnessSigner;
    use sealift_policy::log::{Checkpoint, EntryBundle, LogSigner, Tree, TreeHash, TreeSize, WitnessPolicy};

    use super::*;

    #[test]
    fn a_usable_cosignature_displaces_one_from_the_future_and_is_never_displaced_by_it() {
        let mut random = rand_core::OsRng;
        let log = LogSigner::generate("log".parse().unwrap(), &mut random);
        let [witness, stranger] =
            ["w", "s"].map(|name| WitnessSigner::generate(name.parse().unwrap(), &mut rand_core::OsRng));
        let checkpoint = Checkpoint {
            origin: "log".parse().unwrap(),
            size: TreeSize::ZERO,
            root: TreeHash::EMPTY,
            time: 1,
        };
        let bare = checkpoint.sign(&log).unwrap().verify(log.verifier()).unwrap();
        let with = |lines: &[String]| {
            let bytes = [bare.as_bytes(), lines.concat().as_bytes()].concat();
            let head = sealift_policy::log::SignedCheckpoint::parse(&bytes).unwrap();
            head.verify(log.verifier()).unwrap()
        };
        let [usable, future] = [7, 1 << 40].map(|time| witness.cosign(&bare, time).unwrap());
        let noise = stranger.cosign(&bare, 7).unwrap();
        let policy: WitnessPolicy = format!("witness w {}\nquorum w\n", witness.verifier()).parse().unwrap();
        let nobody = "quorum none\n".parse().unwrap();
        let (tree, last, stated) = (Tree::default(), EntryBundle::default(), BTreeMap::new());
        let added = |witnesses: &WitnessPolicy, head: &[String], offered: &[String]| {
            let head = with(head);
            let known = Known {
                verifier: log.verifier(),
                tree: &tree,
                last: &last,
                checkpoint: Some(&head),
                witnesses,
                policy: None,
                stated: &stated,
            };
            let more = with_more_lines(&with(offered), known).unwrap();
            more.map(|head| head.as_bytes().to_vec())
        };
        let expected = Some(with(std::slice::from_ref(&usable)).as_bytes().to_vec());
        let (usable, future, noise) = (&[usable][..], &[future][..], &[noise][..]);
        assert_eq!(added(&policy, future, usable), expected);
        assert_eq!(added(&policy, &[], usable), expected);
        for offered in [future, usable, noise, &[]] {
            assert_eq!(added(&policy, usable, offered), None);
        }
        assert_eq!(added(&policy, future, future), None);
        // What came with a head stays where the policy names nobody, or somebody else.
        assert_eq!(added(&nobody, noise, usable), None);
        assert_eq!(added(&policy, noise, noise), None);
    }
}
