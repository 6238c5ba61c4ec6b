//! What differs, kept for people and operators: both manifests, both outputs, and the operators' proofs.
//!
//! Must not judge.

use std::path::PathBuf;

use anyhow::Context as _;
use sealift_policy::local;
use sealift_policy::manifest::Manifest;

use super::Sampled;
use super::rebuild::Rebuild;
use crate::prefetch::deposit::Deposit;

/// Keeps everything about a unit in `evidence/audit-<key>`.
pub(super) fn keep(
    deposit: &Deposit,
    rebuild: &Rebuild,
    sampled: &Sampled,
    here: &Manifest,
) -> anyhow::Result<PathBuf> {
    let store = deposit.store();
    let folder = format!("evidence/audit-{}", sampled.key.short());
    store.write(
        &format!("{folder}/unit.json"),
        &serde_json::to_vec_pretty(&sampled.unit)?,
    )?;
    let document = fs_err::read(store.path(&local::key_path(sampled.key)))?;
    store.write(&format!("{folder}/key.json"), &document)?;
    let sides = [("fetched", &sampled.manifest), ("compiled", here)];
    for (side, manifest) in sides {
        store.write(
            &format!("{folder}/{side}/manifest.json"),
            manifest.to_canonical().as_bytes(),
        )?;
        for output in &manifest.outputs {
            let from = if side == "fetched" {
                store
                    .blob(output.sha256, output.size)
                    .context("a fetched output is gone")?
            } else {
                rebuild.output(output.sha256)
            };
            store.write(&format!("{folder}/{side}/{}", output.name), &fs_err::read(from)?)?;
        }
    }
    Ok(store.path(&folder))
}
