//! `sealift-builder review`: what can be seen of a package's build script, and the entry that follows from it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use sealift_policy::name::{CrateName, CrateVersion};
use sealift_policy::package_id::PackageId;
use sealift_policy::reviewed::release;
use sealift_policy::unit_graph::{Mode, Unit, UnitGraph};

use super::build::wrapper;
use super::{Outcome, print};
use crate::cargo::Cargo;
use crate::cli;
use crate::generated::Generated;
use crate::passes::{Pass, Tools, Which};
use crate::progress::say;
use crate::review::circumstances::Circumstances;
use crate::review::evidence::{Evidence, Subject};
use crate::review::proposal::Judgement;
use crate::review::recorded::RecordedCall;
use crate::review::running::{Runner, last_lines};
use crate::review::{report, script_sources};
use crate::source::{Source, as_dependency};
use crate::toolchain::Toolchain;
use crate::{env, sandbox};

/// Between the first runs, so that a time in seconds is another.
const PAUSE: Duration = Duration::from_millis(1100);

/// Reviews one package.
///
/// # Errors
/// When it has no build script, cannot be resolved, or the script cannot be run and watched here.
pub(super) fn run(options: &cli::Review) -> anyhow::Result<Outcome> {
    sandbox::check().context("failed to make a sandbox\nhint: install bubblewrap")?;
    let folder = tempfile::Builder::new().prefix("sealift-review-").tempdir()?;
    let work = fs_err::canonicalize(folder.path())?;
    if options.keep {
        say(&format!("what the runs leave is kept in {}", folder.keep().display()));
    }
    let toolchain = Toolchain::find(Path::new("/"))?;
    let home = match &options.cargo_home {
        Some(home) => std::path::absolute(home)?,
        None => work.join("cargo-home"),
    };
    let cargo = Cargo::new(&toolchain, &home)?;
    let path = cargo.path().to_string_lossy().into_owned();
    let runner = Runner::new(&work.join("runs"), toolchain.sysroot(), &path)?;
    let this = std::env::current_exe()?;
    let tools = Tools {
        wrapper: wrapper(&this)?,
        sandbox: Some(this),
        // There is no operator here and so no key.
        secret: work.join("operator"),
        cargo,
    };
    let prepared = Prepared::new(&tools.cargo, options, &work)?;
    say(&format!("{}: cargo compiles the script in two places", prepared.name()));
    let calls = [Which::First, Which::Second].map(|which| {
        let pass = Pass::new(which, &work, 1);
        record(&tools, &pass, &prepared).map(|call| (call, pass))
    });
    let [first, second] = calls;
    let (first, second) = (first?, second?);

    let mut made = vec![];
    for circumstances in Circumstances::ALL {
        let (call, pass) = match circumstances.pass() {
            Which::First => &first,
            Which::Second => &second,
        };
        if circumstances == Circumstances::Again {
            std::thread::sleep(PAUSE);
        }
        let started = Instant::now();
        let one = runner.run(circumstances, call, pass.root())?;
        say(&format!(
            "run `{circumstances}`: {:.1} s",
            started.elapsed().as_secs_f64()
        ));
        made.push(one);
    }
    let sources = script_sources::read(&first.0, prepared.used_by_script(), &first.1.root().join("cargo-home"))?;
    let target = first.0.environment.get("TARGET").cloned().unwrap_or_default();
    let subject = prepared.subject(options, &first.0)?;
    let evidence = Evidence::gather(subject, &first.0, made, &sources, runner.hidden(&path))?;
    let judgement = Judgement::of(&evidence, &target);
    if options.json {
        print(&format!("{}\n", report::json(&evidence, &judgement)))?;
    } else {
        print(&report::text(&evidence, &judgement)?)?;
    }
    Ok(Outcome::Done)
}

/// The package's script in cargo's plan.
struct Prepared {
    generated: Generated,
    name: CrateName,
    version: CrateVersion,
}

impl Prepared {
    fn new(cargo: &Cargo, options: &cli::Review, work: &Path) -> anyhow::Result<Self> {
        let Source::Crate {
            name,
            version,
            features,
        } = cli::published(&options.package, &options.features)?
        else {
            bail!("only packages of crates.io have an entry in the list");
        };
        let package = (&name, version.as_ref());
        let request = as_dependency(
            cargo,
            package,
            &features,
            options.defaults(),
            options.profile,
            &work.join("source"),
        )?;
        let generated = Generated::prepare(cargo, request, &work.join("generated"))?;
        let runs = generated
            .graph
            .units()
            .iter()
            .filter(|unit| unit.mode == Mode::RunCustomBuild);
        let version = runs.filter_map(|unit| match &unit.package {
            PackageId::CratesIo(found, at)
                if *found == name && version.as_ref().is_none_or(|v| release(v) == release(at)) =>
            {
                Some(at)
            }
            _ => None,
        });
        let version = version.max_by_key(|at| at.as_str()).cloned().with_context(|| {
            format!("cargo runs no build script of `{}`\nhint: programs without a library, and packages without `build.rs`, have none that others run", options.package)
        })?;
        Ok(Self {
            generated,
            name,
            version,
        })
    }

    fn name(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    fn is_package(&self, unit: &Unit) -> bool {
        matches!(&unit.package, PackageId::CratesIo(name, version) if *name == self.name && *version == self.version)
    }

    /// `NAME-VERSION` of all packages that are compiled into the script.
    fn used_by_script(&self) -> BTreeSet<String> {
        let graph: &UnitGraph = &self.generated.graph;
        let scripts = graph.units().iter().enumerate();
        let scripts = scripts.filter(|(_, unit)| unit.is_build_script() && self.is_package(unit));
        let mut waiting: Vec<usize> = scripts.map(|(index, _)| index).collect();
        let mut known = BTreeSet::new();
        let mut packages = BTreeSet::new();
        while let Some(index) = waiting.pop() {
            let unit = &graph.units()[index];
            if !known.insert(index) || unit.mode == Mode::RunCustomBuild {
                continue;
            }
            if let PackageId::CratesIo(name, version) = &unit.package
                && !self.is_package(unit)
            {
                packages.insert(format!("{name}-{version}"));
            }
            waiting.extend(unit.dependencies.iter().map(|edge| edge.index));
        }
        packages
    }

    fn subject(&self, options: &cli::Review, call: &RecordedCall) -> anyhow::Result<Subject> {
        let units = self.generated.graph.units().iter().filter(|unit| self.is_package(unit));
        let run = units
            .filter(|unit| unit.mode == Mode::RunCustomBuild)
            .max_by_key(|unit| unit.features.len());
        let features: BTreeSet<String> = run.into_iter().flat_map(|unit| unit.features.iter().cloned()).collect();
        let all = script_sources::features(&call.named_folder("CARGO_MANIFEST_DIR")?)?;
        Ok(Subject {
            package: self.name.clone(),
            version: self.version.clone(),
            profile: options.profile,
            features_off: all.difference(&features).cloned().collect(),
            features,
        })
    }
}

/// Lets cargo build the package up to the point where it runs the script.
fn record(tools: &Tools, pass: &Pass, prepared: &Prepared) -> anyhow::Result<RecordedCall> {
    let request = &prepared.generated.request;
    let lockfile = prepared.generated.manifest.with_file_name("Cargo.lock");
    let mut command = pass.cargo_build(tools, request, &lockfile)?;
    let file: PathBuf = pass.root().join("call.json");
    command
        .args(["--package", &prepared.name()])
        .env(env::RECORD_CALL, &file)
        .env(env::RECORD_CALL_OF, prepared.name());
    let output = command.output().context("failed to run cargo")?;
    let call = RecordedCall::read(&file)?;
    call.with_context(|| {
        format!(
            "cargo did not come to the script:\n{}",
            last_lines(&String::from_utf8_lossy(&output.stderr))
        )
    })
}
