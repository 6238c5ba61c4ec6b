//! Where crate `tough` gets a repository's files from: the store, or another service.
//!
//! Owns that only files of the repository are asked for, under their limits, and which were handed out. Believes
//! nothing: `tough` checks every byte.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use reqwest::Url;
use sealift_policy::layout::ObjectPath;
use sealift_policy::tuf::TufFile;
use tough::{Bytes, Transport, TransportError, TransportErrorKind, TransportStream, async_trait};

use crate::store::ObjectStore;

/// Where `tough` believes the repository to be. Nobody is asked there: only the paths count.
const REPOSITORY: &str = "http://repository.invalid/";

/// The addresses of metadata and targets.
pub(super) fn addresses() -> (Url, Url) {
    let under = |folder| Url::parse(&format!("{REPOSITORY}{folder}/")).expect("a plain address");
    (under("metadata"), under("targets"))
}

/// Gives a file's bytes; `None` if it is not there.
type Get = dyn Fn(TufFile) -> BoxFuture<'static, io::Result<Option<Vec<u8>>>> + Send + Sync;

/// The files of a repository.
#[derive(Clone)]
pub(super) struct Files {
    get: Arc<Get>,
    taken: Arc<Mutex<BTreeMap<TufFile, Vec<u8>>>>,
}

impl Files {
    /// From somewhere.
    pub(super) fn new(
        get: impl Fn(TufFile) -> BoxFuture<'static, io::Result<Option<Vec<u8>>>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            get: Arc::new(get),
            taken: Arc::default(),
        }
    }

    /// From a store.
    pub(super) fn stored(store: impl ObjectStore + 'static) -> Self {
        let store = Arc::new(store);
        Self::new(move |file| {
            let found = match store.open(&ObjectPath::Tuf(file)) {
                Ok(Some(object)) => object.read_all(file.limit()).map(Some),
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            };
            Box::pin(std::future::ready(found))
        })
    }

    /// What was handed out.
    pub(super) fn taken(&self) -> BTreeMap<TufFile, Vec<u8>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Transport for Files {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let absent = || TransportError::new(TransportErrorKind::FileNotFound, url.path());
        let item = match url.path().trim_start_matches('/').parse::<TufFile>() {
            Err(_) => Err(absent()),
            Ok(file) => match (self.get)(file).await {
                Ok(None) => Err(absent()),
                Err(error) => Err(TransportError::new_with_cause(
                    TransportErrorKind::Other,
                    url.path(),
                    error,
                )),
                Ok(Some(bytes)) => {
                    let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                    taken.insert(file, bytes.clone());
                    Ok(Bytes::from(bytes))
                }
            },
        };
        // Errors come in the stream: `tough` takes one of `fetch` itself for a root that is not there, whatever it was.
        Ok(Box::pin(futures::stream::once(std::future::ready(item))))
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}
