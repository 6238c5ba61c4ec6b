//! Options of `attest`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Examples of `attest`.
pub(super) const EXAMPLES: &str = "Examples:
  SEALIFT_PROVENANCE_PASSWORD_FILE=password sealift-builder attest init --data DIR
  COSIGN_PASSWORD=... cosign generate-key-pair; sealift-builder attest init --data DIR --import cosign.key

Once there is a key, whatever is submitted comes with a Sigstore bundle that it signs.";

/// Options of `attest`.
#[derive(Debug, Args)]
pub struct Attest {
    /// What to do.
    #[command(subcommand)]
    pub command: AttestCommand,
}

/// The commands about provenance.
#[derive(Debug, Subcommand)]
pub enum AttestCommand {
    /// Make the key that signs provenance, in cosign's encrypted format
    Init(AttestInit),
}

/// Options of `attest init`.
#[derive(Debug, Args)]
pub struct AttestInit {
    /// The operator's data folder, which will hold the key
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Take this key, which cosign made (ECDSA on P-256), with its password
    #[arg(long, value_name = "FILE")]
    pub import: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
