//! The events of one build, counted.
//!
//! Owns what counts as what, the summary line and the JSON of `stats`. Must not know where events are kept.

use sealift_policy::local::{BuildEvent, Outcome, UnitEvent};
use serde::Serialize;

use super::shell::{bytes, count};
use super::verdict::{Verdicts, package, prefetches, units};

/// A build in numbers. `handled` is the sum of `hit`, `compiled` and `rejected`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    /// Always 1.
    pub(crate) version: u32,
    /// Compilations by what was done.
    pub(crate) units: Units,
    /// Bytes received from the network.
    pub(crate) bytes_fetched: u64,
    /// Bytes of the outputs that were put in place.
    pub(crate) bytes_installed: u64,
    /// Of those, bytes that take no more room on the disk, since they are shared with the local store.
    pub(crate) bytes_shared: u64,
    /// Handled units that were no hit, and why.
    pub(crate) misses: Vec<Miss>,
    /// What was not handled, and why.
    pub(crate) passed_through: Vec<Miss>,
    /// Times.
    pub(crate) time: Times,
    /// What prefetches did.
    pub(crate) prefetch: Prefetched,
}

/// Compilations by what was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Units {
    /// Those that Sealift could have had.
    pub(crate) handled: u64,
    /// Installed from the local store.
    pub(crate) hit: u64,
    /// Of those, downloaded.
    pub(crate) hit_fetched: u64,
    /// Of those, compiled on this machine before.
    pub(crate) hit_local: u64,
    /// Compiled.
    pub(crate) compiled: u64,
    /// Given to cargo's own call.
    pub(crate) passed_through: u64,
    /// Something was found that was not believed or damaged; compiled.
    pub(crate) rejected: u64,
}

/// A unit that was no hit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Miss {
    /// The crate, as rustc knows it.
    #[serde(rename = "crate")]
    pub(crate) crate_name: String,
    /// Package and version, when known.
    pub(crate) package: Option<String>,
    /// Why.
    pub(crate) reason: String,
}

/// Times of a build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Times {
    /// Median of the wrapper's own time for a hit, in microseconds.
    pub(crate) wrapper_hit_median_us: u64,
    /// The wrapper's own time, all handled calls together, in microseconds.
    pub(crate) wrapper_total_us: u64,
    /// What rustc took for the same units elsewhere or before, in milliseconds of one core.
    pub(crate) saved_ms: u64,
    /// What rustc took for handled units, in milliseconds of one core.
    pub(crate) compiling_ms: u64,
    /// Signatures, proofs and hashes of prefetches, in microseconds of a processor.
    pub(crate) verification_us: u64,
    /// How much of it was hashing, in microseconds.
    pub(crate) hashing_us: u64,
    /// Wall time of prefetches, in milliseconds.
    pub(crate) prefetch_ms: u64,
}

/// What prefetches did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Prefetched {
    /// Compile units of crates.io packages in the plan.
    pub(crate) planned: u64,
    /// Present already.
    pub(crate) present: u64,
    /// Downloaded and verified.
    pub(crate) fetched: u64,
    /// Found and not believed.
    pub(crate) rejected: u64,
    /// Why prefetches ended early.
    pub(crate) problems: Vec<String>,
}

impl Units {
    /// Adds another build's.
    pub(crate) fn add(&mut self, other: Self) {
        self.handled += other.handled;
        self.hit += other.hit;
        self.hit_fetched += other.hit_fetched;
        self.hit_local += other.hit_local;
        self.compiled += other.compiled;
        self.passed_through += other.passed_through;
        self.rejected += other.rejected;
    }
}

impl Tally {
    /// Counts events.
    pub(crate) fn of(events: &[BuildEvent]) -> Self {
        let mut tally = Self {
            version: 1,
            ..Self::default()
        };
        let verdicts = Verdicts::of(events);
        let mut hits = Vec::new();
        for unit in units(events) {
            tally.add(unit, &verdicts, &mut hits);
        }
        hits.sort_unstable();
        tally.time.wrapper_hit_median_us = hits.get(hits.len() / 2).copied().unwrap_or_default();
        for prefetch in prefetches(events) {
            tally.bytes_fetched += prefetch.bytes;
            tally.time.verification_us += prefetch.verify_us;
            tally.time.hashing_us += prefetch.hash_us;
            tally.time.prefetch_ms += prefetch.wall_ms;
            tally.prefetch.planned += prefetch.planned;
            tally.prefetch.present += prefetch.present;
            tally.prefetch.fetched += prefetch.fetched;
            tally.prefetch.rejected += prefetch.rejected;
            tally.prefetch.problems.extend_from_slice(&prefetch.problems);
        }
        tally
    }

    fn add(&mut self, unit: &UnitEvent, verdicts: &Verdicts<'_>, hits: &mut Vec<u64>) {
        let outcome = verdicts.outcome(unit);
        if outcome == Outcome::PassedThrough {
            self.units.passed_through += 1;
            self.passed_through.push(miss(unit, verdicts));
            return;
        }
        self.units.handled += 1;
        self.time.wrapper_total_us += unit.wrapper_us;
        match outcome {
            Outcome::HitCompiled | Outcome::HitFetched => {
                self.units.hit += 1;
                let by_origin = if outcome == Outcome::HitFetched {
                    &mut self.units.hit_fetched
                } else {
                    &mut self.units.hit_local
                };
                *by_origin += 1;
                self.time.saved_ms += unit.compile_ms;
                self.bytes_installed += unit.bytes;
                self.bytes_shared += unit.shared_bytes;
                hits.push(unit.wrapper_us);
            }
            Outcome::Compiled | Outcome::Rejected | Outcome::PassedThrough => {
                let by_outcome = if outcome == Outcome::Rejected {
                    &mut self.units.rejected
                } else {
                    &mut self.units.compiled
                };
                *by_outcome += 1;
                self.time.compiling_ms += unit.compile_ms;
                self.misses.push(miss(unit, verdicts));
            }
        }
    }

    /// The one line at the end of a build; `None` when there is nothing to say.
    pub(crate) fn summary(&self) -> Option<String> {
        let units = &self.units;
        if units.handled == 0 && self.prefetch.fetched == 0 {
            return None;
        }
        let mut line = format!("{} of {} reused", units.hit, count(units.handled, "unit"));
        if units.hit > 0 {
            line.push_str(&format!(" ({} fetched, {} local)", units.hit_fetched, units.hit_local));
        }
        line.push_str(&format!(", {} compiled", units.compiled + units.rejected));
        if units.rejected > 0 {
            line.push_str(&format!(" ({} after a rejection)", units.rejected));
        }
        line.push_str(&format!(", {} fetched", bytes(self.bytes_fetched)));
        Some(line)
    }
}

fn miss(unit: &UnitEvent, verdicts: &Verdicts<'_>) -> Miss {
    Miss {
        crate_name: unit.crate_name.clone(),
        package: package(unit),
        reason: verdicts.reason(unit),
    }
}

#[cfg(test)]
mod tests {
    use sealift_policy::digest::{Digest, UnitKey};
    use sealift_policy::local::{PrefetchEvent, RefusedUnit};

    use super::*;

    fn unit(name: &str, outcome: Outcome) -> UnitEvent {
        UnitEvent {
            crate_name: name.into(),
            package: Some(name.into()),
            package_version: Some("1.0.0".into()),
            kind: None,
            outcome,
            unit_key: Some(UnitKey::new(Digest::of(name.as_bytes()))),
            reason: None,
            cause: None,
            about: None,
            waited_ms: 0,
            wrapper_us: 3000,
            compile_ms: 1000,
            bytes: 10,
            shared_bytes: 4,
        }
    }

    fn events() -> Vec<BuildEvent> {
        let refused = |name: &str, alarming| RefusedUnit {
            unit_key: UnitKey::new(Digest::of(name.as_bytes())),
            reason: "1 of 2 operators vouch for it".into(),
            cause: None,
            alarming,
        };
        let prefetch = PrefetchEvent {
            planned: 6,
            fetched: 2,
            rejected: 2,
            bytes: 12_902_000,
            wall_ms: 500,
            verify_us: 4000,
            hash_us: 1500,
            refused: vec![refused("forged", true), refused("lonely", false)],
            ..PrefetchEvent::default()
        };
        let mut own = unit("own", Outcome::PassedThrough);
        own.reason = Some("a package of the workspace".into());
        vec![
            BuildEvent::Prefetch(prefetch),
            BuildEvent::Unit(unit("a", Outcome::HitFetched)),
            BuildEvent::Unit(unit("b", Outcome::HitFetched)),
            BuildEvent::Unit(unit("c", Outcome::HitCompiled)),
            BuildEvent::Unit(unit("forged", Outcome::Compiled)),
            BuildEvent::Unit(unit("lonely", Outcome::Compiled)),
            BuildEvent::Unit(unit("damaged", Outcome::Rejected)),
            BuildEvent::Unit(own),
        ]
    }

    #[test]
    fn handled_is_the_sum_of_hit_compiled_and_rejected() {
        let units = Tally::of(&events()).units;
        assert_eq!(units.handled, units.hit + units.compiled + units.rejected);
        assert_eq!((units.hit, units.hit_fetched, units.hit_local), (3, 2, 1));
        assert_eq!((units.compiled, units.rejected, units.passed_through), (1, 2, 1));
    }

    #[test]
    fn the_summary_is_one_line() {
        insta::assert_snapshot!(Tally::of(&events()).summary().unwrap(), @"3 of 6 units reused (2 fetched, 1 local), 3 compiled (2 after a rejection), 12.3 MiB fetched");
    }

    #[test]
    fn a_build_that_did_nothing_says_nothing() {
        assert_eq!(Tally::of(&[]).summary(), None);
        let own = [BuildEvent::Unit(unit("own", Outcome::PassedThrough))];
        assert_eq!(Tally::of(&own).summary(), None);
    }

    #[test]
    fn the_json_has_the_members_that_scripts_rely_on() {
        let json = serde_json::to_string_pretty(&Tally::of(&events())).unwrap();
        insta::assert_snapshot!(json, @r#"
        {
          "version": 1,
          "units": {
            "handled": 6,
            "hit": 3,
            "hit_fetched": 2,
            "hit_local": 1,
            "compiled": 1,
            "passed_through": 1,
            "rejected": 2
          },
          "bytes_fetched": 12902000,
          "bytes_installed": 30,
          "bytes_shared": 12,
          "misses": [
            {
              "crate": "forged",
              "package": "forged@1.0.0",
              "reason": "not in the local store; what the public store has was not believed: 1 of 2 operators vouch for it"
            },
            {
              "crate": "lonely",
              "package": "lonely@1.0.0",
              "reason": "not in the local store; what the public store has was not believed: 1 of 2 operators vouch for it"
            },
            {
              "crate": "damaged",
              "package": "damaged@1.0.0",
              "reason": "not believed"
            }
          ],
          "passed_through": [
            {
              "crate": "own",
              "package": "own@1.0.0",
              "reason": "a package of the workspace"
            }
          ],
          "time": {
            "wrapper_hit_median_us": 3000,
            "wrapper_total_us": 18000,
            "saved_ms": 3000,
            "compiling_ms": 3000,
            "verification_us": 4000,
            "hashing_us": 1500,
            "prefetch_ms": 500
          },
          "prefetch": {
            "planned": 6,
            "present": 0,
            "fetched": 2,
            "rejected": 2,
            "problems": []
          }
        }
        "#);
    }
}
