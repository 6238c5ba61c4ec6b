//! Which UnitKey each plan turned out to be: calls that the wrapper recorded, matched with nodes of cargo's plan.
//!
//! Pure. A node is matched by package, target, mode, features, platform, the profile settings that rustc is told, and the
//! units of its dependencies. What cannot be told apart is matched with all candidates: a PlanId is only a hint.
//! Must not know what is published.

use std::collections::{BTreeMap, BTreeSet};

use sealift_policy::digest::{PlanId, UnitKey};
use sealift_policy::local::{CallKind, CallSummary};
use sealift_policy::plan::Planned;
use sealift_policy::unit_graph::{Mode, Unit, UnitGraph};
use serde_json::Value;

/// The plans of each unit.
pub fn plans_of_units<'a>(
    graph: &UnitGraph,
    plans: &[Planned],
    calls: impl IntoIterator<Item = (UnitKey, &'a CallSummary)>,
) -> BTreeMap<UnitKey, BTreeSet<PlanId>> {
    let mut by_package: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (key, call) in calls {
        by_package
            .entry((&call.package, &call.package_version))
            .or_default()
            .push((key, call));
    }
    let mut of_node: BTreeMap<usize, BTreeSet<UnitKey>> = BTreeMap::new();
    let mut of_unit: BTreeMap<UnitKey, BTreeSet<PlanId>> = BTreeMap::new();
    // Plans come after those of their dependencies.
    for plan in plans {
        let unit = &graph.units()[plan.node];
        let candidates = by_package
            .get(&(&plan.package, &plan.version))
            .map(Vec::as_slice)
            .unwrap_or_default();
        for (key, call) in candidates {
            if call.checksum == plan.checksum && is_call_of(unit, call) && has_its_externs(graph, unit, call, &of_node)
            {
                of_node.entry(plan.node).or_default().insert(*key);
                of_unit.entry(*key).or_default().insert(plan.plan_id);
            }
        }
    }
    of_unit
}

fn is_call_of(unit: &Unit, call: &CallSummary) -> bool {
    let kind = if unit.mode == Mode::RunCustomBuild {
        return is_run_of(unit, call);
    } else if unit.is_build_script() {
        CallKind::BuildScript
    } else if unit.is_proc_macro() {
        CallKind::ProcMacro
    } else {
        CallKind::Lib
    };
    let mut features = unit.features.clone();
    features.sort();
    call.kind == kind
        && call.crate_name == unit.crate_name()
        && call.check == (unit.mode == Mode::Check)
        && call.features == features
        && call.target == unit.platform
        && has_its_profile(unit, call)
}

/// A run is told the host's triple where cargo plans for no target, so both go for it.
fn is_run_of(unit: &Unit, call: &CallSummary) -> bool {
    let mut features = unit.features.clone();
    features.sort();
    let told = |name: &str| {
        let setting = call.codegen.iter().find_map(|setting| setting.strip_prefix(name));
        setting.and_then(|setting| setting.strip_prefix('='))
    };
    let level = unit.profile.get("opt_level").and_then(Value::as_str).unwrap_or("0");
    call.kind == CallKind::BuildScriptRun
        && call.features == features
        && (unit.platform.is_none() || unit.platform == call.target)
        && told("OPT_LEVEL") == Some(level)
}

/// Compares the settings of which cargo always tells rustc the same way.
fn has_its_profile(unit: &Unit, call: &CallSummary) -> bool {
    let told = |name: &str| {
        let options = call.codegen.iter().filter_map(|option| option.split_once('='));
        options
            .filter(|(option, _)| *option == name)
            .map(|(_, value)| value.to_owned())
            .next_back()
    };
    let planned = |name: &str| match unit.profile.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let or = |value: Option<String>, default: &str| value.unwrap_or_else(|| default.to_owned());
    or(told("opt-level"), "0") == or(planned("opt_level"), "0")
        && or(told("debuginfo"), "0") == or(planned("debuginfo"), "0")
        && or(told("panic"), "unwind") == or(planned("panic"), "unwind")
        && (told("codegen-units").is_none() || told("codegen-units") == planned("codegen_units"))
}

fn has_its_externs(
    graph: &UnitGraph,
    unit: &Unit,
    call: &CallSummary,
    of_node: &BTreeMap<usize, BTreeSet<UnitKey>>,
) -> bool {
    // Of a run that is its script; of a compilation, what it is compiled against.
    let edges = unit
        .dependencies
        .iter()
        .filter(|edge| graph.units()[edge.index].mode != Mode::RunCustomBuild);
    let mut count = 0;
    for edge in edges {
        count += 1;
        let Some(keys) = of_node.get(&edge.index) else {
            // Some scripts name their own folder: nobody keeps them, but what they make is shared.
            if unit.mode == Mode::RunCustomBuild {
                continue;
            }
            return false;
        };
        let found = call
            .externs
            .iter()
            .any(|e| e.name == edge.extern_crate_name && keys.contains(&e.unit_key));
        if !found {
            return false;
        }
    }
    count == call.externs.len()
}

#[cfg(test)]
mod tests;
