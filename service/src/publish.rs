//! Publishing an admitted submission in crash-safe order, and finishing what a crash interrupted.
//!
//! Owns the order. The start of the process runs [`finish_all`], the same code that ends every submission.
//! Must not know how a submission was checked.

use std::collections::BTreeMap;
use std::io;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::layout::{MAX_DOCUMENT, ObjectPath};
use sealift_policy::log::{TreeHash, TreeSize};
use sealift_policy::wire::SubmittedPlan;
use serde::{Deserialize, Serialize};

use crate::admit::{Admission, AdmittedProvenance};
use crate::app::App;
use crate::catalogue::{CatalogueError, Seen};
use crate::derived;
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
        provenance,
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
    for AdmittedProvenance { bundle, manifests } in provenance {
        let paths = manifests
            .into_iter()
            .map(|manifest| ObjectPath::Provenance(manifest, log.name.operator.clone()));
        store.put_same(paths.collect(), bundle.into_bytes())?;
    }
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
    derived::derive(app, log, &leaves, &seen)?;
    // The note goes last, when everything that it stands for lasts.
    app.store().strike(&name)?;
    Ok(())
}

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
