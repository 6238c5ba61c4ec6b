//! The admission rules: what an operator's submission must be, decided from its header alone.
//!
//! Owns every [`Refusal`]. A pure decision: nothing is read or written, and an [`Admission`] that exists obeys all rules
//! but those about the bytes of blobs, which [`crate::receive`] checks.
//! Must not know HTTP, files or the database.

mod cosigned;
mod outputs;
mod provenance;

use std::collections::BTreeMap;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::key::Package;
use sealift_policy::leaf::Leaf;
use sealift_policy::log::{EntryBundle, LeafIndex, LogVerifier, SignedCheckpoint, TilePath, TreeHash, TreeSize, tile};
use sealift_policy::log::{Tree, VerifiedCheckpoint, WitnessPolicy};
use sealift_policy::manifest::{Manifest, Role};
use sealift_policy::provenance::ProvenanceRejection;
use sealift_policy::trust::TrustPolicy;
use sealift_policy::wire::{SubmissionHeader, SubmittedPlan, SubmittedUnit};

use outputs::Wanted;
pub use outputs::{Blob, StoredOutput, outputs};
pub use provenance::AdmittedProvenance;

use crate::store::LogName;

/// Most plans of one unit in a submission.
const MAX_PLANS: usize = 64;

/// The log as the service has it.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Its key.
    pub verifier: &'a LogVerifier,
    /// Its tree.
    pub tree: &'a Tree,
    /// The entries of its last, partial bundle.
    pub last: &'a EntryBundle,
    /// Its head; `None` before the first submission.
    pub checkpoint: Option<&'a VerifiedCheckpoint>,
    /// Which witnesses must have cosigned a head.
    pub witnesses: &'a WitnessPolicy,
    /// What is asked of the operator besides.
    pub policy: Option<&'a TrustPolicy>,
    /// What all logs of the operator state for the submitted units (see [`units`]).
    pub stated: &'a BTreeMap<UnitKey, Vec<Stated>>,
}

/// A leaf that is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// In which log.
    pub log: LogName,
    /// Where.
    pub index: LeafIndex,
    /// The manifest's digest.
    pub manifest: Digest,
}

/// What is to be done about a submission.
#[derive(Debug)]
pub enum Decision {
    /// The log contains all of it already.
    AlreadyAdmitted,
    /// Admit it, once its blobs are received and verified.
    Admit(Box<Admission>),
}

/// A submission that obeys all rules about its header.
#[derive(Debug)]
pub struct Admission {
    /// The log's new head.
    pub checkpoint: VerifiedCheckpoint,
    /// The head that it replaces.
    pub replaces: Option<VerifiedCheckpoint>,
    /// The log's new tree.
    pub tree: Tree,
    /// The size before.
    pub old_size: TreeSize,
    /// The log's files that the larger tree needs.
    pub tiles: Vec<(TilePath, Vec<u8>)>,
    /// The new leaves.
    pub units: Vec<AdmittedUnit>,
    /// The blobs that follow in the body.
    pub blobs: Vec<Blob>,
    /// Outputs that must be in the store already.
    pub expected: Vec<StoredOutput>,
    /// What the operator says about how the units were built, if the policy names a key for it.
    pub provenance: Vec<AdmittedProvenance>,
}

/// One new leaf with its documents.
#[derive(Debug, Clone)]
pub struct AdmittedUnit {
    /// Where it will lie.
    pub index: LeafIndex,
    /// The unit.
    pub key: UnitKey,
    /// The leaf's bytes.
    pub leaf: String,
    /// The manifest's digest.
    pub manifest_digest: Digest,
    /// The manifest's bytes.
    pub manifest: String,
    /// The key document's bytes.
    pub key_document: String,
    /// The package in it.
    pub package: Package,
    /// The plans for which it was seen.
    pub plans: Vec<SubmittedPlan>,
    /// How long it took to compile, in milliseconds.
    pub compile_ms: u64,
}

/// Why a submission is refused. Each rule has one variant.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The header has a version that this program does not know.
    #[error("submission version {0} is not known")]
    Version(u32),
    /// The checkpoint is malformed, of another log, or not signed by the operator.
    #[error("the checkpoint is refused")]
    Checkpoint(#[from] sealift_policy::log::checkpoint::CheckpointError),
    /// The log's present size is another than the submission starts from.
    #[error("the log has {size} entries here, the submission starts from {old_size}")]
    OldSize {
        /// The size here.
        size: TreeSize,
        /// The size in the header.
        old_size: u64,
    },
    /// The checkpoint contradicts a head that was admitted before: the log was forked or rolled back.
    #[error("the checkpoint contradicts the log's head of size {0}")]
    Inconsistent(TreeSize),
    /// The checkpoint's size or root is not that of the old tree and the new leaves.
    #[error("the checkpoint is not that of the log with the submitted leaves")]
    WrongRoot,
    /// The checkpoint is older than the one it would replace.
    #[error("the checkpoint is older than the log's head")]
    Older,
    /// The witnesses that the policy asks for have not cosigned the checkpoint. The head that they have cosigned stays.
    #[error("too few witnesses have cosigned the checkpoint")]
    NotWitnessed,
    /// A leaf that is not canonical.
    #[error("leaf {0} is malformed")]
    Leaf(u64, #[source] sealift_policy::leaf::MalformedLeaf),
    /// A second leaf for one unit, or another manifest for it in another log of the operator.
    #[error("unit {unit} is logged already, as entry {index} of `{log}`")]
    SecondLeaf {
        /// The unit.
        unit: UnitKey,
        /// Where the first leaf is.
        log: String,
        /// Its index.
        index: u64,
    },
    /// The manifest's digest is not the one in the leaf.
    #[error("the manifest of unit {0} is not the one in its leaf")]
    ManifestDigest(UnitKey),
    /// The manifest is malformed.
    #[error("the manifest of unit {0} is malformed")]
    Manifest(UnitKey, #[source] sealift_policy::manifest::MalformedManifest),
    /// The key document's digest is not the unit key, or the manifest speaks of another unit.
    #[error("the documents of unit {0} speak of another unit")]
    OtherUnit(UnitKey),
    /// The key document is malformed.
    #[error("the key document of unit {0} is malformed")]
    KeyDocument(UnitKey, #[source] sealift_policy::key::MalformedKeyDocument),
    /// The outputs are not those that the key document promises.
    #[error("the outputs of unit {0} are not those of its key document")]
    Outputs(UnitKey),
    /// A run of a build script of which nobody found that everybody's run gives the same.
    #[error("unit {0} is the run of a build script that is not on the reviewed list")]
    NotReviewed(UnitKey),
    /// More plans than a unit can have been seen for.
    #[error("more than {MAX_PLANS} plans for unit {0}")]
    Plans(UnitKey),
    /// A blob that no manifest asks for, that is there twice, or whose sizes or prefix are not those of the manifest.
    #[error("blob {0} is not what the manifests ask for")]
    Blob(Digest),
    /// An output that two manifests describe differently, or whose prefix is too large.
    #[error("output {0} cannot be stored for all manifests that ask for it")]
    Conflict(Digest),
    /// What says how the units were built is not the operator's word.
    #[error("the provenance is refused")]
    Provenance(#[source] ProvenanceRejection),
    /// The policy names a key for the operator's provenance, and none comes with this unit.
    #[error("no provenance comes with unit {0}")]
    NoProvenance(UnitKey),
    /// A bundle that adds nothing to the others.
    #[error("a provenance bundle speaks of no unit of the submission that the others do not speak of")]
    StrayProvenance,
    /// The leaves do not fit into the log.
    #[error("the leaves cannot be appended")]
    Append(#[source] tile::AppendError),
}

/// Decides about a submission to the log `name`.
pub fn decide(name: &LogName, header: SubmissionHeader, known: Known<'_>) -> Result<Decision, Refusal> {
    if header.version != 1 {
        return Err(Refusal::Version(header.version));
    }
    let checkpoint = SignedCheckpoint::parse(header.checkpoint.as_bytes())?.verify(known.verifier)?;
    let checkpoint = cosigned::of_the_policy(checkpoint, known)?;
    let size = known.tree.size();
    if checkpoint.size() < size || (checkpoint.size() == size && known.checkpoint.is_some()) {
        return decide_old(header, checkpoint, known);
    }
    if header.old_size != size.value() {
        return Err(Refusal::OldSize {
            size,
            old_size: header.old_size,
        });
    }
    if known.checkpoint.is_some_and(|head| head.time() > checkpoint.time()) {
        return Err(Refusal::Older);
    }
    cosigned::must_be_enough(&checkpoint, known)?;
    // The root comes first: it binds the leaves to the signature, so all that follows speaks of what was signed.
    let mut tree = known.tree.clone();
    let leaves = header.units.iter().map(|unit| unit.leaf.clone().into_bytes());
    let tiles = tile::append(&mut tree, known.last.clone(), leaves).map_err(Refusal::Append)?;
    if (tree.size(), tree.root()) != (checkpoint.size(), checkpoint.root()) {
        return Err(Refusal::WrongRoot);
    }
    let mut seen = BTreeMap::new();
    let mut units = Vec::with_capacity(header.units.len());
    let mut wanted = Wanted::default();
    for (index, unit) in (size.value()..).zip(header.units) {
        let (unit, manifest) = check_unit(index, unit)?;
        // In another of its logs (another epoch) the operator may state the same again, but nothing else.
        let contradicts = |stated: &&Stated| stated.log == *name || stated.manifest != unit.manifest_digest;
        if let Some(first) = known
            .stated
            .get(&unit.key)
            .and_then(|stated| stated.iter().find(contradicts))
        {
            return Err(Refusal::SecondLeaf {
                unit: unit.key,
                log: first.log.to_string(),
                index: first.index.value(),
            });
        }
        if let Some(first) = seen.insert(unit.key, index) {
            return Err(Refusal::SecondLeaf {
                unit: unit.key,
                log: name.to_string(),
                index: first,
            });
        }
        wanted.add(&manifest)?;
        units.push(unit);
    }
    let (blobs, expected) = wanted.check(&header.blobs)?;
    let provenance = provenance::check(known.policy, name, header.provenance, &units)?;
    Ok(Decision::Admit(Box::new(Admission {
        checkpoint,
        replaces: known.checkpoint.cloned(),
        tree,
        old_size: size,
        tiles,
        units,
        blobs,
        expected,
        provenance,
    })))
}

/// A checkpoint that is not larger than the head: sent again, signed anew, or a fork.
fn decide_old(header: SubmissionHeader, checkpoint: VerifiedCheckpoint, known: Known<'_>) -> Result<Decision, Refusal> {
    let size = known.tree.size();
    if known.tree.root_at(checkpoint.size()) != Ok(checkpoint.root()) {
        return Err(Refusal::Inconsistent(size));
    }
    let from = TreeSize::try_from(header.old_size)
        .ok()
        .filter(|&from| from <= checkpoint.size());
    let from = from.ok_or(Refusal::OldSize {
        size,
        old_size: header.old_size,
    })?;
    let same = header.units.iter().enumerate().all(|(offset, unit)| {
        let index = LeafIndex::try_from(from.value() + offset as u64);
        let logged = index
            .ok()
            .filter(|&index| checkpoint.size().contains(index))
            .map(|index| known.tree.leaf(index));
        logged == Some(Ok(TreeHash::of_leaf(unit.leaf.as_bytes())))
    });
    if !same || from.value() + header.units.len() as u64 != checkpoint.size().value() {
        return Err(Refusal::WrongRoot);
    }
    let newer = known.checkpoint.is_none_or(|head| checkpoint.time() > head.time());
    let checkpoint = match cosigned::with_more_lines(&checkpoint, known)? {
        _ if checkpoint.size() < size || !header.units.is_empty() => return Ok(Decision::AlreadyAdmitted),
        // The same head with cosignatures that were not known.
        Some(merged) => merged,
        None if newer => {
            cosigned::must_be_enough(&checkpoint, known)?;
            checkpoint
        }
        None => return Ok(Decision::AlreadyAdmitted),
    };
    // The same tree, signed or cosigned anew: only the head is replaced.
    if let Some(blob) = header.blobs.first() {
        return Err(Refusal::Blob(blob.sha256));
    }
    Ok(Decision::Admit(Box::new(Admission {
        checkpoint,
        replaces: known.checkpoint.cloned(),
        tree: known.tree.clone(),
        old_size: size,
        tiles: Vec::new(),
        units: Vec::new(),
        blobs: Vec::new(),
        expected: Vec::new(),
        provenance: Vec::new(),
    })))
}

fn check_unit(index: u64, unit: SubmittedUnit) -> Result<(AdmittedUnit, Manifest), Refusal> {
    let leaf = Leaf::from_canonical(unit.leaf.as_bytes()).map_err(|source| Refusal::Leaf(index, source))?;
    let key = leaf.unit_key();
    if Digest::of(unit.manifest.as_bytes()) != leaf.manifest() {
        return Err(Refusal::ManifestDigest(key));
    }
    let manifest =
        Manifest::from_canonical(unit.manifest.as_bytes()).map_err(|source| Refusal::Manifest(key, source))?;
    let (document_key, document) = UnitDocument::from_canonical(unit.key_document.as_bytes())
        .map_err(|source| Refusal::KeyDocument(key, source))?;
    if document_key != key || manifest.unit_key != key {
        return Err(Refusal::OtherUnit(key));
    }
    let roles: Vec<Role> = manifest.outputs.iter().map(|output| output.role).collect();
    let named = manifest.crate_name() == Some(document.crate_name());
    if document.expected_roles() != Some(roles.as_slice()) || !named {
        return Err(Refusal::Outputs(key));
    }
    if let UnitDocument::Run(run) = &document
        && !run.is_complete()
    {
        return Err(Refusal::NotReviewed(key));
    }
    if unit.plans.len() > MAX_PLANS {
        return Err(Refusal::Plans(key));
    }
    let index = LeafIndex::try_from(index).expect("the leaves were appended, so their indexes exist");
    let unit = AdmittedUnit {
        index,
        key,
        leaf: unit.leaf,
        manifest_digest: leaf.manifest(),
        manifest: unit.manifest,
        key_document: unit.key_document,
        package: document.package().clone(),
        plans: unit.plans,
        compile_ms: unit.compile_ms,
    };
    Ok((unit, manifest))
}

/// The units that a header speaks of, as far as its leaves can be read.
pub fn units(header: &SubmissionHeader) -> impl Iterator<Item = UnitKey> {
    header
        .units
        .iter()
        .filter_map(|unit| Leaf::from_canonical(unit.leaf.as_bytes()).ok())
        .map(|leaf| leaf.unit_key())
}
