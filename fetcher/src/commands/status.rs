//! `cargo sealift status`: is it on here, where units come from, what the last build did. One screen.
//!
//! Owns which wrapper cargo will use in this folder and what says so. Uses no network.
//! Must not know whether anything is wrong: that is `doctor`'s.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::context::Context;
use super::pass_through::is_ours;
use super::{Exit, Format, stats};
use crate::config::State;
use crate::env::{self, Env};
use crate::report::shell::{self, bytes, count};
use crate::report::tally::{Tally, Units};
use crate::store::Store;
use crate::{clock, trust_root};

/// The wrapper that plain cargo uses in this folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Hook {
    /// The program; `None` when cargo runs rustc itself.
    pub(super) wrapper: Option<String>,
    /// A variable or a file.
    pub(super) source: Option<String>,
}

/// What `--json` prints.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Report {
    version: u32,
    /// Whether plain cargo uses Sealift in this folder.
    on: bool,
    /// Why Sealift steps aside even so.
    aside: Option<String>,
    hook: Hook,
    next_wrapper: Option<String>,
    url: Option<String>,
    offline: bool,
    strict: bool,
    trust_policy: Option<PathBuf>,
    operators: Vec<String>,
    /// Why there is no trust policy.
    trust_problem: Option<String>,
    store: Option<PathBuf>,
    store_bytes: u64,
    store_limit_bytes: u64,
    last_build: Option<Units>,
    last_build_bytes_fetched: u64,
    builds: u64,
}

impl Hook {
    /// By cargo's own order: the environment, then the configuration files from this folder upwards, then the user's.
    pub(super) fn here(env: &Env, folder: &Path) -> Self {
        for name in [env::RUSTC_WRAPPER, env::CARGO_BUILD_RUSTC_WRAPPER] {
            if let Some(wrapper) = env.raw(name) {
                // An empty variable means none.
                let wrapper = Some(wrapper.to_string_lossy().into_owned()).filter(|wrapper| !wrapper.is_empty());
                return Self {
                    wrapper,
                    source: Some(format!("`{name}`")),
                };
            }
        }
        let home = env
            .absolute_path(env::CARGO_HOME)
            .or_else(|| Some(env.absolute_path(env::HOME)?.join(".cargo")));
        let folders = folder.ancestors().map(|folder| folder.join(".cargo")).chain(home);
        for folder in folders {
            // Of two files cargo reads the one without extension.
            for path in [folder.join("config"), folder.join("config.toml")] {
                if let Some(wrapper) = wrapper_in(&path) {
                    return Self {
                        wrapper: Some(wrapper).filter(|wrapper| !wrapper.is_empty()),
                        source: Some(format!("`{}`", path.display())),
                    };
                }
            }
        }
        Self {
            wrapper: None,
            source: None,
        }
    }

    /// Whether it is Sealift's.
    pub(super) fn is_ours(&self) -> bool {
        self.wrapper
            .as_deref()
            .is_some_and(|wrapper| is_ours(Path::new(wrapper)))
    }
}

fn wrapper_in(path: &Path) -> Option<String> {
    let document: toml::Table = toml::from_str(&fs_err::read_to_string(path).ok()?).ok()?;
    document.get("build")?.get("rustc-wrapper")?.as_str().map(str::to_owned)
}

/// Prints how it is.
pub(super) fn run(context: &Context, format: Format) -> anyhow::Result<Exit> {
    let report = report(context)?;
    if format.json {
        shell::data(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        shell::data(&text(&report))?;
    }
    Ok(Exit::Success)
}

fn report(context: &Context) -> anyhow::Result<Report> {
    let config = &context.config;
    let folder = std::env::current_dir()?;
    let hook = Hook::here(&context.env, &folder);
    let aside = match &config.state {
        State::On { .. } => None,
        State::Aside(aside) => Some(aside.to_string()),
    };
    let policy = trust_root::load(config, clock::seconds());
    let root = config.store();
    let build = root.map(stats::last_build).transpose()?.flatten();
    let tally = build.map(|build| Tally::of(&build.events));
    Ok(Report {
        version: 1,
        on: hook.is_ours() && aside.is_none(),
        aside,
        hook,
        next_wrapper: (config.next_wrapper.as_ref()).map(|wrapper| wrapper.to_string_lossy().into_owned()),
        url: config.url.clone(),
        offline: config.offline,
        strict: config.strict,
        trust_policy: config.trust_policy.clone(),
        operators: policy.as_ref().map_or_else(
            |_| vec![],
            |policy| {
                let operators = policy.document().operators.iter();
                operators.map(|operator| operator.name.to_string()).collect()
            },
        ),
        trust_problem: policy.err().map(|error| crate::prefetch::chain(&error)),
        store: root.map(Path::to_owned),
        store_bytes: root.map_or(0, size),
        store_limit_bytes: config.max_store_size.bytes(),
        last_build_bytes_fetched: tally.as_ref().map_or(0, |tally| tally.bytes_fetched),
        last_build: tally.map(|tally| tally.units),
        builds: root
            .map(crate::events::builds)
            .transpose()?
            .map_or(0, |builds| builds.len() as u64),
    })
}

/// Bytes of all stored outputs.
fn size(root: &Path) -> u64 {
    let Ok(store) = Store::open(root) else { return 0 };
    let entries = walkdir::WalkDir::new(store.path("cas"))
        .into_iter()
        .filter_map(Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| writeln!(text, "{name:<16}{value}").expect("a string takes everything");
    row(
        "sealift",
        match (&report.aside, report.on) {
            (Some(aside), _) => format!("steps aside: {aside}"),
            (None, true) => "on: every cargo build in this folder uses it".into(),
            (None, false) => "only for `cargo sealift ...` (`cargo sealift setup` makes every build use it)".into(),
        },
    );
    let source = report
        .hook
        .source
        .as_ref()
        .map(|source| format!(" (says {source})"))
        .unwrap_or_default();
    let wrapper = report.hook.wrapper.clone().unwrap_or_else(|| "none".into());
    row("wrapper", format!("{wrapper}{source}"));
    if let Some(next) = &report.next_wrapper {
        row("next wrapper", next.clone());
    }
    let url = report
        .url
        .clone()
        .unwrap_or_else(|| "none: only this machine's own units are reused".into());
    row(
        "public store",
        if report.offline {
            format!("{url} (offline)")
        } else {
            url
        },
    );
    row(
        "operators",
        match (&report.trust_problem, report.operators.is_empty()) {
            (Some(problem), _) => problem.clone(),
            (None, true) => "none".into(),
            (None, false) => report.operators.join(", "),
        },
    );
    let store = report
        .store
        .as_ref()
        .map_or_else(|| "none".into(), |store| store.display().to_string());
    row("local store", store);
    row(
        "  size",
        format!(
            "{} of at most {}",
            bytes(report.store_bytes),
            bytes(report.store_limit_bytes)
        ),
    );
    row(
        "last build",
        match &report.last_build {
            None => "nothing was built with Sealift yet".into(),
            Some(units) => format!(
                "{} of {} reused, {} compiled, {} fetched",
                units.hit,
                count(units.handled, "unit"),
                units.compiled + units.rejected,
                bytes(report.last_build_bytes_fetched)
            ),
        },
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrapper_is_the_one_that_cargo_will_use() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |path: &str, wrapper: &str| {
            let path = root.join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, format!("build.rustc-wrapper = \"{wrapper}\"\n")).unwrap();
        };
        let project = root.join("work/project");
        let hook = |more: &[(&str, &str)]| {
            let mut variables = vec![("HOME".to_owned(), root.join("home").into_os_string())];
            variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
            Hook::here(&Env::made_up(variables), &project)
        };
        assert_eq!(
            hook(&[]),
            Hook {
                wrapper: None,
                source: None
            }
        );
        write("home/.cargo/config.toml", "/opt/sealift-rustc");
        assert!(hook(&[]).is_ours());
        write("work/.cargo/config.toml", "sccache");
        assert_eq!(hook(&[]).wrapper.as_deref(), Some("sccache"));
        write("work/project/.cargo/config", "");
        assert_eq!(hook(&[]).wrapper, None, "an empty setting means none");
        assert!(hook(&[("RUSTC_WRAPPER", "/x/sealift-rustc")]).is_ours());
        assert_eq!(hook(&[("RUSTC_WRAPPER", "")]).wrapper, None);
    }
}
