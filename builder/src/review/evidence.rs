//! Everything that was seen of a script, gathered from its runs and sources.
//!
//! Owns what is gathered, and reading it from disk. Must not know what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use sealift_policy::name::{CrateName, CrateVersion};
use sealift_policy::request::profile::ProfileKind;
use sealift_policy::run::stdout;
use sealift_policy::{remap, reviewed};
use serde::Serialize;

use super::access::Access;
use super::circumstances::Circumstances;
use super::comparison::{self, Difference};
use super::places::Root;
use super::recorded::RecordedCall;
use super::running::{Made, last_lines};
use super::sources::{self, Source, TellTale, Variable};
use super::trace::Trace;
use crate::sandbox::run::Ended;

/// What is looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Subject {
    /// The package.
    pub package: CrateName,
    /// Its version.
    pub version: CrateVersion,
    /// Cargo's profile.
    pub profile: ProfileKind,
    /// Features that are on.
    pub features: BTreeSet<String>,
    /// Features that the package has besides.
    pub features_off: BTreeSet<String>,
}

/// One run in short.
#[derive(Debug, Clone, Serialize)]
pub struct RunSeen {
    /// Which.
    pub run: Circumstances,
    /// In what it is not like the first.
    pub differ_in: &'static str,
    /// Whether it succeeded; otherwise how it ended, and the last lines of what it said.
    pub failed: Option<String>,
}

/// Everything that was seen.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// What is looked at.
    pub subject: Subject,
    /// Whether the list has it already, with these features.
    pub is_listed: bool,
    /// The runs.
    pub runs: Vec<RunSeen>,
    /// Which of the programs that one run did not find are here at all.
    pub hidden: Vec<&'static str>,
    /// What all runs together did.
    pub trace: Trace,
    /// In what they differ.
    pub differences: Vec<Difference>,
    /// What the first one told cargo, with canonical paths.
    pub instructions: Vec<String>,
    /// Why what it told cargo may not be shared.
    pub refused_instruction: Option<String>,
    /// Variables that it declares.
    pub declared: BTreeSet<String>,
    /// What the first one left in `OUT_DIR`.
    pub left: BTreeMap<String, u64>,
    /// Files of `OUT_DIR` that name a folder of the machine, and which.
    pub local_paths: Vec<(String, String)>,
    /// What cargo told the script of other packages' scripts.
    pub told_by_others: BTreeMap<String, String>,
    /// Variables that sources name, without those that cargo sets.
    pub variables: BTreeMap<String, Variable>,
    /// Features that the script asks for, spelt as in `CARGO_FEATURE_*`.
    pub features_asked: BTreeSet<String>,
    /// Words about what no trace shows.
    pub tell_tales: BTreeSet<TellTale>,
    /// Lines of compiled C that ask the preprocessor for the time.
    pub dated: BTreeSet<String>,
}

impl Evidence {
    /// Gathers what the runs and the sources show. `call` is that of the first run, `sources` those of the script and of
    /// the packages that it uses.
    ///
    /// # Errors
    /// When what the runs left cannot be read.
    pub fn gather(
        subject: Subject,
        call: &RecordedCall,
        made: Vec<Made>,
        sources: &[Source],
        hidden: Vec<&'static str>,
    ) -> io::Result<Self> {
        let mut differences = vec![];
        let Some((first, others)) = made.split_first() else {
            return Err(io::Error::other("there was no run"));
        };
        for other in others {
            differences.extend(comparison::compare(first, other)?);
        }
        let printed = comparison::instructions(&first.stdout, &first.places);
        let package_folder = remap::package_folder(&subject.package, &subject.version);
        let refused = stdout::check(printed.as_bytes(), &package_folder).err();
        let executable = fs_err::read(&call.program)?;
        let is_told = |name: &str| sealift_policy::run::env_counts(name) || TOLD.contains(&name);
        let mut variables = sources::variables(sources, &executable);
        variables.retain(|name, _| !is_told(name) && !name.starts_with("CARGO_FEATURE"));
        let has_feature = |feature: &str| subject.features.contains(feature);
        let mut evidence = Self {
            is_listed: reviewed::run(&subject.package, &subject.version, has_feature).is_some(),
            runs: made.iter().map(RunSeen::of).collect(),
            hidden,
            differences,
            declared: declared(&printed),
            instructions: printed.lines().map(str::to_owned).collect(),
            refused_instruction: refused.map(|refused| refused.to_string()),
            left: comparison::listing(&first.tree)?,
            local_paths: comparison::local_paths(first)?,
            told_by_others: told_by_others(call),
            variables,
            features_asked: sources::features(sources),
            tell_tales: sources::tell_tales(sources),
            dated: BTreeSet::new(),
            trace: Trace::default(),
            subject,
        };
        let package = PathBuf::from(&first.places.package);
        for one in made {
            evidence.trace.merge(one.trace);
        }
        evidence.dated = sources::dated(&compiled(&evidence.trace, &package));
        Ok(evidence)
    }
}

impl RunSeen {
    fn of(made: &Made) -> Self {
        let failed = match made.ended {
            Ended::Exited(0) => None,
            Ended::Exited(code) => Some(format!("it ended with {code}:\n{}", last_lines(&made.stderr))),
            Ended::Stopped(why) => Some(format!("it was stopped: {why}")),
        };
        Self {
            run: made.run,
            differ_in: made.run.differ_in(),
            failed,
        }
    }
}

/// What cargo says besides what is in the key: where things lie, and how many jobs there are.
const TOLD: [&str; 17] = [
    "CARGO",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_HOME",
    "CARGO_MAKEFLAGS",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "HOST",
    "NUM_JOBS",
    "OUT_DIR",
    "PATH",
    "PROFILE",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "TARGET",
    "TMPDIR",
];

fn declared(instructions: &str) -> BTreeSet<String> {
    let names = instructions
        .lines()
        .filter_map(|line| line.trim().split_once("rerun-if-env-changed="));
    names.map(|(_, name)| name.to_owned()).collect()
}

fn told_by_others(call: &RecordedCall) -> BTreeMap<String, String> {
    let told = call.environment.iter().filter(|(name, _)| name.starts_with("DEP_"));
    told.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The files of the package that something other than the script read, as far as they are text.
fn compiled(trace: &Trace, package: &Path) -> Vec<Source> {
    let read = trace
        .seen
        .iter()
        .filter(|seen| seen.access == Access::Read && seen.place.root == Root::Package);
    let by_programs: BTreeSet<_> = read
        .filter(|seen| seen.by.program().is_some())
        .map(|seen| &seen.place.path)
        .collect();
    let texts = by_programs.into_iter().filter_map(|path| {
        let text = fs_err::read_to_string(package.join(path)).ok()?;
        Some(Source {
            name: path.clone(),
            is_own: true,
            text,
        })
    });
    texts.collect()
}
