//! `sealift-builder sandbox`: one call of a compiler or build script, as the wrapper asks for it.

use super::Outcome;
use crate::progress::say;
use crate::sandbox::Sandboxed;
use crate::sandbox::limits::Limits;
use crate::sandbox::run::{Ended, run as run_sandboxed};
use crate::{cli, env};

/// Exit code of a call that was stopped: what a shell says after SIGKILL.
const STOPPED: u8 = 137;

/// Runs the call and ends as it does.
///
/// # Errors
/// When the sandbox cannot be made.
pub(super) fn run(options: cli::Sandbox) -> anyhow::Result<Outcome> {
    let call = Sandboxed {
        kind: options.kind,
        read: env::sandbox_read(),
        write: options.write,
        secret: env::sandbox_secret(),
        folder: std::env::current_dir()?,
        home: env::home(),
        call: options.call,
    };
    match run_sandboxed(&call, &Limits::of(call.kind))? {
        Ended::Exited(code) => Ok(Outcome::Exit(code)),
        Ended::Stopped(reason) => {
            say(&format!("error: sealift: stopped in the sandbox: {reason}"));
            Ok(Outcome::Exit(STOPPED))
        }
    }
}
