//! Options of `attest`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Examples of `attest`.
pub(super) const EXAMPLES: &str = "Examples:
  SEALIFT_PROVENANCE_PASSWORD_FILE=password sealift-builder attest init --data DIR
  COSIGN_PASSWORD=... cosign generate-key-pair; sealift-builder attest init --data DIR --import cosign.key
  sealift-builder attest keyless --data DIR --fulcio URL --rekor URL --timestamps URL

Once there is a key, whatever is submitted comes with a Sigstore bundle that it signs. Where a Sigstore instance is named, it
comes with one that a certificate of that instance signs: for the identity token in `SEALIFT_IDENTITY_TOKEN_FILE` or
`SIGSTORE_ID_TOKEN`, or the one that CI hands out.";

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
    /// Sign provenance without a key from now on, with certificates of a Sigstore instance
    Keyless(AttestKeyless),
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

/// Options of `attest keyless`.
#[derive(Debug, Args)]
pub struct AttestKeyless {
    /// The operator's data folder, which will name the instance
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The certificate authority
    #[arg(long, value_name = "URL")]
    pub fulcio: String,
    /// The transparency log, of version 2
    #[arg(long, value_name = "URL")]
    pub rekor: String,
    /// Where timestamps are asked for (RFC 3161)
    #[arg(long, value_name = "URL")]
    pub timestamps: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
