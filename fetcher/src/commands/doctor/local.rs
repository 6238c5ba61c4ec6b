//! What can be checked without the network: configuration, wrapper, local store, trust policy, clock.
//!
//! Must not know how findings are shown.

use std::path::Path;
use std::process::Command;

use super::super::context::Context;
use super::super::pass_through::is_ours;
use super::Finding;
use crate::config::State;
use crate::heads::{Heads, Log};
use crate::prefetch::chain;
use crate::report::shell::count;
use crate::store::Store;
use crate::{cargo, clock, env, trust_root};

/// 2026-01-01: no machine that runs this program has an earlier date.
const NOT_BEFORE: i64 = 1_767_225_600;

/// Signed heads may be this many seconds ahead of the clock.
const TOLERANCE: i64 = 3600;

/// All findings.
pub(super) fn check(context: &Context) -> Vec<Finding> {
    let mut findings = vec![configuration(context), wrapper(context), hook(context)];
    if let Some(root) = context.config.store() {
        findings.extend(store(root));
    }
    findings.extend(next_wrapper(context));
    findings.push(trust(context));
    findings.push(clock(context));
    findings.extend(evidence(context));
    findings
}

fn configuration(context: &Context) -> Finding {
    match &context.config.state {
        State::On { store } => Finding::ok("configuration", format!("local store in `{}`", store.display())),
        State::Aside(aside) => Finding::problem(
            "configuration",
            aside.to_string(),
            "unset `SEALIFT`, set `SEALIFT_STORE` to an absolute path, or repair the configuration file",
        ),
    }
}

fn wrapper(context: &Context) -> Finding {
    let wrapper = match Context::wrapper() {
        Ok(wrapper) => wrapper,
        Err(error) => {
            return Finding::problem(
                "wrapper",
                format!("{error:#}"),
                "install `sealift-rustc` beside `cargo-sealift`",
            );
        }
    };
    let rustc = context.env.non_empty(env::RUSTC).unwrap_or_else(|| "rustc".into());
    let version = |command: &mut Command| command.output().ok().filter(|output| output.status.success());
    let direct = version(Command::new(&rustc).arg("-vV"));
    let wrapped = version(Command::new(&wrapper).arg(&rustc).arg("-vV"));
    match (direct, wrapped) {
        (Some(direct), Some(wrapped)) if direct.stdout == wrapped.stdout => {
            Finding::ok("wrapper", format!("`{}` runs rustc", wrapper.display()))
        }
        (None, _) => Finding::problem("wrapper", "rustc does not run", "install Rust, or repair `RUSTC`"),
        _ => Finding::problem(
            "wrapper",
            format!("`{}` does not run rustc as it is", wrapper.display()),
            "install `sealift-rustc` and `cargo-sealift` of the same version",
        ),
    }
}

/// Whether plain `cargo build` uses the wrapper.
fn hook(context: &Context) -> Finding {
    let by_env = context.env.raw(env::RUSTC_WRAPPER);
    let configured = by_env
        .map(|wrapper| wrapper.to_string_lossy().into_owned())
        .or_else(|| cargo::configured_wrapper(&context.env));
    match configured {
        Some(wrapper) if is_ours(Path::new(&wrapper)) => Finding::ok("set-up", "every cargo build uses Sealift"),
        Some(wrapper) if !wrapper.is_empty() => Finding::warning(
            "set-up",
            format!("plain cargo builds use another wrapper, `{wrapper}`"),
            "`cargo sealift setup --keep-wrapper` puts Sealift in front of it",
        ),
        _ => Finding::ok(
            "set-up",
            "only `cargo sealift ...` uses Sealift (`cargo sealift setup` changes that)",
        ),
    }
}

fn store(root: &Path) -> Vec<Finding> {
    let scratch = Store::open(root).and_then(|store| store.scratch_folder());
    let scratch = match scratch {
        Ok(scratch) => scratch,
        Err(error) => {
            let remedy = "make the folder yours and writable, or set `SEALIFT_STORE` to another one";
            return vec![Finding::problem("store", format!("not writable: {error}"), remedy)];
        }
    };
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    if let Err(error) = fs_err::write(&from, "content") {
        return vec![Finding::problem(
            "store",
            format!("not writable: {error}"),
            "make room on its file system",
        )];
    }
    let how = if reflink_copy::reflink(&from, &to).is_ok() {
        "files are cloned"
    } else if fs_err::hard_link(&from, &to).is_ok() {
        "libraries are hard-linked, programs copied"
    } else {
        "files are copied"
    };
    vec![Finding::ok(
        "store",
        format!("writable; {how}, where the target folder lies on the same file system"),
    )]
}

fn next_wrapper(context: &Context) -> Option<Finding> {
    let next = context.config.next_wrapper.as_ref()?;
    let runs = Command::new(next).arg("--version").output().is_ok();
    Some(if runs {
        Finding::ok("next wrapper", format!("`{}`", next.display()))
    } else {
        let message = format!("`{}` does not run", next.display());
        Finding::problem(
            "next wrapper",
            message,
            "install it, or remove it from `SEALIFT_NEXT_WRAPPER` and `config.toml`",
        )
    })
}

fn trust(context: &Context) -> Finding {
    match trust_root::load(context.config.trust_policy.as_deref()) {
        Ok(policy) => {
            let document = policy.document();
            let (operators, host, library) = (
                document.operators.len(),
                document.quorum.host_code,
                document.quorum.library,
            );
            let message = format!(
                "{}; {host} must agree on host code, {library} on libraries",
                count(operators as u64, "operator")
            );
            if host.max(library) > operators {
                return Finding::problem(
                    "trust policy",
                    message,
                    "a quorum of more operators than there are is never met",
                );
            }
            Finding::ok("trust policy", message)
        }
        Err(error) if context.config.url.is_none() => Finding::ok(
            "trust policy",
            format!("{}; without a public store none is needed", chain(&error)),
        ),
        Err(error) => Finding::problem(
            "trust policy",
            format!("{}; nothing that was downloaded is believed", chain(&error)),
            "`cargo sealift setup --trust-root FILE` pins one",
        ),
    }
}

/// The clock against the newest signed head of any log that was seen: an honest log does not sign the future.
fn clock(context: &Context) -> Finding {
    let now = clock::seconds();
    let policy = trust_root::load(context.config.trust_policy.as_deref()).ok();
    let heads = context.config.store().map(Heads::new);
    let newest = policy
        .iter()
        .flat_map(|policy| policy.logs())
        .filter_map(|(operator, epoch, key)| {
            let log = Log {
                operator: operator.clone(),
                epoch,
                key: key.clone(),
            };
            Some(heads.as_ref()?.known(&log)?.time())
        });
    judge_clock(now, newest.max())
}

fn judge_clock(now: i64, newest_head: Option<u64>) -> Finding {
    let remedy = "set the clock; until then nothing that is downloaded counts as fresh";
    if now < NOT_BEFORE {
        return Finding::problem("clock", format!("{now} seconds since 1970 lie in the past"), remedy);
    }
    let head = newest_head.map_or(0, |time| i64::try_from(time).unwrap_or(i64::MAX));
    if head.saturating_sub(now) > TOLERANCE {
        return Finding::problem(
            "clock",
            format!("a log was signed {} seconds from now", head - now),
            remedy,
        );
    }
    Finding::ok("clock", "agrees with the logs seen")
}

fn evidence(context: &Context) -> Option<Finding> {
    let folder = Store::open(context.config.store()?).ok()?.path("evidence");
    let pieces = fs_err::read_dir(&folder).ok()?.count() as u64;
    let message = format!(
        "{} of what looked like attacks in `{}`",
        count(pieces, "piece"),
        folder.display()
    );
    (pieces > 0).then(|| Finding::warning("evidence", message, "report them to the operators, then remove them"))
}

#[cfg(test)]
mod tests {
    use super::super::State as Judged;
    use super::*;

    #[test]
    fn a_clock_in_1970_or_behind_a_signed_head_is_a_problem() {
        assert_eq!(judge_clock(1000, None).state, Judged::Problem);
        let now = NOT_BEFORE + 100;
        let head = |ahead: i64| Some(u64::try_from(now + ahead).unwrap());
        assert_eq!(judge_clock(now, head(86_400)).state, Judged::Problem);
        assert_eq!(judge_clock(now, head(60)).state, Judged::Ok);
        assert_eq!(judge_clock(now, None).state, Judged::Ok);
        assert_eq!(judge_clock(now, Some(u64::MAX)).state, Judged::Problem);
    }

    #[test]
    fn a_store_that_is_a_file_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs_err::write(&file, "").unwrap();
        assert_eq!(store(&file)[0].state, Judged::Problem);
        assert_eq!(store(&folder.path().join("new"))[0].state, Judged::Ok);
    }
}
