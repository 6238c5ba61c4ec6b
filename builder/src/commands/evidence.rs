//! `sealift-builder evidence`: what a file proves, for whoever has nothing but it and the log's public key.

use anyhow::Context as _;
use sealift_policy::evidence::{Evidence, MAX_BYTES};
use serde_json::json;

use super::witness::trust_policy;
use super::{Outcome, print};
use crate::cli;

/// Judges the file.
///
/// # Errors
/// When it is no evidence, or speaks of logs of other keys.
pub(super) fn run(options: &cli::Evidence) -> anyhow::Result<Outcome> {
    use std::io::Read as _;

    let mut bytes = vec![];
    let file = fs_err::File::open(&options.file)?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let evidence = Evidence::parse(&bytes).with_context(|| format!("`{}`", options.file.display()))?;
    let mut keys = options.vkeys.clone();
    if let Some(path) = &options.trust_policy {
        keys.extend(trust_policy(path)?.logs().map(|(_, _, key)| key.clone()));
    }
    let finding = evidence.judge(&keys).with_context(|| {
        let claimed = evidence.claimed_keys().into_iter();
        let claimed: Vec<_> = claimed
            .map(|key| format!("hint: the file names the key {key}"))
            .collect();
        format!("`{}` proves nothing\n{}", options.file.display(), claimed.join("\n"))
    })?;
    if options.json {
        let document =
            json!({"version": 1, "proof": finding.is_proof(), "finding": finding, "said": finding.to_string()});
        print(&format!("{document}\n"))?;
    } else {
        let verdict = if finding.is_proof() { "proof" } else { "no proof" };
        print(&format!("{verdict}: {finding}\n"))?;
    }
    Ok(match finding.is_proof() {
        true => Outcome::Done,
        false => Outcome::Incomplete,
    })
}
