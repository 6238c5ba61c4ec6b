//! PlanId: the identity of what cargo *plans*, computable before anything is compiled.
//!
//! Owns the plan document. Its SHA-256 is a hint under which UnitKeys are found; nothing is believed because of it.
//! Must not know what is stored for a plan.
//!
//! | of a unit-graph node | in the document? | why |
//! | --- | --- | --- |
//! | package name, version, `.crate` checksum | yes | which source |
//! | target kind, name, crate types, edition | yes | which of its crates |
//! | mode | yes | metadata only or code |
//! | profile settings | yes | what rustc is told |
//! | the profile's name | no | a renamed profile gives the same code |
//! | `strip` | of what is linked | a library is not stripped; many projects set it for their release profile |
//! | features, sorted; platform | yes | what rustc is told |
//! | toolchain | yes | which rustc |
//! | plans of its dependencies, with the names it knows them by | yes | what it is compiled against |
//! | its build script: the run, its compilation, build dependencies | no | versions of build dependencies rarely change a library |
//! | of a shared run: its script's compilation, and shared runs before it | yes | what is run, and what it finds |
//! | `src_path`, roots, order of units, `public`, `noprelude` | no | where things lie, and what is tracked otherwise |

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::canonical;
use crate::digest::{Digest, PlanId};
use crate::lockfile::Lockfile;
use crate::name::{CrateName, CrateVersion, Toolchain};
use crate::package_id::PackageId;
use crate::reviewed;
use crate::unit_graph::{Mode, Unit, UnitGraph};

/// Version of the plan document.
const VERSION: u32 = 1;

/// A compilation of a crates.io package, or a shared run of its build script, that cargo plans.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its index among the units of the graph.
    pub node: usize,
    /// Its identity.
    pub plan_id: PlanId,
    /// The package.
    pub package: CrateName,
    /// The package's version.
    pub version: CrateVersion,
    /// SHA-256 of the package's `.crate`.
    pub checksum: Digest,
}

/// The plans of all compilations of crates.io packages, each after those of its dependencies.
///
/// A unit that is compiled against a package of another source, has no checksum in the lock file, or is neither
/// library, proc macro nor build script has no plan; nor have its dependents.
pub fn plan_ids(graph: &UnitGraph, lockfile: &Lockfile, toolchain: &Toolchain) -> Vec<Planned> {
    let mut planned: BTreeMap<usize, PlanId> = BTreeMap::new();
    let mut plans = Vec::new();
    for &node in graph.dependencies_first() {
        let unit = &graph.units()[node];
        let PackageId::CratesIo(package, version) = &unit.package else {
            continue;
        };
        let Some(checksum) = lockfile.checksum(package, version) else {
            continue;
        };
        let Some(document) = document(graph, unit, (package, version, checksum), toolchain, &planned) else {
            continue;
        };
        let plan_id = PlanId::new(Digest::of(canonical::to_string(&document).as_bytes()));
        planned.insert(node, plan_id);
        plans.push(Planned {
            node,
            plan_id,
            package: package.clone(),
            version: version.clone(),
            checksum,
        });
    }
    plans
}

fn document(
    graph: &UnitGraph,
    unit: &Unit,
    (package, version, checksum): (&CrateName, &CrateVersion, Digest),
    toolchain: &Toolchain,
    planned: &BTreeMap<usize, PlanId>,
) -> Option<Value> {
    let mode = match unit.mode {
        Mode::Build | Mode::Check => unit.mode.to_string(),
        Mode::RunCustomBuild if is_shared(unit, package, version) => unit.mode.to_string(),
        Mode::RunCustomBuild | Mode::Other => return None,
    };
    if !unit.kinds.iter().all(|kind| KINDS.contains(&kind.as_str())) || !unit.profile.values().all(is_hashable) {
        return None;
    }
    let mut dependencies = Vec::new();
    for edge in &unit.dependencies {
        if graph.units()[edge.index].mode == Mode::RunCustomBuild {
            // Of a run, what those before it made is an input; of a compilation, its own run is.
            if unit.mode == Mode::RunCustomBuild
                && let Some(plan) = planned.get(&edge.index)
            {
                dependencies.push((edge.extern_crate_name.as_str(), plan.to_string()));
            }
            continue;
        }
        dependencies.push((edge.extern_crate_name.as_str(), planned.get(&edge.index)?.to_string()));
    }
    dependencies.sort();
    let mut features = unit.features.clone();
    features.sort();
    let is_linked = unit.is_proc_macro() || unit.is_build_script();
    let counts = |setting: &str| setting != "name" && (is_linked || setting != "strip");
    let profile: BTreeMap<_, _> = unit.profile.iter().filter(|(setting, _)| counts(setting)).collect();
    Some(json!({
        "checksum": checksum,
        "crate_name": unit.crate_name(),
        "crate_types": unit.crate_types,
        "dependencies": dependencies,
        "edition": unit.edition,
        "features": features,
        "kinds": unit.kinds,
        "mode": mode,
        "package": package,
        "package_version": version,
        "platform": unit.platform,
        "profile": profile,
        "toolchain": toolchain,
        "version": VERSION,
    }))
}

/// Whether runs of this build script are shared.
fn is_shared(unit: &Unit, package: &CrateName, version: &CrateVersion) -> bool {
    let has_feature = |feature: &str| unit.features.iter().any(|one| one == feature);
    unit.platform.as_deref().is_none_or(reviewed::counts_for) && reviewed::run(package, version, has_feature).is_some()
}

/// Target kinds that are compiled for dependents.
const KINDS: [&str; 7] = [
    "lib",
    "rlib",
    "dylib",
    "cdylib",
    "staticlib",
    "proc-macro",
    "custom-build",
];

/// Canonical JSON has no floating point; a setting that cargo may add one day must not stop the plan of others.
fn is_hashable(setting: &Value) -> bool {
    match setting {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => number.as_u64().is_some_and(|number| number <= 1 << 53),
        Value::Array(items) => items.iter().all(is_hashable),
        Value::Object(members) => members.values().all(is_hashable),
    }
}

#[cfg(test)]
mod tests;
