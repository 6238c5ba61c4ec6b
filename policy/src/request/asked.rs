//! From what cargo plans for a project to a request.
//!
//! Owns which packages are asked for, on which side, and what of the lock file goes along.
//! Must not know what a request looks like to others, or how it is built.

use std::collections::{BTreeMap, BTreeSet};

use super::profile::{ProfileKind, ProfileTable};
use super::{PackageRef, RefusedRequest, Request, RequestedPackage, TargetName};
use crate::lockfile::Lockfile;
use crate::name::{FeatureName, Toolchain};
use crate::package_id::PackageId;
use crate::plan::plan_ids;
use crate::unit_graph::{Mode, UnitGraph};

/// Why no request can be made of a plan.
#[derive(Debug, thiserror::Error)]
pub enum NotRequestable {
    /// A package with two sets of features on the same side, which one generated project cannot ask for.
    #[error("`{0}` is planned with several sets of features at once")]
    SeveralFeatureSets(PackageId),
    /// A feature that is no name.
    #[error("`{0}` has a feature with an odd name")]
    OddFeature(PackageId),
    /// The result breaks the rules for requests.
    #[error(transparent)]
    Refused(#[from] RefusedRequest),
}

/// What cargo was asked when it planned.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The compiler.
    pub toolchain: Toolchain,
    /// `--target`, when given.
    pub target: Option<TargetName>,
    /// What cargo was asked to do.
    pub profile: ProfileKind,
    /// The project's settings for that profile.
    pub profile_table: ProfileTable,
}

impl Request {
    /// Makes a request of what cargo plans for a project.
    ///
    /// Units that are compiled against packages of other sources are left out.
    ///
    /// # Errors
    /// When nothing of crates.io is left, or the plan cannot be asked for by one generated project.
    pub fn from_plan(graph: &UnitGraph, lockfile: &Lockfile, asked: Asked) -> Result<Self, NotRequestable> {
        let planned = plan_ids(graph, lockfile, &asked.toolchain);
        let plannable: BTreeSet<usize> = planned.iter().map(|plan| plan.node).collect();
        let mut wanted: BTreeMap<PackageRef, Sides> = BTreeMap::new();
        for (node, side) in sides(graph) {
            let unit = &graph.units()[node];
            let PackageId::CratesIo(name, version) = &unit.package else {
                continue;
            };
            if !plannable.contains(&node) || unit.is_build_script() {
                continue;
            }
            let mut features = Vec::new();
            for feature in &unit.features {
                let odd = || NotRequestable::OddFeature(unit.package.clone());
                features.push(feature.parse().map_err(|_| odd())?);
            }
            features.sort();
            let package = PackageRef {
                name: name.clone(),
                version: version.clone(),
            };
            let slot = wanted.entry(package).or_default().slot(side);
            match slot {
                Some(known) if *known != features => {
                    return Err(NotRequestable::SeveralFeatureSets(unit.package.clone()));
                }
                _ => *slot = Some(features),
            }
        }
        let packages = with_locked(wanted, lockfile);
        let mut plan_ids: Vec<_> = planned.into_iter().map(|plan| plan.plan_id).collect();
        plan_ids.sort();
        plan_ids.dedup();
        let request = Self {
            version: 1,
            toolchain: asked.toolchain,
            target: asked.target,
            profile: asked.profile,
            profile_table: asked.profile_table.without_strangers(&packages),
            packages,
            plan_ids,
        };
        request.check()?;
        Ok(request)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Target,
    Host,
}

#[derive(Default)]
struct Sides {
    target: Option<Vec<FeatureName>>,
    host: Option<Vec<FeatureName>>,
}

impl Sides {
    fn slot(&mut self, side: Side) -> &mut Option<Vec<FeatureName>> {
        match side {
            Side::Target => &mut self.target,
            Side::Host => &mut self.host,
        }
    }
}

/// For whom each library and proc macro is needed; one unit may serve both sides.
///
/// Everything below a proc macro or the compilation of a build script is for the host.
fn sides(graph: &UnitGraph) -> BTreeSet<(usize, Side)> {
    let side_of = |node: usize, dependent: Side| {
        let unit = &graph.units()[node];
        if unit.is_proc_macro() || unit.is_build_script() {
            Side::Host
        } else {
            dependent
        }
    };
    let mut seen = BTreeSet::new();
    let mut open: Vec<_> = graph
        .roots()
        .iter()
        .map(|&root| (root, side_of(root, Side::Target)))
        .collect();
    while let Some((node, side)) = open.pop() {
        if seen.insert((node, side)) {
            let edges = &graph.units()[node].dependencies;
            open.extend(edges.iter().map(|edge| (edge.index, side_of(edge.index, side))));
        }
    }
    seen.retain(|(node, _)| graph.units()[*node].mode != Mode::RunCustomBuild);
    seen
}

/// Adds what the lock file names as dependencies of the packages, on any platform, so that cargo finds its lock file
/// complete and has nothing to choose.
fn with_locked(wanted: BTreeMap<PackageRef, Sides>, lockfile: &Lockfile) -> Vec<RequestedPackage> {
    let mut open: Vec<PackageRef> = wanted.keys().cloned().collect();
    let mut wanted = wanted;
    let mut packages = BTreeMap::new();
    while let Some(id) = open.pop() {
        let Some(locked) = lockfile.package(&id.name, &id.version) else {
            continue;
        };
        if packages.contains_key(&id) {
            continue;
        }
        let dependencies: Vec<_> = locked
            .dependencies
            .iter()
            .filter(|(name, version)| lockfile.package(name, version).is_some())
            .map(|(name, version)| PackageRef {
                name: name.clone(),
                version: version.clone(),
            })
            .collect();
        open.extend(dependencies.iter().cloned());
        let Sides { target, host } = wanted.remove(&id).unwrap_or_default();
        let package = RequestedPackage {
            name: id.name.clone(),
            version: id.version.clone(),
            checksum: locked.checksum,
            target_features: target,
            host_features: host,
            dependencies,
        };
        packages.insert(id, package);
    }
    packages.into_values().collect()
}
