//! The newest head that this machine has seen of each log, and the refusal of anything that does not extend it.
//!
//! Owns `heads/` and `evidence/` in the local store. A smaller tree, another root at the same size and a larger tree
//! that is not consistent are refused, with both signed heads kept in a file that strangers can judge
//! ([`sealift_policy::evidence`]).
//! Must not know the network, or which operators are enough.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sealift_policy::digest::Digest;
use sealift_policy::evidence::{Evidence, HeadPair};
use sealift_policy::local::{self, VERSION_DIR};
use sealift_policy::log::checkpoint::CheckpointError;
use sealift_policy::log::merkle::MAX_HASHES;
use sealift_policy::log::{ConsistencyProof, LogVerifier, SignedCheckpoint, TreeHash, VerifiedCheckpoint};
use sealift_policy::name::OperatorName;
use sealift_policy::wire::LogState;

/// The heads in one local store.
#[derive(Debug, Clone)]
pub(crate) struct Heads {
    root: PathBuf,
}

/// A log that the trust policy names.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    /// Whose.
    pub(crate) operator: OperatorName,
    /// Which of the operator's.
    pub(crate) epoch: u32,
    /// Its key.
    pub(crate) key: LogVerifier,
}

/// What the trust policy says of a head, whatever was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may be used.
    Counts,
    /// It may be used, and ends the log: what the key signed besides means nothing any more.
    Last,
    /// It may not be used, as while witnesses are away. It is not remembered: who has a log's key alone could otherwise
    /// turn clients against the head that everybody else has.
    DoesNotCount,
    /// The policy ended the log before it.
    AfterItsEnd,
}

/// Why an offered head is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeadRefused {
    /// Not a checkpoint that the log's key has signed.
    #[error("log `{log}` of `{operator}`: {reason}")]
    NotSigned {
        /// Whose log.
        operator: OperatorName,
        /// Which log.
        log: String,
        /// What is wrong with it.
        #[source]
        reason: CheckpointError,
    },
    /// Properly signed, but it contradicts the head that was seen before.
    #[error("log of `{operator}` contradicts itself: {how}; both heads are kept in `{}`", evidence.display())]
    Contradicts {
        /// Whose log.
        operator: OperatorName,
        /// How.
        how: Contradiction,
        /// The file with both signed heads.
        evidence: PathBuf,
    },
    /// Signed by a key whose log the policy has ended at another head, which this one is not older than.
    #[error("log of `{operator}`: a head of {size} leaves was signed although the trust policy has ended the log")]
    AfterItsEnd {
        /// Whose log.
        operator: OperatorName,
        /// The size of the head.
        size: u64,
    },
    /// The new head could not be remembered, so that going back behind it would not be noticed.
    #[error("failed to remember the head of `{operator}`")]
    Store {
        /// Whose log.
        operator: OperatorName,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// How two signed heads of one log contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Contradiction {
    /// It went back.
    #[error("{offered} leaves after {known} were seen")]
    Smaller {
        /// Size of the known head.
        known: u64,
        /// Size of the offered head.
        offered: u64,
    },
    /// Two trees of one size.
    #[error("two trees of {size} leaves")]
    OtherRoot {
        /// The size of both.
        size: u64,
    },
    /// A larger tree without the proof that it begins with the known one.
    #[error("no proof that the tree of {offered} leaves extends the known one of {known}")]
    NotConsistent {
        /// Size of the known head.
        known: u64,
        /// Size of the offered head.
        offered: u64,
    },
}

impl Heads {
    /// The heads in this local store.
    pub(crate) fn new(store: &Path) -> Self {
        Self {
            root: store.join(VERSION_DIR),
        }
    }

    /// The newest head that was seen of this log. One that is damaged or of another key is as good as none.
    pub(crate) fn known(&self, log: &Log) -> Option<VerifiedCheckpoint> {
        let bytes = fs_err::read(self.path(log)).ok()?;
        SignedCheckpoint::parse(&bytes).ok()?.verify(&log.key).ok()
    }

    /// Accepts an offered head if it extends `known`, which the offer's consistency proof must start from, and
    /// remembers it if it counts.
    pub(crate) fn advance(
        &self,
        log: &Log,
        known: Option<&VerifiedCheckpoint>,
        offer: &LogState,
        standing: impl FnOnce(&VerifiedCheckpoint) -> Standing,
    ) -> Result<VerifiedCheckpoint, HeadRefused> {
        let signed = SignedCheckpoint::parse(offer.checkpoint.as_bytes()).and_then(|head| head.verify(&log.key));
        let head = signed.map_err(|reason| HeadRefused::NotSigned {
            operator: log.operator.clone(),
            log: log.key.origin().to_string(),
            reason,
        })?;
        let standing = standing(&head);
        if standing == Standing::AfterItsEnd {
            return Err(HeadRefused::AfterItsEnd {
                operator: log.operator.clone(),
                size: head.size().value(),
            });
        }
        if standing == Standing::Last {
            return Ok(head);
        }
        if let Some(known) = known {
            self.check(log, known, &head, offer)?;
        }
        if standing == Standing::DoesNotCount {
            return Ok(head);
        }
        self.remember(log, &head).map_err(|source| HeadRefused::Store {
            operator: log.operator.clone(),
            source,
        })?;
        Ok(head)
    }

    fn check(
        &self,
        log: &Log,
        known: &VerifiedCheckpoint,
        head: &VerifiedCheckpoint,
        offer: &LogState,
    ) -> Result<(), HeadRefused> {
        let (before, after) = (known.size().value(), head.size().value());
        let how = if after < before {
            Contradiction::Smaller {
                known: before,
                offered: after,
            }
        } else if after == before && head.root() != known.root() {
            Contradiction::OtherRoot { size: after }
        } else if after == before || before == 0 || extends(known, head, &offer.consistency) {
            return Ok(());
        } else {
            Contradiction::NotConsistent {
                known: before,
                offered: after,
            }
        };
        let evidence = self.keep_evidence(log, known, head, offer);
        Err(HeadRefused::Contradicts {
            operator: log.operator.clone(),
            how,
            evidence,
        })
    }

    /// Writes both heads, and the proof that failed, into one file. That it cannot be written must not turn a refusal into
    /// something else.
    ///
    /// What proves something is named by content, so that a thousand builds keep one copy, and bounded: who has a log's key
    /// can sign heads without end. What proves nothing anybody can make of heads that were signed once; of each log there
    /// is one such file, the last, so that it takes no other's place.
    fn keep_evidence(
        &self,
        log: &Log,
        known: &VerifiedCheckpoint,
        head: &VerifiedCheckpoint,
        offer: &LogState,
    ) -> PathBuf {
        let text = |head: &VerifiedCheckpoint| String::from_utf8_lossy(head.as_bytes()).into_owned();
        let evidence = Evidence::Heads(HeadPair {
            vkey: log.key.clone(),
            known: text(known),
            offered: text(head),
            consistency: offer.consistency.iter().take(MAX_HASHES).cloned().collect(),
            smaller_root_in_larger: None,
        });
        let file = evidence.to_file();
        let folder = self.root.join("evidence");
        let of_log = format!("heads-{}-{}-", log.operator, log.epoch);
        let finding = evidence.judge(std::slice::from_ref(&log.key));
        if !finding.is_ok_and(|finding| finding.is_proof()) {
            let path = folder.join(format!("{of_log}unproven.json"));
            let _ = replace(&folder, &path, file.as_bytes());
            return path;
        }
        let path = folder.join(format!("{of_log}{}.json", Digest::of(file.as_bytes()).short()));
        // An operator's name may be the beginning of another's; a digest has no `-`.
        let is_proof = |name: &str| {
            let rest = name.strip_prefix(&of_log);
            rest.is_some_and(|rest| !rest.contains('-') && rest != "unproven.json")
        };
        let proofs = fs_err::read_dir(&folder).map_or(0, |files| {
            let names = files.flatten().map(|file| file.file_name());
            names.filter(|name| is_proof(&name.to_string_lossy())).count()
        });
        if proofs < MAX_PROOFS {
            let _ = replace(&folder, &path, file.as_bytes());
        }
        path
    }

    /// Replaces the remembered head, unless another build has remembered a newer one meanwhile.
    fn remember(&self, log: &Log, head: &VerifiedCheckpoint) -> io::Result<()> {
        let path = self.path(log);
        let folder = path.parent().expect("a head lies in its operator's folder");
        fs_err::create_dir_all(folder)?;
        let lock = fs_err::File::create(folder.join("lock"))?;
        if !locked(lock.file()) {
            // Another build remembers a head of this log right now; ours costs one more proof next time.
            return Ok(());
        }
        let order = |head: &VerifiedCheckpoint| (head.size(), head.time());
        if self.known(log).is_some_and(|newest| order(&newest) >= order(head)) {
            return Ok(());
        }
        replace(folder, &path, head.as_bytes())
    }

    fn path(&self, log: &Log) -> PathBuf {
        self.root.join(local::head_path(&log.operator, log.epoch))
    }
}

/// Writes a file of a folder as a whole: another build may read or write it right now.
fn replace(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs_err::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Takes the lock, unless another process keeps it: one that was stopped must not stop us. A file system without
/// locks has none to wait for.
pub(crate) fn locked(file: &std::fs::File) -> bool {
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Ok(()) | Err(std::fs::TryLockError::Error(_)) => return true,
        }
    }
    false
}

/// Proofs that are kept of one log.
const MAX_PROOFS: usize = 64;

const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

fn extends(known: &VerifiedCheckpoint, head: &VerifiedCheckpoint, proof: &[String]) -> bool {
    let hashes = proof
        .iter()
        .map(|hash| hash.parse::<TreeHash>().ok())
        .collect::<Option<Vec<_>>>();
    let proof = hashes.and_then(|hashes| ConsistencyProof::try_from(hashes).ok());
    proof.is_some_and(|proof| {
        proof
            .verify((known.size(), known.root()), (head.size(), head.root()))
            .is_ok()
    })
}

#[cfg(test)]
mod tests;
