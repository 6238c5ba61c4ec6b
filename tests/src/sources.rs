//! Sources from crates.io: fetched by cargo once, kept beside the build, and handed to each user as a copy.
//!
//! Owns the download folder. Must not know a registry's address or format: cargo fetches, and what cargo lays down is copied.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sealift_policy::digest::Digest;
use walkdir::WalkDir;

use crate::child::run;
use crate::env::clean_command;
use crate::programs::Programs;
use crate::workload::Workload;

/// A `CARGO_HOME` that holds what was ever fetched for the tests.
#[derive(Debug, Clone)]
pub struct Downloads {
    home: PathBuf,
}

impl Downloads {
    /// The folder that belongs to the build that the programs come from.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn of(programs: &Programs) -> Result<Self> {
        let home = programs.target().join("sealift-downloads");
        fs_err::create_dir_all(&home)?;
        Ok(Self { home })
    }

    /// The `CARGO_HOME`, for an operator, who fetches its own sources.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Lays the workload's sources down in a new folder, with everything in its lockfile fetched.
    ///
    /// # Errors
    /// If it cannot be fetched, or is not the package that the list names.
    pub fn checkout(&self, workload: Workload, into: &Path) -> Result<()> {
        let file = format!("{}-{}.crate", workload.name, workload.version);
        if self.find("cache", &file)?.is_none() || self.find("src", file.trim_end_matches(".crate"))?.is_none() {
            let package = format!("{}@{}", workload.name, workload.version);
            // Outside of every cargo project, so that cargo asks the registry and nobody's lockfile.
            let command = &mut clean_command("cargo");
            run(command
                .args(["info", "--quiet", "--registry", "crates-io", &package])
                .current_dir("/")
                .env("CARGO_HOME", &self.home))?
            .successful()
            .with_context(|| format!("failed to fetch {workload}"))?;
        }
        let archive = self
            .find("cache", &file)?
            .with_context(|| format!("cargo did not fetch `{file}`"))?;
        let found = Digest::of(&fs_err::read(&archive)?).to_string();
        if found != workload.crate_sha256 {
            bail!(
                "`{}` has the SHA-256 {found}, the list says {}",
                archive.display(),
                workload.crate_sha256
            );
        }
        let sources = self
            .find("src", file.trim_end_matches(".crate"))?
            .context("cargo did not unpack the sources")?;
        copy_tree(&sources, into)?;
        fs_err::remove_file(into.join(".cargo-ok"))?;
        self.fetch(into)
    }

    /// Fetches everything in a project's lockfile.
    ///
    /// # Errors
    /// If cargo cannot.
    pub fn fetch(&self, project: &Path) -> Result<()> {
        let command = &mut clean_command("cargo");
        run(command
            .args(["fetch", "--locked", "--quiet"])
            .current_dir(project)
            .env("CARGO_HOME", &self.home))?
        .successful()
        .with_context(|| format!("failed to fetch the dependencies of `{}`", project.display()))?;
        Ok(())
    }

    /// A new user's `CARGO_HOME`: empty but for the downloaded sources of a project.
    ///
    /// # Errors
    /// If it cannot be laid down, or cargo finds that something is missing.
    pub fn lay_home(&self, home: &Path, project: &Path) -> Result<()> {
        for part in ["index", "cache"] {
            copy_tree(
                &self.home.join("registry").join(part),
                &home.join("registry").join(part),
            )?;
        }
        let command = &mut clean_command("cargo");
        run(command
            .args(["fetch", "--locked", "--offline", "--quiet"])
            .current_dir(project)
            .env("CARGO_HOME", home))?
        .successful()
        .with_context(|| format!("failed to lay down `{}`", home.display()))?;
        Ok(())
    }

    /// `registry/<part>/<registry>/<name>`, in whatever registry it is.
    fn find(&self, part: &str, name: &str) -> Result<Option<PathBuf>> {
        let folder = self.home.join("registry").join(part);
        if !folder.is_dir() {
            return Ok(None);
        }
        for registry in fs_err::read_dir(folder)? {
            let path = registry?.path().join(name);
            if path.exists() {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

/// Lays a small project of this repository (`tests/data/<name>`) down in a new folder.
///
/// # Errors
/// If it cannot be copied.
pub fn own_project(name: &str, into: &Path) -> Result<()> {
    copy_tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name), into)
}

/// Copies a folder with what is in it.
///
/// # Errors
/// If a file cannot be copied.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for entry in WalkDir::new(from) {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs_err::create_dir_all(&target)?;
        } else if entry.file_type().is_file() {
            fs_err::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
