//! Checks a whole store on disk: every tree from its entries, every object, every proof and hint.
//!
//! Owns what is wrong (a finding) and what a crash may leave behind without harm (a note). Reads only.
//! Must not repair anything: the service writes what it can derive, operators send the rest again.

mod log;
mod object;
mod provenance;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::layout::ObjectPath;
use sealift_policy::trust::TrustPolicy;
use sealift_policy::wire::{PlanHint, UnitHint};
use serde::Serialize;

use crate::admit::Stated;
use crate::store::ObjectStore as _;
use crate::store::fs::FsStore;

/// The longest hint that is read.
const MAX_HINT: u64 = 64 << 20;

/// The store could not be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the store")]
pub struct FsckError(#[from] io::Error);

/// What was found. Version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    version: u32,
    logs: u64,
    leaves: u64,
    objects: u64,
    findings: Vec<Remark>,
    notes: Vec<Remark>,
}

/// One thing about one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The path below the store's root.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// What is wrong.
    pub fn findings(&self) -> &[Remark] {
        &self.findings
    }

    /// What is left over.
    pub fn notes(&self) -> &[Remark] {
        &self.notes
    }

    /// The report for programs.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("reports have string keys only")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, remarks) in [("finding", &self.findings), ("note", &self.notes)] {
            for remark in remarks {
                writeln!(f, "{kind}: `{}`: {}", remark.path, remark.problem)?;
            }
        }
        let Self {
            logs, leaves, objects, ..
        } = self;
        writeln!(
            f,
            "{logs} logs, {leaves} leaves, {objects} objects, {} findings",
            self.findings.len()
        )
    }
}

/// Checks the store in this folder. Signatures are checked for the logs of the policy.
pub fn run(data: &Path, policy: Option<&TrustPolicy>) -> Result<Report, FsckError> {
    let mut check = Check {
        store: FsStore::inspect(data)?,
        report: Report {
            version: 1,
            logs: 0,
            leaves: 0,
            objects: 0,
            findings: vec![],
            notes: vec![],
        },
        stated: BTreeMap::new(),
        referenced: BTreeSet::new(),
        decoded: BTreeSet::new(),
    };
    let files = check.files()?;
    check.top_level(&files);
    log::check(&mut check, &files, policy)?;
    object::check(&mut check, &files)?;
    check.unit_hints(&files)?;
    check.plan_hints(&files)?;
    provenance::check(&mut check, &files, policy)?;
    Ok(check.report)
}

/// The state of one check.
struct Check {
    store: FsStore,
    report: Report,
    stated: BTreeMap<UnitKey, Vec<Stated>>,
    referenced: BTreeSet<Digest>,
    // Objects that were decoded already, with their prefixes.
    decoded: BTreeSet<(Digest, Option<Digest>)>,
}

impl Check {
    fn finding(&mut self, path: impl fmt::Display, problem: impl Into<String>) {
        let path = path.to_string().trim_start_matches('/').to_owned();
        self.report.findings.push(Remark {
            path,
            problem: problem.into(),
        });
    }

    fn note(&mut self, path: impl fmt::Display, problem: impl Into<String>) {
        let path = path.to_string().trim_start_matches('/').to_owned();
        self.report.notes.push(Remark {
            path,
            problem: problem.into(),
        });
    }

    /// All files below `v1/`, as paths from the root.
    fn files(&mut self) -> Result<Vec<String>, FsckError> {
        let root = self.store.root().to_owned();
        let mut files = Vec::new();
        for entry in walkdir::WalkDir::new(root.join("v1")).sort_by_file_name() {
            let entry = entry.map_err(io::Error::from)?;
            let path = entry
                .path()
                .strip_prefix(&root)
                .unwrap_or(entry.path())
                .to_string_lossy()
                .into_owned();
            if entry.file_type().is_file() {
                files.push(path);
            } else if !entry.file_type().is_dir() {
                self.finding(path, "is neither a file nor a folder");
            }
        }
        Ok(files)
    }

    fn top_level(&mut self, files: &[String]) {
        for file in files {
            let known = [
                "v1/log/",
                "v1/proof/",
                "v1/plan/",
                "v1/unit/",
                "v1/cas/",
                "v1/provenance/",
            ];
            if !known.iter().any(|folder| file.starts_with(folder)) {
                self.finding(file, "does not belong here");
            }
        }
    }

    fn read(&self, path: &ObjectPath, limit: u64) -> Result<Option<Vec<u8>>, FsckError> {
        let Some(object) = self.store.open(path)? else {
            return Ok(None);
        };
        Ok(object.read_all(limit).ok())
    }

    /// Every stated unit has a hint that names all vouchers, and no hint names others.
    fn unit_hints(&mut self, files: &[String]) -> Result<(), FsckError> {
        let stated = self.stated.clone();
        for (unit, stated) in &stated {
            let path = ObjectPath::Unit(*unit);
            let hint = self
                .read(&path, MAX_HINT)?
                .map(|bytes| serde_json::from_slice::<UnitHint>(&bytes));
            let Some(Ok(hint)) = hint else {
                self.finding(path, if hint.is_some() { "is malformed" } else { "is missing" });
                continue;
            };
            let mut named = Vec::new();
            for manifest in &hint.manifests {
                for voucher in &manifest.vouchers {
                    named.push((voucher.operator.clone(), voucher.epoch, voucher.index, manifest.sha256));
                }
            }
            let mut expected = Vec::new();
            for one in stated {
                expected.push((one.log.operator.clone(), one.log.epoch, one.index.value(), one.manifest));
            }
            named.sort();
            expected.sort();
            if hint.unit_key != *unit || named != expected {
                self.finding(path, "does not say what the logs say");
            }
        }
        for file in files.iter().filter(|file| file.starts_with("v1/unit/")) {
            let name = file
                .trim_start_matches("v1/unit/")
                .strip_suffix(".json")
                .and_then(|name| name.parse().ok());
            if !name.is_some_and(|unit: UnitKey| stated.contains_key(&unit)) {
                self.finding(file, "is no hint of a unit in any log");
            }
        }
        Ok(())
    }

    /// Every plan's hint names units that are logged.
    fn plan_hints(&mut self, files: &[String]) -> Result<(), FsckError> {
        for file in files.iter().filter(|file| file.starts_with("v1/plan/")) {
            let mut parts = file.trim_start_matches("v1/plan/").split('/');
            let toolchain = parts.next().and_then(|text| text.parse().ok());
            let plan = parts
                .next()
                .and_then(|text| text.strip_suffix(".json"))
                .and_then(|text| text.parse().ok());
            let (Some(toolchain), Some(plan), None) = (toolchain, plan, parts.next()) else {
                self.finding(file, "does not belong here");
                continue;
            };
            let bytes = self
                .read(&ObjectPath::Plan(toolchain, plan), MAX_HINT)?
                .unwrap_or_default();
            match serde_json::from_slice::<PlanHint>(&bytes) {
                Ok(hint) if hint.plan_id == plan && hint.unit_keys.iter().all(|key| self.stated.contains_key(key)) => {}
                Ok(_) => self.finding(file, "does not say what the logs say"),
                Err(_) => self.finding(file, "is malformed"),
            }
        }
        Ok(())
    }
}
