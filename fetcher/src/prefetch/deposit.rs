//! What was fetched and verified, put into the local store.
//!
//! Owns the order of writes: content first, the unit's record last, so that a record never speaks of what is not
//! there. Every file is written beside and renamed. Must not know the network; takes verified manifests only.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sealift_policy::digest::{Digest, PlanId, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::local::{self, LocalUnit, UnitOrigin};
use sealift_policy::manifest::{Manifest, Output};
use sealift_policy::wire::PlanHint;

use super::frame::{Expected, FrameError};
use super::offer::Offer;
use crate::store::{Mode, Store};

/// The local store as the prefetch writes it.
#[derive(Debug, Clone)]
pub(crate) struct Deposit {
    store: Store,
}

impl Deposit {
    /// The store below this folder.
    pub(crate) fn open(store: &Path) -> io::Result<Self> {
        Ok(Self {
            store: Store::open(store)?,
        })
    }

    /// The records themselves.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The key document, if it is there.
    pub(crate) fn key_document(&self, key: UnitKey) -> Option<Vec<u8>> {
        fs_err::read(self.store.path(&local::key_path(key))).ok()
    }

    /// Whether a unit was compiled by the rules of this program: one of other rules is never asked for again.
    pub(crate) fn is_of_these_rules(&self, key: UnitKey) -> bool {
        let document = self
            .key_document(key)
            .and_then(|bytes| UnitDocument::from_canonical(&bytes).ok());
        document.is_some_and(|(_, document)| document.is_of_these_rules())
    }

    /// The units that an earlier lookup named for a plan.
    pub(crate) fn units_of_plan(&self, plan: PlanId) -> Vec<UnitKey> {
        let hint: Option<PlanHint> = self.store.read(&plan_path(plan));
        hint.filter(|hint| hint.version == 1)
            .map_or_else(Vec::new, |hint| hint.unit_keys)
    }

    /// Remembers which units a lookup named for a plan.
    pub(crate) fn put_plan(&self, hint: &PlanHint) -> io::Result<()> {
        let record = serde_json::to_vec(hint).expect("hints have string keys only");
        self.store.write(&plan_path(hint.plan_id), &record)
    }

    /// Whether all outputs of a unit are there and unchanged.
    pub(crate) fn has_all(&self, manifest: &Manifest) -> bool {
        manifest.outputs.iter().all(|output| self.has(output))
    }

    /// Whether an output is there and unchanged.
    pub(crate) fn has(&self, output: &Output) -> bool {
        self.store.blob(output.sha256, output.size).is_some()
    }

    /// The content of an output that is there and intact.
    pub(crate) fn content(&self, output: &Output) -> Option<Vec<u8>> {
        let content = fs_err::read(self.store.blob(output.sha256, output.size)?).ok()?;
        (Digest::of(&content) == output.sha256).then_some(content)
    }

    /// Decompresses and checks a downloaded object, and keeps its content. Says how long the hashing took.
    pub(crate) fn put_output(&self, output: &Output, stored: &[u8], prefix: &[u8]) -> Result<Duration, FrameError> {
        let expected = Expected {
            sha256: output.sha256,
            size: output.size,
        };
        let folder = self.store.scratch_folder().map_err(FrameError::Write)?;
        let path = folder.path().join("content");
        let mut file = fs_err::File::create(&path).map_err(FrameError::Write)?;
        let hashing = expected.decompress(stored, prefix, &mut file)?;
        drop(file);
        let mode = if output.role.is_host_code() {
            Mode::Executable
        } else {
            Mode::Data
        };
        self.store
            .adopt(&path, output.sha256, mode)
            .map_err(FrameError::Write)?;
        Ok(hashing)
    }

    /// Writes the records of a unit all of whose outputs are there. A unit that was compiled here and is whole stays as
    /// it is.
    pub(crate) fn put_unit(&self, offer: &Offer) -> io::Result<()> {
        let (key, package) = (offer.unit_key, offer.document.package());
        self.store
            .write_key(key, &offer.key_document, &package.name, &package.version)?;
        let before = self.store.unit(key);
        if before.as_ref().is_some_and(|unit| self.is_whole_and_compiled(unit)) {
            return Ok(());
        }
        self.store.write_unit(&LocalUnit {
            version: 1,
            unit_key: key,
            manifest: offer.manifest.value().to_canonical(),
            origin: UnitOrigin::Fetched {
                proofs: offer.proofs.clone(),
            },
            compile_ms: offer.compile_ms,
            call: before.and_then(|unit| unit.call),
        })
    }

    fn is_whole_and_compiled(&self, unit: &LocalUnit) -> bool {
        let manifest = Manifest::from_canonical(unit.manifest.as_bytes());
        matches!(unit.origin, UnitOrigin::Compiled { .. }) && manifest.is_ok_and(|manifest| self.has_all(&manifest))
    }

    /// Keeps what looks like an attack, for people to look at. Named by content, and bounded, each piece and all of them:
    /// who attacks must not fill the disk. `None` when it cannot be kept, which changes nothing else.
    pub(crate) fn put_evidence(&self, name: &str, content: &[u8]) -> Option<PathBuf> {
        let kept = fs_err::read_dir(self.store.path("evidence")).into_iter().flatten();
        let kept = kept.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
        if kept.sum::<u64>() >= MAX_ALL_EVIDENCE {
            return None;
        }
        let content = &content[..content.len().min(MAX_EVIDENCE)];
        let path = format!("evidence/{name}-{}", Digest::of(content).short());
        self.store.write(&path, content).ok().map(|()| self.store.path(&path))
    }
}

fn plan_path(plan: PlanId) -> String {
    format!("plans/{plan}.json")
}

/// The most that is kept of one piece of evidence, in bytes.
const MAX_EVIDENCE: usize = 16 << 20;

/// The most that is kept of all evidence, but for its last piece, in bytes.
const MAX_ALL_EVIDENCE: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_does_not_fill_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let deposit = Deposit::open(folder.path()).unwrap();
        let kept = (0..8_u8).map(|piece| deposit.put_evidence("object", &vec![piece; MAX_EVIDENCE + 1]));
        let kept: Vec<_> = kept.flatten().collect();
        assert_eq!(kept.len(), 4);
        let sizes = kept.iter().map(|path| fs_err::metadata(path).unwrap().len());
        assert_eq!(sizes.sum::<u64>(), MAX_ALL_EVIDENCE);
    }
}
