//! `cargo sealift gc`: makes the local store smaller.
//!
//! Owns what goes first: the units that were stored or installed longest ago. Nothing that a running build has begun
//! to use, and nothing younger than an hour, is removed. A unit's record goes before its outputs, so that a record
//! never speaks of what is gone. Must not know what units are.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::local::{self, LocalUnit};
use sealift_policy::manifest::Manifest;

use super::context::Context;
use super::{Exit, GcArgs};
use crate::clock;
use crate::in_use::{self, InUse};
use crate::report::shell::{Shell, Verbosity, bytes, count};
use crate::store::Store;

/// What is younger may be part of a build that has only begun, in seconds.
const YOUNG: i64 = 3600;

/// One stored unit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    key: UnitKey,
    outputs: Vec<(Digest, u64)>,
    /// When it was stored or last linked into a target folder, in seconds since 1970.
    used: i64,
}

/// What is to go.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sweep {
    units: Vec<UnitKey>,
    blobs: BTreeSet<Digest>,
    freed: u64,
}

/// Removes the oldest units.
pub(super) fn run(context: &Context, args: &GcArgs) -> anyhow::Result<Exit> {
    let shell = Shell::stderr(&context.env, Verbosity::Normal);
    let limit =
        parse_size(&args.max_size).with_context(|| format!("`{}` is not a size such as `20GiB`", args.max_size))?;
    let root = context.store()?;
    let store = Store::open(root)?;
    let now = clock::seconds();
    let blobs = blobs(&store);
    let candidates = candidates(&store, &blobs);
    let mut sweep = sweep(candidates, &blobs, &InUse::now(root)?, limit, now - YOUNG);
    // A build may have come for a unit since the store was looked at. Then no output goes: what no unit names any more is
    // found the next time.
    let is_unused = |path: &Path| in_use::last_used(path).is_some_and(|used| used < now);
    let all = sweep.units.len();
    sweep
        .units
        .retain(|key| is_unused(&store.path(&local::unit_path(*key))));
    if sweep.units.len() < all {
        sweep.blobs.clear();
        sweep.freed = 0;
    }
    for key in &sweep.units {
        remove(&store.path(&local::unit_path(*key)))?;
    }
    for digest in &sweep.blobs {
        let blob = store.path(&local::cas_path(*digest));
        if is_unused(&blob) {
            remove(&blob)?;
        }
    }
    for path in in_use::leftovers(&store, now)? {
        remove(&path)?;
    }
    let left: u64 = blobs.values().map(|(size, _)| size).sum::<u64>() - sweep.freed;
    shell.status(
        "Removed",
        format_args!(
            "{} ({}); {} left",
            count(sweep.units.len() as u64, "unit"),
            bytes(sweep.freed),
            bytes(left)
        ),
    );
    if left > limit {
        shell.warn("what is left is larger than asked for: it was used within the last hour");
    }
    Ok(Exit::Success)
}

/// Decides what goes.
fn sweep(
    mut candidates: Vec<Candidate>,
    blobs: &BTreeMap<Digest, (u64, i64)>,
    in_use: &InUse,
    limit: u64,
    oldest_young: i64,
) -> Sweep {
    let mut references: BTreeMap<Digest, usize> = BTreeMap::new();
    for (digest, _) in candidates.iter().flat_map(|unit| &unit.outputs) {
        *references.entry(*digest).or_default() += 1;
    }
    let mut sweep = Sweep::default();
    let total: u64 = blobs.values().map(|(size, _)| size).sum();
    let free = |sweep: &mut Sweep, digest: Digest| {
        if let Some((size, _)) = blobs.get(&digest)
            && sweep.blobs.insert(digest)
        {
            sweep.freed += size;
        }
    };
    // What no unit names is of no use to anybody.
    for (digest, (_, used)) in blobs {
        if !references.contains_key(digest) && *used < oldest_young {
            free(&mut sweep, *digest);
        }
    }
    candidates.sort_by_key(|unit| (unit.used, unit.key));
    for unit in candidates {
        if total - sweep.freed <= limit || unit.used >= oldest_young {
            break;
        }
        if in_use.protects(unit.key, unit.used) {
            continue;
        }
        sweep.units.push(unit.key);
        for (digest, _) in unit.outputs {
            let others = references.get_mut(&digest).expect("every output was counted");
            *others -= 1;
            if *others == 0 {
                free(&mut sweep, digest);
            }
        }
    }
    sweep
}

/// Every stored output with its size and when its inode last changed: linking it into a target folder does that.
fn blobs(store: &Store) -> BTreeMap<Digest, (u64, i64)> {
    let mut blobs = BTreeMap::new();
    for path in files(&store.path("cas")) {
        let digest = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        if let (Some(digest), Ok(metadata)) = (digest, fs_err::symlink_metadata(&path)) {
            blobs.insert(digest, (metadata.len(), metadata.ctime()));
        }
    }
    blobs
}

fn candidates(store: &Store, blobs: &BTreeMap<Digest, (u64, i64)>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for path in files(&store.path("units")) {
        let Ok(metadata) = fs_err::metadata(&path) else {
            continue;
        };
        let unit = fs_err::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<LocalUnit>(&bytes).ok());
        let Some(unit) = unit else { continue };
        let Ok(manifest) = Manifest::from_canonical(unit.manifest.as_bytes()) else {
            continue;
        };
        let outputs: Vec<_> = manifest
            .outputs
            .iter()
            .map(|output| (output.sha256, output.size))
            .collect();
        let linked = outputs
            .iter()
            .filter_map(|(digest, _)| Some(blobs.get(digest)?.1))
            .max();
        candidates.push(Candidate {
            key: unit.unit_key,
            outputs,
            used: linked.unwrap_or(0).max(metadata.ctime()),
        });
    }
    candidates
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = walkdir::WalkDir::new(folder)
        .follow_links(false)
        .into_iter()
        .filter_map(Result::ok);
    entries
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = if path.is_dir() {
        fs_err::remove_dir_all(path)
    } else {
        fs_err::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => bail!(error),
        _ => Ok(()),
    }
}

/// `500MB`, `20GiB`, `123456`: decimal and binary units are what they say.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    fn unit(name: &str, outputs: &[&str], used: i64) -> Candidate {
        let outputs = outputs.iter().map(|output| (digest(output), 10)).collect();
        Candidate {
            key: UnitKey::new(digest(name)),
            outputs,
            used,
        }
    }

    fn blobs(names: &[&str]) -> BTreeMap<Digest, (u64, i64)> {
        names.iter().map(|name| (digest(name), (10, 0))).collect()
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        let units = vec![
            unit("new", &["n"], 30),
            unit("old", &["o"], 10),
            unit("middle", &["m"], 20),
        ];
        let swept = sweep(units, &blobs(&["n", "o", "m"]), &InUse::default(), 15, 100);
        assert_eq!(swept.units, [unit("old", &[], 0).key, unit("middle", &[], 0).key]);
        assert_eq!(swept.freed, 20);
    }

    #[test]
    fn what_is_young_or_in_use_stays_whatever_the_limit() {
        let units = vec![
            unit("young", &["y"], 200),
            unit("used", &["u"], 10),
            unit("old", &["o"], 20),
        ];
        let in_use = InUse::of([unit("used", &[], 0).key]);
        let swept = sweep(units, &blobs(&["y", "u", "o"]), &in_use, 0, 100);
        assert_eq!(swept.units, [unit("old", &[], 0).key]);
    }

    #[test]
    fn an_output_that_another_unit_shares_stays() {
        let units = vec![unit("old", &["shared", "own"], 10), unit("new", &["shared"], 20)];
        let swept = sweep(units, &blobs(&["shared", "own"]), &InUse::default(), 10, 100);
        assert_eq!(swept.blobs, BTreeSet::from([digest("own")]));
    }

    #[test]
    fn outputs_without_a_unit_go_first() {
        let units = vec![unit("old", &["o"], 10)];
        let swept = sweep(units, &blobs(&["o", "orphan"]), &InUse::default(), 10, 100);
        assert_eq!(
            (swept.units.len(), swept.blobs),
            (0, BTreeSet::from([digest("orphan")]))
        );
    }

    #[test]
    fn sizes_are_decimal_or_binary_as_they_say() {
        assert_eq!(parse_size("20GiB"), Some(20 << 30));
        assert_eq!(parse_size("500MB"), Some(500_000_000));
        assert_eq!(parse_size("7"), Some(7));
        for wrong in [
            "",
            "GiB",
            "-1",
            "1.5GiB",
            "1 parsec",
            "99999999999999999999",
            "20000000TiB",
        ] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }
}
