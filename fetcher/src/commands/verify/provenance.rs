//! `cargo sealift verify --provenance`: of what was fetched, how it was built by the word of who vouches for it.
//!
//! Owns the question for each fetched unit. Must not know how bundles are verified.

use std::fmt::Write as _;

use anyhow::Context as _;
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::local::{self, LocalUnit, UnitOrigin};
use sealift_policy::name::OperatorName;
use sealift_policy::trust::TrustPolicy;
use serde::Serialize;

use super::files;
use crate::cargo::{Settings, Surroundings};
use crate::commands::context::Context;
use crate::prefetch::budget::Limits;
use crate::prefetch::chain;
use crate::provenance::{Bundles, Claim};
use crate::remote::Remote;
use crate::report::shell::count;
use crate::store::Store;

/// What `--json` prints about it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ProvenanceReport {
    /// Statements that were asked for: one for each fetched unit and each operator that vouches for it.
    checked: u64,
    /// Those that are missing or not believed.
    unproven: Vec<UnprovenUnit>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct UnprovenUnit {
    unit_key: UnitKey,
    /// Whose word it would be; `None` where the unit's own record is damaged.
    operator: Option<OperatorName>,
    reason: String,
}

impl ProvenanceReport {
    /// Whether everything is proven.
    pub(super) fn is_clean(&self) -> bool {
        self.unproven.is_empty()
    }

    /// The report for people.
    pub(super) fn text(&self) -> String {
        let unproven = self.unproven.len() as u64;
        let mut text = format!(
            "{:<16}{} checked, {unproven} not proven\n",
            "provenance",
            count(self.checked, "statement")
        );
        for unit in &self.unproven {
            writeln!(text, "{:<16}{}: {}", "not proven", unit.unit_key.short(), unit.reason)
                .expect("a string takes everything");
        }
        text
    }
}

/// Asks the public store about every fetched unit of the local store.
pub(super) fn check(
    context: &Context,
    store: &Store,
    policy: Result<&TrustPolicy, &str>,
) -> anyhow::Result<ProvenanceReport> {
    let policy = policy.map_err(|problem| anyhow::anyhow!("{problem}"))?;
    let config = &context.config;
    anyhow::ensure!(!config.offline, "offline, as `SEALIFT_OFFLINE` or `config.toml` asks");
    let url = config.url.as_deref().context("no public store is configured")?;
    let network = Settings::of(&Surroundings::here(&context.env)).network(&context.env);
    let remote = Remote::new(url, Limits::of(config.patience), &network)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(ask(store, &remote, policy));
    runtime.shutdown_background();
    Ok(report)
}

async fn ask(store: &Store, remote: &Remote, policy: &TrustPolicy) -> ProvenanceReport {
    // Nobody waits for a build meanwhile.
    remote.budget().allow_downloads(std::time::Duration::MAX);
    let bundles = Bundles::new(remote, policy);
    let mut report = ProvenanceReport::default();
    for path in files(&store.path("units")) {
        let unit = fs_err::read(&path).ok();
        let Some(unit) = unit.and_then(|bytes| serde_json::from_slice::<LocalUnit>(&bytes).ok()) else {
            continue;
        };
        let UnitOrigin::Fetched { proofs } = &unit.origin else {
            continue;
        };
        let unit_key = unit.unit_key;
        let document = fs_err::read(store.path(&local::key_path(unit_key))).ok();
        let document = document.and_then(|bytes| UnitDocument::from_canonical(&bytes).ok());
        let Some((_, document)) = document.filter(|(key, _)| *key == unit_key) else {
            report.unproven.push(UnprovenUnit {
                unit_key,
                operator: None,
                reason: "the key document is missing or damaged".into(),
            });
            continue;
        };
        let claim = Claim {
            unit: unit_key,
            manifest: Digest::of(unit.manifest.as_bytes()),
            package: document.package(),
        };
        for proof in proofs {
            report.checked += 1;
            if let Err(unproven) = bundles.check(&proof.operator, claim).await {
                report.unproven.push(UnprovenUnit {
                    unit_key,
                    operator: Some(proof.operator.clone()),
                    reason: chain(&unproven),
                });
            }
        }
    }
    report
}
