//! `cargo sealift setup`: Sealift for every cargo build of this user, and back.
//!
//! Owns what is written where, and that `--undo` puts back exactly what was there. The changes are made up first and
//! shown, then written. Must not know what the wrapper does.

mod change;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use toml_edit::{DocumentMut, Item, Table, value};

use super::context::Context;
use super::pass_through::is_ours;
use super::{Exit, SetupArgs};
use crate::cargo::{below_config, is_relative_path};
use crate::config::{CONFIG_FILE, ConfigFile, TRUST_POLICY_FILE, TUF_ROOT_FILE};
use crate::env;
use crate::report::shell::{self, Shell, Verbosity};
use crate::trust_root::{self, TrustRoot};
use crate::tuf::pinned;
use change::{Change, Journal};

/// Sets up, or undoes it.
pub(super) fn run(context: &Context, args: &SetupArgs) -> anyhow::Result<Exit> {
    let shell = Shell::stderr(&context.env, Verbosity::Normal);
    let folder = context
        .config
        .folder
        .as_deref()
        .context("no home folder: there is no place for a configuration")?;
    let changes = if args.undo {
        Journal::read(folder)?.undo()?
    } else {
        plan(context, args, folder, shell)?
    };
    let changes: Vec<Change> = changes.into_iter().filter(Change::changes_anything).collect();
    if changes.is_empty() {
        shell.status(
            "Sealift",
            if args.undo {
                "is not set up"
            } else {
                "is set up already"
            },
        );
        return Ok(Exit::Success);
    }
    for change in &changes {
        change.show(shell);
    }
    if args.dry_run {
        return Ok(Exit::Success);
    }
    if !args.yes && !shell::confirmed("Write this?")? {
        shell.status("Nothing", "was written");
        return Ok(Exit::Failed);
    }
    // The journal first: whatever happens after it can be undone.
    if !args.undo {
        Journal::read(folder)?.extended(&changes).write(folder)?;
    }
    for change in &changes {
        change.write()?;
    }
    if args.undo {
        Journal::remove(folder)?;
        shell.status("Undone", "cargo builds without Sealift");
    } else {
        shell.status(
            "Set up",
            "every cargo build of this user uses Sealift; `cargo sealift doctor` checks it",
        );
    }
    Ok(Exit::Success)
}

fn plan(context: &Context, args: &SetupArgs, folder: &Path, shell: Shell) -> anyhow::Result<Vec<Change>> {
    let wrapper = fs_err::canonicalize(Context::wrapper()?)?;
    let wrapper = wrapper.to_str().context("the path of the wrapper is not UTF-8")?;
    let cargo_config = cargo_config(context)?;
    let before = read(&cargo_config)?;
    let (after, displaced) = with_wrapper(before.as_deref().unwrap_or_default(), wrapper)
        .with_context(|| format!("failed to edit `{}`", cargo_config.display()))?;
    if let Some(displaced) = &displaced
        && !args.keep_wrapper
    {
        bail!(
            "`{}` names another wrapper: `{displaced}`\n  hint: `--keep-wrapper` keeps it for what Sealift does not handle",
            cargo_config.display()
        );
    }

    let config_path = folder.join(CONFIG_FILE);
    let config_before = read(&config_path)?;
    let mut config = ConfigFile::read(folder)?.unwrap_or_default();
    let url = args.url.clone().or_else(|| context.env.text(env::URL));
    if let Some(url) = url {
        ensure!(
            url.starts_with("https://") || url.starts_with("http://"),
            "`{url}` is not the URL of a store"
        );
        config.url = Some(url);
    }
    // It is run in other folders than cargo's, for which a relative path was meant.
    let displaced = displaced.map(|displaced| {
        let path = Path::new(&displaced);
        let whole = is_relative_path(path).then(|| below_config(&cargo_config, path).into_os_string().into_string());
        whole.and_then(Result::ok).unwrap_or(displaced)
    });
    config.next_wrapper = displaced.or(config.next_wrapper);
    let mut changes = Vec::new();
    let root = args
        .trust_root
        .clone()
        .or_else(|| context.env.non_empty(env::TRUST_ROOT).map(PathBuf::from));
    let pinned = folder.join(TRUST_POLICY_FILE);
    if let Some(root) = root {
        changes.push(pin(&root, folder, &mut config, shell)?);
    } else if config.url.is_some() && config.trust_policy.is_none() && !pinned.exists() {
        shell.warn("without a trust policy nothing that is downloaded is believed");
        shell.hint("`--trust-root FILE` pins one");
    }
    let config_after = format!(
        "# Written by `cargo sealift setup`; undone by `cargo sealift setup --undo`.\n{}",
        toml::to_string(&config)?
    );

    changes.push(Change {
        path: config_path,
        before: config_before,
        after: Some(config_after),
    });
    // Last, so that the wrapper never runs without its configuration.
    changes.push(Change {
        path: cargo_config,
        before,
        after: Some(after),
    });
    Ok(changes)
}

/// Pins a trust policy or a TUF root, whichever the file is.
fn pin(file: &Path, folder: &Path, config: &mut ConfigFile, shell: Shell) -> anyhow::Result<Change> {
    let text = fs_err::read_to_string(file)?;
    let name = match trust_root::parse(file, text.clone().into_bytes())? {
        TrustRoot::Policy(_) => {
            config.trust_policy = None;
            TRUST_POLICY_FILE
        }
        TrustRoot::Tuf(root) => {
            let summary = pinned::summary(&root)?;
            shell.status(
                "Pinning",
                format_args!(
                    "version {} of a TUF root, SHA-256 {}; compare it with what its keepers publish",
                    summary.version,
                    root.digest()
                ),
            );
            for key in &summary.keys {
                shell.status(
                    "Key",
                    format_args!("{key} ({} of {} sign)", summary.threshold, summary.keys.len()),
                );
            }
            config.trust_policy = Some(TUF_ROOT_FILE.into());
            TUF_ROOT_FILE
        }
    };
    let path = folder.join(name);
    Ok(Change {
        before: read(&path)?,
        path,
        after: Some(text),
    })
}

/// cargo's configuration of this user. Of two files cargo reads the one without extension.
fn cargo_config(context: &Context) -> anyhow::Result<PathBuf> {
    let home = context
        .env
        .absolute_path(env::CARGO_HOME)
        .or_else(|| Some(context.env.absolute_path(env::HOME)?.join(".cargo")))
        .context("no home folder: there is no configuration of cargo")?;
    let old = home.join("config");
    Ok(if old.is_file() { old } else { home.join("config.toml") })
}

/// The text with `build.rustc-wrapper` set, everything else kept as it is; and the wrapper that it named before.
fn with_wrapper(text: &str, wrapper: &str) -> anyhow::Result<(String, Option<String>)> {
    let mut document: DocumentMut = text.parse()?;
    let build = document.entry("build").or_insert_with(|| Item::Table(Table::new()));
    let build = build.as_table_like_mut().context("`build` is not a table")?;
    let displaced = match build.get("rustc-wrapper") {
        Some(present) => Some(
            present
                .as_str()
                .context("`build.rustc-wrapper` is not a string")?
                .to_owned(),
        ),
        None => None,
    };
    build.insert("rustc-wrapper", value(wrapper));
    let displaced = displaced.filter(|displaced| !displaced.is_empty() && !is_ours(Path::new(displaced)));
    Ok((document.to_string(), displaced))
}

/// What to leave of a file that was edited after it was set up: of cargo's configuration everything but our wrapper,
/// in whose place the earlier one returns; any other file as it is.
fn without_ours(now: Option<&str>, change: &Change) -> Option<String> {
    let now = now?;
    let wrapper = |text: &str| {
        let document: DocumentMut = text.parse().ok()?;
        document.get("build")?.get("rustc-wrapper")?.as_str().map(str::to_owned)
    };
    if !wrapper(now).is_some_and(|wrapper| is_ours(Path::new(&wrapper))) {
        return Some(now.to_owned());
    }
    let Ok(mut document) = now.parse::<DocumentMut>() else {
        return Some(now.to_owned());
    };
    let build = document.get_mut("build").and_then(Item::as_table_like_mut);
    let Some(build) = build else {
        return Some(now.to_owned());
    };
    match change.before.as_deref().and_then(wrapper) {
        Some(earlier) => build.insert("rustc-wrapper", value(earlier)),
        None => build.remove("rustc-wrapper"),
    };
    if build.is_empty() {
        document.remove("build");
    }
    Some(document.to_string())
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs_err::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
