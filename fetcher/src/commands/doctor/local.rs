//! What can be checked without the network: configuration, wrapper, trust policy, clock.
//!
//! Must not know how findings are shown.

use std::path::Path;
use std::process::Command;

use super::super::context::Context;
use super::super::pass_through::is_ours;
use super::super::status::Hook;
use super::Finding;
use crate::config::State;
use crate::heads::{Heads, Log};
use crate::prefetch::chain;
use crate::report::shell::count;
use crate::store::Store;
use crate::trust_root::{self, NoTrustRoot, TrustRoot, TrustState};
use crate::{cargo, clock, env};

/// 2026-01-01: no machine that runs this program has an earlier date.
const NOT_BEFORE: i64 = 1_767_225_600;

/// Signed heads may be this many seconds ahead of the clock.
const TOLERANCE: i64 = 3600;

/// All findings.
pub(super) fn check(context: &Context) -> Vec<Finding> {
    let mut findings = vec![configuration(context), wrapper(context), hook(context)];
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
        (Some(direct), Some(wrapped))
            if direct.stdout == wrapped.stdout
                && version_of(&wrapper).as_deref() == Some(env!("CARGO_PKG_VERSION")) =>
        {
            Finding::ok("wrapper", format!("`{}` runs rustc", wrapper.display()))
        }
        (None, _) => Finding::problem("wrapper", "rustc does not run", "install Rust, or repair `RUSTC`"),
        _ => Finding::problem(
            "wrapper",
            format!(
                "`{}` does not run rustc as it is, or is of another version",
                wrapper.display()
            ),
            "install `sealift-rustc` and `cargo-sealift` of the same version",
        ),
    }
}

/// Whether plain `cargo build` uses the wrapper.
fn hook(context: &Context) -> Finding {
    let folder = std::env::current_dir().unwrap_or_default();
    let found = Hook::here(&context.env, &folder);
    // cargo itself knows of files that other files include, but not which file says so.
    let configured = match found.source {
        Some(_) => found.wrapper.clone(),
        None => cargo::configured_wrapper(&context.env).map(|wrapper| wrapper.display().to_string()),
    };
    judge_hook(
        &found,
        configured.filter(|wrapper| !wrapper.is_empty()).as_deref(),
        Context::wrapper().ok().as_deref(),
    )
}

fn judge_hook(found: &Hook, configured: Option<&str>, beside: Option<&Path>) -> Finding {
    let says = found
        .source
        .as_ref()
        .map(|source| format!(", says {source}"))
        .unwrap_or_default();
    let Some(configured) = configured else {
        return Finding::ok(
            "set-up",
            format!("only `cargo sealift ...` uses Sealift{says} (`cargo sealift setup` changes that)"),
        );
    };
    let path = Path::new(configured);
    if !is_ours(path) {
        return Finding::warning(
            "set-up",
            format!("plain cargo builds use another wrapper, `{configured}`{says}"),
            "`cargo sealift setup --keep-wrapper` puts Sealift in front of it",
        );
    }
    // One without a slash is searched for.
    if path.components().count() > 1 && !path.is_file() {
        return Finding::problem(
            "set-up",
            format!("`{configured}` is not there{says}: cargo builds nothing"),
            "`cargo sealift setup` names the wrapper beside this program, `cargo sealift setup --undo` removes it",
        );
    }
    match version_of(path) {
        Some(version) if version == env!("CARGO_PKG_VERSION") => {
            Finding::ok("set-up", format!("every cargo build here uses Sealift{says}"))
        }
        version => Finding::warning(
            "set-up",
            format!(
                "`{configured}`{says} is of {}, this program of version {}",
                version.map_or("an unknown version".into(), |version| format!("version {version}")),
                env!("CARGO_PKG_VERSION")
            ),
            match beside {
                Some(_) => "`cargo sealift setup` names the wrapper beside this program",
                None => "install both programs of one version",
            },
        ),
    }
}

/// What a wrapper says of itself.
fn version_of(wrapper: &Path) -> Option<String> {
    let output = Command::new(wrapper).arg("--version").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    said.trim_end().strip_prefix("sealift-rustc ").map(str::to_owned)
}

fn next_wrapper(context: &Context) -> Option<Finding> {
    let next = context.config.next_wrapper.as_ref()?;
    let name = next.display();
    let remedy = "install it, or remove it from `SEALIFT_NEXT_WRAPPER` and `config.toml`";
    // By a link or a copy under another name, too.
    if is_ours(Path::new(next)) || version_of(Path::new(next)).is_some() {
        let message = format!("`{name}` is Sealift itself");
        return Some(Finding::problem("next wrapper", message, "name another one, or none"));
    }
    let runs = Command::new(next).arg("--version").output().is_ok();
    Some(if runs {
        Finding::ok("next wrapper", format!("`{name}`"))
    } else {
        Finding::problem("next wrapper", format!("`{name}` does not run"), remedy)
    })
}

fn trust(context: &Context) -> Finding {
    match trust_root::load(&context.config, clock::seconds()) {
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
            Finding::ok("trust policy", format!("{message}{}", source(context)))
        }
        // A build fetches it as soon as there is something to fetch.
        Err(error @ NoTrustRoot::NotFetched(_)) => {
            Finding::warning("trust policy", chain(&error), "`cargo sealift trust update` fetches it")
        }
        Err(error) if error.is_expiry() => Finding::problem(
            "trust policy",
            format!("{}; nothing that was downloaded is believed", chain(&error)),
            "`cargo sealift trust update` fetches it anew; if that brings nothing newer, check the clock",
        ),
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

/// Where the policy came from, if not from a file.
fn source(context: &Context) -> String {
    let Ok(TrustRoot::Tuf(root)) = trust_root::read(context.config.trust_policy.as_deref()) else {
        return String::new();
    };
    let state = context.config.store().and_then(|store| TrustState::read(store, &root));
    state.map_or_else(String::new, |state| {
        let (role, earliest) = state.earliest();
        let hours = u64::try_from(earliest.expires.saturating_sub(clock::seconds()) / 3600).unwrap_or_default();
        format!(
            "; by TUF from `{}` (root version {}, {role} expires in {})",
            root.path().display(),
            state.root.version,
            count(hours, "hour")
        )
    })
}

/// The clock against the newest signed head of any log that was seen: an honest log does not sign the future.
fn clock(context: &Context) -> Finding {
    let now = clock::seconds();
    let policy = trust_root::load(&context.config, clock::seconds()).ok();
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
    use crate::env::Env;

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

    // T28
    #[test]
    fn a_missing_or_unreadable_trust_policy_is_one_clear_line() {
        let folder = tempfile::tempdir().unwrap();
        let judged = |policy: &str| {
            let env = Env::made_up([
                (env::HOME, folder.path().as_os_str()),
                (env::URL, "https://sealift.example".as_ref()),
                (env::TRUST_ROOT, policy.as_ref()),
            ]);
            trust(&Context::of(env))
        };
        let unreadable = folder.path().join("policy.json");
        fs_err::write(&unreadable, "{}").unwrap();
        for policy in ["", "/nowhere/policy.json", unreadable.to_str().unwrap()] {
            let finding = judged(policy);
            assert_eq!(finding.state, Judged::Problem, "{policy}");
            assert!(
                !finding.message.contains('\n') && finding.remedy.is_some(),
                "{finding:?}"
            );
        }
    }

    #[test]
    fn a_wrapper_that_is_gone_or_another_one_is_told() {
        let found = Hook {
            wrapper: None,
            source: Some("`RUSTC_WRAPPER`".into()),
        };
        let judged = |wrapper: Option<&str>| judge_hook(&found, wrapper, None).state;
        assert_eq!(judged(None), Judged::Ok);
        assert_eq!(judged(Some("sccache")), Judged::Warning);
        assert_eq!(judged(Some("/nowhere/sealift-rustc")), Judged::Problem);
    }
}
