//! `cargo sealift trust show`: who is trusted, and how far their logs were seen.
//!
//! Must not know how trust is decided.

use std::fmt::Write as _;

use anyhow::Context as _;

use super::context::Context;
use super::{Exit, Format};
use crate::heads::{Heads, Log};
use crate::report::shell::{self, count};
use crate::trust_root;

/// Prints the policy and the newest heads.
pub(super) fn show(context: &Context, format: Format) -> anyhow::Result<Exit> {
    let path = context.config.trust_policy.as_deref();
    let policy = trust_root::load(path)?;
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
        let report = serde_json::json!({"version": 1, "path": path, "policy": policy.document(), "heads": heads});
        shell::data(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
        return Ok(Exit::Success);
    }
    let document = policy.document();
    let mut text = String::new();
    let path = path.context("no trust policy is configured")?;
    writeln!(text, "trust policy    {}", path.display())?;
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
