//! Which compilers are installed, by what they say of themselves, as key documents name them.
//!
//! Must not know what is removed for those that are not.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::env::{self, Env};

/// What `rustc -vV` says for every toolchain of rustup, and for the rustc that cargo would run here.
///
/// # Errors
/// If rustup or one of them cannot be asked: what is not known to be gone must not be taken for gone.
pub(super) fn installed(env: &Env) -> anyhow::Result<BTreeSet<String>> {
    let listed = text(Command::new("rustup").args(["toolchain", "list", "-v"]))
        .context("failed to ask rustup which toolchains are installed")?;
    let mut compilers = BTreeSet::new();
    for folder in folders(&listed) {
        let rustc = Path::new(folder).join("bin/rustc");
        compilers.insert(text(Command::new(&rustc).arg("-vV")).with_context(|| failed(&rustc))?);
    }
    ensure!(!compilers.is_empty(), "rustup names no toolchain");
    // One that rustup does not know, such as a distribution's.
    let rustc = env.non_empty(env::RUSTC).unwrap_or_else(|| "rustc".into());
    compilers.extend(text(Command::new(rustc).arg("-vV")));
    Ok(compilers)
}

/// The last column of `rustup toolchain list -v`.
fn folders(listed: &str) -> impl Iterator<Item = &str> {
    listed
        .lines()
        .filter_map(|line| line.find(" /").or_else(|| line.find("\t/")).map(|at| line[at..].trim()))
}

fn text(command: &mut Command) -> anyhow::Result<String> {
    let output = command.env_remove(env::RUSTUP_TOOLCHAIN).output()?;
    ensure!(output.status.success(), "{}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn failed(rustc: &Path) -> String {
    format!("failed to ask `{}` who it is", rustc.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_last_column_whatever_stands_before_it() {
        let listed = "stable-x86_64 (active, default) /home/a b/stable\nnightly-x86_64\t/home/nightly\nno toolchain\n";
        assert_eq!(
            folders(listed).collect::<Vec<_>>(),
            ["/home/a b/stable", "/home/nightly"]
        );
    }
}
