//! Reports for everybody: dated files that never change, and `latest`.
//!
//! Owns the folder, which any web server can serve:
//!
//! | path | what |
//! | --- | --- |
//! | `<seconds>.json` | a report |
//! | `<seconds>.note` | the auditor's signed note about it: verdict, file name and digest |
//! | `latest.note` | the newest of these notes; names its report |
//! | `auditor.vkey` | the auditor's public key. Believe one that you got elsewhere |
//!
//! Each step leaves a folder in which `latest.note` speaks of a report that is there. Must not know what is in a report.

use std::io;
use std::path::{Path, PathBuf};

use sealift_policy::digest::Digest;
use sealift_policy::log::audit_report::StatementError;
use sealift_policy::log::{AuditStatement, LogSigner};

use super::report::Report;
use crate::durable;

/// Why a report is not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It could not be signed.
    #[error("failed to sign the report")]
    Sign(#[from] StatementError),
    /// The file system failed.
    #[error("failed to write the report")]
    Io(#[from] io::Error),
}

/// Writes a report, signed, and gives its path.
///
/// # Errors
/// When it cannot be signed or written.
pub fn publish(folder: &Path, report: &Report, signer: &LogSigner) -> Result<PathBuf, PublishError> {
    let text = report.to_json();
    // Two audits within a second must not give one name to two reports.
    let (name, path) = (report.time..)
        .map(|time| (time, folder.join(format!("{time}.json"))))
        .find(|(_, path)| !path.exists())
        .ok_or_else(|| io::Error::from(io::ErrorKind::AlreadyExists))?;
    let statement = AuditStatement {
        auditor: signer.verifier().origin().clone(),
        time: report.time,
        verdict: report.verdict,
        file: format!("{name}.json"),
        sha256: Digest::of(text.as_bytes()),
    };
    let note = statement.sign(signer)?;
    let vkey = format!("{}\n", signer.verifier());
    durable::write(&folder.join("auditor.vkey"), vkey.as_bytes())?;
    durable::write(&path, text.as_bytes())?;
    durable::write(&folder.join(format!("{name}.note")), &note)?;
    durable::write(&folder.join("latest.note"), &note)?;
    Ok(path)
}
