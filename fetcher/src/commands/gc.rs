//! `cargo sealift gc`: makes the local store smaller; and the same, once a day, after a build.
//!
//! Owns the order of removals: a unit's record goes before its outputs, so that a record never speaks of what is gone,
//! and nothing that a running build has begun to use goes at all. Must not know what goes first: that is `sweep`'s.

mod inventory;
mod records;
mod sweep;
mod toolchains;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::local;
use serde::Serialize;

use super::context::Context;
use super::{Exit, GcArgs};
use crate::clock;
use crate::config::Config;
use crate::in_use::{self, InUse};
use crate::report::shell::{self, Shell, Verbosity, bytes, count};
use crate::size::Size;
use crate::store::Store;
use inventory::{Inventory, Moment};
use sweep::{Limits, Sweep, sweep};

/// Seconds of a day.
const DAY: i64 = 24 * 3600;

/// How long an automatic sweep may take before it leaves the rest for another day.
const PATIENCE: Duration = Duration::from_secs(2);

/// The file whose time says when the store was last swept by itself.
const SWEPT: &str = "swept";

/// What was removed, or would be.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Report {
    version: u32,
    dry_run: bool,
    /// Units removed.
    units: u64,
    /// Outputs removed.
    outputs: u64,
    /// Bytes of these outputs.
    freed_bytes: u64,
    /// Bytes of the outputs that stay.
    left_bytes: u64,
    /// The limit that was to be met.
    max_bytes: u64,
    /// Small records, old events and what killed processes left.
    other_files: u64,
}

/// Removes what is old, too much, or of toolchains that are gone.
pub(super) fn run(context: &Context, args: &GcArgs) -> anyhow::Result<Exit> {
    let shell = Shell::stderr(&context.env, Verbosity::Normal);
    let root = context.store()?;
    let now = clock::seconds();
    let limits = Limits {
        bytes: args.max_size.unwrap_or(context.config.max_store_size).bytes(),
        used_before: args.max_age.map(|days| now - i64::from(days) * DAY),
        compilers: args
            .toolchains
            .then(|| toolchains::installed(&context.env))
            .transpose()?,
        // Where another process is in the middle of storing a unit.
        orphans_before: now - 3600,
        young_since: i64::MAX,
    };
    let job = Job {
        store: Store::open(root)?,
        now,
        until: None,
        dry_run: args.dry_run,
    };
    let report = job.run(root, &limits)?;
    if args.format.json {
        shell::data(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
        return Ok(Exit::Success);
    }
    shell.status(
        if args.dry_run { "Would remove" } else { "Removed" },
        format_args!(
            "{} ({}) and {}; {} left",
            count(report.units, "unit"),
            bytes(report.freed_bytes),
            count(report.other_files, "other file"),
            bytes(report.left_bytes)
        ),
    );
    if report.left_bytes > report.max_bytes {
        shell.warn("what is left is larger than asked for: a build that is running uses it");
    }
    Ok(Exit::Success)
}

/// Keeps the store within the size that is configured: at most once a day, for at most a moment, and silently.
/// What is younger than an hour stays, since builds in other containers cannot be seen.
pub(crate) fn automatic(config: &Config) {
    let Some(root) = config.store() else { return };
    let now = clock::seconds();
    // A store that cannot be swept is the business of `doctor`.
    let _ = sweep_once_a_day(root, config.max_store_size, now);
}

fn sweep_once_a_day(root: &Path, limit: Size, now: i64) -> anyhow::Result<Option<Report>> {
    let store = Store::open(root)?;
    let swept = in_use::last_used(&store.path(SWEPT));
    if !store.root().is_dir() || swept.is_some_and(|swept| (now - DAY..=now).contains(&swept)) {
        return Ok(None);
    }
    // First, so that of several builds that end together only one sweeps.
    store.write(SWEPT, b"")?;
    let limits = Limits {
        bytes: limit.bytes(),
        used_before: None,
        compilers: None,
        orphans_before: now - 3600,
        young_since: now - 3600,
    };
    let job = Job {
        store,
        now,
        until: Some(Instant::now() + PATIENCE),
        dry_run: false,
    };
    job.run(root, &limits).map(Some)
}

/// What the inventory saw of each file.
struct Seen {
    units: BTreeMap<UnitKey, Moment>,
    blobs: BTreeMap<Digest, Moment>,
}

struct Job {
    store: Store,
    now: i64,
    until: Option<Instant>,
    dry_run: bool,
}

impl Job {
    fn run(&self, root: &Path, limits: &Limits) -> anyhow::Result<Report> {
        let leftovers = in_use::leftovers(&self.store, self.now)?;
        let old_records = records::old(&self.store, self.now);
        let mut report = Report {
            version: 1,
            dry_run: self.dry_run,
            max_bytes: limits.bytes,
            other_files: (leftovers.len() + old_records.len()) as u64,
            ..Report::default()
        };
        if !self.dry_run {
            for path in leftovers.iter().chain(&old_records) {
                remove(path)?;
            }
        }
        // In time or not at all: half an inventory would take what is in use for an orphan.
        let Some(inventory) = Inventory::of(&self.store, limits.compilers.is_some(), self.until) else {
            return Ok(report);
        };
        let total: u64 = inventory.blobs.values().map(|blob| blob.size).sum();
        let seen = Seen {
            units: inventory.units.iter().map(|unit| (unit.key, unit.record)).collect(),
            blobs: (inventory.blobs.iter())
                .map(|(digest, blob)| (*digest, blob.changed))
                .collect(),
        };
        let mut sweep = sweep(inventory, &InUse::now(root)?, limits);
        if !self.dry_run {
            self.sweep(&mut sweep, &seen)?;
        }
        report.units = sweep.units.len() as u64;
        report.outputs = sweep.blobs.len() as u64;
        report.freed_bytes = sweep.freed;
        report.left_bytes = total - sweep.freed;
        Ok(report)
    }

    fn sweep(&self, sweep: &mut Sweep, seen: &Seen) -> anyhow::Result<()> {
        // A build may have come for a unit since the store was looked at. Then no output goes: what no unit names any
        // more is found the next time.
        let record = |key: &UnitKey| Moment::of(&self.store.path(&local::unit_path(*key)));
        let all = sweep.units.len();
        sweep.units.retain(|key| record(key).as_ref() == seen.units.get(key));
        if sweep.units.len() < all {
            sweep.blobs.clear();
            sweep.freed = 0;
        }
        for key in &sweep.units {
            remove(&self.store.path(&local::unit_path(*key)))?;
        }
        for digest in &sweep.blobs {
            let blob = self.store.path(&local::cas_path(*digest));
            if Moment::of(&blob).as_ref() == seen.blobs.get(digest) {
                remove(&blob)?;
            }
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Mode;

    fn store_with_an_orphan() -> (tempfile::TempDir, Store, Digest) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let digest = Digest::of(b"orphan");
        store.insert(b"orphan", digest, Mode::Data).unwrap();
        (folder, store, digest)
    }

    #[test]
    fn the_store_is_swept_by_itself_at_most_once_a_day() {
        let (folder, store, digest) = store_with_an_orphan();
        let tomorrow = clock::seconds() + DAY + 10;
        let first = sweep_once_a_day(folder.path(), Size::new(1 << 30), tomorrow)
            .unwrap()
            .unwrap();
        assert_eq!((first.outputs, first.left_bytes), (1, 0));
        assert_eq!(store.blob(digest, 6), None);
        assert_eq!(
            sweep_once_a_day(folder.path(), Size::new(1 << 30), clock::seconds()).unwrap(),
            None
        );
        // A clock that was put back does not keep the store from being swept for ever.
        assert!(
            sweep_once_a_day(folder.path(), Size::new(1 << 30), 1000)
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn a_dry_run_removes_nothing() {
        let (folder, store, digest) = store_with_an_orphan();
        let now = clock::seconds() + DAY;
        let job = Job {
            store: store.clone(),
            now,
            until: None,
            dry_run: true,
        };
        let limits = Limits {
            bytes: 0,
            used_before: None,
            compilers: None,
            orphans_before: now,
            young_since: i64::MAX,
        };
        assert_eq!(job.run(folder.path(), &limits).unwrap().freed_bytes, 6);
        assert!(store.blob(digest, 6).is_some());
    }

    #[test]
    fn what_was_used_a_moment_ago_by_a_build_that_has_ended_can_go() {
        let (folder, store, digest) = store_with_an_orphan();
        let now = clock::seconds();
        let job = Job {
            store: store.clone(),
            now,
            until: None,
            dry_run: false,
        };
        let limits = Limits {
            bytes: 0,
            used_before: None,
            compilers: None,
            orphans_before: now + 1,
            young_since: i64::MAX,
        };
        assert_eq!(job.run(folder.path(), &limits).unwrap().outputs, 1);
        assert_eq!(store.blob(digest, 6), None);
    }

    #[test]
    fn a_sweep_that_has_no_time_removes_no_output() {
        let (folder, store, digest) = store_with_an_orphan();
        let now = clock::seconds() + DAY;
        let job = Job {
            store: store.clone(),
            now,
            until: Some(Instant::now()),
            dry_run: false,
        };
        let limits = Limits {
            bytes: 0,
            used_before: None,
            compilers: None,
            orphans_before: now,
            young_since: i64::MAX,
        };
        assert_eq!(job.run(folder.path(), &limits).unwrap().outputs, 0);
        assert!(store.blob(digest, 6).is_some());
    }
}
