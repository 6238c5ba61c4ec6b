//! What goes: units of compilers that are gone, units that were not used for long, then those that were used longest
//! ago until the rest fits.
//!
//! Pure. Must not know files.

use std::collections::{BTreeMap, BTreeSet};

use sealift_policy::digest::{Digest, UnitKey};

use super::inventory::Inventory;
use crate::in_use::InUse;

/// What may stay.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// At most this many bytes of outputs.
    pub(super) bytes: u64,
    /// Nothing that was last used before this time, in seconds since 1970.
    pub(super) used_before: Option<i64>,
    /// Nothing that was compiled by another compiler than these.
    pub(super) compilers: Option<BTreeSet<String>>,
    /// Outputs that no unit names go when they are older than this.
    pub(super) orphans_before: i64,
    /// What was used since then stays, whatever the other limits.
    pub(super) young_since: i64,
}

/// What is to go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sweep {
    pub(super) units: Vec<UnitKey>,
    pub(super) blobs: BTreeSet<Digest>,
    /// Bytes of the outputs.
    pub(super) freed: u64,
}

/// Decides what goes.
pub(super) fn sweep(inventory: Inventory, in_use: &InUse, limits: &Limits) -> Sweep {
    let Inventory { blobs, mut units } = inventory;
    let mut references: BTreeMap<Digest, usize> = BTreeMap::new();
    for digest in units.iter().flat_map(|unit| &unit.outputs) {
        *references.entry(*digest).or_default() += 1;
    }
    let mut sweep = Sweep::default();
    let total: u64 = blobs.values().map(|blob| blob.size).sum();
    let free = |sweep: &mut Sweep, digest: Digest| {
        if let Some(blob) = blobs.get(&digest)
            && sweep.blobs.insert(digest)
        {
            sweep.freed += blob.size;
        }
    };
    // What no unit names is of no use to anybody.
    for (digest, blob) in &blobs {
        if !references.contains_key(digest) && blob.used < limits.orphans_before {
            free(&mut sweep, *digest);
        }
    }
    units.sort_by_key(|unit| (unit.used, unit.key));
    for unit in units {
        let too_old = limits.used_before.is_some_and(|before| unit.used < before);
        let compiler_gone = match (&limits.compilers, &unit.compiler) {
            (Some(installed), Some(compiler)) => !installed.contains(compiler),
            _ => false,
        };
        let too_much = total - sweep.freed > limits.bytes;
        let stays = unit.used >= limits.young_since || in_use.protects(unit.key, unit.used);
        if stays || !(too_old || compiler_gone || too_much) {
            continue;
        }
        sweep.units.push(unit.key);
        for digest in unit.outputs {
            let others = references.get_mut(&digest).expect("every output was counted");
            *others -= 1;
            if *others == 0 {
                free(&mut sweep, digest);
            }
        }
    }
    sweep
}

#[cfg(test)]
mod tests {
    use super::super::inventory::{Blob, Candidate, Moment};
    use super::*;

    fn digest(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    fn key(name: &str) -> UnitKey {
        UnitKey::new(digest(name))
    }

    fn unit(name: &str, outputs: &[&str], used: i64) -> Candidate {
        Candidate {
            key: key(name),
            outputs: outputs.iter().map(|output| digest(output)).collect(),
            used,
            record: Moment::default(),
            compiler: None,
        }
    }

    fn inventory(units: Vec<Candidate>, blobs: &[&str]) -> Inventory {
        let blob = Blob {
            size: 10,
            used: 0,
            changed: Moment::default(),
        };
        Inventory {
            blobs: blobs.iter().map(|name| (digest(name), blob)).collect(),
            units,
        }
    }

    fn at_most(bytes: u64) -> Limits {
        Limits {
            bytes,
            used_before: None,
            compilers: None,
            orphans_before: 100,
            young_since: 100,
        }
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        let units = vec![
            unit("new", &["n"], 30),
            unit("old", &["o"], 10),
            unit("middle", &["m"], 20),
        ];
        let swept = sweep(inventory(units, &["n", "o", "m"]), &InUse::default(), &at_most(15));
        assert_eq!(swept.units, [key("old"), key("middle")]);
        assert_eq!(swept.freed, 20);
    }

    #[test]
    fn what_is_young_or_in_use_stays_whatever_the_limit() {
        let units = vec![
            unit("young", &["y"], 200),
            unit("used", &["u"], 10),
            unit("old", &["o"], 20),
        ];
        let in_use = InUse::of([key("used")]);
        let swept = sweep(inventory(units, &["y", "u", "o"]), &in_use, &at_most(0));
        assert_eq!(swept.units, [key("old")]);
    }

    #[test]
    fn what_was_not_used_for_long_goes_although_it_would_fit() {
        let units = vec![unit("new", &["n"], 30), unit("old", &["o"], 10)];
        let limits = Limits {
            used_before: Some(20),
            ..at_most(1000)
        };
        let swept = sweep(inventory(units, &["n", "o"]), &InUse::default(), &limits);
        assert_eq!(swept.units, [key("old")]);
    }

    #[test]
    fn units_of_a_compiler_that_is_gone_go_and_those_of_unknown_ones_stay() {
        let by = |name: &str, compiler: Option<&str>| Candidate {
            compiler: compiler.map(str::to_owned),
            ..unit(name, &[name], 10)
        };
        let units = vec![by("a", Some("1.94")), by("b", Some("1.95")), by("c", None)];
        let limits = Limits {
            compilers: Some(BTreeSet::from(["1.95".to_owned()])),
            ..at_most(1000)
        };
        let swept = sweep(inventory(units, &["a", "b", "c"]), &InUse::default(), &limits);
        assert_eq!(swept.units, [key("a")]);
    }

    #[test]
    fn an_output_that_another_unit_shares_stays() {
        let units = vec![unit("old", &["shared", "own"], 10), unit("new", &["shared"], 20)];
        let swept = sweep(inventory(units, &["shared", "own"]), &InUse::default(), &at_most(10));
        assert_eq!(swept.blobs, BTreeSet::from([digest("own")]));
    }

    #[test]
    fn outputs_without_a_unit_go_first() {
        let units = vec![unit("old", &["o"], 10)];
        let swept = sweep(inventory(units, &["o", "orphan"]), &InUse::default(), &at_most(10));
        assert_eq!(
            (swept.units.len(), swept.blobs),
            (0, BTreeSet::from([digest("orphan")]))
        );
    }
}
