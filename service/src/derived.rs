//! What follows from the logs and can be made again from them: catalogue, proof files, hint files.
//!
//! Everything here may be repeated at any time. Must not know how a log came to be what it is.

use std::collections::BTreeSet;

use sealift_policy::digest::UnitKey;
use sealift_policy::layout::ObjectPath;
use sealift_policy::leaf::Leaf;
use sealift_policy::log::note::MAX_BYTES;
use sealift_policy::log::{LeafIndex, SignedCheckpoint, TlogProof, TreeHash, TreeSize};
use sealift_policy::wire::{ManifestHint, PlanHint, SubmittedPlan, UnitHint, VoucherHint};

use crate::app::App;
use crate::catalogue::{CatalogueError, Seen};
use crate::logs::{self, ServedLog};
use crate::publish::PublishError;
use crate::store::{LogName, NewObject};

/// Brings catalogue, proofs and hints up to these leaves of a log and what was seen for their units.
pub fn derive(app: &App, log: &ServedLog, leaves: &[(LeafIndex, Leaf)], seen: &[Seen]) -> Result<(), PublishError> {
    catalogue(app, &log.name, leaves, seen)?;
    proofs(app, log, leaves)?;
    let units: Vec<UnitKey> = leaves.iter().map(|(_, leaf)| leaf.unit_key()).collect();
    hints(app, &units, seen.iter().flat_map(|seen| &seen.plans))
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
fn unit_hint(app: &App, unit: UnitKey) -> Result<UnitHint, CatalogueError> {
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
