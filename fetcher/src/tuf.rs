//! Following the TUF repository of the public store from the pinned root to the trust policy of now.
//!
//! Owns the update: what was seen before, one look at the repository through crate `tough`, and the verified
//! [`TrustState`] that the wrapper reads. A failed update changes nothing that is believed. Must not know what is fetched
//! under the policy, and never parses metadata that was not verified.

pub(crate) mod pinned;
mod seen;
mod transport;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_policy::trust::TrustPolicy;
use sealift_policy::tuf::{MAX_METADATA, MAX_ROOT_UPDATES, MAX_TARGET, SPEC_MAJOR, TargetFile, joined};
use tough::error::Error as TufError;
use tough::schema::{Role, Signed};
use tough::{IntoVec as _, Repository, RepositoryLoader, TargetName};

use crate::remote::{Remote, RemoteError};
use crate::trust_root::{NoTrustRoot, PinnedRoot, RoleState, TrustState};
use seen::Seen;
use transport::Files;

/// Why a repository was not followed. What was verified before stays as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotFollowed {
    /// It did not answer, or not as a store does.
    #[error("failed to fetch the trust policy")]
    Remote(#[source] RemoteError),
    /// Properly signed, and its time is over: a repository that nobody renews, or an old copy.
    #[error("the TUF metadata of the public store has expired: {0}")]
    Expired(String),
    /// This machine's clock, not the repository.
    #[error("the trust policy cannot be judged by this clock")]
    Clock(#[source] NoTrustRoot),
    /// Not metadata that this program reads.
    #[error("the TUF repository of the public store is malformed: {0}")]
    Malformed(String),
    /// Not what the trusted keys signed, or older than what was seen. Looks like an attack.
    #[error("the TUF repository of the public store is forged or was rolled back: {what}")]
    Forged {
        /// What does not hold.
        what: String,
        /// What was received.
        evidence: Option<PathBuf>,
    },
    /// The local store failed.
    #[error("failed to remember the trust policy")]
    Store(#[from] io::Error),
}

/// One repository, one root, one user.
#[derive(Clone, Copy)]
pub(crate) struct Follow<'a> {
    /// The local store's root.
    pub(crate) store: &'a Path,
    /// Where trust starts.
    pub(crate) root: &'a PinnedRoot,
    /// Seconds since 1970, by this machine's clock.
    pub(crate) now: i64,
}

impl Follow<'_> {
    /// What was verified earlier, if it counts now.
    pub(crate) fn known(&self) -> Option<TrustState> {
        TrustState::read(self.store, self.root)
    }

    /// Asks the repository, verifies everything, and remembers it.
    pub(crate) async fn update(&self, remote: &Arc<Remote>) -> Result<TrustState, NotFollowed> {
        if let Some(state) = self.known()
            && let Err(error @ NoTrustRoot::ClockWentBack(_)) = state.check(self.now)
        {
            return Err(NotFollowed::Clock(error));
        }
        let seen = Seen::open(self.store, self.root)?;
        let early = Files::early(remote, &seen).await;
        let failed = match self.attempt(&seen, &early).await {
            Ok(state) => return Ok(state),
            Err(failed) => failed,
        };
        let refused = failed.into_refusal(&early);
        if !matches!(refused, NotFollowed::Forged { .. } | NotFollowed::Malformed(_)) {
            return Err(refused);
        }
        // Something may have been published while it was read, or what is kept here was damaged: only what comes anew,
        // one after the other, is an alarm.
        let anew = Files::anew(remote);
        let failed = match self.attempt(&seen, &anew).await {
            Ok(state) => return Ok(state),
            Err(failed) => failed,
        };
        match failed.into_refusal(&anew) {
            NotFollowed::Forged { what, .. } => {
                let evidence = seen.put_evidence(&what, &anew.taken());
                Err(NotFollowed::Forged { what, evidence })
            }
            other => Err(other),
        }
    }

    async fn attempt(&self, seen: &Seen, files: &Files) -> Result<TrustState, Failed> {
        let datastore = seen.datastore()?;
        let loaded = load(seen.root(self.root), files.clone(), datastore.path()).await;
        let state = match loaded {
            Ok(repository) => self.judge(&repository).await,
            Err(failed) => Err(failed),
        };
        match state {
            Ok(state) => Ok(seen.keep(datastore.path(), state, &files.taken())?),
            Err(failed) => {
                // A root that the trusted ones signed counts from now on, whatever else was wrong.
                seen.keep_root(datastore.path())?;
                Err(failed)
            }
        }
    }

    async fn judge(&self, repository: &Repository) -> Result<TrustState, Failed> {
        let state = TrustState {
            version: 1,
            pinned: self.root.digest(),
            updated: u64::try_from(self.now).unwrap_or_default(),
            root: role(repository.root())?,
            timestamp: role(repository.timestamp())?,
            snapshot: role(repository.snapshot())?,
            targets: role(repository.targets())?,
            policy: policy(repository).await?,
        };
        // By the clock that was passed in; `tough` asks the system's.
        state
            .check(self.now)
            .map_err(|error| Failed::Expired(error.to_string()))?;
        Ok(state)
    }
}

async fn load(root: Vec<u8>, files: Files, datastore: &Path) -> Result<Repository, Failed> {
    let (metadata, targets) = transport::addresses();
    RepositoryLoader::new(&root, metadata, targets)
        .transport(files)
        .limits(tough::Limits {
            max_root_size: MAX_METADATA,
            max_targets_size: MAX_METADATA,
            max_timestamp_size: MAX_METADATA,
            max_snapshot_size: MAX_METADATA,
            max_root_updates: MAX_ROOT_UPDATES,
        })
        .datastore(datastore)
        .load()
        .await
        .map_err(Failed::from)
}

/// What `tough` leaves to its caller: the version of the specification.
fn role<R: Role + Specified>(signed: &Signed<R>) -> Result<RoleState, Failed> {
    let specified = signed.signed.specified();
    if specified.split('.').next() != Some(SPEC_MAJOR) {
        let specified: String = specified.chars().take(20).collect();
        return Err(Failed::Malformed(format!(
            "{} by version `{specified}` of the specification, which is not known",
            R::TYPE
        )));
    }
    Ok(RoleState {
        version: signed.signed.version().get(),
        expires: signed.signed.expires().as_second(),
    })
}

/// Metadata that says by which version of the specification it is written.
trait Specified {
    fn specified(&self) -> &str;
}

macro_rules! specified {
    ($($role:ty)*) => {$(
        impl Specified for $role {
            fn specified(&self) -> &str {
                &self.spec_version
            }
        }
    )*};
}

specified!(tough::schema::Root tough::schema::Timestamp tough::schema::Snapshot tough::schema::Targets);

/// The policy with everything that is revoked, and with what is believed of Sigstore.
async fn policy(repository: &Repository) -> Result<TrustPolicy, Failed> {
    let malformed = |target: TargetFile| move |error| Failed::Malformed(format!("`{}`: {error}", target.name()));
    let policy = target(repository, TargetFile::TrustPolicy).await?;
    let policy = policy.ok_or_else(|| Failed::Malformed("there is no trust policy in it".into()))?;
    let policy: TrustPolicy = serde_json::from_slice(&policy).map_err(malformed(TargetFile::TrustPolicy))?;
    let root = target(repository, TargetFile::TrustedRoot).await?;
    let root = root.map(|root| serde_json::from_slice(&root)).transpose();
    let list = target(repository, TargetFile::Revocations).await?;
    let list = list.map(|list| serde_json::from_slice(&list)).transpose();
    Ok(joined(
        policy,
        root.map_err(malformed(TargetFile::TrustedRoot))?,
        list.map_err(malformed(TargetFile::Revocations))?,
    ))
}

async fn target(repository: &Repository, target: TargetFile) -> Result<Option<Vec<u8>>, Failed> {
    let name = TargetName::new(target.name()).map_err(Failed::from)?;
    let listed = repository.targets().signed.targets.get(&name);
    if listed.is_some_and(|listed| listed.length > MAX_TARGET) {
        return Err(Failed::Malformed(format!("`{}` is too long", target.name())));
    }
    // Listed by the top-level role itself: delegations are not followed.
    if listed.is_none() {
        return Ok(None);
    }
    match repository.read_target(&name).await.map_err(Failed::from)? {
        Some(stream) => stream.into_vec().await.map(Some).map_err(Failed::from),
        None => Ok(None),
    }
}

/// Why an attempt failed, before it is known what was received.
enum Failed {
    Expired(String),
    Malformed(String),
    Tuf(Box<TufError>),
    Store(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Store(error)
    }
}

impl From<TufError> for Failed {
    fn from(error: TufError) -> Self {
        match error {
            TufError::ExpiredMetadata { role, .. } => Self::Expired(role.to_string()),
            TufError::ParseMetadata { .. } | TufError::ParseTrustedMetadata { .. } => Self::Malformed(chain(&error)),
            other => Self::Tuf(Box::new(other)),
        }
    }
}

impl Failed {
    fn into_refusal(self, files: &Files) -> NotFollowed {
        // What could not be fetched explains whatever came of it.
        if let Some(error) = files.failure() {
            return NotFollowed::Remote(error);
        }
        match self {
            Self::Expired(what) => NotFollowed::Expired(what),
            Self::Malformed(what) => NotFollowed::Malformed(what),
            Self::Store(error) => NotFollowed::Store(error),
            Self::Tuf(error) => match *error {
                TufError::DatastoreCreate { .. } | TufError::DatastoreOpen { .. } => {
                    NotFollowed::Store(io::Error::other(chain(&error)))
                }
                _ => NotFollowed::Forged {
                    what: chain(&error),
                    evidence: None,
                },
            },
        }
    }
}

/// An error of `tough` with its causes on one line. Some of its words are a stranger's.
fn chain(error: &TufError) -> String {
    crate::prefetch::chain(error)
}
