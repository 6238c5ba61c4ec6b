//! From two passes to signed leaves: compare, stage, have signed. What is not published is listed, with the reason.
//!
//! Must not know how the passes were run, the key, or the network.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sealift_policy::digest::{PlanId, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::local::{BuildEvent, CallKind, Outcome, VERSION_DIR};
use sealift_policy::name::Toolchain;
use sealift_policy::wire::SubmittedPlan;
use serde::Serialize;

use crate::capture::{Captured, CapturedUnit};
use crate::compare::{Comparison, compare, publishable};
use crate::data::Data;
use crate::progress;
use crate::sequencer::LogContents;
use crate::signer::UnitOutcome;
use crate::signer::client::{SignError, Signer};
use crate::stage::{self, UnitRecord};

/// Bounds of one batch, each with its checkpoint and its submission.
const BATCH_UNITS: usize = 64;
const BATCH_BYTES: u64 = 64 << 20;

/// What became of the units of a build.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    /// Made alike by both passes and fit to be published.
    pub reproduced: usize,
    /// Of these: signed now.
    pub signed: usize,
    /// Of these: in the log already.
    pub already: usize,
    /// Everything else.
    pub unpublished: Vec<Unpublished>,
}

/// A unit that was built and not published.
#[derive(Debug, Serialize)]
pub struct Unpublished {
    /// Its package.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The crate.
    pub crate_name: String,
    /// What it is.
    pub kind: Option<CallKind>,
    /// The unit in the first pass, where it has a key.
    pub unit_key: Option<UnitKey>,
    /// Why.
    pub reason: Comparison,
}

/// Both passes, and what is known about them.
#[derive(Debug)]
pub struct Passes<'a> {
    /// Units of the first pass.
    pub first: &'a Captured,
    /// Units of the second pass.
    pub second: &'a Captured,
    /// The plans of the units.
    pub plans: &'a BTreeMap<UnitKey, BTreeSet<PlanId>>,
    /// The compiler of the plans.
    pub toolchain: &'a Toolchain,
    /// Texts that name this machine.
    pub needles: &'a [String],
    /// Whether everything ran in sandboxes.
    pub sandboxed: bool,
}

/// Compares and stages; returns what is to be signed, in the order of the keys.
///
/// # Errors
/// When a file cannot be read or written.
pub fn stage_reproduced(data: &Data, log: &LogContents, passes: &Passes<'_>) -> io::Result<(Vec<UnitRecord>, Tally)> {
    let units: Vec<&CapturedUnit> = passes.first.units.values().collect();
    let bar = progress::bar("comparing, compressing", units.len() as u64);
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = examine(data, log, passes, unit);
                    results
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push((unit.key, result));
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(key, _)| *key);

    let mut tally = Tally::default();
    let mut staged = Vec::new();
    for (key, result) in results {
        match result? {
            Examined::Staged(record) => {
                tally.reproduced += 1;
                staged.push(record);
            }
            Examined::Already => {
                tally.reproduced += 1;
                tally.already += 1;
            }
            Examined::Not(reason) => tally
                .unpublished
                .extend(passes.first.units.get(&key).map(|u| refused(u, reason))),
        }
    }
    tally.unpublished.extend(not_kept(passes.first)?);
    Ok((staged, tally))
}

enum Examined {
    Staged(UnitRecord),
    Already,
    Not(Comparison),
}

fn examine(data: &Data, log: &LogContents, passes: &Passes<'_>, unit: &CapturedUnit) -> io::Result<Examined> {
    let reason = compare(unit, &passes.second.units);
    if reason != Comparison::Reproduced {
        return Ok(Examined::Not(reason));
    }
    let outputs = unit.manifest.outputs.iter();
    let outputs = outputs
        .map(|output| passes.first.output(output.sha256, output.size))
        .collect::<Result<Vec<_>, _>>()?;
    let reason = publishable(unit, &outputs, passes.needles);
    if reason != Comparison::Reproduced {
        return Ok(Examined::Not(reason));
    }
    let manifest = sealift_policy::digest::Digest::of(unit.manifest_text.as_bytes());
    match log.leaf(unit.key) {
        Some(leaf) if leaf.manifest() == manifest => return Ok(Examined::Already),
        Some(_) => {
            let what = vec!["what this operator logged for it before".to_owned()];
            return Ok(Examined::Not(Comparison::Diverged { what }));
        }
        None => {}
    }
    let plans = passes.plans.get(&unit.key).into_iter().flatten();
    let plans = plans.map(|plan| SubmittedPlan {
        toolchain: passes.toolchain.clone(),
        plan_id: *plan,
    });
    stage::stage(data, unit, &outputs, plans.collect(), passes.sandboxed).map(Examined::Staged)
}

fn refused(unit: &CapturedUnit, reason: Comparison) -> Unpublished {
    Unpublished {
        package: unit.call.package.to_string(),
        version: unit.call.package_version.to_string(),
        crate_name: unit.call.crate_name.clone(),
        kind: Some(unit.call.kind),
        unit_key: Some(unit.key),
        reason,
    }
}

/// What the wrapper itself did not keep: its outputs name folders of this machine, or it read what others do not have.
fn not_kept(pass: &Captured) -> io::Result<Vec<Unpublished>> {
    let mut units = BTreeMap::new();
    let folder = pass.store().join(VERSION_DIR).join("builds");
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    for file in fs_err::read_dir(folder)? {
        for line in fs_err::read_to_string(file?.path())?.lines() {
            let Ok(BuildEvent::Unit(event)) = serde_json::from_str(line) else {
                continue;
            };
            let reason = event
                .reason
                .as_deref()
                .and_then(|reason| reason.split_once("not kept: "));
            let (Outcome::Compiled, Some((_, why)), Some(package)) = (event.outcome, reason, event.package) else {
                continue;
            };
            let unit = Unpublished {
                version: event.package_version.unwrap_or_default(),
                crate_name: event.crate_name,
                kind: event.kind,
                unit_key: event.unit_key,
                reason: Comparison::Unpublishable { why: why.to_owned() },
                package,
            };
            units.insert((unit.package.clone(), unit.version.clone(), unit.unit_key), unit);
        }
    }
    Ok(units.into_values().collect())
}

/// Has the staged units signed, batch by batch, and at least the head renewed.
///
/// # Errors
/// When the signer stops.
pub fn sign_staged(
    data: &Data,
    signer: &mut Signer,
    staged: Vec<UnitRecord>,
    tally: &mut Tally,
) -> Result<(), SignError> {
    if staged.is_empty() {
        signer.append(&[])?;
    }
    for batch in batches(staged) {
        let keys: Vec<UnitKey> = batch.iter().map(|record| record.unit_key).collect();
        for (record, outcome) in batch.iter().zip(signer.append(&keys)?) {
            let why = match outcome {
                UnitOutcome::Signed => {
                    tally.signed += 1;
                    None
                }
                UnitOutcome::Already => {
                    tally.already += 1;
                    None
                }
                UnitOutcome::Conflict { logged } => Some(format!("the log holds manifest {logged} for it")),
                UnitOutcome::Refused { reason } => Some(format!("the signer refused it: {reason}")),
            };
            if let Some(why) = why {
                tally.reproduced = tally.reproduced.saturating_sub(1);
                tally.unpublished.extend(unsigned(record, why));
            }
            stage::unstage(data, record.unit_key).map_err(SignError::Stopped)?;
        }
    }
    Ok(())
}

fn unsigned(record: &UnitRecord, why: String) -> Option<Unpublished> {
    let (key, document) = UnitDocument::from_canonical(record.key_document.as_bytes()).ok()?;
    Some(Unpublished {
        package: document.package().name.to_string(),
        version: document.package().version.to_string(),
        crate_name: document.crate_name().to_owned(),
        kind: None,
        unit_key: Some(key),
        reason: Comparison::Unpublishable { why },
    })
}

fn batches(records: Vec<UnitRecord>) -> Vec<Vec<UnitRecord>> {
    let mut batches: Vec<Vec<UnitRecord>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let fits = batches
            .last()
            .is_some_and(|batch| batch.len() < BATCH_UNITS && bytes + record.stored <= BATCH_BYTES);
        if !fits {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += record.stored;
        if let Some(batch) = batches.last_mut() {
            batch.push(record);
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stored: u64) -> UnitRecord {
        UnitRecord {
            version: 1,
            unit_key: UnitKey::new(sealift_policy::digest::Digest::of(b"")),
            manifest: String::new(),
            key_document: String::new(),
            plans: vec![],
            compile_ms: 0,
            sandboxed: true,
            stored,
        }
    }

    #[test]
    fn batches_are_bounded_and_a_unit_that_is_too_large_stands_alone() {
        let many = batches(vec![record(1); 130]);
        assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [64, 64, 2]);
        let large = batches(vec![record(1), record(BATCH_BYTES * 2), record(1), record(1)]);
        assert_eq!(large.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 2]);
        assert!(batches(vec![]).is_empty());
    }
}
