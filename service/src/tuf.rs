//! The TUF repository that the service serves: when it expires, and the trust policy that it leads to.
//!
//! Owns reading it from the store, and what a file of it must be to be copied from elsewhere. The keeper writes it
//! (`sealift-builder trust`); the service holds no key of it. Must not know HTTP.

mod copy;
mod files;

use sealift_policy::layout::ObjectPath;
use sealift_policy::provenance::TrustedRoot;
use sealift_policy::trust::TrustPolicy;
use sealift_policy::tuf::{MAX_METADATA, MAX_ROOT_UPDATES, RevocationList, SPEC_MAJOR, TargetFile, TufFile, joined};
use serde::de::DeserializeOwned;
use tough::schema::{Role, Root, Signed, Snapshot, Targets, Timestamp};
use tough::{ExpirationEnforcement, IntoVec as _, Repository, RepositoryLoader, TargetName};

use crate::store::ObjectStore;
pub use copy::{CopyError, copy};
use files::Files;

/// Why a repository leads to no policy.
#[derive(Debug, thiserror::Error)]
pub enum TufError {
    /// Not what the pinned root's keys signed, or incomplete.
    #[error("the TUF repository does not follow from the pinned root")]
    NotFollowed(#[source] Box<tough::error::Error>),
    /// Another version of the specification.
    #[error("the TUF repository is written by version `{0}` of the specification, which is not known")]
    Specification(String),
    /// A target that must be there.
    #[error("the TUF repository has no `{0}`")]
    Absent(&'static str),
    /// A target that is something else.
    #[error("`{target}` of the TUF repository is malformed")]
    Malformed {
        /// Which.
        target: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl From<tough::error::Error> for TufError {
    fn from(error: tough::error::Error) -> Self {
        Self::NotFollowed(Box::new(error))
    }
}

/// The policy to which the store's own repository leads from this root. Its expiry is not asked: the folder is the
/// service's own, and a timer that stopped must not stop the service with it. Clients do ask.
pub async fn policy(store: impl ObjectStore + 'static, root: &[u8]) -> Result<TrustPolicy, TufError> {
    let repository = follow(root, Files::stored(store), None, ExpirationEnforcement::Unsafe).await?;
    let policy = target(&repository, TargetFile::TrustPolicy).await?;
    let policy = policy.ok_or(TufError::Absent(TargetFile::TrustPolicy.name()))?;
    let policy: TrustPolicy = parse(TargetFile::TrustPolicy, &policy)?;
    let root = target(&repository, TargetFile::TrustedRoot).await?;
    let list = target(&repository, TargetFile::Revocations).await?;
    Ok(joined(
        policy,
        (root.map(|root| parse::<TrustedRoot>(TargetFile::TrustedRoot, &root))).transpose()?,
        (list.map(|list| parse::<RevocationList>(TargetFile::Revocations, &list))).transpose()?,
    ))
}

/// Follows a repository from a root.
async fn follow(
    root: &[u8],
    files: Files,
    seen: Option<&std::path::Path>,
    expiry: ExpirationEnforcement,
) -> Result<Repository, TufError> {
    let (metadata, targets) = files::addresses();
    let loader = RepositoryLoader::new(&root, metadata, targets)
        .transport(files)
        .expiration_enforcement(expiry)
        .limits(tough::Limits {
            max_root_size: MAX_METADATA,
            max_targets_size: MAX_METADATA,
            max_timestamp_size: MAX_METADATA,
            max_snapshot_size: MAX_METADATA,
            max_root_updates: MAX_ROOT_UPDATES,
        });
    let loader = match seen {
        Some(seen) => loader.datastore(seen),
        None => loader,
    };
    let repository = loader.load().await?;
    let specified = [
        &repository.root().signed.spec_version,
        &repository.timestamp().signed.spec_version,
        &repository.snapshot().signed.spec_version,
        &repository.targets().signed.spec_version,
    ];
    match specified
        .iter()
        .find(|version| version.split('.').next() != Some(SPEC_MAJOR))
    {
        Some(version) => Err(TufError::Specification(version.chars().take(20).collect())),
        None => Ok(repository),
    }
}

/// A target's content; `None` if the top-level role lists none of this name.
async fn target(repository: &Repository, target: TargetFile) -> Result<Option<Vec<u8>>, TufError> {
    let name = TargetName::new(target.name())?;
    if !repository.targets().signed.targets.contains_key(&name) {
        return Ok(None);
    }
    match repository.read_target(&name).await? {
        Some(stream) => Ok(Some(stream.into_vec().await?)),
        None => Ok(None),
    }
}

fn parse<T: DeserializeOwned>(target: TargetFile, bytes: &[u8]) -> Result<T, TufError> {
    serde_json::from_slice(bytes).map_err(|source| TufError::Malformed {
        target: target.name(),
        source,
    })
}

/// The version and expiry (seconds since 1970) of each role that is served, for monitors; nothing is verified.
pub fn expiries(store: &dyn ObjectStore) -> Vec<(&'static str, u64, i64)> {
    let mut roles = vec![];
    let root = (1..=MAX_ROOT_UPDATES).map_while(|version| read::<Root>(store, TufFile::Root(version)));
    roles.extend(root.last().map(|root| row("root", &root)));
    let Some(timestamp) = read::<Timestamp>(store, TufFile::Timestamp) else {
        return roles;
    };
    roles.push(row("timestamp", &timestamp));
    let snapshot = timestamp.meta.get("snapshot.json");
    let Some(snapshot) = snapshot.and_then(|meta| read::<Snapshot>(store, TufFile::Snapshot(meta.version.get())))
    else {
        return roles;
    };
    roles.push(row("snapshot", &snapshot));
    let targets = snapshot.meta.get("targets.json");
    let targets = targets.and_then(|meta| read::<Targets>(store, TufFile::Targets(meta.version.get())));
    roles.extend(targets.map(|targets| row("targets", &targets)));
    roles
}

fn row(name: &'static str, role: &impl Role) -> (&'static str, u64, i64) {
    (name, role.version().get(), role.expires().as_second())
}

fn read<R: DeserializeOwned>(store: &dyn ObjectStore, file: TufFile) -> Option<R> {
    let object = store.open(&ObjectPath::Tuf(file)).ok()??;
    let bytes = object.read_all(file.limit()).ok()?;
    serde_json::from_slice::<Signed<R>>(&bytes)
        .ok()
        .map(|signed| signed.signed)
}
