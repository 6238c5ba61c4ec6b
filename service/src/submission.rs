//! A submission's way through the service: header, rules, bytes, publication. All or nothing.
//!
//! Owns the order of these steps and the body's format. Must not know HTTP: the body is a reader.

use std::collections::BTreeMap;
use std::io::{self, Read};

use sealift_policy::log::{SignedCheckpoint, TreeSize};
use sealift_policy::wire::{MAX_SUBMISSION_HEADER, SubmissionHeader};

use crate::admit::{self, Blob, Decision, Known, Refusal, Stated};
use crate::app::App;
use crate::catalogue::CatalogueError;
use crate::logs::{LogError, ServedLog};
use crate::publish::{self, PublishError};
use crate::receive::{self, Blobs, ReceiveError};

/// Why a submission was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The header is not one.
    #[error("the header is malformed")]
    Header(#[source] serde_json::Error),
    /// The header is longer than allowed.
    #[error("the header is longer than {MAX_SUBMISSION_HEADER} bytes")]
    HeaderTooLarge,
    /// The body ends inside the header, or cannot be read.
    #[error("failed to read the header")]
    Body(#[source] io::Error),
    /// The trust policy has no such log.
    #[error("`{operator}` has no log of epoch {epoch} here")]
    UnknownLog {
        /// The operator in the header.
        operator: String,
        /// The epoch in the header.
        epoch: u32,
    },
    /// The trust policy says that nothing is added to this log any more.
    #[error("the log of epoch {epoch} of `{operator}` is frozen: its operator goes on in a new epoch")]
    Frozen {
        /// The operator in the header.
        operator: String,
        /// The epoch in the header.
        epoch: u32,
    },
    /// A rule about the header.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A rule about the bytes of blobs.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// More bytes after the last blob.
    #[error("more bytes after the last blob")]
    Trailing,
    /// The log could not be read back after an earlier failure.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The catalogue failed.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The submission obeys all rules and could not be published.
    #[error("failed to publish the submission")]
    Publish(#[from] PublishError),
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The log.
    pub log: crate::store::LogName,
    /// Its size now.
    pub size: TreeSize,
    /// New leaves; 0 if all was known.
    pub admitted: u64,
}

/// Admits a submission from its body.
pub fn submit(app: &App, mut body: impl Read) -> Result<Outcome, SubmitError> {
    let header = read_header(&mut body)?;
    admit(app, header, &mut Body(body))
}

/// Admits a submission whose header is read already.
pub fn admit(app: &App, header: SubmissionHeader, blobs: &mut dyn Source) -> Result<Outcome, SubmitError> {
    let log = app
        .log(&header.operator, header.epoch)
        .ok_or_else(|| SubmitError::UnknownLog {
            operator: header.operator.to_string(),
            epoch: header.epoch,
        })?;
    if app.is_frozen(&log.name) {
        return Err(SubmitError::Frozen {
            operator: header.operator.to_string(),
            epoch: header.epoch,
        });
    }
    // One submission to a log at a time; other logs are not concerned.
    let _held = log.admit();
    log.settle(app.store())?;
    publish::finish_all(app, log)?;
    let decision = decide(app, log, header)?;
    let admitted = match decision {
        Decision::AlreadyAdmitted => 0,
        Decision::Admit(admission) => {
            let received = receive::receive(app.store(), &admission, blobs)?;
            blobs.end()?;
            let count = admission.units.len() as u64;
            publish::publish(app, log, *admission, received)?;
            count
        }
    };
    Ok(Outcome {
        log: log.name.clone(),
        size: log.state().tree.size(),
        admitted,
    })
}

fn decide(app: &App, log: &ServedLog, header: SubmissionHeader) -> Result<Decision, SubmitError> {
    let state = log.state();
    let mut stated: BTreeMap<_, Vec<Stated>> = BTreeMap::new();
    // Only who can sign for the log, and has signed something new, is worth a question for each of its leaves.
    let head = SignedCheckpoint::parse(header.checkpoint.as_bytes()).and_then(|head| head.verify(&log.verifier));
    if head.is_ok_and(|head| head.size() > state.tree.size()) {
        for unit in admit::units(&header) {
            let mut known = app.catalogue().unit(unit)?.stated;
            known.retain(|stated| stated.log.operator == log.name.operator);
            stated.insert(unit, known);
        }
    }
    let known = Known {
        verifier: &log.verifier,
        tree: &state.tree,
        last: &state.last,
        checkpoint: state.checkpoint.as_ref(),
        witnesses: app.witnesses(),
        policy: app.policy(),
        stated: &stated,
    };
    Ok(admit::decide(&log.name, header, known)?)
}

fn read_header(body: &mut impl Read) -> Result<SubmissionHeader, SubmitError> {
    let mut length = [0; 8];
    body.read_exact(&mut length).map_err(SubmitError::Body)?;
    let length = u64::from_be_bytes(length);
    if length > MAX_SUBMISSION_HEADER {
        return Err(SubmitError::HeaderTooLarge);
    }
    // Memory grows with what arrives, not with what is announced.
    let mut header = Vec::new();
    body.take(length).read_to_end(&mut header).map_err(SubmitError::Body)?;
    if (header.len() as u64) < length {
        return Err(SubmitError::Body(io::ErrorKind::UnexpectedEof.into()));
    }
    serde_json::from_slice(&header).map_err(SubmitError::Header)
}

/// Blobs that must be used up.
pub trait Source: Blobs {
    /// Checks that nothing follows the last blob.
    fn end(&mut self) -> Result<(), SubmitError>;
}

/// The blobs of a body, one after the other.
struct Body<R>(R);

impl<R: Read> Blobs for Body<R> {
    fn next(&mut self, blob: &Blob) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new((&mut self.0).take(blob.stored)))
    }
}

impl<R: Read> Source for Body<R> {
    fn end(&mut self) -> Result<(), SubmitError> {
        match self.0.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(SubmitError::Trailing),
            Err(error) => Err(SubmitError::Body(error)),
        }
    }
}
