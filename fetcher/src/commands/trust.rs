//! `cargo sealift trust show`, `policy` and `update`: who is trusted, how far their logs were seen, and where the policy came from.
//!
//! Must not know how trust is decided.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use sealift_policy::trust::TrustPolicy;

use super::context::Context;
use super::{Exit, Format};
use crate::cargo::{Settings, Surroundings};
use crate::clock;
use crate::heads::{Heads, Log};
use crate::prefetch::budget::Limits;
use crate::prefetch::{Alarm, chain};
use crate::remote::Remote;
use crate::report::shell::{self, Shell, Verbosity, count};
use crate::trust_root::{self, NoTrustRoot, PinnedRoot, TrustRoot, TrustState};
use crate::tuf::{Follow, NotFollowed};

/// Prints the policy and the newest heads.
pub(super) fn show(context: &Context, format: Format) -> anyhow::Result<Exit> {
    let path = context.config.trust_policy.as_deref();
    let now = clock::seconds();
    let policy = believed(context, now)?;
    let root = tuf_root(context)?;
    let state = root
        .as_ref()
        .and_then(|root| TrustState::read(context.config.store()?, root));
    let heads = context.store().ok().map(Heads::new);
    let logs: Vec<_> = (policy.logs())
        .map(|(operator, epoch, key)| {
            let log = Log {
                operator: operator.clone(),
                epoch,
                key: key.clone(),
            };
            let size = heads
                .as_ref()
                .and_then(|heads| heads.known(&log))
                .map(|head| head.size().value());
            (log, size)
        })
        .collect();
    if format.json {
        let heads: Vec<_> = (logs.iter())
            .map(|(log, size)| serde_json::json!({"operator": log.operator, "epoch": log.epoch, "size": size}))
            .collect();
        let report = serde_json::json!({"version": 1, "path": path, "policy": policy.document(), "heads": heads, "tuf": state.as_ref().map(tuf)});
        shell::data(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
        return Ok(Exit::Success);
    }
    let document = policy.document();
    let mut text = String::new();
    let path = path.context("no trust policy is configured")?;
    writeln!(text, "trust policy    {}", path.display())?;
    if let Some(state) = &state {
        write!(text, "{}", tuf_text(state, now))?;
    }
    writeln!(
        text,
        "libraries       {}",
        count(document.quorum.library as u64, "operator")
    )?;
    writeln!(
        text,
        "host code       {}",
        count(document.quorum.host_code as u64, "operator")
    )?;
    writeln!(
        text,
        "checkpoints     at most {} old",
        count(document.max_checkpoint_age_seconds / 3600, "hour")
    )?;
    writeln!(text, "witnesses       {}", document.witness_policy.witnesses().len())?;
    for (log, size) in &logs {
        let seen = size.map_or("not seen yet".into(), |size| {
            format!("seen with {}", count(size, "entry"))
        });
        let frozen = policy.frozen(&log.operator, log.epoch);
        let frozen = frozen.map_or(String::new(), |head| format!(", frozen at {}", head.size));
        writeln!(
            text,
            "operator        {} (log {}{frozen}, {seen})",
            log.operator, log.epoch
        )?;
    }
    shell::data(&text)?;
    Ok(Exit::Success)
}

/// Prints the policy alone, as `sealift-builder` reads one.
pub(super) fn policy(context: &Context) -> anyhow::Result<Exit> {
    let policy = believed(context, clock::seconds())?;
    shell::data(&format!("{}\n", serde_json::to_string_pretty(policy.document())?))?;
    Ok(Exit::Success)
}

/// The policy that counts now.
fn believed(context: &Context, now: i64) -> anyhow::Result<TrustPolicy> {
    trust_root::load(&context.config, now).map_err(|error| {
        let advice = match &error {
            NoTrustRoot::NotFetched(_) | NoTrustRoot::Expired { .. } => {
                "\n  hint: `cargo sealift trust update` fetches it"
            }
            _ => "",
        };
        anyhow::anyhow!("{}{advice}", chain(&error))
    })
}

/// The TUF root, if one is configured.
fn tuf_root(context: &Context) -> anyhow::Result<Option<PinnedRoot>> {
    match trust_root::read(context.config.trust_policy.as_deref())? {
        TrustRoot::Policy(_) => Ok(None),
        TrustRoot::Tuf(root) => Ok(Some(root)),
    }
}

/// Fetches the policy to which the pinned root leads, however lately that was done.
pub(super) fn update(context: &Context, format: Format) -> anyhow::Result<Exit> {
    let shell = Shell::stderr(&context.env, Verbosity::Normal);
    let Some(root) = tuf_root(context)? else {
        anyhow::bail!(
            "the configured trust policy is a plain file, which nothing distributes\n  hint: `cargo sealift setup --trust-root root.json` pins a TUF root instead"
        );
    };
    let config = &context.config;
    anyhow::ensure!(!config.offline, "offline, as `SEALIFT_OFFLINE` asks");
    let url = config.url.as_deref().context("no public store is configured")?;
    let network = Settings::of(&Surroundings::here(&context.env)).network(&context.env);
    let remote = Arc::new(Remote::new(url, Limits::of(config.patience), &network)?);
    let now = clock::seconds();
    let follow = Follow {
        store: context.store()?,
        root: &root,
        now,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let updated = runtime.block_on(follow.update(&remote));
    runtime.shutdown_background();
    let state = match updated {
        Ok(state) => state,
        Err(error) => {
            let what = chain(&error);
            if let NotFollowed::Forged { evidence, .. } = error {
                let alarm = Alarm { what, evidence };
                let line = super::fetch::alarm_line(&[alarm]).unwrap_or_default();
                anyhow::bail!("{line}");
            }
            anyhow::bail!("{what}");
        }
    };
    if format.json {
        shell::data(&format!("{}\n", serde_json::to_string_pretty(&tuf(&state))?))?;
    } else {
        shell::data(&tuf_text(&state, now))?;
    }
    shell.status("Updated", "the trust policy is the newest of the public store");
    Ok(Exit::Success)
}

/// For scripts. Version 1.
fn tuf(state: &TrustState) -> serde_json::Value {
    let roles = state
        .roles()
        .map(|(name, role)| (name.to_owned(), serde_json::json!(role)));
    let roles: serde_json::Map<_, _> = roles.into_iter().collect();
    serde_json::json!({"version": 1, "pinned": state.pinned, "updated": state.updated, "roles": roles})
}

/// For people.
fn tuf_text(state: &TrustState, now: i64) -> String {
    let mut text = format!("TUF root        {} (SHA-256 of the pinned file)\n", state.pinned);
    for (name, role) in state.roles() {
        let hours = role.expires.saturating_sub(now) / 3600;
        let left =
            u64::try_from(hours).map_or("expired".into(), |hours| format!("expires in {}", count(hours, "hour")));
        // Writing to text cannot fail.
        let _ = writeln!(text, "{name:<15} version {}, {left}", role.version);
    }
    text
}
