//! What happened to the units of a build, from the events that the wrapper and the prefetch left in the local store.
//!
//! Must not count anything that no event states.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sealift_policy::digest::UnitKey;
use sealift_policy::local::{BuildEvent, CallKind, Outcome, PrefetchEvent, UnitEvent, VERSION_DIR};

/// The events of one build.
#[derive(Debug, Clone, Default)]
pub struct Outcomes {
    /// One for each compilation.
    pub units: Vec<UnitEvent>,
    /// What was fetched.
    pub prefetch: Vec<PrefetchEvent>,
}

impl Outcomes {
    /// The records of builds that a store holds.
    ///
    /// # Errors
    /// If its folder cannot be read.
    pub fn builds(store: &Path) -> Result<BTreeSet<PathBuf>> {
        let folder = store.join(VERSION_DIR).join("builds");
        if !folder.is_dir() {
            return Ok(BTreeSet::new());
        }
        fs_err::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .filter(|path| {
                path.as_ref()
                    .map_or(true, |path| path.extension().is_some_and(|kind| kind == "jsonl"))
            })
            .collect()
    }

    /// What was recorded since.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn since(store: &Path, before: &BTreeSet<PathBuf>) -> Result<Self> {
        let mut outcomes = Self::default();
        for path in Self::builds(store)?.difference(before) {
            for line in fs_err::read_to_string(path)?.lines() {
                match serde_json::from_str(line).with_context(|| format!("a line of `{}`", path.display()))? {
                    BuildEvent::Unit(unit) => outcomes.units.push(unit),
                    BuildEvent::Prefetch(prefetch) => outcomes.prefetch.push(prefetch),
                }
            }
        }
        Ok(outcomes)
    }

    /// Compilations that Sealift handled.
    pub fn handled(&self) -> usize {
        self.units.len() - self.passed_through()
    }

    /// Installed from the store.
    pub fn hits(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::HitCompiled | Outcome::HitFetched))
    }

    /// The units that were installed from the store.
    pub fn hit_keys(&self) -> impl Iterator<Item = UnitKey> {
        let hits = self.units.iter().filter(|unit| is_hit(unit.outcome));
        hits.filter_map(|unit| unit.unit_key)
    }

    /// Installed from what was downloaded.
    pub fn fetched_hits(&self) -> usize {
        self.count(|outcome| outcome == Outcome::HitFetched)
    }

    /// Installed from what was downloaded, of this kind.
    pub fn fetched_of(&self, kind: CallKind) -> usize {
        let of_kind = self.units.iter().filter(|unit| unit.kind == Some(kind));
        of_kind.filter(|unit| unit.outcome == Outcome::HitFetched).count()
    }

    /// Handled, and compiled here.
    pub fn compiled(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Compiled | Outcome::Rejected))
    }

    /// Found but not believed, by the wrapper.
    pub fn rejected(&self) -> usize {
        self.count(|outcome| outcome == Outcome::Rejected)
    }

    /// Found but not believed, by the prefetch.
    pub fn rejected_on_arrival(&self) -> u64 {
        self.prefetch.iter().map(|event| event.rejected).sum()
    }

    /// Not handled.
    pub fn passed_through(&self) -> usize {
        self.count(|outcome| outcome == Outcome::PassedThrough)
    }

    /// Bytes that came over the network.
    pub fn bytes_fetched(&self) -> u64 {
        self.prefetch.iter().map(|event| event.bytes).sum()
    }

    /// The longest time that one call of the wrapper waited for a download, in milliseconds.
    pub fn longest_wait_ms(&self) -> u64 {
        self.units.iter().map(|unit| unit.waited_ms).max().unwrap_or_default()
    }

    /// Time that all calls of the wrapper together waited for downloads, in milliseconds.
    pub fn waited_ms(&self) -> u64 {
        self.units.iter().map(|unit| unit.waited_ms).sum()
    }

    /// Time spent on signatures, proofs and hashes, in microseconds.
    pub fn verify_us(&self) -> u64 {
        self.prefetch.iter().map(|event| event.verify_us).sum()
    }

    /// Median of the wrapper's own time for a hit, in microseconds; none without a hit.
    pub fn median_hit_us(&self) -> Option<u64> {
        let mut times: Vec<u64> = self
            .units
            .iter()
            .filter(|unit| is_hit(unit.outcome))
            .map(|unit| unit.wrapper_us)
            .collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    /// Each handled unit that was not a hit, and why.
    pub fn misses(&self) -> Vec<String> {
        let missed = |unit: &&UnitEvent| !is_hit(unit.outcome) && unit.outcome != Outcome::PassedThrough;
        let say = |unit: &UnitEvent| {
            let kind = unit.kind.map(|kind| format!("{kind:?}")).unwrap_or_default();
            format!(
                "{} {} {kind}: {}",
                unit.crate_name,
                unit.package_version.as_deref().unwrap_or("?"),
                unit.reason.as_deref().unwrap_or("?")
            )
        };
        self.units.iter().filter(missed).map(say).collect()
    }

    fn count(&self, wanted: impl Fn(Outcome) -> bool) -> usize {
        self.units.iter().filter(|unit| wanted(unit.outcome)).count()
    }
}

fn is_hit(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::HitCompiled | Outcome::HitFetched)
}
