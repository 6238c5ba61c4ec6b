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
pub(super) fn with_more_lines(
    checkpoint: &VerifiedCheckpoint,
    known: Known<'_>,
) -> Result<Option<VerifiedCheckpoint>, CheckpointError> {
    let witnesses = known.witnesses.witnesses();
    let Some(head) = known.checkpoint.filter(|head| is_same_text(head, checkpoint)) else {
        return Ok(None);
    };
    let merged = merged(known.verifier, witnesses, head, checkpoint)?;
    let adds = |lines: &VerifiedCheckpoint| {
        let has_cosigned =
            |head: &VerifiedCheckpoint| witnesses.iter().filter(|one| one.cosigned(head).is_ok()).count();
        has_cosigned(lines) > has_cosigned(head)
    };
    Ok(Some(merged).filter(adds))
}
