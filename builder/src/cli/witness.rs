//! The command line of everything about witnesses and evidence.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use sealift_policy::log::{LogVerifier, Origin};

/// How an operator has its heads cosigned.
#[derive(Debug, Clone, Args)]
pub struct Witnessing {
    /// A trust policy: before a head is submitted, the witnesses that it names are asked to cosign it, and one without
    /// their quorum is withheld. So are those of `DIR/witness-policy` (tlog-policy text), if that file is there
    #[arg(long, value_name = "FILE")]
    pub trust_policy: Option<PathBuf>,
}

/// Options of `witness`.
#[derive(Debug, Args)]
pub struct Witness {
    /// What to do instead of serving
    #[command(subcommand)]
    pub command: Option<WitnessCommand>,
    /// The witness's data folder, which holds its key and what it has seen
    #[arg(long, value_name = "DIR", required = true)]
    pub data: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", required = true)]
    pub listen: Option<SocketAddr>,
    /// The logs to look at: `log <vkey> [<url>]` lines, as in a tlog-policy
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "trust_policy",
        required_unless_present = "trust_policy"
    )]
    pub logs: Option<PathBuf>,
    /// The logs to look at: those of a trust policy that are not frozen
    #[arg(long, value_name = "FILE")]
    pub trust_policy: Option<PathBuf>,
}

/// What else `witness` does.
#[derive(Debug, Subcommand)]
pub enum WitnessCommand {
    /// Create a witness: its key, and a folder for what it will have seen. Prints the verifier key
    Init(WitnessInit),
}

/// Options of `witness init`.
#[derive(Debug, Args)]
pub struct WitnessInit {
    /// Name of the witness: a URL without `https://`, such as `witness.example/w1`
    #[arg(long, value_name = "NAME")]
    pub name: Origin,
    /// The witness's data folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Options of `evidence`.
#[derive(Debug, Args)]
pub struct Evidence {
    /// The file, as clients, witnesses and auditors keep it
    pub file: PathBuf,
    /// The verifier key of a log that it speaks of; may be repeated
    #[arg(long = "vkey", value_name = "KEY", required_unless_present = "trust_policy")]
    pub vkeys: Vec<LogVerifier>,
    /// A trust policy that has the keys
    #[arg(long, value_name = "FILE")]
    pub trust_policy: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `evidence` answers.
pub(super) const EVIDENCE_HELP: &str = "\
Exit codes:
  0  it proves that the log's key was used as no honest signer uses it
  1  it is no evidence: malformed, or not signed by the keys that were given
  2  it is signed, and proves no misbehaviour of one log; what it shows is printed

Needs neither a store nor the network. The file names keys, too: they are never used, since anybody can sign with
a key of their own.";
