//! The path of a build script's run, on one screen.
//!
//! Understand the run, decide, then restore what is stored or run the script and record it; whatever goes wrong ends in
//! the script that cargo asked for. Never uses the network.
//! Must not know how any of these steps works.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use sealift_policy::cause::Cause;
use sealift_policy::local::{CallKind, Outcome, UnitOrigin};
use sealift_policy::run::RunDocument;

use super::report::{Report, Subject, Why, chain};
use crate::beside;
use crate::cause;
use crate::config::Config;
use crate::decide::{self, Decision, Miss};
use crate::install::InPlace;
use crate::messages;
use crate::record::NotKept;
use crate::run::{Run, restore};
use crate::runner::{self, Compiles};
use crate::store::Store;
use crate::wait::{self, Waited};

/// The real build script, if this program was started in its place.
pub fn started_as() -> Option<PathBuf> {
    let program = std::env::args_os().next()?;
    runner::real_script(Path::new(&program))
}

/// Runs a build script, or gives what a run of it gave.
pub fn run(real: &Path) -> io::Result<ExitCode> {
    let started = Instant::now();
    let config = Config::load();
    let Some(script) = runner::known(real) else {
        return as_cargo_asked(real, Compiles::MaybeC);
    };
    let compiles = script.compiles();
    let Some((root, store)) = config.store().and_then(|root| Some((root, Store::open(root).ok()?))) else {
        return as_cargo_asked(real, compiles);
    };
    let report = Report::new(root, started);
    match Run::understand(&store, script, real) {
        Ok(run) => handle(&store, &config, &run, real, &report),
        Err(why) => {
            report.run_not_handled(&why);
            as_cargo_asked(real, compiles)
        }
    }
}

fn handle(store: &Store, config: &Config, run: &Run, real: &Path, report: &Report) -> io::Result<ExitCode> {
    let (outcome, why) = match decide_with_patience(store, config, run, report) {
        Decision::Reuse(unit) => match restore::restore(run, &unit) {
            Ok(()) => {
                let outcome = if unit.was_fetched() {
                    Outcome::HitFetched
                } else {
                    Outcome::HitCompiled
                };
                let bytes = unit.manifest().outputs.iter().map(|output| output.size).sum();
                let in_place = InPlace { bytes, shared: 0 };
                report.unit(&run.into(), outcome, None, unit.compile_ms(), 0, in_place);
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) => {
                let why = Why {
                    text: format!("the stored run is refused: {}", chain(&error)),
                    caused: Cause::NotInstalled.into(),
                };
                (Outcome::Rejected, why)
            }
        },
        Decision::Compile(miss) => {
            if let Some(refused) = warn(config, run, &miss) {
                return Ok(refused);
            }
            let outcome = if miss.is_rejection() {
                Outcome::Rejected
            } else {
                Outcome::Compiled
            };
            let why = Why {
                text: chain(&miss),
                caused: (&miss).into(),
            };
            (outcome, why)
        }
    };
    run_here(store, run, real, report, outcome, why)
}

fn run_here(
    store: &Store,
    run: &Run,
    real: &Path,
    report: &Report,
    outcome: Outcome,
    mut why: Why,
) -> io::Result<ExitCode> {
    let started_empty = run.starts_empty();
    let begin = Instant::now();
    let printed = match runner::run_script(real, run.compiles())? {
        Ok(printed) => printed,
        Err(code) => return Ok(code),
    };
    let run_ms = begin.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    let recorded = if !started_empty {
        Err(NotKept::NotEmpty)
    } else if outcome == Outcome::Compiled && was_fetched(store, run) {
        // It was not for these circumstances, and will be wanted again.
        Err(NotKept::Fetched)
    } else {
        run.record(store, &printed, run_ms)
    };
    if let Err(not_kept) = recorded {
        why = Why {
            text: format!("{}; not kept: {not_kept}", why.text),
            caused: cause::not_shareable(&not_kept).unwrap_or_else(|| why.caused.clone()),
        };
    }
    report.unit(&run.into(), outcome, Some(why), run_ms, run_ms, InPlace::default());
    runner::hand_on(&run.bring_home(printed)?)?;
    Ok(ExitCode::SUCCESS)
}

fn was_fetched(store: &Store, run: &Run) -> bool {
    let stored = store.unit(run.key);
    stored.is_some_and(|unit| matches!(unit.origin, UnitOrigin::Fetched { .. }))
}

fn as_cargo_asked(real: &Path, compiles: Compiles) -> io::Result<ExitCode> {
    match runner::run_script(real, compiles)? {
        Ok(printed) => runner::hand_on(&printed).map(|()| ExitCode::SUCCESS),
        Err(code) => Ok(code),
    }
}

/// Decides, and where the run is not there but on its way, once more when it has come.
fn decide_with_patience(store: &Store, config: &Config, run: &Run, report: &Report) -> Decision {
    let decision = decide::decide_run(store, config, run);
    match &decision {
        Decision::Compile(Miss::NotStored | Miss::DamagedOutput(_)) => {}
        Decision::Compile(Miss::NotFollowed(_)) => {
            let Some(prefetch) = beside::running(store) else {
                return decision;
            };
            report.waiting(|| wait::for_trust(&prefetch, config.patience));
            return decide::decide_run(store, config, run);
        }
        Decision::Reuse(_) | Decision::Compile(_) => return decision,
    }
    let Some(prefetch) = beside::running(store) else {
        return decision;
    };
    match report.waiting(|| wait::for_unit(store, &prefetch, config.patience, run.key)) {
        Waited::Arrived => decide::decide_run(store, config, run),
        Waited::NotComing => decision,
        Waited::InVain(time) => Decision::Compile(Miss::Late(time)),
    }
}

/// Says one loud line about what looks like an attack; with `SEALIFT_STRICT` that ends the build.
fn warn(config: &Config, run: &Run, miss: &Miss) -> Option<ExitCode> {
    if !miss.is_suspicious() {
        return None;
    }
    let level = if config.strict { "error" } else { "warning" };
    messages::print(&format!(
        "{level}: sealift: the stored run {} of the build script of `{}` {} is refused: {}",
        run.key.short(),
        run.package.name,
        run.package.version,
        chain(miss)
    ));
    config.strict.then_some(ExitCode::FAILURE)
}

impl<'a> From<&'a Run> for Subject<'a> {
    fn from(run: &'a Run) -> Self {
        Self {
            crate_name: RunDocument::CRATE_NAME,
            package: &run.package,
            kind: CallKind::BuildScriptRun,
            key: run.key,
        }
    }
}
