//! The audit: what a reader of all entries can see, and no client can.
//!
//! Reads static files only, remembers what it saw, and goes on after every finding:
//!
//! 1. each log: head, new entries, tiles, one tree (`log`, `tiles`);
//! 2. all logs together: one leaf for each unit (`agreement`);
//! 3. what the leaves state can be had and is what they state (`objects`, `proofs`);
//! 4. a sample is built again from source (`rebuild`);
//! 5. a signed report (`report`, `published`), and numbers (`metrics`).
//!
//! Owns the order, and what is remembered when. Must not believe anything because of where it came from.

pub mod agreement;
pub mod choice;
pub mod closure;
pub mod finding;
pub mod log;
pub mod metrics;
mod objects;
mod proofs;
pub mod published;
pub mod rebuild;
pub mod record;
pub mod report;
mod tiles;

use std::error::Error;
use std::io;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::leaf::Leaf;
use sealift_policy::log::LogVerifier;
use sealift_policy::trust::TrustPolicy;

use self::agreement::Statements;
use self::choice::Seed;
use self::finding::{Finding, LogName};
use self::log::{LogAudit, Reader};
use self::objects::{Objects, Stated};
use self::record::{Open, Record, RecordError};
use self::report::{LogReport, LookedAt};
use crate::service::Service;

/// How many files are fetched at the same time.
const AT_ONCE: usize = 16;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// By what samples are chosen.
    pub seed: Seed,
    /// Of how many units at most the outputs are fetched, besides those that were missing or wrong.
    pub outputs: usize,
    /// How many proof files are fetched at most.
    pub proofs: usize,
    /// Whether what was right the last time is read again.
    pub again: bool,
    /// Seconds since 1970.
    pub now: u64,
}

/// Why there is no audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Nothing could be had of any log.
    #[error("no log could be read: {0}")]
    Nothing(String),
    /// What is remembered cannot be used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The file system failed.
    #[error("failed to keep what was read")]
    Io(#[from] io::Error),
}

/// What was read, and found.
#[derive(Debug)]
pub struct Audit {
    /// The logs.
    pub logs: Vec<LogReport>,
    /// How much was looked at.
    pub looked_at: LookedAt,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// The units about which the logs agree, with their manifests.
    pub agreed: Vec<(UnitKey, Digest)>,
}

/// Reads all logs of the policy and what they state.
///
/// # Errors
/// When nothing can be had, or this machine fails. What is wrong is a finding.
pub async fn audit(
    service: &Service,
    policy: &TrustPolicy,
    record: &Record,
    scope: Scope,
) -> Result<Audit, AuditError> {
    let reader = Reader {
        service,
        policy,
        now: scope.now,
        again: scope.again,
    };
    let mut logs: Vec<(LogAudit, &LogVerifier)> = Vec::new();
    for (operator, epoch, verifier) in policy.logs() {
        let name = LogName {
            operator: operator.clone(),
            epoch,
        };
        let known = record.log(&name, verifier)?;
        logs.push((reader.read(name, verifier, known).await, verifier));
    }
    if let Some(why) = nothing_there(&logs) {
        return Err(AuditError::Nothing(why));
    }
    let mut statements = Statements::default();
    let mut open = record.open_units()?;
    for (log, _) in &logs {
        for (leaf, statement) in log.statements() {
            if scope.again || statement.index.value() >= log.known {
                let pair = (leaf.unit_key(), leaf.manifest());
                open.unread.remove(&pair);
                if !open.units.contains(&pair) {
                    open.new.insert(pair);
                }
            }
            statements.add(policy, leaf.unit_key(), statement);
        }
    }
    // First what is to be looked at, then the heads: after a crash between them nothing is forgotten.
    record.set_open_units(&open)?;
    for (log, _) in &logs {
        if let Some(new) = &log.remember {
            record.remember(&log.name, &new.head, &new.bundles, new.tiles_checked)?;
        }
    }
    let mut findings: Vec<Finding> = logs
        .iter_mut()
        .flat_map(|(log, _)| std::mem::take(&mut log.findings))
        .collect();
    findings.extend(statements.contradictions());
    let mut looked_at = LookedAt {
        leaves: statements.standing,
        revoked_leaves: statements.revoked,
        ..LookedAt::default()
    };
    let objects = Objects {
        service,
        policy,
        record,
    };
    objects_of(objects, &statements, &mut open, scope, &mut looked_at, &mut findings).await?;
    record.set_open_units(&open)?;
    proofs_of(service, policy, &logs, scope, &mut looked_at, &mut findings).await;
    Ok(Audit {
        logs: logs.iter().map(|(log, _)| log_report(log)).collect(),
        looked_at,
        findings,
        agreed: statements.agreed().collect(),
    })
}

/// Looks at the objects of what is open: at what was missing or wrong wholly, at the outputs of a sample of all else. What
/// is not right, or was not looked at, stays open.
async fn objects_of(
    objects: Objects<'_>,
    statements: &Statements,
    open: &mut Open,
    scope: Scope,
    looked_at: &mut LookedAt,
    findings: &mut Vec<Finding>,
) -> io::Result<()> {
    let (again, others): (Vec<_>, Vec<_>) = statements
        .stated()
        .map(|(unit_key, manifest, by)| Stated {
            unit_key,
            manifest,
            by,
            outputs: true,
        })
        .filter(|stated| open.contains(&stated.pair()))
        .partition(|stated| open.units.contains(&stated.pair()));
    let others = scope
        .seed
        .choose(others, |stated| stated.unit_key.to_string(), usize::MAX);
    let others = others.into_iter().enumerate().map(|(rank, stated)| Stated {
        outputs: rank < scope.outputs,
        ..stated
    });
    let stated: Vec<_> = again
        .into_iter()
        .chain(others)
        .filter(|stated| stated.outputs || !open.unread.contains(&stated.pair()))
        .collect();
    let mut answers = stream::iter(stated)
        .map(async |stated| objects.check(&stated).await.map(|answer| (stated, answer)))
        .buffered(AT_ONCE);
    while let Some((stated, (checked, found))) = answers.try_next().await? {
        looked_at.units += 1;
        looked_at.outputs += checked.outputs;
        looked_at.bytes += checked.bytes;
        open.settle(stated.pair(), stated.outputs, found.is_empty());
        findings.extend(found);
    }
    Ok(())
}

/// Looks at a sample of the proof files.
async fn proofs_of(
    service: &Service,
    policy: &TrustPolicy,
    logs: &[(LogAudit, &LogVerifier)],
    scope: Scope,
    looked_at: &mut LookedAt,
    findings: &mut Vec<Finding>,
) {
    let all = logs.iter().flat_map(|(log, verifier)| {
        let standing = log
            .statements()
            .filter(|(leaf, statement)| !policy.is_revoked(leaf.unit_key(), statement));
        standing.map(move |(leaf, _)| (log, *verifier, leaf))
    });
    let name = |(log, _, leaf): &(&LogAudit, &LogVerifier, &Leaf)| {
        format!("{}/{}/{}", log.name.operator, log.name.epoch, leaf.unit_key())
    };
    let chosen = scope.seed.choose(all, name, scope.proofs);
    looked_at.proofs = chosen.len() as u64;
    let answers = stream::iter(chosen)
        .map(async |(log, verifier, leaf)| proofs::check(service, log, verifier, leaf).await)
        .buffered(AT_ONCE);
    findings.extend(answers.filter_map(async |found| found).collect::<Vec<_>>().await);
}

/// Why nothing was read, if nothing was: then it is the way to the service that is in doubt.
fn nothing_there(logs: &[(LogAudit, &LogVerifier)]) -> Option<String> {
    let why = logs.iter().map(|(log, _)| match &log.findings[..] {
        [Finding::NoCheckpoint { why, .. }] if log.known == 0 => Some(why.clone()),
        _ => None,
    });
    why.reduce(|a, b| a.and(b))
        .unwrap_or(Some("the policy names none".to_owned()))
}

fn log_report(log: &LogAudit) -> LogReport {
    let head = log.head.as_ref();
    LogReport {
        log: log.name.clone(),
        size: head.map(|head| head.size().value()),
        root: head.map(|head| head.root()),
        time: head.map(|head| head.time()),
        known: log.known,
        complete: log.remember.is_some(),
    }
}

/// An error with everything that led to it, in one line.
fn because(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
