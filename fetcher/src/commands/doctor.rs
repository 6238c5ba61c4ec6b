//! `cargo sealift doctor`: is everything in place, and what to do where it is not.
//!
//! Owns the checks and their remedies. Changes nothing but a scratch file in the local store.
//! Must not know how the checked parts work.

mod local;
mod network;
mod store;
mod toolchain;

use std::fmt::Write as _;

use serde::Serialize;

use super::context::Context;
use super::{Exit, Format};
use crate::report::shell;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was checked.
    check: &'static str,
    /// How it is.
    state: State,
    /// What was seen.
    message: String,
    /// What to do about it.
    remedy: Option<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Sealift works, but not as well as it could.
    Warning,
    /// Sealift does nothing, or fetches nothing.
    Problem,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Ok,
            message: message.into(),
            remedy: None,
        }
    }

    fn warning(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Warning,
            message: message.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn problem(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Problem,
            message: message.into(),
            remedy: Some(remedy.into()),
        }
    }
}

/// Checks everything.
pub(super) fn run(context: &Context, format: Format) -> anyhow::Result<Exit> {
    let mut findings = local::check(context);
    findings.push(toolchain::check(context));
    findings.extend(store::check(context));
    findings.extend(network::check(context));
    let worst = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok);
    if format.json {
        let report = serde_json::json!({"version": 1, "state": worst, "checks": findings});
        shell::data(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        shell::data(&text(&findings))?;
    }
    Ok(if worst == State::Problem {
        Exit::Found
    } else {
        Exit::Success
    })
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let state = match finding.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Problem => "PROBLEM",
        };
        writeln!(text, "{state:<9}{:<15}{}", finding.check, finding.message).expect("a string takes everything");
        if let Some(remedy) = &finding.remedy {
            writeln!(text, "{:24}hint: {remedy}", "").expect("a string takes everything");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_stand_on_lines_of_their_own() {
        let findings = [
            Finding::ok("store", "`/store` is writable"),
            Finding::problem("clock", "1970", "set it"),
        ];
        insta::assert_snapshot!(text(&findings), @r"
        ok       store          `/store` is writable
        PROBLEM  clock          1970
                                hint: set it
        ");
    }
}
