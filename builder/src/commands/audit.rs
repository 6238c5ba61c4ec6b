//! `sealift-builder audit`: reads all logs, compares, builds a sample again, and reports.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use rand_core::RngCore as _;
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::log::{LogSigner, Verdict};
use sealift_policy::trust::TrustPolicy;

use super::{Outcome, build, clock, print, runtime};
use crate::audit::choice::Seed;
use crate::audit::finding::Finding;
use crate::audit::rebuild::{self, Rebuilder, Rebuilt};
use crate::audit::record::Record;
use crate::audit::report::{Report, Reported, verdict};
use crate::audit::{self, Audit, Scope, metrics, published};
use crate::cli;
use crate::key_file::{self, KeyFileError};
use crate::progress::say;
use crate::service::Service;

/// Audits.
///
/// # Errors
/// When the audit cannot be made, or its report not be written.
pub(super) fn run(options: &cli::Audit) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let bytes = fs_err::read(&options.trust_policy)?;
    let policy: TrustPolicy = serde_json::from_slice(&bytes)
        .with_context(|| format!("`{}` is no trust policy", options.trust_policy.display()))?;
    let record = Record::open(&options.data)?;
    let signer = key(&record.key(), options)?;
    let scope = Scope {
        seed: options.seed.unwrap_or_else(|| Seed(rand_core::OsRng.next_u64())),
        outputs: options.outputs.unwrap_or(usize::MAX),
        proofs: options.proofs,
        again: options.again,
        now: clock::now(),
    };
    let service = Service::new(&options.service)?;
    let runtime = runtime()?;
    let mut found = runtime.block_on(audit::audit(&service, &policy, &record, scope))?;
    let mut rebuilt = Vec::new();
    if options.sample > 0 {
        let mut sample = Sample::default();
        // What was read is reported whatever becomes of the sample.
        if let Err(error) = sample.rebuild(options, &record, &service, &runtime, &found, scope.seed) {
            let why = format!("{error:#}");
            found.findings.push(Finding::NotRebuilt { why });
        }
        found.looked_at.rebuilt_besides = sample.besides;
        rebuilt = sample.rebuilt;
    }
    let mut findings: Vec<Reported> = found.findings.into_iter().map(Reported::from).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let report = Report {
        version: 1,
        auditor: signer.verifier().origin().clone(),
        service: options.service.clone(),
        trust_policy: Digest::of(&bytes),
        time: scope.now,
        seed: scope.seed,
        verdict: verdict(&findings, &rebuilt),
        logs: found.logs,
        looked_at: found.looked_at,
        findings,
        rebuilt,
    };
    if let Some(folder) = &options.report_dir {
        let path = published::publish(folder, &report, &signer)?;
        say(&format!("the report is `{}`", path.display()));
    }
    if let Some(file) = &options.metrics {
        let text = metrics::text(&report, started.elapsed().as_secs_f64());
        let folder = std::path::absolute(file)?;
        crate::durable::write(&folder, text.as_bytes())?;
    }
    print(&if options.json {
        report.to_json()
    } else {
        report.to_text()
    })?;
    Ok(match report.verdict {
        Verdict::Fine => Outcome::Done,
        Verdict::Incomplete => Outcome::Incomplete,
        Verdict::Misbehaviour => Outcome::Exit(MISBEHAVIOUR),
    })
}

const MISBEHAVIOUR: u8 = 3;

/// What was built again.
#[derive(Debug, Default)]
struct Sample {
    rebuilt: Vec<Rebuilt>,
    /// How many other units came out as they were logged.
    besides: u64,
}

impl Sample {
    /// Builds a sample. What there is of it stays when the rest fails.
    fn rebuild(
        &mut self,
        options: &cli::Audit,
        record: &Record,
        service: &Service,
        runtime: &tokio::runtime::Runtime,
        found: &Audit,
        seed: Seed,
    ) -> anyhow::Result<()> {
        let tools = build::tools(record.root(), &record.root().join("cargo-home"), options.no_sandbox)?;
        let (agreed, documents) = rebuild::known(record, &found.agreed)?;
        let rebuilder = Rebuilder {
            tools: &tools,
            service,
            runtime,
            agreed,
            documents,
            work: record.root().join("work"),
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
        };
        let comparable = rebuilder.comparable();
        say(&format!(
            "{} of {} units are of this machine's toolchain; {} of them are built again",
            comparable.len(),
            rebuilder.agreed.len(),
            options.sample.min(comparable.len())
        ));
        for key in seed.choose(comparable, UnitKey::to_string, options.sample) {
            let built = rebuilder.rebuild(key)?;
            self.besides += built.besides;
            for unit in built.rebuilt {
                say(&unit.to_string());
                if self.rebuilt.iter().all(|known| known.unit_key != unit.unit_key) {
                    self.rebuilt.push(unit);
                }
            }
        }
        Ok(())
    }
}

/// The auditor's key; the first audit makes it.
fn key(path: &Path, options: &cli::Audit) -> anyhow::Result<LogSigner> {
    match key_file::read(path) {
        Err(KeyFileError::Missing(_)) => {
            let name = format!("sealift-auditor/{}", options.name).parse()?;
            let signer = LogSigner::generate(name, &mut rand_core::OsRng);
            key_file::create(path, &signer.to_secret_text())?;
            say(&format!(
                "the auditor's new key, for those who read its reports: {}",
                signer.verifier()
            ));
            Ok(signer)
        }
        other => Ok(other?),
    }
}
