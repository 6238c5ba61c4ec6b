//! The hot path of `sealift-rustc`, on one screen.
//!
//! Understand the call, decide, then install what is stored or run the canonical call; whatever goes wrong ends in the
//! call that cargo asked for. Never uses the network.
//! Must not know how any of these steps works.

pub(crate) mod report;
pub mod script;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use fs_err as fs;
use sealift_policy::cause::Cause;
use sealift_policy::invocation::{Invocation, Unsupported};
use sealift_policy::local::Outcome;
use sealift_policy::manifest::Role;
use sealift_policy::remap::{self, Places};

use crate::call::{Call, NotHandled};
use crate::cause;
use crate::compile::{self, Failure};
use crate::config::Config;
use crate::decide::{self, Decision, Miss, Reusable};
use crate::install::{self, InPlace, Installer};
use crate::known::Notes;
use crate::messages::{self, Artifact};
use crate::pass_through::{Given, exit_code};
use crate::store::Store;
use crate::wait::{self, Waited};
use crate::{beside, keep, record, runner};
use report::{Report, Why, chain};

/// Runs the wrapper with its arguments (without its own name).
pub fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(program) = args.next() else {
        messages::print("error: sealift-rustc is run by cargo as a rustc wrapper\nhint: see `cargo sealift --help`");
        return ExitCode::from(2);
    };
    let given = Given {
        program: program.into(),
        args: args.collect(),
    };
    let started = Instant::now();
    let config = Config::load();
    let next = config.next_wrapper.as_deref();
    let text: Option<Vec<String>> = given.args.iter().map(|arg| arg.to_str().map(str::to_owned)).collect();
    let text = text.ok_or(Unsupported::NotUtf8);
    if let Ok(Err(Unsupported::NotACompilation | Unsupported::NotCargo)) =
        text.as_ref().map(|text| Invocation::parse(text))
    {
        if beside::is_target_probe(&given.args)
            && let Some(store) = config.store().and_then(|root| Store::open(root).ok())
        {
            beside::started(&config, &store, &given.program);
        }
        return given.exec(next);
    }
    let Some(store) = config.store().and_then(|root| Store::open(root).ok()) else {
        return given.exec(next);
    };
    let report = Report::new(config.store().expect("it was opened"), started);
    match text
        .map_err(NotHandled::from)
        .and_then(|text| Call::understand(&store, &given.program, &text))
    {
        Ok(call) => handle(&store, &config, &given, &call, &report),
        Err(why) => pass_through(&config, &given, &report, &why),
    }
}

fn handle(store: &Store, config: &Config, given: &Given, call: &Call, report: &Report) -> ExitCode {
    let nowhere = PathBuf::new();
    let places = call.places(&nowhere, &nowhere);
    let miss = match decide_with_patience(store, config, call, &places, report) {
        Decision::Reuse(unit) => match reuse(store, call, &unit, &places) {
            Ok(in_place) => {
                let outcome = if unit.was_fetched() {
                    Outcome::HitFetched
                } else {
                    Outcome::HitCompiled
                };
                report.unit(&call.into(), outcome, None, unit.compile_ms(), 0, in_place);
                return ExitCode::SUCCESS;
            }
            Err(error) => Why {
                text: format!("failed to install it: {error}"),
                caused: Cause::NotInstalled.into(),
            },
        },
        Decision::Compile(miss) => {
            if let Some(refused) = warn(config, call, &miss).or_else(|| tell_alarm(store, config)) {
                return refused;
            }
            let why = Why {
                text: chain(&miss),
                caused: (&miss).into(),
            };
            if miss.is_rejection() {
                return compile(store, config, given, call, report, Outcome::Rejected, &why);
            }
            why
        }
    };
    compile(store, config, given, call, report, Outcome::Compiled, &miss)
}

/// Decides, and where the unit is not there but on its way, once more when it has come.
fn decide_with_patience(store: &Store, config: &Config, call: &Call, places: &Places, report: &Report) -> Decision {
    let decision = decide::decide(store, config, call, places);
    match &decision {
        Decision::Compile(Miss::NotStored | Miss::DamagedOutput(_)) => {}
        Decision::Compile(Miss::NotFollowed(_)) => {
            let Some(prefetch) = beside::started(config, store, &call.rustc) else {
                return decision;
            };
            report.waiting(|| wait::for_trust(&prefetch, config.patience));
            return decide::decide(store, config, call, places);
        }
        // Those who vouch for it are asked after beside the build; what is heard counts from then on.
        Decision::Reuse(unit) if unit.trust_is_due() => {
            let _ = beside::started(config, store, &call.rustc);
            return decision;
        }
        Decision::Reuse(_) | Decision::Compile(_) => return decision,
    }
    let Some(prefetch) = beside::started(config, store, &call.rustc) else {
        return decision;
    };
    match report.waiting(|| wait::for_unit(store, &prefetch, config.patience, call.key)) {
        Waited::Arrived => decide::decide(store, config, call, places),
        Waited::NotComing => decision,
        Waited::InVain(time) => Decision::Compile(Miss::Late(time)),
    }
}

/// Puts a stored unit where cargo expects it. All of it or nothing.
fn reuse(store: &Store, call: &Call, unit: &Reusable, places: &Places) -> io::Result<InPlace> {
    let manifest = unit.manifest();
    let mut installed = vec![];
    let result = install_all(store, call, unit, places, &mut installed);
    if result.is_err() {
        for path in installed {
            let _ = fs::remove_file(path);
        }
        return result;
    }
    for line in &manifest.diagnostics {
        messages::print(&remap::to_local_paths(line, places));
    }
    if call.invocation.announces_artifacts && manifest.output(Role::Rmeta).is_some() {
        Artifact::new(&call.invocation.output(Role::Rmeta), "metadata").print();
    }
    result
}

fn install_all(
    store: &Store,
    call: &Call,
    unit: &Reusable,
    places: &Places,
    installed: &mut Vec<PathBuf>,
) -> io::Result<InPlace> {
    let manifest = unit.manifest();
    // First what dependents need to be handled, so that nothing in a target folder is unknown.
    let identity = manifest
        .output(Role::Rmeta)
        .or_else(|| manifest.output(Role::ProcMacro));
    if let Some(identity) = identity {
        let record = keep::output_record(call, manifest.outputs.iter().map(|output| (output.role, output.sha256)));
        if store.output(identity.sha256).as_ref() != Some(&record) {
            store.write_output(&record)?;
        }
    }
    let mut installer = Installer::new(store, &call.invocation.out_dir);
    let mut notes = Notes::default();
    // The rmeta comes last: its time is the unit's time for cargo.
    for (role, blob) in unit.blobs().iter().rev() {
        let path = call.invocation.output(*role);
        let written = installer.install(blob, *role, &path)?;
        if let Some(output) = manifest.output(*role) {
            notes.add(store, &path, output.sha256, written);
        }
        installed.push(path);
    }
    notes.write(store, &call.invocation.out_dir);
    let roles: Vec<_> = manifest.outputs.iter().map(|output| output.role).collect();
    let dep_info = record::dep_info(call, places, manifest).to_text(&keep::dep_info_targets(call, &roles));
    install::write(&call.invocation.dep_info(), &dep_info)?;
    installed.push(call.invocation.dep_info());
    if manifest.output(Role::BuildScript).is_some() && runner::is_wanted(call) {
        runner::put_in_front(&call.invocation.output(Role::BuildScript), Some(call))?;
    }
    Ok(installer.in_place())
}

fn compile(
    store: &Store,
    config: &Config,
    given: &Given,
    call: &Call,
    report: &Report,
    outcome: Outcome,
    why: &Why,
) -> ExitCode {
    let sandbox = runner::sandbox();
    match compile::compile(store, call, sandbox.as_deref()) {
        Ok(compiled) => {
            let why = match &compiled.not_kept {
                Some(not_kept) => Why {
                    text: format!("{}; not kept: {not_kept}", why.text),
                    caused: cause::not_shareable(not_kept).unwrap_or_else(|| why.caused.clone()),
                },
                None => why.clone(),
            };
            report.unit(
                &call.into(),
                outcome,
                Some(why),
                compiled.compile_ms,
                compiled.compile_ms,
                compiled.in_place,
            );
            ExitCode::SUCCESS
        }
        Err(Failure::Rustc(status) | Failure::Late(status)) if compile::stopped_by_user(status) => exit_code(status),
        Err(failure) => {
            let why = Why {
                text: format!("{}; {}", why.text, chain(&failure)),
                caused: Cause::CanonicalCall.into(),
            };
            report.unit(
                &call.into(),
                Outcome::PassedThrough,
                Some(why),
                0,
                0,
                InPlace::default(),
            );
            match failure {
                Failure::Rustc(_) | Failure::Around(_) => as_cargo_asked(config, given),
                Failure::Late(status) => exit_code(status),
                Failure::LateAround(_) => {
                    messages::print(&format!("error: sealift: {}\nhint: build again", chain(&failure)));
                    ExitCode::FAILURE
                }
            }
        }
    }
}

fn pass_through(config: &Config, given: &Given, report: &Report, why: &NotHandled) -> ExitCode {
    report.passed_through(given, why);
    as_cargo_asked(config, given)
}

/// The call that cargo made, by the next wrapper or rustc: what every failure ends in.
fn as_cargo_asked(config: &Config, given: &Given) -> ExitCode {
    let next = config.next_wrapper.as_deref();
    let Some(sandbox) = runner::sandbox() else {
        return given.exec(next);
    };
    given.run_sandboxed(&sandbox).unwrap_or_else(|error| {
        messages::print(&format!(
            "error: sealift: failed to run `{}`: {error}",
            given.program.display()
        ));
        ExitCode::from(127)
    })
}

/// Says one loud line about what looks like an attack; with `SEALIFT_STRICT` that ends the build.
fn warn(config: &Config, call: &Call, miss: &Miss) -> Option<ExitCode> {
    if !miss.is_suspicious() {
        return None;
    }
    let package = &call.document.package;
    let level = if config.strict { "error" } else { "warning" };
    messages::print(&format!(
        "{level}: sealift: the stored unit {} of `{}` {} is refused: {}",
        call.key.short(),
        package.name,
        package.version,
        chain(miss)
    ));
    config.strict.then_some(ExitCode::FAILURE)
}

/// Says, once for each build, what looked like an attack to the prefetch, or why it believed nothing; with
/// `SEALIFT_STRICT` the first ends the build.
fn tell_alarm(store: &Store, config: &Config) -> Option<ExitCode> {
    let prefetch = beside::running(store)?;
    let state = prefetch.state()?;
    let is_alarm = state.alarm.is_some();
    let alarm = state.alarm.or(state.notice)?;
    if is_alarm && config.strict {
        messages::print(&format!("error: sealift: {alarm}"));
        return Some(ExitCode::FAILURE);
    }
    if prefetch.may_tell() {
        let line = format!("warning: sealift: {alarm}; compiling locally instead");
        if is_alarm {
            messages::print(&line);
        } else {
            messages::print_as_cargo(&line);
        }
    }
    None
}

/// Answers `--version`, by which `cargo sealift doctor` tells whether both programs are of one version.
pub fn version() -> ExitCode {
    use std::io::Write as _;
    let line = concat!("sealift-rustc ", env!("CARGO_PKG_VERSION"), "\n");
    io::stdout()
        .lock()
        .write_all(line.as_bytes())
        .map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}
