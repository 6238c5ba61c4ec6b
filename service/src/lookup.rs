//! The batch lookup: plans and keys in, everything needed to verify the units out.
//!
//! Owns which units are in an answer and its size limit. The answer is computed for one moment of each log, so that all
//! proofs fit the checkpoints in it. Must not know HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::layout::{MAX_DOCUMENT, ObjectPath};
use sealift_policy::log::TreeSize;
use sealift_policy::wire::{
    LogState as WireLog, LookupRequest, LookupResponse, MAX_LOOKUP_IDS, ManifestRecord, PlanHint, UnitRecord, Voucher,
};

use crate::app::App;
use crate::catalogue::CatalogueError;
use crate::frame;
use crate::logs::LogState;
use crate::store::LogName;

/// The most bytes of documents in one answer. Units beyond are left out, as if they were not known.
const MAX_DOCUMENTS: usize = 128 << 20;

/// Why a lookup has no answer.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// A version that this program does not know.
    #[error("lookup version {0} is not known")]
    Version(u32),
    /// More ids than one lookup may have.
    #[error("more than {MAX_LOOKUP_IDS} ids")]
    TooMany,
    /// The catalogue failed.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] io::Error),
}

/// Answers a lookup.
pub fn answer(app: &App, request: &LookupRequest) -> Result<LookupResponse, LookupError> {
    if request.version != 1 {
        return Err(LookupError::Version(request.version));
    }
    if request.plan_ids.len().saturating_add(request.unit_keys.len()) > MAX_LOOKUP_IDS {
        return Err(LookupError::TooMany);
    }
    let logs: BTreeMap<&LogName, Arc<LogState>> = app.logs().map(|log| (&log.name, log.state())).collect();
    let mut plans = Vec::new();
    let mut keys = Vec::new();
    for &plan_id in &request.plan_ids {
        let unit_keys = app.catalogue().units_of(&request.toolchain, plan_id)?;
        if !unit_keys.is_empty() {
            keys.extend(&unit_keys);
            plans.push(PlanHint {
                version: 1,
                plan_id,
                unit_keys,
            });
        }
    }
    keys.extend(&request.unit_keys);
    let mut seen = BTreeSet::new();
    let mut room = MAX_DOCUMENTS;
    let mut units = Vec::new();
    for key in keys.into_iter().filter(|key| seen.insert(*key)) {
        units.extend(unit(app, &logs, key, &mut room)?);
    }
    let logs = logs
        .into_iter()
        .filter_map(|(name, state)| log(request, name, &state))
        .collect();
    Ok(LookupResponse {
        version: 1,
        logs,
        plans,
        units,
    })
}

fn log(request: &LookupRequest, name: &LogName, state: &LogState) -> Option<WireLog> {
    let checkpoint = state.checkpoint.as_ref()?;
    let known = request
        .heads
        .iter()
        .find(|head| head.operator == name.operator && head.epoch == name.epoch);
    // A client that knows a larger log than this one gets no proof, and will say why.
    let old = known.and_then(|head| TreeSize::try_from(head.size).ok());
    let consistency = old.and_then(|old| state.tree.consistency(old, checkpoint.size()).ok());
    Some(WireLog {
        operator: name.operator.clone(),
        epoch: name.epoch,
        checkpoint: String::from_utf8_lossy(checkpoint.as_bytes()).into_owned(),
        consistency: consistency.map(|proof| proof.to_texts()).unwrap_or_default(),
    })
}

fn unit(
    app: &App,
    logs: &BTreeMap<&LogName, Arc<LogState>>,
    key: UnitKey,
    room: &mut usize,
) -> Result<Option<UnitRecord>, LookupError> {
    let known = app.catalogue().unit(key)?;
    let mut vouchers: BTreeMap<Digest, Vec<Voucher>> = BTreeMap::new();
    for stated in known.stated {
        // A leaf that was added after the moment of this answer has no proof for its checkpoint.
        let Some(state) = logs.get(&stated.log) else { continue };
        let Ok(proof) = state.tree.inclusion(stated.index, state.tree.size()) else {
            continue;
        };
        vouchers.entry(stated.manifest).or_default().push(Voucher {
            operator: stated.log.operator,
            epoch: stated.log.epoch,
            index: stated.index.value(),
            proof: proof.to_texts(),
        });
    }
    if vouchers.is_empty() {
        return Ok(None);
    }
    let Some(key_document) = document(app, key.digest(), room)? else {
        return Ok(None);
    };
    let mut manifests = Vec::new();
    for (sha256, vouchers) in vouchers {
        if let Some(manifest) = document(app, sha256, room)? {
            manifests.push(ManifestRecord { manifest, vouchers });
        }
    }
    if manifests.is_empty() {
        return Ok(None);
    }
    Ok(Some(UnitRecord {
        unit_key: key,
        key_document,
        compile_ms: known.compile_ms,
        manifests,
    }))
}

/// A document of the content-addressed store; `None` if it is missing or damaged, or the answer is full.
fn document(app: &App, sha256: Digest, room: &mut usize) -> Result<Option<String>, LookupError> {
    let Some(object) = app.store().open(&ObjectPath::Cas(sha256))? else {
        return Ok(None);
    };
    let Ok(stored) = object.read_all(2 * MAX_DOCUMENT) else {
        return Ok(None);
    };
    let text = frame::decode_document(&stored, sha256, MAX_DOCUMENT)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    if text.is_none() {
        tracing::error!("object {sha256} is damaged");
    }
    Ok(text.filter(|text| {
        let left = room.checked_sub(text.len());
        *room = left.unwrap_or(0);
        left.is_some()
    }))
}
