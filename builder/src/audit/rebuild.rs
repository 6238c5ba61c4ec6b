//! Building a sample again from source, on this machine and under its own conditions.
//!
//! A unit's packages are found in key documents ([`super::closure`]), cargo is asked for exactly these, and what has the same
//! key must have the same manifest. That cargo was asked for the right thing shows in the key alone: a sample that comes out
//! under another key says nothing, and is told as such.
//! Must not know how the sample was chosen, or what is reported.

mod outcome;

use std::collections::BTreeMap;
use std::path::PathBuf;

use object::{Object as _, ObjectSection as _};
use sealift_policy::digest::{Digest, PlanId, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::layout::{MAX_DOCUMENT, ObjectPath};
use sealift_policy::manifest::Manifest;
use sealift_policy::request::Request;
use sealift_policy::request::profile::{ProfileKind, ProfileTable};
use sealift_policy::wire::UnitHint;

pub use self::outcome::{Outcome, Rebuilt, WORDS};
use super::because;
use super::closure::{Documents, Side};
use super::record::Record;
use crate::capture::{Captured, CapturedUnit};
use crate::compare::differing_manifest;
use crate::generated::Generated;
use crate::passes::{Pass, PassOutcome, Tools, Which};
use crate::service::Service;

/// Longest hint that is read.
const MAX_HINT: u64 = 1 << 20;

/// How much of a reason is kept.
const MAX_WHY: usize = 4_000;

/// The largest program that is fetched to see what linked it.
const MAX_PROGRAM: u64 = 256 << 20;

/// What building needs, and what is known of what others built.
#[derive(Debug)]
pub struct Rebuilder<'a> {
    /// Cargo, wrapper, sandbox.
    pub tools: &'a Tools,
    /// Where outputs of others and hints are.
    pub service: &'a Service,
    /// What network calls run on.
    pub runtime: &'a tokio::runtime::Runtime,
    /// Every unit about which the logs agree, with its manifest.
    pub agreed: BTreeMap<UnitKey, Manifest>,
    /// Their documents.
    pub documents: Documents,
    /// Where it is built.
    pub work: PathBuf,
    /// Parallel jobs.
    pub jobs: usize,
}

/// What building one unit of the sample gave.
#[derive(Debug, Default)]
pub struct Built {
    /// The unit, and whatever else of its closure came out otherwise.
    pub rebuilt: Vec<Rebuilt>,
    /// How many others of its closure came out as they were logged.
    pub besides: u64,
}

/// Reads the manifests and documents of what the logs agree about. What was not to be had is left out.
///
/// # Errors
/// When the file system fails.
pub fn known(
    record: &Record,
    agreed: &[(UnitKey, Digest)],
) -> std::io::Result<(BTreeMap<UnitKey, Manifest>, Documents)> {
    let read = |digest: Digest| {
        let stored = record.document(digest)?;
        Ok::<_, std::io::Error>(
            stored.and_then(|stored| crate::object::decode_document(&stored, digest, MAX_DOCUMENT).ok()),
        )
    };
    let (mut manifests, mut documents) = (BTreeMap::new(), Documents::default());
    for (key, manifest) in agreed {
        let (Some(document), Some(manifest)) = (read(key.digest())?, read(*manifest)?) else {
            continue;
        };
        let (Ok((_, document)), Ok(manifest)) = (
            UnitDocument::from_canonical(&document),
            Manifest::from_canonical(&manifest),
        ) else {
            continue;
        };
        if manifest.unit_key == *key {
            documents.add(*key, document, &manifest);
            manifests.insert(*key, manifest);
        }
    }
    Ok((manifests, documents))
}

impl Rebuilder<'_> {
    /// The units that can be compared on this machine: of its toolchain, by these rules.
    pub fn comparable(&self) -> Vec<UnitKey> {
        let here = self.tools.cargo.toolchain().name();
        let fits = |key: &&UnitKey| {
            self.documents.document(**key).is_some_and(|document| {
                document.is_of_these_rules() && document.compiler().toolchain().as_ref() == Some(here)
            })
        };
        self.agreed.keys().filter(fits).copied().collect()
    }

    /// Builds one unit again, with all that it depends on.
    ///
    /// # Errors
    /// When this machine fails. That a unit cannot be compared is an outcome.
    pub fn rebuild(&self, key: UnitKey) -> anyhow::Result<Built> {
        let why: String = match self.requests(key) {
            Err(why) => why,
            Ok(requests) => {
                let mut why = String::new();
                for request in requests {
                    self.sweep()?;
                    let built = self.build(key, &request);
                    self.sweep()?;
                    match built? {
                        Ok(built) => return Ok(built),
                        Err(another) => why = another,
                    }
                }
                why
            }
        };
        let why = why.chars().take(MAX_WHY).collect();
        Ok(self.alone(key, Outcome::NotComparable { why }))
    }

    fn alone(&self, key: UnitKey, outcome: Outcome) -> Built {
        let package = self.documents.document(key).map(|document| {
            let package = document.package();
            format!("{}@{}", package.name, package.version)
        });
        Built {
            rebuilt: vec![Rebuilt {
                unit_key: key,
                package: package.unwrap_or_default(),
                outcome,
            }],
            besides: 0,
        }
    }

    /// The requests of which cargo plans this unit, as far as the hints of the store tell; else the likeliest one. There may
    /// be several: two profiles can differ in nothing that a hint tells apart.
    fn requests(&self, key: UnitKey) -> Result<Vec<Request>, String> {
        let hinted = self.hinted_plans(key);
        let (mut planned, mut likeliest) = (Vec::new(), None);
        let mut why = String::new();
        for (side, profile) in self.guesses(key) {
            let closures = self.documents.closures(key, side).map_err(|error| because(&error))?;
            for packages in closures {
                let request = Request {
                    version: 1,
                    toolchain: self.tools.cargo.toolchain().name().clone(),
                    target: None,
                    profile,
                    profile_table: ProfileTable::default(),
                    packages,
                    plan_ids: vec![],
                };
                let folder = self.work.join("planned");
                match Generated::prepare(&self.tools.cargo, request, &folder) {
                    Ok(generated) if generated.plans.iter().any(|plan| hinted.contains(&plan.plan_id)) => {
                        planned.push(generated.request);
                    }
                    Ok(generated) => likeliest = likeliest.or(Some(generated.request)),
                    Err(error) => why = because(&error),
                }
            }
        }
        if planned.is_empty() {
            planned.extend(likeliest);
        }
        if planned.is_empty() {
            Err(format!("cargo cannot plan it: {why}"))
        } else {
            Ok(planned)
        }
    }

    /// For whom and how it may have been built, the likeliest first.
    fn guesses(&self, key: UnitKey) -> Vec<(Side, ProfileKind)> {
        let (mut optimised, mut checked) = (false, false);
        if let Some(UnitDocument::Call(call)) = self.documents.document(key) {
            let of_release = ["opt-level=3", "debug-assertions=off"];
            optimised = call.codegen.iter().any(|option| of_release.contains(&option.as_str()));
            checked = call.emit == "dep-info,metadata";
        }
        let mut profiles = [ProfileKind::Dev, ProfileKind::Release, ProfileKind::Check];
        profiles.sort_by_key(|profile| match profile {
            ProfileKind::Check => !checked,
            ProfileKind::Release => !optimised,
            ProfileKind::Dev => optimised || checked,
        });
        let sides = [Side::Target, Side::Host];
        let all = sides
            .iter()
            .flat_map(|side| profiles.iter().map(|profile| (*side, *profile)));
        all.collect()
    }

    fn hinted_plans(&self, key: UnitKey) -> Vec<PlanId> {
        let path = ObjectPath::Unit(key);
        let hint = self.runtime.block_on(self.service.read(&path, MAX_HINT)).ok().flatten();
        let hint = hint.and_then(|bytes| serde_json::from_slice::<UnitHint>(&bytes).ok());
        let plans = hint.map(|hint| hint.plans).unwrap_or_default();
        plans.into_iter().map(|plan| plan.plan_id).collect()
    }

    /// Builds a request; says why if the unit is not among what comes out.
    fn build(&self, key: UnitKey, request: &Request) -> anyhow::Result<Result<Built, String>> {
        let (second, said) = self.pass(Which::Second, request)?;
        if !second.units.contains_key(&key) {
            let why = match said {
                PassOutcome::Failed(said) => format!("it could not be built here: {}", last_error(&said)),
                PassOutcome::Complete => "cargo makes another call of it here: other settings of the profile, \
                                          versions, flags, or results of what it depends on"
                    .to_owned(),
            };
            return Ok(Err(why));
        }
        let mut differing = Vec::new();
        let mut besides = 0;
        for (found, unit) in &second.units {
            match self.agreed.get(found) {
                Some(logged) if *logged != unit.manifest => differing.push(*found),
                Some(_) if *found != key => besides += 1,
                _ => {}
            }
        }
        if differing.is_empty() {
            let mut built = self.alone(key, Outcome::Reproduced);
            built.besides = besides;
            return Ok(Ok(built));
        }
        // Once more, otherwise: what differs from itself says nothing about others.
        let (first, _) = self.pass(Which::First, request)?;
        let mut built = Built {
            besides,
            ..Built::default()
        };
        if !differing.contains(&key) {
            built.rebuilt.extend(self.alone(key, Outcome::Reproduced).rebuilt);
        }
        for found in differing {
            let (Some(logged), Some(unit)) = (self.agreed.get(&found), second.units.get(&found)) else {
                continue;
            };
            let outcome = match first.units.get(&found) {
                Some(again) if again.manifest == unit.manifest => self.differs(logged, unit, &second),
                _ => Outcome::NotComparable {
                    why: "it comes out otherwise here each time".to_owned(),
                },
            };
            built.rebuilt.extend(self.alone(found, outcome).rebuilt);
        }
        Ok(Ok(built))
    }

    fn pass(&self, which: Which, request: &Request) -> anyhow::Result<(Captured, PassOutcome)> {
        let folder = self.work.join("generated");
        let generated = Generated::prepare(&self.tools.cargo, request.clone(), &folder)?;
        let pass = Pass::new(which, &self.work, self.jobs);
        let units = generated.graph.units().len() as u64;
        let said = pass.build(self.tools, request, &folder.join("Cargo.lock"), units)?;
        Ok((Captured::read(&pass.store())?, said))
    }

    /// What it means that the same call gave something else, twice.
    fn differs(&self, logged: &Manifest, here: &CapturedUnit, captured: &Captured) -> Outcome {
        let what = differing_manifest(logged, &here.manifest);
        if logged.baseline != here.manifest.baseline {
            let name = |baseline: &Option<String>| baseline.clone().unwrap_or_else(|| "nothing".to_owned());
            let why = format!(
                "native code in it was compiled by `{}`, here by `{}`",
                name(&logged.baseline),
                name(&here.manifest.baseline)
            );
            return Outcome::NotComparable { why };
        }
        // What is linked holds parts of this machine's C library and linker; a unit's key does not name them.
        match self.linked_otherwise(logged, here, captured) {
            Some(why) => Outcome::NotComparable { why },
            None => Outcome::Diverged { what },
        }
    }

    /// Whether a program was linked by other means than here, by what compilers and linkers wrote into it.
    fn linked_otherwise(&self, logged: &Manifest, here: &CapturedUnit, captured: &Captured) -> Option<String> {
        let host_code = |manifest: &Manifest| {
            manifest
                .outputs
                .iter()
                .find(|output| output.role.is_host_code())
                .cloned()
        };
        let (theirs, ours) = (host_code(logged)?, host_code(&here.manifest)?);
        if theirs.sha256 == ours.sha256 {
            return None;
        }
        if theirs.size > MAX_PROGRAM {
            return Some("the published program is too large to look at".to_owned());
        }
        let limit = crate::object::longest_stored(theirs.size);
        let path = ObjectPath::Cas(theirs.sha256);
        let stored = self.runtime.block_on(self.service.read(&path, limit));
        let mut content = Vec::new();
        let read = stored.ok().flatten().is_some_and(|stored| {
            crate::object::decode(&*stored, &[], (theirs.sha256, theirs.size), &mut content).is_ok()
        });
        if !read {
            return Some("the published program cannot be had".to_owned());
        }
        let ours = captured.output(ours.sha256, ours.size).ok()?;
        let (theirs, ours) = (made_by(&content), made_by(&ours));
        (theirs != ours).then(|| format!("it was linked by {theirs}, here by {ours}"))
    }

    fn sweep(&self) -> std::io::Result<()> {
        match fs_err::remove_dir_all(&self.work) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// What compilers and linkers wrote about themselves into a program.
fn made_by(program: &[u8]) -> String {
    let comment = object::File::parse(program).ok().and_then(|file| {
        let section = file.section_by_name(".comment")?;
        Some(section.data().ok()?.to_vec())
    });
    let comment = comment.unwrap_or_default();
    let mut names: Vec<_> = comment
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| format!("`{}`", name.escape_ascii()))
        .collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        "nobody who says so".to_owned()
    } else {
        names.join(", ")
    }
}

fn last_error(said: &str) -> &str {
    let line = said.lines().rev().find(|line| line.starts_with("error"));
    line.unwrap_or("cargo said nothing")
}
