//! Calls that Sealift does not handle: run as cargo asked, by the next wrapper or by rustc.
//!
//! Owns becoming that program, so that signals, exit codes and job tokens are as without a wrapper, and that a chain of
//! wrappers which leads back to this one ends.
//! Must not know why a call is not handled.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use fs_err as fs;

use crate::env::NEXT_WRAPPER;
use crate::messages::{self, Artifact};
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
    /// Becomes the program, through the next wrapper if there is one and it can be started. Returns only on failure.
    pub fn exec(&self, next: Option<&OsStr>) -> ExitCode {
        let mut command = self.command(next);
        let mut error = command.exec();
        // One that is gone costs what it would have saved, and no build.
        if next.is_some() && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) {
            messages::print(&format!(
                "warning: sealift: failed to run `{}`, the next wrapper: {error}; going on without it",
                Path::new(command.get_program()).display()
            ));
            command = self.command(None);
            error = command.exec();
        }
        messages::print(&format!(
            "error: sealift: failed to run `{}`: {error}",
            Path::new(command.get_program()).display()
        ));
        ExitCode::from(127)
    }

    /// Runs the program in a builder's sandbox, and puts the runner in front of a build script that it made.
    ///
    /// The program writes into a folder of its own. In cargo's it could change what other calls wrote there, and by way
    /// of a library's second name what the store holds.
    pub fn run_sandboxed(&self, sandbox: &Path) -> io::Result<ExitCode> {
        let Some(out_dir) = self.value("--out-dir").map(PathBuf::from) else {
            let status = runner::sandboxed_rustc(sandbox, &[], &self.program)
                .args(&self.args)
                .status()?;
            return Ok(exit_code(status));
        };
        let private = tempfile::Builder::new().prefix(".sealift-").tempdir_in(&out_dir)?;
        let mut child = runner::sandboxed_rustc(sandbox, &[private.path()], &self.program)
            .args(self.args_with_out_dir(private.path()))
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().expect("standard error is piped");
        for line in BufReader::new(stderr).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            match Artifact::parse(&line) {
                Some(Artifact { artifact, emit, .. }) => {
                    let name = artifact.file_name().unwrap_or_default();
                    // Cargo starts dependents at this message, and rustc itself reads the file after it. All else is
                    // taken when the call has ended.
                    if emit == "metadata" {
                        self.take_output(name, private.path(), &out_dir, copy)?;
                    }
                    Artifact::new(&out_dir.join(name), &emit).print();
                }
                None => messages::print(&line),
            }
        }
        let status = child.wait()?;
        if status.success() {
            self.take_outputs(private.path(), &out_dir)?;
            if let Some(script) = self.build_script(&out_dir)
                && script.is_file()
            {
                runner::put_in_front(&script, None)?;
            }
        }
        Ok(exit_code(status))
    }

    fn args_with_out_dir(&self, folder: &Path) -> Vec<OsString> {
        let mut args = self.args.clone();
        for place in 0..args.len() {
            if args[place] == "--out-dir" && place + 1 < args.len() {
                args[place + 1] = folder.into();
            } else if args[place].to_str().is_some_and(|arg| arg.starts_with("--out-dir=")) {
                args[place] = OsString::from("--out-dir=");
                args[place].push(folder);
            }
        }
        args
    }

    fn take_outputs(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::read_dir(from)?.try_for_each(|entry| self.take_output(&entry?.file_name(), from, to, fs::rename))
    }

    /// Takes a plain file under the name of one of this call's outputs, and nothing else.
    fn take_output<T>(
        &self,
        name: &OsStr,
        from: &Path,
        to: &Path,
        take: impl FnOnce(PathBuf, PathBuf) -> io::Result<T>,
    ) -> io::Result<()> {
        let (from, to) = (from.join(name), to.join(name));
        if name.to_str().is_some_and(|name| self.is_output(name)) && fs::symlink_metadata(&from)?.is_file() {
            take(from, to)?;
        }
        Ok(())
    }

    fn is_output(&self, name: &str) -> bool {
        let stem = self.stem();
        let is_of_stem = |name: &str| {
            name.strip_prefix(&stem)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        is_of_stem(name) || name.strip_prefix("lib").is_some_and(is_of_stem)
    }

    /// What the names of all outputs have in common.
    fn stem(&self) -> String {
        let extra = self
            .args
            .iter()
            .filter_map(|arg| arg.to_str())
            .find_map(|arg| arg.strip_prefix("extra-filename="));
        format!(
            "{}{}",
            self.value("--crate-name").unwrap_or_default(),
            extra.unwrap_or_default()
        )
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
        let is_script = self.value("--crate-type") == Some("bin") && Env::process().raw(CARGO_BIN_NAME).is_none();
        is_script.then(|| out_dir.join(self.stem()))
    }
}

/// What lies there may be a second name of something else, which is not to be written to.
fn copy(from: PathBuf, to: PathBuf) -> io::Result<u64> {
    let _ = fs::remove_file(&to);
    fs::copy(from, to)
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A call of rustc with this script as its sandbox: `$out` is where the call says that outputs belong, `$write` what
    /// the sandbox may write to.
    fn run(folder: &Path, script: &str) -> ExitCode {
        let sandbox = folder.join("sandbox");
        let text = format!(
            "#!/bin/sh\nwrite=$4\nfor arg; do case $arg in --out-dir=*) out=${{arg#*=}};; esac; done\n{script}"
        );
        fs::write(&sandbox, text).unwrap();
        fs::set_permissions(&sandbox, std::fs::Permissions::from_mode(0o755)).unwrap();
        let out_dir = format!("--out-dir={}", folder.join("deps").display());
        let args = [
            "--crate-name",
            "mine",
            &out_dir,
            "-C",
            "extra-filename=-12",
            "--crate-type",
            "lib",
        ];
        let given = Given {
            program: "rustc".into(),
            args: args.map(OsString::from).to_vec(),
        };
        given.run_sandboxed(&sandbox).unwrap()
    }

    // B4: one writable folder for each call.
    #[test]
    fn what_is_not_handled_writes_into_no_folder_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let deps = folder.path().join("deps");
        fs::create_dir(&deps).unwrap();
        fs::write(deps.join("libvictim-34.rlib"), "good").unwrap();
        let script = "test \"$3\" = --write && test \"$write\" = \"$out\" || exit 1\n\
            for name in libmine-12.rlib libmine-12.rmeta mine-12.d libvictim-34.rlib libmine-123.rlib mine; do\n\
                echo bad > $out/$name\ndone\nln -s /etc/passwd $out/libmine-12.so\n\
            tell() { echo \"{\\\"\\$message_type\\\":\\\"artifact\\\",\\\"artifact\\\":\\\"$out/$1\\\",\\\"emit\\\":\\\"metadata\\\"}\" >&2; }\n\
            tell libmine-12.rmeta; tell libvictim-34.rlib";
        assert_eq!(run(folder.path(), script), ExitCode::SUCCESS);
        let mut names: Vec<_> = fs::read_dir(&deps)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            ["libmine-12.rlib", "libmine-12.rmeta", "libvictim-34.rlib", "mine-12.d"]
        );
        assert_eq!(fs::read_to_string(deps.join("libvictim-34.rlib")).unwrap(), "good");
    }

    #[test]
    fn a_call_that_fails_leaves_nothing_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let deps = folder.path().join("deps");
        fs::create_dir(&deps).unwrap();
        assert_eq!(
            run(folder.path(), "touch $out/libmine-12.rlib; exit 7"),
            ExitCode::from(7)
        );
        assert_eq!(fs::read_dir(&deps).unwrap().count(), 0);
    }
}
