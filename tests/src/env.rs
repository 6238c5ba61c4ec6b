//! The environment: what the harness reads from its own, and what it hands to the programs that it starts.
//!
//! Owns every environment variable that this crate reads. Nothing else here asks for one.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

/// Where worlds are made when nobody says where; the system's folder for large temporary files otherwise.
pub const TMPDIR: &str = "TMPDIR";

/// Prefixes of the variables that would make a build depend on who started the harness.
const BUILD_PREFIXES: [&str; 8] = [
    "CARGO",
    "RUST",
    "SEALIFT",
    "XDG_",
    "CC_",
    "CFLAGS",
    "CXXFLAGS",
    "LD_LIBRARY_PATH",
];

/// Variables with such a prefix that a build needs: where the toolchain is, and the way out to the network.
const KEPT: [&str; 6] = [
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "RUSTUP_AUTO_INSTALL",
    "CARGO_HTTP_PROXY",
    "CARGO_HTTP_CAINFO",
    "CARGO_NET_RETRY",
];

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this crate that reads the environment"
)]
fn read(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Where worlds are made.
pub fn temporary_folder() -> PathBuf {
    let large = || Some(PathBuf::from("/var/tmp")).filter(|path| path.is_dir());
    read(TMPDIR)
        .map(PathBuf::from)
        .or_else(large)
        .unwrap_or_else(std::env::temp_dir)
}

/// A command whose result does not depend on what the caller has set for cargo, rustc or Sealift.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this crate that reads the environment"
)]
pub fn clean_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if BUILD_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) && !KEPT.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command
}

/// `PATH` with a folder put in front.
pub fn path_with(folder: &std::path::Path) -> OsString {
    let mut path = folder.as_os_str().to_owned();
    if let Some(rest) = read("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}
