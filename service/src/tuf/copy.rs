//! A verified copy of another service's TUF repository.
//!
//! Owns that only what follows from the pinned root is written, never anything older than what is here, and in an order
//! in which a reader always finds what the timestamp names. Must not know how files are fetched.
//!
//! A copy begins at the newest root that is here, as a client does, or at the one by which the timestamp here was believed
//! where a copy was interrupted: whoever begins at an older one takes each rotated key for a new one every time, and
//! forgets by the rules of TUF (section 5.3.11) what it had seen; whoever begins at a newer one never forgets it.

use std::io;

use futures::future::BoxFuture;
use sealift_policy::layout::ObjectPath;
use sealift_policy::tuf::{TargetFile, TufFile};
use tough::ExpirationEnforcement;
use tough::schema::{Role as _, Root, Signed, Snapshot, Timestamp};

use super::files::Files;
use super::{TufError, follow, target};
use crate::store::{NewObject, ObjectStore};

/// Why a repository is not copied. What is here stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It is not what the pinned root's keys signed, or older than what is here.
    #[error(transparent)]
    Refused(#[from] TufError),
    /// The store failed.
    #[error("failed to write the TUF repository")]
    Store(#[from] io::Error),
}

/// Copies the repository whose files `get` gives. Gives the number of files written.
pub async fn copy(
    store: &dyn ObjectStore,
    root: &[u8],
    get: impl Fn(TufFile) -> BoxFuture<'static, io::Result<Option<Vec<u8>>>> + Send + Sync + 'static,
) -> Result<usize, CopyError> {
    let files = Files::new(get);
    let seen = tempfile::tempdir()?;
    remember(store, seen.path())?;
    let newest = newest(store, root)?;
    let repository = follow(&newest, files.clone(), Some(seen.path()), ExpirationEnforcement::Safe).await?;
    for file in TargetFile::ALL {
        target(&repository, file).await?;
    }
    let mut files: Vec<_> = files.taken().into_iter().collect();
    // The pinned root begins the chain for those who pinned the same.
    if let Some(pinned) = parse(root) {
        files.push((TufFile::Root(pinned.signed.version().get()), root.to_owned()));
    }
    // A crash in between leaves the old timestamp with everything that it names.
    files.sort_by_key(|(file, _)| match *file {
        TufFile::Root(version) => (0, version),
        TufFile::Target(..) => (1, 0),
        TufFile::Targets(version) => (2, version),
        TufFile::Snapshot(version) => (3, version),
        TufFile::Timestamp => (4, 0),
    });
    let mut written = 0;
    for (file, bytes) in files {
        if stored(store, file)?.as_ref() != Some(&bytes) {
            store.put(vec![(ObjectPath::Tuf(file), NewObject::Bytes(bytes))])?;
            written += 1;
        }
    }
    Ok(written)
}

/// Gives `tough` what is here, so that it refuses to go back behind it.
fn remember(store: &dyn ObjectStore, seen: &std::path::Path) -> io::Result<()> {
    let Some(timestamp) = stored(store, TufFile::Timestamp)? else {
        return Ok(());
    };
    fs_err::write(seen.join("timestamp.json"), &timestamp)?;
    let snapshot = serde_json::from_slice::<serde_json::Value>(&timestamp).ok();
    let snapshot = snapshot.and_then(|timestamp| timestamp["signed"]["meta"]["snapshot.json"]["version"].as_u64());
    if let Some(version) = snapshot
        && let Some(snapshot) = stored(store, TufFile::Snapshot(version))?
    {
        fs_err::write(seen.join("snapshot.json"), snapshot)?;
    }
    Ok(())
}

fn stored(store: &dyn ObjectStore, file: TufFile) -> io::Result<Option<Vec<u8>>> {
    let Some(object) = store.open(&ObjectPath::Tuf(file))? else {
        return Ok(None);
    };
    match object.read_all(file.limit()) {
        // Too long to be one: the copy replaces it.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        read => read.map(Some),
    }
}

/// The newest root that is here, that follows from the pinned one, step by step (each signed by the keys of the one before
/// it and by its own), and by which what is here was believed.
fn newest(store: &dyn ObjectStore, pinned: &[u8]) -> io::Result<Vec<u8>> {
    let timestamp = stored(store, TufFile::Timestamp)?;
    let timestamp = timestamp.and_then(|bytes| serde_json::from_slice::<Signed<Timestamp>>(&bytes).ok());
    let snapshot = match timestamp.as_ref().and_then(|it| it.signed.meta.get("snapshot.json")) {
        Some(meta) => stored(store, TufFile::Snapshot(meta.version.get()))?,
        None => None,
    };
    let snapshot = snapshot.and_then(|bytes| serde_json::from_slice::<Signed<Snapshot>>(&bytes).ok());
    let believes = |root: &Root| {
        let timestamp = timestamp
            .as_ref()
            .is_none_or(|timestamp| root.verify_role(timestamp).is_ok());
        let snapshot = snapshot
            .as_ref()
            .is_none_or(|snapshot| root.verify_role(snapshot).is_ok());
        // A damaged snapshot is no reason to forget the timestamp.
        [timestamp && snapshot, timestamp]
    };
    let (mut newest, mut newest_believing) = (pinned.to_owned(), [None, None]);
    let mut bytes = pinned.to_owned();
    let mut trusted = parse(pinned);
    while let Some(root) = trusted.take() {
        for (is_believing, place) in believes(&root.signed).into_iter().zip(&mut newest_believing) {
            if is_believing {
                *place = Some(bytes.clone());
            }
        }
        newest = bytes;
        let version = root.signed.version().get().saturating_add(1);
        let Some(next) = stored(store, TufFile::Root(version))? else {
            break;
        };
        let follows = |next: &Signed<Root>| {
            next.signed.version().get() == version
                && root.signed.verify_role(next).is_ok()
                && next.signed.verify_role(next).is_ok()
        };
        trusted = parse(&next).filter(follows);
        bytes = next;
    }
    let [both, timestamp] = newest_believing;
    Ok(both.or(timestamp).unwrap_or(newest))
}

fn parse(root: &[u8]) -> Option<Signed<Root>> {
    serde_json::from_slice(root).ok()
}
