//! Outputs: what the manifests of a submission ask for, and which blobs may answer that.
//!
//! Must not know the log.

use std::collections::BTreeMap;

use sealift_policy::digest::Digest;
use sealift_policy::manifest::{Manifest, Output, Role};
use sealift_policy::wire::SubmittedBlob;

use super::Refusal;
use crate::frame::{Content, MAX_PREFIX};

/// An output as it lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredOutput {
    /// What it contains.
    pub content: Content,
    /// The content that serves as its zstd prefix: an rlib's rmeta.
    pub prefix: Option<Content>,
}

/// A blob that follows in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// What it must be.
    pub output: StoredOutput,
    /// The number of stored bytes.
    pub stored: u64,
}

/// The outputs that the manifests of a submission speak of, by digest.
#[derive(Default)]
pub(super) struct Wanted(BTreeMap<Digest, StoredOutput>);

impl Wanted {
    pub(super) fn add(&mut self, manifest: &Manifest) -> Result<(), Refusal> {
        for output in outputs(manifest) {
            let too_large = output.prefix.is_some_and(|prefix| prefix.size > MAX_PREFIX);
            let other = self
                .0
                .insert(output.content.sha256, output)
                .is_some_and(|first| first != output);
            if too_large || other {
                return Err(Refusal::Conflict(output.content.sha256));
            }
        }
        Ok(())
    }

    /// Checks the list of blobs; also returns the outputs that are not among them.
    pub(super) fn check(mut self, blobs: &[SubmittedBlob]) -> Result<(Vec<Blob>, Vec<StoredOutput>), Refusal> {
        let mut sent = Vec::with_capacity(blobs.len());
        for blob in blobs {
            let refused = || Refusal::Blob(blob.sha256);
            // Taken out, so that the same blob a second time is one that nobody asks for.
            let output = self.0.remove(&blob.sha256).ok_or_else(refused)?;
            // A frame is never much longer than its content; a longer one hides something.
            let longest = output.content.size + output.content.size / 64 + 1024;
            let fits = blob.size == output.content.size && blob.prefix == output.prefix.map(|prefix| prefix.sha256);
            if !fits || blob.stored > longest {
                return Err(refused());
            }
            sent.push(Blob {
                output,
                stored: blob.stored,
            });
        }
        Ok((sent, self.0.into_values().collect()))
    }
}

/// The outputs of a manifest as they lie in the store.
pub fn outputs(manifest: &Manifest) -> impl Iterator<Item = StoredOutput> {
    let content = |output: &Output| Content {
        sha256: output.sha256,
        size: output.size,
    };
    let rmeta = manifest.output(Role::Rmeta).map(content);
    manifest.outputs.iter().map(move |output| {
        let prefix = if output.role == Role::Rlib { rmeta } else { None };
        StoredOutput {
            content: content(output),
            prefix,
        }
    })
}
