//! `cargo sealift verify`: what in a target folder came from the local store, is it still trusted, is it intact.
//!
//! Owns the comparison of files by content; what is said against packages is `warnings`. Must not know how trust is
//! decided, or how files came where they are.

mod provenance;
mod warnings;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::local::{self, LocalUnit, UnitOrigin};
use sealift_policy::manifest::Manifest;
use sealift_policy::name::{CrateName, CrateVersion};
use sealift_policy::trust::{Freshness, Subject, TrustPolicy};
use serde::Serialize;

use super::context::Context;
use super::{Exit, VerifyArgs};
use crate::env;
use crate::prefetch::chain;
use crate::report::shell::{self, count};
use crate::store::{Store, digest_of_file};
use crate::{clock, trust_root};
use provenance::ProvenanceReport;
use warnings::{Packages, Warnings};

/// What `--json` prints.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Report {
    version: u32,
    target_dir: Option<PathBuf>,
    /// The files of the target folder that have the content of a stored output.
    files: Vec<Found>,
    /// Other libraries and proc macros: compiled here by cargo's own call.
    other_files: u64,
    store: StoreReport,
    /// With `--provenance` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<ProvenanceReport>,
    /// What is said against the packages of these files. They decide nothing.
    warnings: Warnings,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Found {
    path: PathBuf,
    unit: Known,
}

/// A stored output and what is to be said about its unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Known {
    #[serde(rename = "crate")]
    crate_name: String,
    #[serde(skip)]
    package: Option<(CrateName, CrateVersion)>,
    unit_key: UnitKey,
    origin: Origin,
    /// Of a fetched unit: whether the trust policy believes it today.
    trusted: bool,
    /// Why it is not trusted.
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Origin {
    Compiled,
    Fetched,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct StoreReport {
    units: u64,
    fetched_units: u64,
    /// Units that are not trusted any more.
    untrusted_units: Vec<UnitKey>,
    blobs: u64,
    /// Outputs whose content is not what their name says.
    damaged_blobs: Vec<String>,
}

/// Checks the target folder and the local store.
pub(super) fn run(context: &Context, args: &VerifyArgs) -> anyhow::Result<Exit> {
    let store = Store::open(context.store()?)?;
    let policy = trust_root::load(&context.config, clock::seconds()).map_err(|error| chain(&error));
    let target_dir = match &args.target_dir {
        Some(folder) => {
            anyhow::ensure!(folder.is_dir(), "`{}` is not a folder", folder.display());
            Some(folder.clone())
        }
        None => context.target_dir().filter(|folder| folder.is_dir()),
    };
    let policy = policy.as_ref().map_err(String::as_str);
    let mut report = report(&store, policy, target_dir);
    let home = context.env.absolute_path(env::CARGO_HOME);
    let home = home.or_else(|| Some(context.env.absolute_path(env::HOME)?.join(".cargo")));
    report.warnings = warnings::look(&packages(&report.files), args.advisories.as_deref(), home.as_deref())?;
    let of_nobody = report.files.iter().filter(|file| file.unit.package.is_none());
    report.warnings.files_of_nobody = of_nobody.count() as u64;
    if args.provenance {
        report.provenance = Some(provenance::check(context, &store, policy)?);
    }
    if args.format.json {
        shell::data(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        shell::data(&text(&report))?;
    }
    let clean = report.files.iter().all(|file| file.unit.trusted)
        && report.store.damaged_blobs.is_empty()
        && report.store.untrusted_units.is_empty()
        && report.provenance.as_ref().is_none_or(ProvenanceReport::is_clean);
    Ok(if clean { Exit::Success } else { Exit::Found })
}

fn report(store: &Store, policy: Result<&TrustPolicy, &str>, target_dir: Option<PathBuf>) -> Report {
    let mut outputs: BTreeMap<Digest, Known> = BTreeMap::new();
    let mut sizes = BTreeSet::new();
    let mut totals = StoreReport::default();
    for path in files(&store.path("units")) {
        let unit = fs_err::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<LocalUnit>(&bytes).ok());
        let Some(unit) = unit else { continue };
        let Ok(manifest) = Manifest::from_canonical(unit.manifest.as_bytes()) else {
            continue;
        };
        let known = known(store, policy, &unit, &manifest);
        totals.units += 1;
        totals.fetched_units += u64::from(known.origin == Origin::Fetched);
        if !known.trusted {
            totals.untrusted_units.push(unit.unit_key);
        }
        for output in &manifest.outputs {
            sizes.insert(output.size);
            // The same content from several units is as trusted as the most trusted of them.
            let entry = outputs.entry(output.sha256).or_insert_with(|| known.clone());
            if known.trusted && !entry.trusted {
                *entry = known.clone();
            }
        }
    }
    for path in files(&store.path("cas")) {
        totals.blobs += 1;
        let named: Option<Digest> = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        let found = digest_of_file(&path).ok().map(|(digest, _)| digest);
        if named.is_none() || named != found {
            totals
                .damaged_blobs
                .push(path.file_name().unwrap_or_default().display().to_string());
        }
    }
    let mut found = Vec::new();
    let mut other_files = 0;
    for path in target_dir
        .iter()
        .flat_map(|folder| files(folder))
        .filter(|path| is_output(path))
    {
        let size = fs_err::metadata(&path)
            .map(|metadata| metadata.len())
            .unwrap_or_default();
        let digest = sizes.contains(&size).then(|| digest_of_file(&path).ok()).flatten();
        match digest.and_then(|(digest, _)| outputs.get(&digest)) {
            Some(known) => found.push(Found {
                path,
                unit: known.clone(),
            }),
            None => other_files += 1,
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    totals.damaged_blobs.sort();
    Report {
        version: 1,
        target_dir,
        files: found,
        other_files,
        store: totals,
        provenance: None,
        warnings: Warnings::default(),
    }
}

/// The packages that the files are of.
fn packages(files: &[Found]) -> Packages {
    let mut packages = Packages::new();
    for package in files.iter().filter_map(|file| file.unit.package.clone()) {
        *packages.entry(package).or_default() += 1;
    }
    packages
}

fn known(store: &Store, policy: Result<&TrustPolicy, &str>, unit: &LocalUnit, manifest: &Manifest) -> Known {
    let verdict = match &unit.origin {
        UnitOrigin::Compiled { .. } => Ok(()),
        UnitOrigin::Fetched { .. } => policy
            .map_err(str::to_owned)
            .and_then(|policy| is_trusted(store, policy, unit)),
    };
    Known {
        crate_name: manifest.crate_name().unwrap_or("?").to_owned(),
        package: package(store, unit.unit_key),
        unit_key: unit.unit_key,
        origin: match &unit.origin {
            UnitOrigin::Compiled { .. } => Origin::Compiled,
            UnitOrigin::Fetched { .. } => Origin::Fetched,
        },
        trusted: verdict.is_ok(),
        reason: verdict.err(),
    }
}

fn package(store: &Store, key: UnitKey) -> Option<(CrateName, CrateVersion)> {
    let document = fs_err::read(store.path(&local::key_path(key))).ok()?;
    let (_, document) = UnitDocument::from_canonical(&document).ok()?;
    let package = document.package();
    Some((package.name.clone(), package.version.clone()))
}

fn is_trusted(store: &Store, policy: &TrustPolicy, unit: &LocalUnit) -> Result<(), String> {
    let UnitOrigin::Fetched { proofs } = &unit.origin else {
        return Ok(());
    };
    let document = fs_err::read(store.path(&local::key_path(unit.unit_key))).map_err(|error| chain(&error))?;
    let (unit_key, document) = UnitDocument::from_canonical(&document).map_err(|error| chain(&error))?;
    if unit_key != unit.unit_key {
        return Err("the key document is not the one that its key names".into());
    }
    let class = document.class().map_err(|error| chain(&error))?;
    let subject = Subject {
        unit_key,
        document: &document,
        class,
    };
    let verified = policy.verify(&subject, unit.manifest.as_bytes(), proofs, Freshness::Any);
    verified.map(drop).map_err(|error| chain(&error))
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = walkdir::WalkDir::new(folder)
        .follow_links(false)
        .sort_by_file_name()
        .into_iter();
    let files = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file());
    files.map(walkdir::DirEntry::into_path)
}

/// Libraries, proc macros and the programs of build scripts, by the names that cargo gives them.
fn is_output(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("rlib" | "rmeta" | "so") => true,
        None => name.starts_with("build-script-") || name.starts_with("build_script_"),
        Some(_) => false,
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| writeln!(text, "{name:<16}{value}").expect("a string takes everything");
    if let Some(folder) = &report.target_dir {
        let fetched = report
            .files
            .iter()
            .filter(|file| file.unit.origin == Origin::Fetched)
            .count();
        row("target folder", folder.display().to_string());
        row("  fetched", count(fetched as u64, "file"));
        row(
            "  compiled",
            format!(
                "{} by the canonical call",
                count((report.files.len() - fetched) as u64, "file")
            ),
        );
        row("  other", count(report.other_files, "file"));
    }
    row(
        "local store",
        format!(
            "{}, {} fetched",
            count(report.store.units, "unit"),
            report.store.fetched_units
        ),
    );
    row(
        "  outputs",
        format!("{}, {} damaged", report.store.blobs, report.store.damaged_blobs.len()),
    );
    row("  untrusted", count(report.store.untrusted_units.len() as u64, "unit"));
    for file in report.files.iter().filter(|file| !file.unit.trusted) {
        let reason = file.unit.reason.as_deref().unwrap_or("unknown");
        row(
            "untrusted",
            format!("{} ({}): {reason}", file.path.display(), file.unit.crate_name),
        );
    }
    for blob in &report.store.damaged_blobs {
        row("damaged", blob.clone());
    }
    if !report.files.is_empty() {
        said_against(&report.warnings, &mut row);
    }
    if let Some(provenance) = &report.provenance {
        text.push_str(&provenance.text());
    }
    text
}

fn said_against(warnings: &Warnings, row: &mut impl FnMut(&str, String)) {
    let advisories = match &warnings.advisories {
        Some(path) => path.display().to_string(),
        None => "not looked at: `--advisories` names a copy of RustSec's database".to_owned(),
    };
    row("advisories", advisories);
    if let Some(why) = &warnings.unread {
        row("  not read", why.replace('\n', " "));
    }
    if !warnings.advisories_unknown.is_empty() {
        let packages = count(warnings.advisories_unknown.len() as u64, "package");
        row("  not asked", format!("{packages}: no advisory can name them"));
    }
    if warnings.files_of_nobody > 0 {
        let files = count(warnings.files_of_nobody, "file");
        row(
            "  not asked",
            format!("{files}: the local store does not know any more what package they are of"),
        );
    }
    if !warnings.yanks_unknown.is_empty() {
        let packages = count(warnings.yanks_unknown.len() as u64, "package");
        let unknown = format!("not known of {packages}: cargo keeps no index of them here");
        row("  yanked", unknown);
    }
    for warning in &warnings.found {
        row("warning", warning.to_string());
    }
    if !warnings.found.is_empty() {
        let hint = "`revoked.crates` in the trust policy refuses a version";
        row("  hint", hint.to_owned());
    }
}

#[cfg(test)]
mod tests;
