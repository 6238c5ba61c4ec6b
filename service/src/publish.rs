//! Publishing an admitted submission in crash-safe order, and finishing what a crash interrupted.
//!
//! Owns the order. The start of the process runs [`finish_all`], the same code that ends every submission.
//! Must not know how a submission was checked.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::layout::{MAX_DOCUMENT, ObjectPath};
use sealift_policy::leaf::Leaf;
use sealift_policy::log::note::MAX_BYTES;
use sealift_policy::log::{LeafIndex, SignedCheckpoint, TlogProof, TreeHash, TreeSize};
use sealift_policy::wire::{ManifestHint, PlanHint, SubmittedPlan, UnitHint, VoucherHint};
use serde::{Deserialize, Serialize};

use crate::admit::Admission;
use crate::app::App;
use crate::catalogue::{CatalogueError, Seen};
use crate::frame;
use crate::logs::{self, LogError, LogState, ServedLog};
use crate::receive::Received;
use crate::store::{LogName, NewObject, SwapError};

/// Why an admitted submission was not published, or not yet completely.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The store failed. What was acknowledged before is untouched; sending the same again continues.
    #[error("the store failed")]
    Store(#[from] io::Error),
    /// The head could not be replaced.
    #[error(transparent)]
    Swap(#[from] SwapError),
    /// The log could not be read back.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The catalogue failed; the submission is admitted, its hints follow.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// What is still to be done once the log has reached a size.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    version: u32,
    operator: String,
    epoch: u32,
    old_size: TreeSize,
    size: TreeSize,
    root: TreeHash,
    seen: Vec<SeenNote>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SeenNote {
    unit: UnitKey,
    plans: Vec<SubmittedPlan>,
    compile_ms: u64,
}

/// Publishes a submission whose blobs are received. The caller holds the log's admission lock.
pub fn publish(app: &App, log: &ServedLog, admission: Admission, received: Received) -> Result<(), PublishError> {
    let store = app.store();
    let Admission {
        checkpoint,
        replaces,
        tree,
        old_size,
        tiles,
        units,
        ..
    } = admission;
    // A crash from here up to the swap leaves objects that nothing speaks of: the next submission uses them.
    let blobs = received
        .into_objects()
        .map(|(sha256, staged)| (ObjectPath::Cas(sha256), NewObject::Staged(staged)));
    store.put(blobs.collect())?;
    let mut documents = BTreeMap::new();
    for unit in &units {
        documents.insert(unit.manifest_digest, &unit.manifest);
        documents.insert(unit.key.digest(), &unit.key_document);
    }
    put_documents(app, documents)?;
    // A crash here leaves tiles beyond the head. They are not served, and the next submission writes them again.
    let tiles = tiles
        .into_iter()
        .map(|(path, bytes)| (logs::tile_path(&log.name, path), NewObject::Bytes(bytes)));
    store.put(tiles.collect())?;
    // A crash here leaves a note about a size that the log has not reached: the next start strikes it.
    let note = (!units.is_empty()).then(|| Note {
        version: 1,
        operator: log.name.operator.to_string(),
        epoch: log.name.epoch,
        old_size,
        size: checkpoint.size(),
        root: checkpoint.root(),
        seen: units
            .iter()
            .map(|unit| SeenNote {
                unit: unit.key,
                plans: unit.plans.clone(),
                compile_ms: unit.compile_ms,
            })
            .collect(),
    });
    if let Some(note) = &note {
        let bytes = serde_json::to_vec(note).expect("notes have string keys only");
        store.note(&note_name(&log.name, note.size), &bytes)?;
    }
    // The one moment at which the submission becomes part of the log. If the store fails here, only the store knows
    // which of the two heads it has, so it is asked before anything else is admitted.
    let expected = replaces.as_ref().map(|head| head.as_bytes());
    if let Err(error) = store.swap(&log.name, expected, checkpoint.as_bytes()) {
        log.set_uncertain();
        log.settle(store)?;
        if log.state().checkpoint.as_ref() != Some(&checkpoint) {
            return Err(error.into());
        }
    } else {
        let last = log
            .state()
            .last
            .clone()
            .appended(units.into_iter().map(|unit| unit.leaf.into_bytes()));
        log.replace(LogState {
            checkpoint: Some(checkpoint),
            tree,
            last,
        });
    }
    // A crash from here on leaves a log whose newest units have no hints yet: the next start writes them from the note.
    match note {
        Some(note) => finish(app, log, note),
        None => Ok(()),
    }
}

/// Finishes everything that is noted for a log that has reached the noted size, and forgets what never happened.
pub fn finish_all(app: &App, log: &ServedLog) -> Result<(), PublishError> {
    let state = log.state();
    for (name, bytes) in app.store().notes()? {
        let note: Note = match serde_json::from_slice(&bytes) {
            Ok(note) => note,
            Err(_) => {
                tracing::warn!("journal note `{name}` is damaged; its plans are lost");
                app.store().strike(&name)?;
                continue;
            }
        };
        if note.operator != log.name.operator.as_str() || note.epoch != log.name.epoch {
            continue;
        }
        if state.tree.root_at(note.size) == Ok(note.root) {
            finish(app, log, note)?;
        } else {
            app.store().strike(&name)?;
        }
    }
    Ok(())
}

/// Everything that follows from a head: catalogue, proofs, hints. May be repeated.
fn finish(app: &App, log: &ServedLog, note: Note) -> Result<(), PublishError> {
    let leaves = logs::leaves(app.store(), &log.name, note.old_size, note.size)?;
    let name = note_name(&log.name, note.size);
    let seen = note.seen.into_iter().map(|seen| Seen {
        unit: seen.unit,
        plans: seen.plans,
        compile_ms: seen.compile_ms,
    });
    let seen: Vec<Seen> = seen.collect();
    catalogue(app, &log.name, &leaves, &seen)?;
    proofs(app, log, &leaves)?;
    let units: Vec<UnitKey> = leaves.iter().map(|(_, leaf)| leaf.unit_key()).collect();
    hints(app, &units, seen.iter().flat_map(|seen| &seen.plans))?;
    // The note goes last, when everything that it stands for lasts.
    app.store().strike(&name)?;
    Ok(())
}

/// Brings the catalogue up to a log's present size. What was seen for its units is taken from their hints.
pub fn catch_up(app: &App, log: &ServedLog) -> Result<(), PublishError> {
    let size = log.state().tree.size();
    let mut known = app.catalogue().size(&log.name)?;
    if known > size || !is_prefix(app, log, known)? {
        app.catalogue().forget(&log.name)?;
        known = TreeSize::ZERO;
    }
    if known == size {
        return Ok(());
    }
    let leaves = logs::leaves(app.store(), &log.name, known, size)?;
    let mut seen = Vec::new();
    for (_, leaf) in &leaves {
        if let Some(hint) = read_hint(app, leaf.unit_key())? {
            seen.push(Seen {
                unit: leaf.unit_key(),
                plans: hint.plans,
                compile_ms: hint.compile_ms,
            });
        }
    }
    catalogue(app, &log.name, &leaves, &seen)?;
    Ok(())
}

/// Whether the catalogue's newest leaf is the log's: a catalogue that was put back from elsewhere is not.
fn is_prefix(app: &App, log: &ServedLog, known: TreeSize) -> Result<bool, PublishError> {
    let Some((unit, stated)) = app.catalogue().newest(&log.name, 1)?.pop() else {
        return Ok(known == TreeSize::ZERO);
    };
    let leaf = TreeHash::of_leaf(Leaf::new(unit, stated.manifest).to_canonical().as_bytes());
    Ok(stated.index.value() + 1 == known.value() && log.state().tree.leaf(stated.index) == Ok(leaf))
}

fn catalogue(app: &App, log: &LogName, leaves: &[(LeafIndex, Leaf)], seen: &[Seen]) -> Result<(), CatalogueError> {
    let rows: Vec<_> = leaves
        .iter()
        .map(|(index, leaf)| (*index, leaf.unit_key(), leaf.manifest()))
        .collect();
    app.catalogue().add(log, &rows, seen)
}

/// A proof file for each leaf, for the log's present head. One that holds is left as it is.
fn proofs(app: &App, log: &ServedLog, leaves: &[(LeafIndex, Leaf)]) -> Result<(), PublishError> {
    let state = log.state();
    let Some(head) = &state.checkpoint else { return Ok(()) };
    let checkpoint = SignedCheckpoint::parse(head.as_bytes()).expect("it was parsed before it was verified");
    let mut files = Vec::new();
    for (index, leaf) in leaves {
        let path = ObjectPath::Proof(log.name.operator.clone(), log.name.epoch, leaf.unit_key());
        let there = app
            .store()
            .open(&path)?
            .map(|object| object.read_all(2 * MAX_BYTES as u64))
            .transpose()?;
        let holds = there
            .and_then(|bytes| TlogProof::parse(&bytes).ok())
            .is_some_and(|proof| {
                proof.index == *index && proof.verify(leaf.to_canonical().as_bytes(), &log.verifier).is_ok()
            });
        if !holds {
            let proof = state
                .tree
                .inclusion(*index, head.size())
                .expect("the leaf is in the tree");
            let file = TlogProof {
                index: *index,
                proof,
                checkpoint: checkpoint.clone(),
            };
            files.push((path, NewObject::Bytes(file.to_bytes())));
        }
    }
    Ok(app.store().put(files)?)
}

/// Hint files are written from the catalogue as a whole, so that they hold what all operators state.
fn hints<'a>(app: &App, units: &[UnitKey], plans: impl Iterator<Item = &'a SubmittedPlan>) -> Result<(), PublishError> {
    // Without the lock, one of two operators could write back a file without what the other has just added.
    let _held = app.hints();
    let mut files = Vec::new();
    for &unit in units {
        let hint = unit_hint(app, unit)?;
        let bytes = serde_json::to_vec(&hint).expect("hints have string keys only");
        files.push((ObjectPath::Unit(unit), NewObject::Bytes(bytes)));
    }
    let plans: BTreeSet<&SubmittedPlan> = plans.collect();
    for plan in plans {
        let unit_keys = app.catalogue().units_of(&plan.toolchain, plan.plan_id)?;
        let hint = PlanHint {
            version: 1,
            plan_id: plan.plan_id,
            unit_keys,
        };
        let bytes = serde_json::to_vec(&hint).expect("hints have string keys only");
        files.push((
            ObjectPath::Plan(plan.toolchain.clone(), plan.plan_id),
            NewObject::Bytes(bytes),
        ));
    }
    Ok(app.store().put(files)?)
}

/// What the hint file of a unit says.
pub fn unit_hint(app: &App, unit: UnitKey) -> Result<UnitHint, CatalogueError> {
    let known = app.catalogue().unit(unit)?;
    let mut manifests: Vec<ManifestHint> = Vec::new();
    for stated in known.stated {
        let voucher = VoucherHint {
            operator: stated.log.operator,
            epoch: stated.log.epoch,
            index: stated.index.value(),
        };
        match manifests.iter_mut().find(|manifest| manifest.sha256 == stated.manifest) {
            Some(manifest) => manifest.vouchers.push(voucher),
            None => manifests.push(ManifestHint {
                sha256: stated.manifest,
                vouchers: vec![voucher],
            }),
        }
    }
    let plans = app.catalogue().plans_of(unit)?;
    Ok(UnitHint {
        version: 1,
        unit_key: unit,
        compile_ms: known.compile_ms,
        plans,
        manifests,
    })
}

fn read_hint(app: &App, unit: UnitKey) -> Result<Option<UnitHint>, PublishError> {
    let Some(object) = app.store().open(&ObjectPath::Unit(unit))? else {
        return Ok(None);
    };
    let hint = object
        .read_all(MAX_HINT)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<UnitHint>(&bytes).ok());
    Ok(hint.filter(|hint| hint.unit_key == unit))
}

/// The longest hint that is read back; a longer one is written anew.
const MAX_HINT: u64 = 4 << 20;

/// Writes documents of the content-addressed store, except those that are there, undamaged.
fn put_documents(app: &App, documents: BTreeMap<Digest, &String>) -> Result<(), PublishError> {
    let mut files = Vec::new();
    for (sha256, content) in documents {
        let path = ObjectPath::Cas(sha256);
        let stored = app
            .store()
            .open(&path)?
            .and_then(|object| object.read_all(2 * MAX_DOCUMENT).ok());
        if stored.is_none_or(|stored| frame::decode_document(&stored, sha256, MAX_DOCUMENT).is_err()) {
            files.push((path, NewObject::Bytes(frame::encode_document(content.as_bytes()))));
        }
    }
    Ok(app.store().put(files)?)
}

fn note_name(log: &LogName, size: TreeSize) -> String {
    format!("{}.{}.{size}", log.operator, log.epoch)
}
