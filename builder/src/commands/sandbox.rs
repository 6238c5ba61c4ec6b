//! `sealift-builder sandbox`: one call of a compiler or build script, as the wrapper asks for it.

use super::Outcome;
use crate::cli::SandboxKind;
use crate::progress::say;
use crate::review::recorded::RecordedCall;
use crate::sandbox::limits::Limits;
use crate::sandbox::run::{Ended, run as run_sandboxed};
use crate::sandbox::{Sandboxed, Tracing};
use crate::{cli, env};

/// Exit code of a call that was stopped: what a shell says after SIGKILL.
const STOPPED: u8 = 137;

/// Exit code of a call that is not made, so that cargo stops there.
const NOT_MADE: u8 = 1;

/// Runs the call and ends as it does.
///
/// # Errors
/// When the sandbox cannot be made.
pub(super) fn run(options: cli::Sandbox) -> anyhow::Result<Outcome> {
    if let Some(file) = env::record_call().filter(|_| options.kind == SandboxKind::Script) {
        RecordedCall::of_this_process(&options.call, options.out_dir.is_some())?.write(&file)?;
        say("sealift: this script's call is written down and not made");
        return Ok(Outcome::Exit(NOT_MADE));
    }
    let call = Sandboxed {
        kind: options.kind,
        read: env::sandbox_read(),
        write: options.write,
        out_dir: options.out_dir,
        secret: env::sandbox_secret(),
        folder: std::env::current_dir()?,
        home: env::home(),
        call: options.call,
        environment: None,
        tracing: Tracing::Denied,
    };
    match run_sandboxed(&call, &Limits::of(call.kind))? {
        Ended::Exited(code) => Ok(Outcome::Exit(code)),
        Ended::Stopped(reason) => {
            say(&format!("error: sealift: stopped in the sandbox: {reason}"));
            Ok(Outcome::Exit(STOPPED))
        }
    }
}
