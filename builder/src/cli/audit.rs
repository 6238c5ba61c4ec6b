//! Options of `audit`, and what its exit codes mean.

use std::path::PathBuf;

use clap::Args;
use sealift_policy::name::OperatorName;

use crate::audit::choice::Seed;

/// What scripts rely on.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  everything that was asked for was there, and right
  1  the audit could not be made
  2  incomplete: what was there was right, and something was not there
  3  misbehaviour: something is not what was signed, or signed statements contradict each other";

/// Options of `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// The service or mirror to read; any web server that has the same files will do
    #[arg(long, value_name = "URL", env = "SEALIFT_URL")]
    pub service: String,
    /// The trust policy: whose logs are read
    #[arg(long, value_name = "FILE")]
    pub trust_policy: PathBuf,
    /// The auditor's own folder: its key, and what it saw the last time. Made by the first audit
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Name of the auditor, for its key: lower-case letters, digits and inner `-`. Counts when the key is made
    #[arg(long, value_name = "NAME", default_value = "auditor")]
    pub name: OperatorName,
    /// Build so many units again, chosen at random among those of this machine's toolchain, and compare
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub sample: usize,
    /// Compile and run build scripts of the sample without a sandbox. What is built can then read the auditor's key
    #[arg(long)]
    pub no_sandbox: bool,
    /// What random choices are made by, to repeat an audit: the report names it [default: a new one]
    #[arg(long, value_name = "HEX")]
    pub seed: Option<Seed>,
    /// Fetch and hash the outputs of at most so many units that were not read yet, chosen at random [default: all]
    #[arg(long, value_name = "N")]
    pub outputs: Option<usize>,
    /// Check at most so many proof files, chosen at random
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub proofs: usize,
    /// Read again what was right the last time, too
    #[arg(long)]
    pub again: bool,
    /// Write the signed report here, for a web server
    #[arg(long, value_name = "DIR")]
    pub report_dir: Option<PathBuf>,
    /// Write numbers for Prometheus's textfile collector here
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}
