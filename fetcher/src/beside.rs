//! Starting the prefetch that runs beside a cargo.
//!
//! Owns when one is wanted, and that it is another process, which holds nothing of cargo's. The wrapper itself never
//! uses the network.
//! Must not know what the prefetch does: it is `cargo-sealift`, which lies beside this program.

use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::{Command, Stdio};

use fs_err as fs;
use sealift_policy::cause::Cause;
use sealift_policy::local::{BuildEvent, PrefetchEvent};

use crate::config::Config;
use crate::env::{self, Env};
use crate::events::{self, BuildId};
use crate::flight::{Prefetch, State};
use crate::store::Store;

/// The program that fetches, in this program's folder.
pub const PROGRAM: &str = "cargo-sealift";

/// Its command for that, which people do not call.
pub const COMMAND: &str = "prefetch-beside";

/// Whether a call is cargo's question about the compiler, which it asks before it looks at what is fresh.
pub fn is_target_probe(args: &[std::ffi::OsString]) -> bool {
    args.first().is_some_and(|arg| arg == "-")
        && args
            .windows(2)
            .any(|pair| pair[0] == "--crate-name" && pair[1] == "___")
}

/// The build to which this call of the wrapper belongs: the one that `cargo sealift` named, else the cargo process that
/// called it.
pub fn build() -> Option<BuildId> {
    let named: Option<BuildId> = Env::process().text(env::BUILD).and_then(|name| name.parse().ok());
    named
        .filter(|build| build.is_running())
        .or_else(|| BuildId::of_process(parent_id()))
}

/// The prefetch beside this build, begun now unless it was before. `None` where there is none: no public store, no
/// policy to believe anything by, or a caller that is not cargo.
pub fn started(config: &Config, store: &Store, rustc: &Path) -> Option<Prefetch> {
    config.url.as_ref()?;
    if Env::process().raw(env::SANDBOX).is_some() {
        return None;
    }
    let prefetch = Prefetch::of(store, build()?);
    if prefetch.is_claimed() {
        return obstacle(config).is_none().then_some(prefetch);
    }
    let cargo = BuildId::of_process(parent_id())?;
    let program = fs::read_link(format!("/proc/{}/exe", cargo.pid())).ok()?;
    if program.file_name().is_none_or(|name| name != "cargo") {
        return None;
    }
    if let Some(obstacle) = obstacle(config) {
        if prefetch.claim().ok()? {
            note(config, prefetch.build(), obstacle);
        }
        return None;
    }
    if prefetch.claim().ok()? && spawn(cargo, prefetch.build(), rustc).is_none() {
        // Nobody is to wait for a process that could not be started.
        prefetch.set_state(&State::done()).ok()?;
    }
    Some(prefetch)
}

/// The prefetch beside this build, if one was begun.
pub fn running(store: &Store) -> Option<Prefetch> {
    Some(Prefetch::of(store, build()?)).filter(Prefetch::is_claimed)
}

/// What is known to be in the way without asking anybody.
fn obstacle(config: &Config) -> Option<(Cause, &'static str)> {
    if config.offline {
        Some((Cause::Offline, "offline, as `SEALIFT_OFFLINE` asks"))
    } else if config.trust_policy.is_none() {
        Some((Cause::NoTrustPolicy, "there is no trust policy to believe anything by"))
    } else {
        None
    }
}

/// For `stats` and `explain`. Losing it loses a reason.
fn note(config: &Config, build: BuildId, (cause, problem): (Cause, &str)) {
    let event = PrefetchEvent {
        problems: vec![problem.to_owned()],
        obstacle: Some(cause),
        ..PrefetchEvent::default()
    };
    if let Some(store) = config.store() {
        let _ = events::append(store, build, &BuildEvent::Prefetch(event));
    }
}

fn spawn(cargo: BuildId, build: BuildId, rustc: &Path) -> Option<()> {
    let program = std::env::current_exe().ok()?.with_file_name(PROGRAM);
    let mut command = Command::new(program);
    command
        .args([COMMAND, &cargo.to_string(), &build.to_string()])
        .args(rustc.file_name().is_some_and(|name| name == "rustc").then_some(rustc))
        // Its own folder, so that it keeps no other from being removed.
        .current_dir(Path::new("/"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for (name, _) in env::all() {
        if name.to_str().is_some_and(env::is_credential) {
            command.env_remove(name);
        }
    }
    // Nobody waits for it: it ends with cargo.
    command.spawn().ok().map(drop)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn only_cargo_s_question_about_the_compiler_is_one() {
        let probe = |line: &str| is_target_probe(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(probe("- --crate-name ___ --print=file-names --crate-type bin"));
        assert!(!probe("-vV"));
        assert!(!probe("--crate-name ___ src/lib.rs"));
        assert!(!probe("- --crate-name itoa"));
    }
}
