//! Calls that Sealift does not handle: run as cargo asked, by the next wrapper or by rustc.
//!
//! Owns becoming that program, so that signals, exit codes and job tokens are as without a wrapper, and that a chain of
//! wrappers which leads back to this one ends.
//! Must not know why a call is not handled.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use fs_err as fs;

use crate::env::NEXT_WRAPPER;
use crate::messages;
use crate::runner;

/// The program and arguments that cargo gave this wrapper.
#[derive(Debug, Clone)]
pub struct Given {
    /// rustc, or a workspace wrapper.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Given {
    /// Becomes the program, through the next wrapper if there is one. Returns only on failure.
    pub fn exec(&self, next: Option<&OsStr>) -> ExitCode {
        let mut command = self.command(next);
        let error = command.exec();
        messages::print(&format!(
            "error: sealift: failed to run `{}`: {error}",
            Path::new(command.get_program()).display()
        ));
        ExitCode::from(127)
    }

    /// Runs the program in a builder's sandbox, and puts the runner in front of a build script that it made.
    pub fn run_sandboxed(&self, sandbox: &Path) -> io::Result<ExitCode> {
        let out_dir = self.value("--out-dir").map(PathBuf::from);
        let writable: Vec<&Path> = out_dir.iter().map(PathBuf::as_path).collect();
        let status = runner::sandboxed_rustc(sandbox, &writable, &self.program)
            .args(&self.args)
            .status()?;
        if let Some(script) = out_dir.and_then(|out_dir| self.build_script(&out_dir))
            && script.is_file()
            && status.success()
        {
            runner::put_in_front(&script)?;
        }
        Ok(exit_code(status))
    }

    fn command(&self, next: Option<&OsStr>) -> Command {
        let mut command = match next.filter(|next| !is_this_program(next)) {
            Some(next) => {
                let mut command = Command::new(next);
                // Should it lead back here, then what is not handled goes to rustc.
                command.arg(&self.program).env(NEXT_WRAPPER, "");
                command
            }
            None => Command::new(&self.program),
        };
        command.args(&self.args);
        command
    }

    fn value(&self, flag: &str) -> Option<&str> {
        let args: Vec<_> = self.args.iter().filter_map(|arg| arg.to_str()).collect();
        let separate = args
            .iter()
            .position(|arg| *arg == flag)
            .and_then(|place| args.get(place + 1).copied());
        separate.or_else(|| args.iter().find_map(|arg| arg.strip_prefix(flag)?.strip_prefix('=')))
    }

    /// A build script is a program that cargo compiles into a folder of its own without naming it.
    fn build_script(&self, out_dir: &Path) -> Option<PathBuf> {
        use crate::env::{CARGO_BIN_NAME, Env};
        let extra = self
            .args
            .iter()
            .filter_map(|arg| arg.to_str())
            .find_map(|arg| arg.strip_prefix("extra-filename="));
        let is_script = self.value("--crate-type") == Some("bin") && Env::process().raw(CARGO_BIN_NAME).is_none();
        is_script.then(|| {
            out_dir.join(format!(
                "{}{}",
                self.value("--crate-name").unwrap_or_default(),
                extra.unwrap_or_default()
            ))
        })
    }
}

/// As a shell would tell it: 128 and the signal's number for a process that was stopped.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// A next wrapper that is this program would never end.
fn is_this_program(next: &OsStr) -> bool {
    let this = std::env::current_exe().and_then(fs::canonicalize);
    this.is_ok_and(|this| fs::canonicalize(next).is_ok_and(|next| next == this))
        || Path::new(next).file_name().is_some_and(|name| name == "sealift-rustc")
}
