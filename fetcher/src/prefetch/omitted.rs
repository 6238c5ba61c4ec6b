//! Units that the public store names for a plan, but does not give in a lookup's answer.
//!
//! Owns telling an incomplete store from a damaged one: documents that are not what their names say raise an alarm, as
//! they would have in the answer itself. Must not install anything.

use sealift_policy::cause::Cause;
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::layout::{MAX_DOCUMENT, ObjectPath};

use super::Watch;
use super::deposit::Deposit;
use super::found::{Alarm, Fetched};
use super::frame::{self, Expected, FrameError};
use crate::remote::{Arriving, Remote, RemoteError};

/// Units that are looked at, and manifests of each: enough to see what is wrong.
const MAX_EXAMINED: usize = 16;

/// Looks at the documents of these units.
pub(super) async fn examine(
    remote: &Remote,
    deposit: &Deposit,
    omitted: &[UnitKey],
    fetched: &mut Fetched,
    watch: &dyn Watch,
) {
    if omitted.is_empty() || remote.broken().is_some() {
        return;
    }
    let problem = format!(
        "the store names {} of the planned units that it does not give",
        omitted.len()
    );
    fetched.event.problems.push(problem);
    for &key in omitted.iter().take(MAX_EXAMINED) {
        match first_damaged(remote, key).await {
            Ok(None) => {}
            Ok(Some(damaged)) => {
                let reason = format!("object {}: {}", damaged.sha256.short(), damaged.reason);
                let evidence = deposit.put_evidence(&format!("object-{}", damaged.sha256), &damaged.stored);
                let what = format!("unit {}: {reason}", key.short());
                fetched.raise(Alarm { what, evidence }, watch);
                fetched.refuse(key, reason, Cause::Untrusted, true);
            }
            // Whatever it is, it has been noted as the reason to leave the store alone, or the object is absent.
            Err(_) => {}
        }
    }
}

/// An object that is not what its name says.
struct Damaged {
    sha256: Digest,
    stored: Vec<u8>,
    reason: FrameError,
}

/// The key document, then the manifests that the store names for the unit.
async fn first_damaged(remote: &Remote, key: UnitKey) -> Result<Option<Damaged>, RemoteError> {
    if let Some(damaged) = look_at(remote, key.digest()).await? {
        return Ok(Some(damaged));
    }
    for manifest in remote.unit(key).await?.manifests.iter().take(MAX_EXAMINED) {
        if let Some(damaged) = look_at(remote, manifest.sha256).await? {
            return Ok(Some(damaged));
        }
    }
    Ok(None)
}

async fn look_at(remote: &Remote, sha256: Digest) -> Result<Option<Damaged>, RemoteError> {
    let largest = Expected {
        sha256,
        size: MAX_DOCUMENT,
    };
    let stored = remote
        .object(&ObjectPath::Cas(sha256), largest.stored_limit(), &Arriving::default())
        .await?;
    let verdict = frame::document(&stored, sha256);
    Ok(verdict.err().map(|reason| Damaged { sha256, stored, reason }))
}
