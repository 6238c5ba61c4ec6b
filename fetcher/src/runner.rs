//! Build scripts and compilers in a builder's sandbox.
//!
//! On a builder, cargo finds a small runner where it expects a build script's executable: this very program under that
//! name, with the real executable beside it. The runner hands the real one to the builder's sandbox.
//! Owns where the real executable lies and how the sandbox program is called. Users' machines have no runner.
//! Must not know what a sandbox is.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;

use crate::env::{self, Env};

/// Ends the name of the real executable.
const REAL: &str = ".sealift-script";

/// The builder's sandbox program, when a builder runs this.
pub fn sandbox() -> Option<PathBuf> {
    Env::process().absolute_path(env::SANDBOX)
}

/// rustc in the sandbox, with these writable folders; arguments follow.
pub fn sandboxed_rustc(sandbox: &Path, writable: &[&Path], rustc: &Path) -> Command {
    sandboxed(sandbox, "rustc", writable, rustc)
}

/// Moves a build script's executable aside and puts the runner in its place.
pub fn put_in_front(executable: &Path) -> io::Result<()> {
    let mut real = executable.as_os_str().to_owned();
    real.push(REAL);
    fs::rename(executable, &real)?;
    let runner = std::env::current_exe()?;
    fs::copy(runner, executable).map(drop)
}

/// The real build script, if this program was started as a runner under this name.
pub fn real_script(program: &Path) -> Option<PathBuf> {
    if program.file_name()? == "sealift-rustc" {
        return None;
    }
    // cargo gives the executable a second name in the same folder.
    let entries = fs::read_dir(program.parent()?).ok()?;
    let mut real = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_real(path));
    real.next().filter(|_| real.next().is_none())
}

/// Becomes the build script, in the sandbox when there is one. Returns only on failure.
pub fn become_script(real: &Path) -> io::Error {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let out_dir = Env::process().absolute_path(env::OUT_DIR);
    match (sandbox(), out_dir) {
        (Some(sandbox), Some(out_dir)) => sandboxed(&sandbox, "script", &[&out_dir], real).args(args).exec(),
        (Some(_), None) => io::Error::other("a build script without `OUT_DIR`"),
        (None, _) => Command::new(real).args(args).exec(),
    }
}

fn is_real(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(REAL.as_bytes())
}

fn sandboxed(sandbox: &Path, what: &str, writable: &[&Path], program: &Path) -> Command {
    let mut command = Command::new(sandbox);
    command.args(["sandbox", what]);
    for folder in writable {
        command.arg("--write").arg(folder);
    }
    command.arg("--").arg(program);
    command
}
