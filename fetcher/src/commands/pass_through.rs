//! `cargo sealift build` and every other cargo command: cargo with the wrapper, one line at the end.
//!
//! Owns that the command behaves as cargo does: its exit code, its signals, its output.
//! Must not know what is prefetched or what the wrapper does.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;

use anyhow::Context as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use super::context::{Context, WRAPPER};
use super::{Exit, beside, gc};
use crate::cargo::{self, CargoCommand};
use crate::env::{self, Env};
use crate::events::{self, BuildId};
use crate::report::shell::{Shell, Verbosity};
use crate::report::tally::Tally;
use crate::report::verdict;
use crate::store::Store;

/// Runs a cargo command with Sealift.
pub(super) fn run(context: &Context, words: Vec<OsString>) -> anyhow::Result<Exit> {
    let Some(command) = CargoCommand::new(words) else {
        return Ok(Exit::Failed);
    };
    let verbosity = if command.is_quiet() {
        Verbosity::Quiet
    } else {
        Verbosity::Normal
    };
    let shell = Shell::stderr(&context.env, verbosity);
    let program = cargo::program(&context.env);
    let mut child = Command::new(&program);
    child.arg(&command.name).args(&command.args);

    let failed = || format!("failed to run `{}`", cargo::display(&program, &command));

    let wrapper = match (context.config.store(), Context::wrapper()) {
        (Some(store), Ok(wrapper)) => Some((store, wrapper)),
        (Some(_), Err(error)) => {
            shell.warn(format_args!("{error:#}; building without Sealift"));
            None
        }
        (None, _) => None,
    };
    let Some((store, wrapper)) = wrapper else {
        let signals = Signals::new(PASSED_ON)?;
        let child = child.spawn().with_context(failed)?;
        return Ok(as_cargo(wait(child, signals)?));
    };

    wrap(context, &mut child, &wrapper, other_wrapper(&context.env));
    let build = BuildId::of_process(std::process::id());
    if let Some(build) = build {
        child.env(env::BUILD, build.to_string());
    }
    // Before cargo starts: a signal between its start and our being ready for it would end us alone.
    let signals = Signals::new(PASSED_ON)?;
    let child = child.spawn().with_context(failed)?;
    let status = wait(child, signals)?;
    let untold = build.and_then(|build| untold(store, build));
    let events = build.and_then(|build| events::read(store, build).ok());
    let events = events.map(|build| build.events).unwrap_or_default();
    if context.env.non_empty(env::LOG).is_some() {
        let problems = verdict::prefetches(&events).flat_map(|prefetch| &prefetch.problems);
        problems.for_each(|problem| shell.hint(problem));
    }
    if let Some(summary) = Tally::of(&events).summary() {
        shell.status("Sealift", summary);
    }
    match untold {
        Some((alarm, Untold::Alarm)) if context.config.strict => anyhow::bail!("{alarm}"),
        Some((what, _)) => shell.warn(what),
        None => {}
    }
    gc::automatic(&context.config);
    Ok(as_cargo(status))
}

/// What the prefetch has to say.
enum Untold {
    /// Something looked like an attack.
    Alarm,
    /// Nothing was believed.
    Notice,
}

/// What the prefetch has to say and was not told by the wrapper, which saw all of its units arrive.
fn untold(store: &Path, build: BuildId) -> Option<(String, Untold)> {
    let store = Store::open(store).ok()?;
    let prefetch = beside::wait_for(&store, build)?;
    let state = prefetch.state()?;
    let alarm = state.alarm.map(|alarm| (alarm, Untold::Alarm));
    let what = alarm.or(state.notice.map(|notice| (notice, Untold::Notice)))?;
    prefetch.may_tell().then_some(what)
}

/// The wrapper that cargo would use without us, by cargo's own order: an empty variable means none. It is run in other
/// folders than this one.
fn other_wrapper(env: &Env) -> Option<OsString> {
    let variable = env
        .raw(env::RUSTC_WRAPPER)
        .or_else(|| env.raw(env::CARGO_BUILD_RUSTC_WRAPPER))
        .map(PathBuf::from);
    let variable = variable.map(|wrapper| match std::env::current_dir() {
        Ok(here) if cargo::is_relative_path(&wrapper) => here.join(wrapper),
        _ => wrapper,
    });
    let other = variable.or_else(|| cargo::configured_wrapper(env))?;
    (!other.as_os_str().is_empty() && !is_ours(&other)).then(|| other.into())
}

/// Puts the wrapper where cargo looks for one; a wrapper that was there gets what Sealift does not handle.
fn wrap(context: &Context, cargo: &mut Command, wrapper: &Path, other: Option<OsString>) {
    if let (Some(other), None) = (other, &context.config.next_wrapper) {
        cargo.env(env::NEXT_WRAPPER, other);
    }
    cargo.env(env::RUSTC_WRAPPER, wrapper);
    // cargo runs the wrapper in other folders.
    if let Some(policy) = context
        .config
        .trust_policy
        .as_ref()
        .filter(|policy| policy.is_relative())
        && let Ok(policy) = std::path::absolute(policy)
    {
        cargo.env(env::TRUST_ROOT, policy);
    }
}

/// Whether a wrapper is Sealift's, wherever it lies: two of them in a row would only be slow.
pub(super) fn is_ours(wrapper: &Path) -> bool {
    wrapper.file_stem().is_some_and(|name| name == WRAPPER)
}

/// The signals that would end us before cargo.
const PASSED_ON: [i32; 4] = [SIGINT, SIGQUIT, SIGTERM, SIGHUP];

/// Waits for cargo. Signals of the terminal reach cargo directly, so here they only must not end us before it; those
/// that reach us alone are passed on.
fn wait(mut child: Child, mut signals: Signals) -> anyhow::Result<ExitStatus> {
    let handle = signals.handle();
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let passing_on = thread::spawn(move || {
        for signal in signals.forever() {
            let signal = match signal {
                SIGTERM => rustix::process::Signal::TERM,
                SIGHUP => rustix::process::Signal::HUP,
                _ => continue,
            };
            if let Some(pid) = pid {
                // It may have ended meanwhile.
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    });
    let status = child.wait().context("failed to wait for cargo");
    handle.close();
    let _ = passing_on.join();
    status
}

/// Ends as cargo did: by the same signal, or with the same code.
fn as_cargo(status: ExitStatus) -> Exit {
    if let Some(signal) = status.signal() {
        // Returns only if the signal does not end a process.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
        return Exit::Cargo(u8::try_from(128 + signal).unwrap_or(u8::MAX));
    }
    Exit::Cargo(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(u8::MAX),
    )
}
