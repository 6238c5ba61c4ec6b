//! The repository's files for crate `tough`: from what is kept here, or through [`Remote`] under all of its limits.
//!
//! Owns that the common case, in which nothing is new, costs one round trip: the next root and the timestamp are asked
//! for at the same time, and what never changes is not asked for again. Believes nothing: `tough` checks every byte.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Url;
use sealift_policy::tuf::TufFile;
use tough::{Bytes, Transport, TransportError, TransportErrorKind, TransportStream, async_trait};

use super::seen::Seen;
use crate::remote::{Remote, RemoteError};

/// Where `tough` believes the repository to be. Nobody is asked there: only the paths count.
const REPOSITORY: &str = "http://repository.invalid/";

/// The addresses of metadata and targets.
pub(super) fn addresses() -> (Url, Url) {
    let under = |folder| Url::parse(&format!("{REPOSITORY}{folder}/")).expect("a plain address");
    (under("metadata"), under("targets"))
}

/// The files of one repository, for one attempt.
#[derive(Clone)]
pub(super) struct Files(Arc<Inner>);

struct Inner {
    remote: Arc<Remote>,
    /// What is answered without asking.
    ready: Mutex<BTreeMap<TufFile, Option<Vec<u8>>>>,
    /// What was handed out.
    taken: Mutex<BTreeMap<TufFile, Vec<u8>>>,
    /// The first failure to fetch something.
    failure: Mutex<Option<RemoteError>>,
}

impl Files {
    /// With what is kept here, and the two files that decide whether anything is new on their way at once.
    pub(super) async fn early(remote: &Arc<Remote>, seen: &Seen) -> Self {
        let files = Self::anew(remote);
        let next = TufFile::Root(seen.root_version() + 1);
        let (root, timestamp) = tokio::join!(remote.tuf(next), remote.tuf(TufFile::Timestamp));
        let mut ready: BTreeMap<_, _> = seen
            .kept()
            .into_iter()
            .map(|(file, bytes)| (file, Some(bytes)))
            .collect();
        match root {
            // Another root decides which timestamp is one: it is asked for when that root is known.
            Ok(root) => {
                ready.insert(next, Some(root));
            }
            Err(RemoteError::Absent(_)) => {
                ready.insert(next, None);
                match timestamp {
                    Ok(timestamp) => {
                        ready.insert(TufFile::Timestamp, Some(timestamp));
                    }
                    Err(error) => files.fail(error),
                }
            }
            Err(error) => files.fail(error),
        }
        *lock(&files.0.ready) = ready;
        files
    }

    /// Everything is asked for.
    pub(super) fn anew(remote: &Arc<Remote>) -> Self {
        Self(Arc::new(Inner {
            remote: Arc::clone(remote),
            ready: Mutex::default(),
            taken: Mutex::default(),
            failure: Mutex::default(),
        }))
    }

    /// What was handed out so far.
    pub(super) fn taken(&self) -> BTreeMap<TufFile, Vec<u8>> {
        lock(&self.0.taken).clone()
    }

    /// Why something could not be fetched, once.
    pub(super) fn failure(&self) -> Option<RemoteError> {
        lock(&self.0.failure).take()
    }

    fn fail(&self, error: RemoteError) {
        lock(&self.0.failure).get_or_insert(error);
    }

    async fn get(&self, file: TufFile) -> Result<Vec<u8>, TransportErrorKind> {
        let ready = lock(&self.0.ready).remove(&file);
        let bytes = match ready {
            Some(Some(bytes)) => bytes,
            Some(None) => return Err(TransportErrorKind::FileNotFound),
            // A failure ends the attempt: what comes after it costs no more time.
            None if lock(&self.0.failure).is_some() => return Err(TransportErrorKind::Other),
            None => match self.0.remote.tuf(file).await {
                Ok(bytes) => bytes,
                // There is always a newest root.
                Err(RemoteError::Absent(_)) if matches!(file, TufFile::Root(_)) => {
                    return Err(TransportErrorKind::FileNotFound);
                }
                Err(error) => {
                    self.fail(error);
                    return Err(TransportErrorKind::Other);
                }
            },
        };
        lock(&self.0.taken).insert(file, bytes.clone());
        Ok(bytes)
    }
}

#[async_trait]
impl Transport for Files {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let file = url.path().trim_start_matches('/').parse::<TufFile>();
        let found = match file {
            Ok(file) => self.get(file).await,
            Err(_) => Err(TransportErrorKind::FileNotFound),
        };
        // Errors come in the stream: `tough` takes one of `fetch` itself for a root that is not there, whatever it was.
        let item = found
            .map(Bytes::from)
            .map_err(|kind| TransportError::new(kind, url.path()));
        Ok(Box::pin(futures::stream::once(std::future::ready(item))))
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
