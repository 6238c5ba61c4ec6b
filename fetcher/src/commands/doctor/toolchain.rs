//! The compiler that cargo would run here: is it one whose units can be shared.
//!
//! Must not know how findings are shown.

use std::process::Command;

use super::super::context::Context;
use super::Finding;
use crate::env;
use crate::report::shell::count;

/// What is found.
pub(super) fn check(context: &Context) -> Finding {
    let rustc = context.env.non_empty(env::RUSTC).unwrap_or_else(|| "rustc".into());
    let said = |command: &mut Command| {
        let output = command.output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    let version = said(Command::new(rustc).arg("-vV"));
    let toolchains = said(Command::new("rustup").args(["toolchain", "list"]));
    judge(
        version.as_deref(),
        toolchains.map(|listed| listed.lines().count() as u64),
    )
}

fn judge(version: Option<&str>, toolchains: Option<u64>) -> Finding {
    let Some(version) = version else {
        return Finding::problem("toolchain", "rustc does not run", "install Rust, or repair `RUSTC`");
    };
    let line = |label: &str| version.lines().find_map(|line| line.strip_prefix(label));
    let name = version.lines().next().unwrap_or_default();
    let official = line("commit-hash: ").is_some_and(|commit| commit != "unknown") && !name.contains("-dev");
    if !official {
        return Finding::warning(
            "toolchain",
            format!("`{name}` is not an official release: nothing is reused"),
            "use a toolchain that rustup installs",
        );
    }
    let others = toolchains.map_or_else(
        || "; rustup is not there".into(),
        |number| format!("; rustup has {}", count(number, "toolchain")),
    );
    Finding::ok("toolchain", format!("{name}{others}"))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_compiler_that_nobody_else_has_is_told() {
        let official = "rustc 1.95.0 (59807616e 2026-04-14)\ncommit-hash: 59807616e1fa\n";
        assert_eq!(judge(Some(official), Some(2)).state, State::Ok);
        let own = "rustc 1.97.0-dev\ncommit-hash: unknown\n";
        assert_eq!(judge(Some(own), None).state, State::Warning);
        assert_eq!(judge(None, None).state, State::Problem);
    }
}
