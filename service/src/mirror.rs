//! A verified copy of another service's store: what an operator submitted there is admitted here, by the same rules.
//!
//! Owns fetching. It turns the difference between two heads of a log into a submission, so nothing is copied that the
//! operator's signature and the admission rules do not cover. Must not know those rules.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::{Client, Response, StatusCode};
use sealift_policy::digest::Digest;
use sealift_policy::layout::{MAX_DOCUMENT, ObjectPath};
use sealift_policy::leaf::Leaf;
use sealift_policy::log::tile::{TileKind, WIDTH};
use sealift_policy::log::{EntryBundle, SignedCheckpoint, TilePath, TreeSize};
use sealift_policy::manifest::Manifest;
use sealift_policy::provenance::bundle as provenance;
use sealift_policy::trust::{LogPosition, TrustPolicy};
use sealift_policy::tuf::TufFile;
use sealift_policy::wire::{SubmissionHeader, SubmittedBlob, SubmittedUnit, UnitHint};
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::admit::{self, Blob};
use crate::app::App;
use crate::frame;
use crate::logs::{ServedLog, tile_path};
use crate::receive::Blobs;
use crate::store::ObjectStore;
use crate::submission::{self, Source, SubmitError};
use crate::tuf;

/// Small objects that are fetched at the same time.
const AT_ONCE: usize = 16;

/// The longest entry bundle.
const MAX_BUNDLE: u64 = 256 * (2 + 65_535);

/// Why a mirror is not complete. What was copied before stays.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The other service did not answer as it should.
    #[error("failed to fetch `{url}`")]
    Fetch {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// An object that must be there is missing, too long, or not what it is called.
    #[error("`{url}` is missing or not what it should be")]
    Refused {
        /// What was asked for.
        url: String,
    },
    /// Its log does not obey the rules.
    #[error("log `{log}` is not admitted")]
    NotAdmitted {
        /// Which log.
        log: String,
        /// Why.
        #[source]
        source: Box<SubmitError>,
    },
    /// Its TUF repository is not copied.
    #[error("the TUF repository is not copied")]
    Trust(#[source] Box<tuf::CopyError>),
    /// This process failed.
    #[error("the copy was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Logs with a new head.
    pub logs: u64,
    /// Units.
    pub units: u64,
    /// Files of the TUF repository.
    pub files: usize,
}

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mirrored {} units; {} logs have a new head", self.units, self.logs)?;
        match self.files {
            0 => Ok(()),
            files => write!(f, "; {files} files of the TUF repository are new"),
        }
    }
}

/// Copies what is new in the logs of the configured operators. One whose log fails keeps none of the others out: their
/// logs are copied, and then the first failure is told.
pub async fn run(app: Arc<App>, from: &str) -> Result<Copied, MirrorError> {
    let origin = Origin::at(from)?;
    let mut copied = Copied::default();
    let mut failed = None;
    for log in app.logs() {
        match origin.copy(&app, log).await {
            Ok(None) => {}
            Ok(Some(units)) => {
                copied.logs += 1;
                copied.units += units;
            }
            Err(error) => {
                tracing::warn!(log = %log.name, "not copied: {}", crate::error::chain(&error));
                failed = failed.or(Some(error));
            }
        }
    }
    failed.map_or(Ok(copied), Err)
}

/// Copies the TUF repository, as far as it follows from this root. Gives the number of new files.
pub async fn trust(store: &dyn ObjectStore, root: &[u8], from: &str) -> Result<usize, MirrorError> {
    let origin = Origin::at(from)?;
    let get = move |file: TufFile| -> BoxFuture<'static, io::Result<Option<Vec<u8>>>> {
        let origin = origin.clone();
        Box::pin(async move {
            let got = origin.get(&ObjectPath::Tuf(file), file.limit()).await;
            got.map_err(io::Error::other)
        })
    };
    tuf::copy(store, root, get)
        .await
        .map_err(|error| MirrorError::Trust(Box::new(error)))
}

/// The service that is copied from.
#[derive(Debug, Clone)]
struct Origin {
    client: Client,
    url: String,
}

impl Origin {
    fn at(from: &str) -> Result<Self, MirrorError> {
        let client = Client::builder()
            // What is served is what is stored, whatever features other packages ask of the client's.
            .no_gzip()
            .no_deflate()
            .no_brotli()
            .no_zstd()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(30))
            .build()
            .map_err(|source| MirrorError::Fetch {
                url: from.to_owned(),
                source,
            })?;
        Ok(Self {
            client,
            url: from.trim_end_matches('/').to_owned(),
        })
    }

    /// Copies one log. Gives the number of new units if there is a new head.
    async fn copy(&self, app: &Arc<App>, log: &ServedLog) -> Result<Option<u64>, MirrorError> {
        let Some(header) = self.submission(app, log).await? else {
            return Ok(None);
        };
        let before = log.state();
        let (app, mut blobs) = (
            Arc::clone(app),
            Fetched {
                origin: self.clone(),
                failed: None,
            },
        );
        let admitted = tokio::task::spawn_blocking(move || {
            let admitted = submission::admit(&app, header, &mut blobs);
            (admitted, blobs.failed)
        });
        match admitted.await? {
            // The same head, where the other service keeps lines of witnesses that are not asked for here.
            (Ok(outcome), _) => Ok((log.state().checkpoint != before.checkpoint).then_some(outcome.admitted)),
            (Err(_), Some(failed)) => Err(failed),
            (Err(source), None) => Err(MirrorError::NotAdmitted {
                log: log.name.to_string(),
                source: Box::new(source),
            }),
        }
    }

    /// The difference between the log there and here, as its operator would submit it. `None` if there is none.
    async fn submission(&self, app: &App, log: &ServedLog) -> Result<Option<SubmissionHeader>, MirrorError> {
        let path = ObjectPath::Checkpoint(log.name.operator.clone(), log.name.epoch);
        let limit = sealift_policy::log::note::MAX_BYTES as u64;
        let Some(checkpoint) = self.get(&path, limit).await? else {
            return Ok(None);
        };
        let refused = || MirrorError::Refused { url: self.url(&path) };
        // Verified before anything else is fetched: its size decides how much that is.
        let head = SignedCheckpoint::parse(&checkpoint).and_then(|head| head.verify(&log.verifier));
        let head = head.map_err(|_| refused())?;
        let here = log.state();
        if here
            .checkpoint
            .as_ref()
            .is_some_and(|known| known.as_bytes() == head.as_bytes())
        {
            return Ok(None);
        }
        let old_size = here.tree.size();
        let leaves = self.leaves(log, old_size, head.size()).await?;
        let units: Vec<(SubmittedUnit, Manifest)> = futures::stream::iter(leaves)
            .map(|leaf| self.unit(leaf))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let provenance = match app.policy() {
            Some(policy) if policy.provenance(&log.name.operator).is_some() => {
                let numbered = (old_size.value()..).zip(units.iter().map(|(unit, _)| unit));
                self.provenance(log, policy, numbered).await?
            }
            _ => Vec::new(),
        };
        let mut wanted = BTreeSet::new();
        let outputs = units.iter().flat_map(|(_, manifest)| admit::outputs(manifest));
        let outputs: Vec<_> = outputs.filter(|output| wanted.insert(output.content.sha256)).collect();
        let blobs = futures::stream::iter(outputs)
            .map(|output| self.blob(app, output))
            .buffered(AT_ONCE);
        let blobs: Vec<Option<SubmittedBlob>> = blobs.try_collect().await?;
        Ok(Some(SubmissionHeader {
            version: 1,
            operator: log.name.operator.clone(),
            epoch: log.name.epoch,
            // For a head that is not larger, the leaves are not sent again.
            old_size: old_size.min(head.size()).value(),
            checkpoint: String::from_utf8(checkpoint).map_err(|_| refused())?,
            units: units.into_iter().map(|(unit, _)| unit).collect(),
            blobs: blobs.into_iter().flatten().collect(),
            provenance,
        }))
    }

    /// The bundles that speak of these units: one for each batch in which they were submitted there. What they are worth
    /// the admission rules say.
    async fn provenance(
        &self,
        log: &ServedLog,
        policy: &TrustPolicy,
        units: impl Iterator<Item = (u64, &SubmittedUnit)>,
    ) -> Result<Vec<String>, MirrorError> {
        let epoch = log.name.epoch;
        let mut spoken_of = BTreeSet::new();
        let mut bundles = Vec::new();
        for (index, unit) in units {
            let manifest = Digest::of(unit.manifest.as_bytes());
            // What needs none is not asked for: it may be of a key that does not count any more.
            let needs_one = policy.needs_provenance(&log.name.operator, LogPosition { epoch, index });
            if !needs_one || spoken_of.contains(&manifest) {
                continue;
            }
            let path = ObjectPath::Provenance(manifest, log.name.operator.clone());
            let bytes = self.get(&path, provenance::MAX_BUNDLE).await?;
            let bundle = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let statement = bundle
                .as_ref()
                .and_then(|text| provenance::unverified(text.as_bytes()).ok());
            let (Some(bundle), Some(statement)) = (bundle, statement) else {
                return Err(MirrorError::Refused { url: self.url(&path) });
            };
            spoken_of.extend(statement.subjects().map(|(_, manifest)| manifest));
            bundles.push(bundle);
        }
        Ok(bundles)
    }

    async fn leaves(&self, log: &ServedLog, from: TreeSize, to: TreeSize) -> Result<Vec<Vec<u8>>, MirrorError> {
        let first = from.value() / u64::from(WIDTH);
        let paths = (first..).map_while(|index| TilePath::in_tree(TileKind::Entries, index, to));
        let mut leaves = Vec::new();
        for tile in paths {
            let path = tile_path(&log.name, tile);
            let bytes = self.get(&path, MAX_BUNDLE).await?;
            let bundle = bytes.and_then(|bytes| EntryBundle::parse(&bytes, tile).ok());
            let bundle = bundle.ok_or_else(|| MirrorError::Refused { url: self.url(&path) })?;
            let start = tile.index() * u64::from(WIDTH);
            let known = usize::try_from(from.value().saturating_sub(start)).expect("less than a bundle");
            leaves.extend(bundle.into_entries().into_iter().skip(known));
        }
        Ok(leaves)
    }

    async fn unit(&self, leaf: Vec<u8>) -> Result<(SubmittedUnit, Manifest), MirrorError> {
        let unreadable = || MirrorError::Refused {
            url: format!("a leaf of {}", self.url),
        };
        let parsed = Leaf::from_canonical(&leaf).map_err(|_| unreadable())?;
        let manifest = self.document(parsed.manifest()).await?;
        let key_document = self.document(parsed.unit_key().digest()).await?;
        let path = ObjectPath::Unit(parsed.unit_key());
        let hint = self.get(&path, MAX_DOCUMENT).await?;
        let hint = hint.and_then(|bytes| serde_json::from_slice::<UnitHint>(&bytes).ok());
        let (plans, compile_ms) = hint.map(|hint| (hint.plans, hint.compile_ms)).unwrap_or_default();
        let outputs = Manifest::from_canonical(manifest.as_bytes()).map_err(|_| unreadable())?;
        let leaf = String::from_utf8(leaf).map_err(|_| unreadable())?;
        Ok((
            SubmittedUnit {
                leaf,
                manifest,
                key_document,
                plans,
                compile_ms,
            },
            outputs,
        ))
    }

    async fn document(&self, sha256: Digest) -> Result<String, MirrorError> {
        let path = ObjectPath::Cas(sha256);
        let stored = self.get(&path, 2 * MAX_DOCUMENT).await?;
        let content = stored.and_then(|stored| frame::decode_document(&stored, sha256, MAX_DOCUMENT).ok());
        let text = content.and_then(|content| String::from_utf8(content).ok());
        text.ok_or_else(|| MirrorError::Refused { url: self.url(&path) })
    }

    /// What an output that is not here yet looks like there.
    async fn blob(&self, app: &App, output: admit::StoredOutput) -> Result<Option<SubmittedBlob>, MirrorError> {
        let path = ObjectPath::Cas(output.content.sha256);
        let here = matches!(app.store().open(&path), Ok(Some(_)));
        if here {
            return Ok(None);
        }
        let url = self.url(&path);
        let response = self.client.head(&url).send().await;
        let response = response.map_err(|source| MirrorError::Fetch {
            url: url.clone(),
            source,
        })?;
        let length = response.headers().get(reqwest::header::CONTENT_LENGTH);
        let stored = length
            .and_then(|length| length.to_str().ok())
            .and_then(|length| length.parse().ok());
        let stored = stored.filter(|_| response.status() == StatusCode::OK);
        Ok(Some(SubmittedBlob {
            sha256: output.content.sha256,
            size: output.content.size,
            stored: stored.ok_or(MirrorError::Refused { url })?,
            prefix: output.prefix.map(|prefix| prefix.sha256),
        }))
    }

    /// A small object; `None` if it is not there.
    async fn get(&self, path: &ObjectPath, limit: u64) -> Result<Option<Vec<u8>>, MirrorError> {
        let Some(mut response) = self.open(path).await? else {
            return Ok(None);
        };
        let url = self.url(path);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|source| MirrorError::Fetch {
            url: url.clone(),
            source,
        })? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > limit {
                return Err(MirrorError::Refused { url });
            }
        }
        Ok(Some(bytes))
    }

    async fn open(&self, path: &ObjectPath) -> Result<Option<Response>, MirrorError> {
        let url = self.url(path);
        let response = self.client.get(&url).send().await;
        let response = response.map_err(|source| MirrorError::Fetch {
            url: url.clone(),
            source,
        })?;
        match response.status() {
            StatusCode::OK => Ok(Some(response)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(MirrorError::Refused { url }),
        }
    }

    fn url(&self, path: &ObjectPath) -> String {
        format!("{}{path}", self.url)
    }
}

/// Blobs that are fetched one by one, from a thread that may block.
struct Fetched {
    origin: Origin,
    failed: Option<MirrorError>,
}

impl Blobs for Fetched {
    fn next(&mut self, blob: &Blob) -> io::Result<Box<dyn Read + '_>> {
        let path = ObjectPath::Cas(blob.output.content.sha256);
        let opened = tokio::runtime::Handle::current().block_on(self.origin.open(&path));
        let missing = || MirrorError::Refused {
            url: self.origin.url(&path),
        };
        match opened.and_then(|response| response.ok_or_else(missing)) {
            Ok(response) => {
                let stream = response.bytes_stream().map_err(io::Error::other);
                Ok(Box::new(SyncIoBridge::new(StreamReader::new(Box::pin(stream)))))
            }
            Err(error) => {
                let told = io::Error::other(error.to_string());
                self.failed = Some(error);
                Err(told)
            }
        }
    }
}

impl Source for Fetched {
    fn end(&mut self) -> Result<(), SubmitError> {
        Ok(())
    }
}
