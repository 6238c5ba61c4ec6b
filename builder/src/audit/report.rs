//! The report of an audit: what was looked at, and what was found.
//!
//! Owns the document (version 1) and the words for people. Must not know how anything was found, or where reports go.

use std::fmt::Write as _;

use sealift_policy::digest::Digest;
use sealift_policy::log::{Origin, TreeHash, Verdict};
use serde::Serialize;

use super::choice::Seed;
use super::finding::{Finding, LogName, Severity};
use super::rebuild::Rebuilt;

/// The report. Version 1.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Always 1.
    pub version: u32,
    /// Who audits: the name of the key that signs.
    pub auditor: Origin,
    /// What was audited.
    pub service: String,
    /// SHA-256 of the trust policy's file.
    pub trust_policy: Digest,
    /// When it began, in seconds since 1970.
    pub time: u64,
    /// By what samples were chosen.
    pub seed: Seed,
    /// How it ended.
    pub verdict: Verdict,
    /// The logs of the policy.
    pub logs: Vec<LogReport>,
    /// How much was looked at.
    pub looked_at: LookedAt,
    /// What is not as it should be; the worst first.
    pub findings: Vec<Reported>,
    /// What was built again; nothing if nobody asked for it.
    pub rebuilt: Vec<Rebuilt>,
}

/// One log of the policy.
#[derive(Debug, Serialize)]
pub struct LogReport {
    /// Which.
    pub log: LogName,
    /// The size of its head, if it has one.
    pub size: Option<u64>,
    /// The root of its head.
    pub root: Option<TreeHash>,
    /// When the head was signed, in seconds since 1970.
    pub time: Option<u64>,
    /// How many entries were known from the last audit.
    pub known: u64,
    /// Whether all of the head's entries were read, and give its root.
    pub complete: bool,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct LookedAt {
    /// Leaves of all logs, by which agreement was judged.
    pub leaves: u64,
    /// Leaves that the policy took back: they were left out.
    pub revoked_leaves: u64,
    /// Units whose manifest and key document were fetched or known.
    pub units: u64,
    /// Outputs that were fetched and hashed.
    pub outputs: u64,
    /// Their stored bytes.
    pub bytes: u64,
    /// Proof files.
    pub proofs: u64,
    /// Units that came out as they were logged while a sample was built again, besides the sample.
    pub rebuilt_besides: u64,
}

/// A finding with what people are told.
#[derive(Debug, Serialize)]
pub struct Reported {
    /// How bad it is.
    pub severity: Severity,
    /// One line.
    pub text: String,
    /// All of it.
    pub detail: Finding,
}

impl From<Finding> for Reported {
    fn from(detail: Finding) -> Self {
        Self {
            severity: detail.severity(),
            text: detail.to_string(),
            detail,
        }
    }
}

/// The verdict of these findings and rebuilt units.
pub fn verdict(findings: &[Reported], rebuilt: &[Rebuilt]) -> Verdict {
    let worst = findings.iter().map(|finding| finding.severity).max();
    if worst == Some(Severity::Wrong) || rebuilt.iter().any(Rebuilt::diverged) {
        Verdict::Misbehaviour
    } else if worst.is_some() {
        Verdict::Incomplete
    } else {
        Verdict::Fine
    }
}

impl Report {
    /// The document.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("reports have string keys only");
        text + "\n"
    }

    /// The report for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{line}").expect("a string takes everything");
        for log in &self.logs {
            let state = match (log.size, log.complete) {
                (Some(size), true) => format!("{size} leaves, {} new", size.saturating_sub(log.known)),
                (Some(size), false) => format!("a head of {size} leaves; {} are verified", log.known),
                (None, _) => format!("no usable head; {} leaves are known", log.known),
            };
            line(format!("{}: {state}", log.log));
        }
        let LookedAt {
            leaves,
            revoked_leaves,
            units,
            outputs,
            bytes,
            proofs,
            rebuilt_besides,
        } = self.looked_at;
        let megabytes = bytes as f64 / 1e6;
        line(format!(
            "{leaves} leaves compared ({revoked_leaves} revoked), {units} units, {outputs} outputs ({megabytes:.1} MB), {proofs} proofs"
        ));
        for rebuilt in &self.rebuilt {
            line(format!("rebuilt {rebuilt}"));
        }
        if !self.rebuilt.is_empty() {
            line(format!(
                "on the way, {rebuilt_besides} other units came out as they were logged"
            ));
        }
        for finding in &self.findings {
            let word = match finding.severity {
                Severity::NotThere => "not there",
                Severity::Wrong => "WRONG",
            };
            line(format!("{word}: {}", finding.text));
        }
        line(format!("verdict: {} (seed {})", self.verdict, self.seed));
        text
    }
}
