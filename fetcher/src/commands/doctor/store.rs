//! The local store: is it ours and writable, how target folders share with it, is there room, does a build fit.
//!
//! Must not know how findings are shown.

use std::path::Path;

use super::super::context::Context;
use super::super::stats;
use super::Finding;
use crate::env;
use crate::report::shell::bytes;
use crate::report::tally::Tally;
use crate::sharing::Sharing;
use crate::size::Size;
use crate::store::Store;

/// Less room than this is not enough for a project of some size.
const LITTLE_ROOM: u64 = 2 << 30;

/// All findings.
pub(super) fn check(context: &Context) -> Vec<Finding> {
    let Some(root) = context.config.store() else {
        return vec![];
    };
    let store = match Store::open(root).and_then(|store| store.write("tmp/doctor", b"").map(|()| store)) {
        Ok(store) => store,
        Err(error) => {
            let remedy = "make the folder yours and writable, or set `SEALIFT_STORE` to another one";
            return vec![Finding::problem("store", format!("not writable: {error}"), remedy)];
        }
    };
    let _ = fs_err::remove_file(store.path("tmp/doctor"));
    let mut findings = vec![sharing(&store, context.target_dir().as_deref())];
    findings.extend(room(&store));
    findings.extend(limit(context, root));
    findings
}

/// With the target folder, or with the nearest folder above it that is there.
fn sharing(store: &Store, target: Option<&Path>) -> Finding {
    let Some(folder) = target.and_then(|target| target.ancestors().find(|folder| folder.is_dir())) else {
        return Finding::ok("store", "writable");
    };
    match Sharing::between(store, folder) {
        Sharing::Clone => Finding::ok("store", "writable; the target folder shares its bytes by clones"),
        Sharing::Link => Finding::ok(
            "store",
            "writable; the target folder shares libraries with it by hard links, programs are copied",
        ),
        Sharing::Copy => Finding::warning(
            "store",
            format!(
                "writable; `{}` cannot share bytes with it, so all are copied",
                folder.display()
            ),
            "put `SEALIFT_STORE` on the file system of the target folders, or leave it: only disk space is lost",
        ),
    }
}

fn room(store: &Store) -> Option<Finding> {
    let status = rustix::fs::statvfs(store.root()).ok()?;
    let free = status.f_bavail.saturating_mul(status.f_frsize);
    Some(judge_room(free))
}

fn judge_room(free: u64) -> Finding {
    let message = format!("{} free", bytes(free));
    if free < LITTLE_ROOM {
        return Finding::warning("room", message, "make room, or `cargo sealift gc --max-size SIZE`");
    }
    Finding::ok("room", message)
}

fn limit(context: &Context, root: &Path) -> Vec<Finding> {
    let mut findings = vec![];
    if let Some(text) = context.env.text(env::MAX_SIZE)
        && let Err(error) = text.parse::<Size>()
    {
        let message = format!("`{}`: {error}", env::MAX_SIZE);
        findings.push(Finding::warning(
            "size limit",
            message,
            "write it as `20GiB` or `500MB`",
        ));
    }
    let limit = context.config.max_store_size;
    let build = stats::last_build(root).ok().flatten();
    let reused = build.map_or(0, |build| Tally::of(&build.events).bytes_installed);
    findings.push(match stats::limit_warning(reused, limit) {
        Some(warning) => Finding::warning(
            "size limit",
            warning,
            "`max-store-size` in `config.toml`, or `SEALIFT_MAX_SIZE`",
        ),
        None => Finding::ok("size limit", bytes(limit.bytes())),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;
    use crate::env::Env;

    fn context(root: &Path, more: &[(&str, &str)]) -> Context {
        let mut variables = vec![
            (env::STORE, root.as_os_str().to_owned()),
            (env::HOME, root.as_os_str().to_owned()),
            (env::CARGO_TARGET_DIR, root.join("target").into_os_string()),
        ];
        variables.extend(more.iter().map(|(name, value)| (*name, (*value).into())));
        Context::of(Env::made_up(variables))
    }

    #[test]
    fn a_store_that_is_a_file_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs_err::write(&file, "").unwrap();
        assert_eq!(check(&context(&file, &[]))[0].state, State::Problem);
        let findings = check(&context(&folder.path().join("new"), &[]));
        assert!(findings[0].state <= State::Warning, "{findings:?}");
    }

    #[test]
    fn a_size_limit_that_is_none_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let findings = check(&context(folder.path(), &[(env::MAX_SIZE, "a lot")]));
        assert!(
            findings.iter().any(|finding| finding.message.contains("a lot")),
            "{findings:?}"
        );
    }

    // F17
    #[test]
    fn a_build_that_does_not_fit_is_told() {
        use sealift_policy::local::{BuildEvent, Outcome, UnitEvent};
        let folder = tempfile::tempdir().unwrap();
        let json = serde_json::json!({
            "event": "unit", "crate_name": "syn", "outcome": Outcome::HitCompiled, "wrapper_us": 0, "compile_ms": 0, "bytes": 2000,
        });
        let event: BuildEvent = serde_json::from_value(json).unwrap();
        assert!(matches!(&event, BuildEvent::Unit(UnitEvent { bytes: 2000, .. })));
        crate::events::append(folder.path(), "1-2".parse().unwrap(), &event).unwrap();
        let of = |limit: &str| {
            let findings = check(&context(folder.path(), &[(env::MAX_SIZE, limit)]));
            findings
                .into_iter()
                .find(|finding| finding.check == "size limit")
                .unwrap()
                .state
        };
        assert_eq!((of("1kB"), of("2kB")), (State::Warning, State::Ok));
    }

    #[test]
    fn little_room_is_told() {
        assert_eq!(judge_room(1 << 20).state, State::Warning);
        assert_eq!(judge_room(LITTLE_ROOM).state, State::Ok);
    }
}
