//! Submitting: what is signed and not yet with the service goes there, batch by batch.
//!
//! Nothing is remembered about what was submitted: the service's size says where to go on, so a submission that was cut
//! off at any point is simply continued.
//!
//! Where witnesses are asked for, each head is cosigned before it is submitted, and in order: no witness is shown a head
//! before the one in front of it is published, so that a head that lacks cosignatures today can have them tomorrow. What
//! lacks them is not submitted; the last head that had enough stays what the world sees.
//! Must not know how anything was built or signed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use sealift_policy::digest::Digest;
use sealift_policy::leaf::Leaf;
use sealift_policy::log::{Origin, SignedCheckpoint, TreeSize};
use sealift_policy::manifest::Manifest;
use sealift_policy::wire::{SubmissionHeader, SubmittedBlob, SubmittedUnit};
use tokio::task::JoinSet;

use crate::attest::{AttestError, Attestor};
use crate::cosign::{AskError, Cosigned, Log, SeenSizes, Witnesses};
use crate::data::Data;
use crate::log_store::{FolderStore, LogStore as _};
use crate::progress;
use crate::sequencer::{LogContents, SequencerError, batch_head};
use crate::service::{Service, ServiceError, Submitted};
use crate::stage::{StoredOutput, UnitRecord, stored_outputs};

/// What was submitted.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Leaves.
    pub leaves: u64,
    /// Blobs that the service did not have.
    pub blobs: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Size of the log with the service now.
    pub size: u64,
    /// Why there is more that was not submitted.
    pub withheld: Option<Withheld>,
    /// Witnesses that did not cosign a head that was submitted all the same, and why, for people.
    pub complaints: BTreeSet<String>,
}

/// A head for which there are not enough cosignatures.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Withheld {
    /// Its size.
    pub size: u64,
    /// Who did not cosign it, and why, for people.
    pub problems: Vec<String>,
}

/// Why not everything was submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] SequencerError),
    /// The service failed or refused.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The service has more than this log.
    #[error("the service has {published} entries of this log, which has {here}: it was restored from an older backup")]
    Behind {
        /// Entries with the service.
        published: u64,
        /// Entries here.
        here: u64,
    },
    /// The service moves without us, or not at all.
    #[error("the service does not accept the log at size {0}")]
    Stuck(u64),
    /// Nothing can be attested.
    #[error(transparent)]
    Attest(#[from] AttestError),
    /// What belongs to a leaf is missing or damaged.
    #[error("failed to read what was signed")]
    Io(#[from] io::Error),
}

/// How many questions are asked at a time.
const QUESTIONS: usize = 16;

/// Submits everything that is signed, and the newest checkpoint, as far as there are cosignatures where `witnesses` are
/// asked for; with what the attestor says about it, if there is one.
///
/// # Errors
/// When the service refuses; what it has admitted stays admitted.
pub async fn submit_all(
    data: &Data,
    service: &Service,
    witnesses: Option<&Witnesses>,
    attestor: Option<&Attestor>,
    now: impl Fn() -> u64,
) -> Result<Summary, SubmitError> {
    let store = FolderStore::new(&data.log(), &data.seen());
    let contents = LogContents::read(&store, &data.operator().vkey)?;
    let here = contents.head().size().value();
    let published = service.checkpoint(&data.operator().name, data.operator().epoch).await?;
    let published = published.and_then(|text| SignedCheckpoint::parse(text.as_bytes()).ok());
    let mut size = published.as_ref().map_or(0, |head| head.unverified().size.value());
    let is_fresh = |head: &SignedCheckpoint| head.unverified().time >= contents.head().time();
    // A newer checkpoint is submitted even without leaves: its time is how the world knows that the log is alive.
    let mut head_is_known = published.as_ref().is_some_and(is_fresh);
    let mut summary = Summary {
        size,
        ..Summary::default()
    };
    let bar = progress::bar("submitting", here.saturating_sub(size));
    let mut stuck = 0;
    // What the world has seen, the witnesses have cosigned. They say so themselves if not.
    let mut seen = guessed(witnesses, size);
    let mut at_least = 0;
    loop {
        if size > here {
            return Err(SubmitError::Behind { published: size, here });
        }
        if size == here && head_is_known {
            break;
        }
        let (end, mut checkpoint) = next_batch(&store, &contents, size, at_least)?;
        if let Some(witnesses) = witnesses {
            let key = &data.operator().vkey;
            let log = Log {
                key,
                contents: &contents,
            };
            let head = SignedCheckpoint::parse(checkpoint.as_bytes()).and_then(|head| head.verify(key));
            let head = head.map_err(SequencerError::Head)?;
            let cosigned = witnesses.cosign(log, head, &mut seen, now()).await;
            if !cosigned.is_met {
                // Witnesses that were shown a later head cosign that, or a later one, and never this one.
                if let Some(ahead) = cosigned.ahead.map(TreeSize::value).filter(|ahead| *ahead > end) {
                    at_least = ahead;
                    continue;
                }
                summary.withheld = Some(Withheld {
                    size: end,
                    problems: described(&cosigned),
                });
                break;
            }
            summary.complaints.extend(described(&cosigned));
            checkpoint = String::from_utf8(cosigned.head.as_bytes().to_vec()).map_err(io::Error::other)?;
        }
        let mut batch = Batch::read(data, &contents, size, end, checkpoint)?;
        // Of a head that is only signed anew there is nothing to say.
        if let Some(attestor) = attestor.filter(|_| !batch.header.units.is_empty()) {
            let bundle = attestor.bundle(data, &batch.header, &batch.sandboxed).await?;
            batch.header.provenance.push(bundle);
        }
        let (body, blobs) = batch.body(data, service).await?;
        let bytes = body.len() as u64;
        match service.submit(body).await? {
            Submitted::Admitted(now) if now >= end => {
                summary.leaves += end - size;
                summary.blobs += blobs;
                summary.bytes += bytes;
                bar.inc(end - size);
                size = now;
                summary.size = now;
                stuck = 0;
                head_is_known = end == here;
            }
            Submitted::Elsewhere(now) if now != size && stuck < 3 => {
                size = now;
                stuck += 1;
            }
            Submitted::Admitted(now) | Submitted::Elsewhere(now) => return Err(SubmitError::Stuck(now)),
        }
    }
    bar.finish_and_clear();
    Ok(summary)
}

fn guessed(witnesses: Option<&Witnesses>, size: u64) -> SeenSizes {
    let size = TreeSize::try_from(size).unwrap_or_default();
    let names = witnesses.into_iter().flat_map(Witnesses::names);
    names.map(|name| (name.clone(), size)).collect()
}

/// Who did not cosign a head, and why, each in a line.
fn described(cosigned: &Cosigned) -> Vec<String> {
    let line = |(name, error): &(Origin, AskError)| {
        let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        format!("witness `{name}`: {}", causes.join(": "))
    };
    cosigned.problems.iter().map(line).collect()
}

/// The end of the next batch, or of the first that reaches a size, and its signed checkpoint.
fn next_batch(
    store: &FolderStore,
    contents: &LogContents,
    size: u64,
    at_least: u64,
) -> Result<(u64, String), SubmitError> {
    let here = contents.head().size().value();
    let mut end = at_least.max(size + 1);
    while end < here {
        let path = batch_head(TreeSize::try_from(end).map_err(io::Error::other)?);
        if let Some(head) = store.read(&path)? {
            return Ok((end, String::from_utf8(head).map_err(io::Error::other)?));
        }
        end += 1;
    }
    let head = String::from_utf8(contents.head().as_bytes().to_vec()).map_err(io::Error::other)?;
    Ok((here, head))
}

struct Batch {
    header: SubmissionHeader,
    /// Of each unit, whether it was built in a sandbox.
    sandboxed: Vec<bool>,
    outputs: BTreeMap<Digest, StoredOutput>,
    /// The outputs in an order in which prefixes come first.
    order: Vec<Digest>,
}

impl Batch {
    fn read(data: &Data, contents: &LogContents, from: u64, to: u64, checkpoint: String) -> io::Result<Self> {
        let mut batch = Self {
            header: SubmissionHeader {
                version: 1,
                operator: data.operator().name.clone(),
                epoch: data.operator().epoch,
                old_size: from,
                checkpoint,
                units: Vec::new(),
                blobs: Vec::new(),
                provenance: Vec::new(),
            },
            sandboxed: Vec::new(),
            outputs: BTreeMap::new(),
            order: Vec::new(),
        };
        let at = |index: u64| usize::try_from(index).unwrap_or(usize::MAX);
        for leaf in contents.leaves().get(at(from)..at(to)).unwrap_or_default() {
            batch.add(data, leaf)?;
        }
        Ok(batch)
    }

    fn add(&mut self, data: &Data, leaf: &Leaf) -> io::Result<()> {
        let record = UnitRecord::read(data, leaf.unit_key())?;
        if record.manifest_digest() != leaf.manifest() {
            let message = format!("the record of unit {} is not what was signed", leaf.unit_key());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let manifest = Manifest::from_canonical(record.manifest.as_bytes()).map_err(io::Error::other)?;
        for output in stored_outputs(&manifest) {
            if self.outputs.insert(output.sha256, output).is_none() {
                self.order.push(output.sha256);
            }
        }
        self.sandboxed.push(record.sandboxed);
        self.header.units.push(SubmittedUnit {
            leaf: leaf.to_canonical(),
            manifest: record.manifest,
            key_document: record.key_document,
            plans: record.plans,
            compile_ms: record.compile_ms,
        });
        Ok(())
    }

    /// The body of the submission, with the blobs that the service does not have; and their number.
    async fn body(mut self, data: &Data, service: &Service) -> Result<(Vec<u8>, u64), SubmitError> {
        let present = present(service, &self.order).await?;
        let mut blobs = Vec::new();
        for digest in self.order.iter().filter(|digest| !present.contains(*digest)) {
            let Some(output) = self.outputs.get(digest) else {
                continue;
            };
            let stored = fs_err::read(data.object(*digest))?;
            self.header.blobs.push(SubmittedBlob {
                sha256: *digest,
                size: output.size,
                stored: stored.len() as u64,
                prefix: output.prefix,
            });
            blobs.push(stored);
        }
        let header = serde_json::to_vec(&self.header).map_err(io::Error::from)?;
        let mut body = (header.len() as u64).to_be_bytes().to_vec();
        body.extend(header);
        body.extend(blobs.iter().flatten());
        Ok((body, blobs.len() as u64))
    }
}

/// Which of these objects the service has.
async fn present(service: &Service, objects: &[Digest]) -> Result<BTreeSet<Digest>, ServiceError> {
    let open = Arc::new(tokio::sync::Semaphore::new(QUESTIONS));
    let mut questions = JoinSet::new();
    for &object in objects {
        let (service, open) = (service.clone(), Arc::clone(&open));
        questions.spawn(async move {
            let _turn = open.acquire().await;
            service.has(object).await.map(|has| (object, has))
        });
    }
    let mut present = BTreeSet::new();
    while let Some(answer) = questions.join_next().await {
        let (object, has) = answer.map_err(|_| ServiceError::Unexpected)??;
        if has {
            present.insert(object);
        }
    }
    Ok(present)
}

#[cfg(test)]
mod tests;
