//! The generated project on disk: written, completed by cargo, and checked to be planned as the request was.
//!
//! Must not know what is compiled from it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sealift_policy::digest::PlanId;
use sealift_policy::lockfile::Lockfile;
use sealift_policy::plan::{Planned, plan_ids};
use sealift_policy::request::{Request, project};
use sealift_policy::unit_graph::UnitGraph;

use crate::cargo::Cargo;
use crate::source::{SourceError, fetch, read_lockfile};

/// A project from which cargo plans what a request asks for, with all sources downloaded.
#[derive(Debug)]
pub struct Generated {
    /// Its manifest.
    pub manifest: PathBuf,
    /// What is asked for.
    pub request: Request,
    /// What cargo plans.
    pub graph: UnitGraph,
    /// The plans of all compilations of crates.io packages.
    pub plans: Vec<Planned>,
}

/// Why a generated project is not built.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// Cargo cannot plan it.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Cargo's plan cannot be read.
    #[error("failed to understand cargo's plan")]
    Plan(#[from] sealift_policy::unit_graph::MalformedGraph),
    /// Cargo locked something else than what was asked for.
    #[error("the registry has no `{0}` with the requested checksum")]
    OtherLock(String),
}

impl Generated {
    /// Writes the project below `folder`, lets cargo complete its lock file and download the sources.
    ///
    /// # Errors
    /// When the registry does not have a package with the requested checksum, or cargo cannot plan the project.
    pub fn prepare(cargo: &Cargo, request: Request, folder: &Path) -> Result<Self, GenerateError> {
        let manifest = write(&request, folder)?;
        // A lock file entry with a wrong checksum makes cargo fail here: nothing is believed of the request.
        fetch(cargo, &manifest, false).map_err(SourceError::from)?;
        let lockfile = read_lockfile(&folder.join("Cargo.lock"))?;
        for package in request.packages.iter().filter(|package| package.is_built()) {
            if lockfile.checksum(&package.name, &package.version) != Some(package.checksum) {
                return Err(GenerateError::OtherLock(format!(
                    "{}@{}",
                    package.name, package.version
                )));
            }
        }
        Self::plan(cargo, request, manifest, &lockfile)
    }

    fn plan(cargo: &Cargo, request: Request, manifest: PathBuf, lockfile: &Lockfile) -> Result<Self, GenerateError> {
        let mut extra = Vec::new();
        if let Some(target) = &request.target {
            extra.extend(["--target".into(), target.as_str().into()]);
        }
        let graph = cargo
            .unit_graph(&manifest, request.profile, &extra)
            .map_err(SourceError::from)?;
        let graph = UnitGraph::parse(&graph)?;
        let plans = plan_ids(&graph, lockfile, cargo.toolchain().name());
        Ok(Self {
            manifest,
            request,
            graph,
            plans,
        })
    }

    /// How many of the plans of the request are planned here too.
    pub fn matching_plans(&self) -> usize {
        let here: BTreeSet<PlanId> = self.plans.iter().map(|plan| plan.plan_id).collect();
        self.request.plan_ids.iter().filter(|plan| here.contains(plan)).count()
    }
}

/// Writes the files of the generated project and returns the path of its manifest.
///
/// # Errors
/// When they cannot be written.
pub fn write(request: &Request, folder: &Path) -> Result<PathBuf, SourceError> {
    fs_err::create_dir_all(folder)?;
    for file in project::files(request) {
        fs_err::write(folder.join(file.path), file.text)?;
    }
    Ok(folder.join("Cargo.toml"))
}
