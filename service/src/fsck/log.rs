//! The logs: head, entries, tiles, proofs.
//!
//! Must not know what the leaves' documents contain.

use std::collections::{BTreeMap, BTreeSet};

use sealift_policy::layout::ObjectPath;
use sealift_policy::leaf::Leaf;
use sealift_policy::log::note::MAX_BYTES;
use sealift_policy::log::tile::{self, TileKind, WIDTH};
use sealift_policy::log::{
    EntryBundle, LeafIndex, LogVerifier, SignedCheckpoint, TilePath, TlogProof, Tree, TreeHash, TreeSize,
};
use sealift_policy::trust::TrustPolicy;

use super::{Check, FsckError};
use crate::admit::Stated;
use crate::logs::tile_path;
use crate::store::{HeadStore as _, LogName};

/// The longest tile or entry bundle.
const MAX_TILE: u64 = 256 * (2 + 65_535);

pub(super) fn check(check: &mut Check, files: &[String], policy: Option<&TrustPolicy>) -> Result<(), FsckError> {
    let mut logs: BTreeMap<LogName, Vec<&str>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.starts_with("v1/log/")) {
        let mut parts = file.trim_start_matches("v1/log/").splitn(3, '/');
        let operator = parts.next().and_then(|operator| operator.parse().ok());
        let epoch = parts.next().and_then(|epoch| epoch.parse().ok());
        match (operator, epoch, parts.next()) {
            (Some(operator), Some(epoch), Some(rest)) => {
                logs.entry(LogName { operator, epoch }).or_default().push(rest)
            }
            _ => check.finding(file, "does not belong here"),
        }
    }
    for (name, files) in logs {
        let key = policy.and_then(|policy| policy.log(&name.operator, name.epoch));
        one(check, &name, &files, key)?;
    }
    proof_files(check, files)
}

fn one(check: &mut Check, name: &LogName, files: &[&str], key: Option<&LogVerifier>) -> Result<(), FsckError> {
    check.report.logs += 1;
    let head = ObjectPath::Checkpoint(name.operator.clone(), name.epoch);
    let Some(bytes) = check.store.head(name)? else {
        check.note(
            head,
            "a log without a head, as before its first submission was complete",
        );
        return Ok(());
    };
    let checkpoint = match SignedCheckpoint::parse(&bytes) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            check.finding(head, error.to_string());
            return Ok(());
        }
    };
    match key.map(|key| checkpoint.clone().verify(key)) {
        Some(Ok(_)) => {}
        Some(Err(error)) => check.finding(&head, error.to_string()),
        None => check.note(&head, "no key is configured for this log: its signature is not checked"),
    }
    let size = checkpoint.unverified().size;
    let Some(entries) = entries(check, name, size)? else {
        return Ok(());
    };
    let tree = Tree::of(entries.iter().map(|entry| TreeHash::of_leaf(entry))).expect("as many as a checkpoint counts");
    if tree.root() != checkpoint.unverified().root {
        check.finding(head, "the entries do not give its root");
        return Ok(());
    }
    tiles(check, name, files, &entries, &tree)?;
    leaves(check, name, &entries, key)
}

/// All entries of the log, unless one is missing or damaged.
fn entries(check: &mut Check, name: &LogName, size: TreeSize) -> Result<Option<Vec<Vec<u8>>>, FsckError> {
    let mut entries = Vec::new();
    for path in (0..).map_while(|index| TilePath::in_tree(TileKind::Entries, index, size)) {
        let object = tile_path(name, path);
        let bundle = check
            .read(&object, MAX_TILE)?
            .map(|bytes| EntryBundle::parse(&bytes, path));
        match bundle {
            Some(Ok(bundle)) => entries.extend(bundle.into_entries()),
            Some(Err(error)) => {
                check.finding(object, error.to_string());
                return Ok(None);
            }
            None => {
                check.finding(object, "is missing");
                return Ok(None);
            }
        }
    }
    Ok(Some(entries))
}

/// Every tile that the tree needs is there, and every tile that is there is the tree's.
fn tiles(check: &mut Check, name: &LogName, files: &[&str], entries: &[Vec<u8>], tree: &Tree) -> Result<(), FsckError> {
    let hashes: BTreeMap<(TileKind, u64), Vec<u8>> = tile::hashes(tree, TreeSize::ZERO)
        .map(|(path, bytes)| ((path.kind(), path.index()), bytes))
        .collect();
    let mut missing: BTreeSet<TilePath> = TilePath::all(tree.size()).collect();
    for file in files.iter().filter(|file| **file != "checkpoint") {
        let Ok(path) = file.parse::<TilePath>() else {
            check.finding(format!("v1/log/{name}/{file}"), "does not belong here");
            continue;
        };
        missing.remove(&path);
        let expected = match path.kind() {
            TileKind::Entries => bundle(entries, path),
            kind @ TileKind::Hashes(_) => hashes
                .get(&(kind, path.index()))
                .and_then(|bytes| bytes.get(..usize::from(path.width()) * 32))
                .map(<[u8]>::to_vec),
        };
        let object = tile_path(name, path);
        match expected {
            None => check.note(object, "lies beyond the head, as an interrupted submission leaves it"),
            Some(expected) if check.read(&object, MAX_TILE)?.as_ref() != Some(&expected) => {
                check.finding(object, "is not what the entries give");
            }
            Some(_) => {}
        }
    }
    for path in missing {
        check.finding(tile_path(name, path), "is missing");
    }
    Ok(())
}

fn bundle(entries: &[Vec<u8>], path: TilePath) -> Option<Vec<u8>> {
    let start = usize::try_from(path.index()).ok()?.checked_mul(usize::from(WIDTH))?;
    let entries = entries.get(start..start.checked_add(usize::from(path.width()))?)?;
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(&u16::try_from(entry.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Some(bytes)
}

/// Every leaf is one, speaks of its own unit, and has a proof.
fn leaves(check: &mut Check, name: &LogName, entries: &[Vec<u8>], key: Option<&LogVerifier>) -> Result<(), FsckError> {
    let mut seen = BTreeSet::new();
    for (index, entry) in (0_u64..).zip(entries) {
        check.report.leaves += 1;
        let at = format!("v1/log/{name} entry {index}");
        let leaf = match Leaf::from_canonical(entry) {
            Ok(leaf) => leaf,
            Err(error) => {
                check.finding(at, error.to_string());
                continue;
            }
        };
        if !seen.insert(leaf.unit_key()) {
            check.finding(at, format!("is a second leaf for unit {}", leaf.unit_key()));
        }
        let index = LeafIndex::try_from(index).expect("as many as a checkpoint counts");
        let stated = Stated {
            log: name.clone(),
            index,
            manifest: leaf.manifest(),
        };
        check.stated.entry(leaf.unit_key()).or_default().push(stated);
        let path = ObjectPath::Proof(name.operator.clone(), name.epoch, leaf.unit_key());
        let Some(bytes) = check.read(&path, 2 * MAX_BYTES as u64)? else {
            check.finding(path, "is missing");
            continue;
        };
        let holds = match (TlogProof::parse(&bytes), key) {
            (Ok(proof), Some(key)) => proof.index == index && proof.verify(entry, key).is_ok(),
            (Ok(proof), None) => {
                let head = proof.checkpoint.unverified();
                proof
                    .proof
                    .verify(index, TreeHash::of_leaf(entry), head.size, head.root)
                    .is_ok()
            }
            (Err(_), _) => false,
        };
        if !holds {
            check.finding(path, "does not hold");
        }
    }
    Ok(())
}

/// No proof file is about something that is not logged.
fn proof_files(check: &mut Check, files: &[String]) -> Result<(), FsckError> {
    for file in files.iter().filter(|file| file.starts_with("v1/proof/")) {
        let parts: Vec<&str> = file.trim_start_matches("v1/proof/").split('/').collect();
        let known = match parts.as_slice() {
            [operator, epoch, name] => name
                .strip_suffix(".tlog-proof")
                .and_then(|key| key.parse().ok())
                .is_some_and(|key| {
                    let log = format!("{operator}/{epoch}");
                    check
                        .stated
                        .get(&key)
                        .is_some_and(|stated| stated.iter().any(|one| one.log.to_string() == log))
                }),
            _ => false,
        };
        if !known {
            check.finding(file, "is no proof of a unit in its log");
        }
    }
    Ok(())
}
