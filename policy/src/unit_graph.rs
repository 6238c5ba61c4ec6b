//! Cargo's unit graph (`--unit-graph`, version 1): what cargo is about to do, before it does anything.
//!
//! Owns reading cargo's JSON: tolerant of fields it does not know, strict about the shape of the graph, bounded.
//! Must not know how plans are identified, or what is compiled for whom.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::package_id::PackageId;

/// Longest unit graph that is read, in bytes. Graphs of real projects have 0.1 to 5 MB.
pub const MAX_GRAPH: usize = 256 << 20;

/// Most units of a graph.
pub const MAX_UNITS: usize = 100_000;

/// Most edges of a graph.
const MAX_EDGES: usize = 4_000_000;

/// A unit graph whose edges lead to units that exist and never around in a circle.
#[derive(Debug, Clone)]
pub struct UnitGraph {
    units: Vec<Unit>,
    roots: Vec<usize>,
    order: Vec<usize>,
}

/// One unit: a compilation, or the run of a build script.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The package it belongs to.
    pub package: PackageId,
    /// What kinds of target cargo says it is: `lib`, `proc-macro`, `custom-build`, `bin` ...
    pub kinds: Vec<String>,
    /// `--crate-type`s.
    pub crate_types: Vec<String>,
    /// The target's name, with hyphens where it has them.
    pub target_name: String,
    /// The edition, such as `2021`.
    pub edition: String,
    /// Every profile setting that cargo states, its name included.
    pub profile: Map<String, Value>,
    /// `--target`, when the unit is not built for the host by default.
    pub platform: Option<String>,
    /// What is done.
    pub mode: Mode,
    /// Activated features, as cargo sorts them.
    pub features: Vec<String>,
    /// What must be done before.
    pub dependencies: Vec<Edge>,
}

/// What cargo does with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Compiles it.
    Build,
    /// Asks rustc for metadata only.
    Check,
    /// Runs a build script.
    RunCustomBuild,
    /// Anything else: tests, documentation.
    Other,
}

/// One dependency of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Which unit, by its index.
    pub index: usize,
    /// The name under which the dependent sees it.
    pub extern_crate_name: String,
}

/// Why a text is not a unit graph.
#[derive(Debug, thiserror::Error)]
pub enum MalformedGraph {
    /// Longer, or with more units or edges, than any real one.
    #[error("the unit graph is too large")]
    TooLarge,
    /// Not JSON of the expected shape.
    #[error("malformed unit graph")]
    Json(#[source] serde_json::Error),
    /// A format that this program does not know.
    #[error("unit graph version {0} is not known")]
    Version(u64),
    /// A package id that cannot be read.
    #[error("malformed package id in the unit graph")]
    PackageId(#[source] crate::package_id::MalformedPackageId),
    /// An edge or root that leads nowhere.
    #[error("the unit graph refers to unit {0}, which it does not have")]
    Dangling(usize),
    /// Units that wait for each other.
    #[error("the unit graph has a cycle")]
    Cycle,
}

impl UnitGraph {
    /// Reads cargo's JSON.
    ///
    /// # Errors
    /// When it is not a unit graph of version 1, or refers to units that it does not have.
    pub fn parse(json: &str) -> Result<Self, MalformedGraph> {
        if json.len() > MAX_GRAPH {
            return Err(MalformedGraph::TooLarge);
        }
        let raw: RawGraph = serde_json::from_str(json).map_err(MalformedGraph::Json)?;
        if raw.version != 1 {
            return Err(MalformedGraph::Version(raw.version));
        }
        let edges: usize = raw.units.iter().map(|unit| unit.dependencies.len()).sum();
        if raw.units.len() > MAX_UNITS || edges > MAX_EDGES {
            return Err(MalformedGraph::TooLarge);
        }
        let units = raw
            .units
            .into_iter()
            .map(Unit::from_raw)
            .collect::<Result<Vec<_>, _>>()?;
        let targets = units
            .iter()
            .flat_map(|unit| unit.dependencies.iter().map(|edge| edge.index));
        if let Some(index) = targets
            .chain(raw.roots.iter().copied())
            .find(|index| *index >= units.len())
        {
            return Err(MalformedGraph::Dangling(index));
        }
        let order = dependencies_first(&units).ok_or(MalformedGraph::Cycle)?;
        Ok(Self {
            units,
            roots: raw.roots,
            order,
        })
    }

    /// All units, in cargo's order; edges are indices into this list.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// What was asked for: the units on which no other depends.
    pub fn roots(&self) -> &[usize] {
        &self.roots
    }

    /// Every unit's index, each after those of its dependencies.
    pub fn dependencies_first(&self) -> &[usize] {
        &self.order
    }
}

impl Unit {
    /// Whether it is the compilation of a build script.
    pub fn is_build_script(&self) -> bool {
        self.has_kind("custom-build") && self.mode != Mode::RunCustomBuild
    }

    /// Whether it is the compilation of a procedural macro.
    pub fn is_proc_macro(&self) -> bool {
        self.has_kind("proc-macro")
    }

    /// The crate's name as rustc knows it.
    pub fn crate_name(&self) -> String {
        self.target_name.replace('-', "_")
    }

    fn has_kind(&self, kind: &str) -> bool {
        self.kinds.iter().any(|k| k == kind)
    }

    fn from_raw(raw: RawUnit) -> Result<Self, MalformedGraph> {
        Ok(Self {
            package: raw.pkg_id.parse().map_err(MalformedGraph::PackageId)?,
            kinds: raw.target.kind,
            crate_types: raw.target.crate_types,
            target_name: raw.target.name,
            edition: raw.target.edition,
            profile: raw.profile,
            platform: raw.platform,
            mode: Mode::from_cargo(&raw.mode),
            features: raw.features,
            dependencies: raw
                .dependencies
                .into_iter()
                .map(|edge| Edge {
                    index: edge.index,
                    extern_crate_name: edge.extern_crate_name,
                })
                .collect(),
        })
    }
}

impl Mode {
    fn from_cargo(text: &str) -> Self {
        match text {
            "build" => Self::Build,
            "check" => Self::Check,
            "run-custom-build" => Self::RunCustomBuild,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Build => "build",
            Self::Check => "check",
            Self::RunCustomBuild => "run-custom-build",
            Self::Other => "other",
        })
    }
}

/// Kahn's algorithm: no recursion, so that no depth of a graph can exhaust the stack. `None` when there is a cycle.
fn dependencies_first(units: &[Unit]) -> Option<Vec<usize>> {
    let mut waiting: Vec<usize> = units.iter().map(|unit| unit.dependencies.len()).collect();
    let mut dependents = vec![Vec::new(); units.len()];
    for (index, unit) in units.iter().enumerate() {
        for edge in &unit.dependencies {
            dependents[edge.index].push(index);
        }
    }
    let mut order: Vec<usize> = (0..units.len()).filter(|index| waiting[*index] == 0).collect();
    let mut next = 0;
    while let Some(&done) = order.get(next) {
        next += 1;
        for &dependent in &dependents[done] {
            waiting[dependent] -= 1;
            if waiting[dependent] == 0 {
                order.push(dependent);
            }
        }
    }
    (order.len() == units.len()).then_some(order)
}

#[derive(Deserialize)]
struct RawGraph {
    version: u64,
    units: Vec<RawUnit>,
    roots: Vec<usize>,
}

#[derive(Deserialize)]
struct RawUnit {
    pkg_id: String,
    target: RawTarget,
    profile: Map<String, Value>,
    #[serde(default)]
    platform: Option<String>,
    mode: String,
    #[serde(default)]
    features: Vec<String>,
    #[serde(default)]
    dependencies: Vec<RawEdge>,
}

#[derive(Deserialize)]
struct RawTarget {
    kind: Vec<String>,
    crate_types: Vec<String>,
    name: String,
    edition: String,
}

#[derive(Deserialize)]
struct RawEdge {
    index: usize,
    extern_crate_name: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn unit(name: &str, dependencies: &[usize]) -> Value {
        let dependencies: Vec<_> = dependencies
            .iter()
            .map(|index| json!({"index": index, "extern_crate_name": "x", "new": 1}))
            .collect();
        json!({
            "pkg_id": format!("path+file:///x#{name}@1.0.0"), "mode": "build", "platform": null, "unknown": [1],
            "target": {"kind": ["lib"], "crate_types": ["lib"], "name": name, "src_path": "/x", "edition": "2024"},
            "profile": {"name": "dev"}, "features": [], "dependencies": dependencies,
        })
    }

    fn graph(units: &[Value]) -> Result<UnitGraph, MalformedGraph> {
        UnitGraph::parse(&json!({"version": 1, "units": units, "roots": [0], "unknown": {}}).to_string())
    }

    #[test]
    fn dependencies_come_first() {
        let graph = graph(&[unit("a", &[2, 1]), unit("b", &[2]), unit("c", &[])]).unwrap();
        assert_eq!(graph.dependencies_first(), [2, 1, 0]);
    }

    #[test]
    fn cycles_and_edges_to_nowhere_are_refused() {
        assert!(matches!(
            graph(&[unit("a", &[1]), unit("b", &[0])]),
            Err(MalformedGraph::Cycle)
        ));
        assert!(matches!(graph(&[unit("a", &[0])]), Err(MalformedGraph::Cycle)));
        assert!(matches!(graph(&[unit("a", &[7])]), Err(MalformedGraph::Dangling(7))));
    }

    #[test]
    fn another_version_is_refused() {
        let text = json!({"version": 2, "units": [], "roots": []}).to_string();
        assert!(matches!(UnitGraph::parse(&text), Err(MalformedGraph::Version(2))));
    }

    #[test]
    fn a_chain_of_twenty_thousand_units_is_ordered_without_recursion() {
        let units: Vec<_> = (0..20_000_usize)
            .map(|i| unit("a", &if i < 19_999 { vec![i + 1] } else { vec![] }))
            .collect();
        assert_eq!(graph(&units).unwrap().dependencies_first()[0], 19_999);
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in ".{0,300}") {
            let _ = UnitGraph::parse(&text);
        }
    }
}
