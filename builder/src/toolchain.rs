//! The Rust toolchain that builds: its programs by their real paths, past any proxy that would choose another one.
//!
//! Must not know what is built with it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealift_policy::name::Toolchain as ToolchainName;

use crate::env;

/// A toolchain on this machine.
#[derive(Debug, Clone)]
pub struct Toolchain {
    sysroot: PathBuf,
    name: ToolchainName,
    host: String,
}

/// Why there is no toolchain to build with.
#[derive(Debug, thiserror::Error)]
pub enum NoToolchain {
    /// A program could not be started.
    #[error("failed to run `{0}`")]
    Run(String, #[source] std::io::Error),
    /// It gave no answer, or one that cannot be read.
    #[error("`{0}` gave no usable answer")]
    Answer(String),
}

impl Toolchain {
    /// Finds the toolchain of the `cargo` that the caller wants, as seen from `folder`.
    ///
    /// # Errors
    /// When there is none or it does not tell what it is.
    pub fn find(folder: &Path) -> Result<Self, NoToolchain> {
        // `cargo rustc --print` would need a project; the `rustc` beside `cargo`, proxy or not, answers for it.
        let cargo = PathBuf::from(env::cargo());
        let rustc = match cargo.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) if parent.join("rustc").is_file() => parent.join("rustc"),
            _ => PathBuf::from("rustc"),
        };
        let sysroot = PathBuf::from(output(rustc.as_os_str(), &["--print", "sysroot"], folder)?.trim_end());
        let verbose = output(sysroot.join("bin/rustc").as_os_str(), &["-vV"], folder)?;
        let field = |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let answer = || NoToolchain::Answer(format!("{} -vV", rustc.display()));
        let (release, host) = field("release:").zip(field("host:")).ok_or_else(answer)?;
        let name = format!("{release}-{host}").parse().map_err(|_| answer())?;
        let toolchain = Self {
            host: host.to_owned(),
            name,
            sysroot,
        };
        if toolchain.cargo().is_file() {
            Ok(toolchain)
        } else {
            Err(answer())
        }
    }

    /// Its name in paths of the public store.
    pub fn name(&self) -> &ToolchainName {
        &self.name
    }

    /// The host's target triple.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where it lies.
    pub fn sysroot(&self) -> &Path {
        &self.sysroot
    }

    /// Its cargo.
    pub fn cargo(&self) -> PathBuf {
        self.sysroot.join("bin/cargo")
    }

    /// Its rustc.
    pub fn rustc(&self) -> PathBuf {
        self.sysroot.join("bin/rustc")
    }
}

fn output(program: &OsStr, args: &[&str], folder: &Path) -> Result<String, NoToolchain> {
    let name = || format!("{} {}", program.display(), args.join(" "));
    let output = Command::new(program).args(args).current_dir(folder).output();
    let output = output.map_err(|error| NoToolchain::Run(name(), error))?;
    match String::from_utf8(output.stdout) {
        Ok(text) if output.status.success() && !text.is_empty() => Ok(text),
        _ => Err(NoToolchain::Answer(name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toolchain_that_runs_this_test_is_found() {
        let toolchain = Toolchain::find(Path::new(".")).unwrap();
        assert!(toolchain.name().as_str().ends_with(toolchain.host()));
        assert!(toolchain.rustc().is_file());
    }
}
