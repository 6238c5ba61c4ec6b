//! The command line. Owns names and help of commands and options; must not know what they do.

mod attest;
mod audit;
mod review;
pub mod trust;
mod witness;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sealift_policy::name::{CrateName, CrateVersion, FeatureName, OperatorName};
use sealift_policy::request::profile::ProfileKind;

pub use self::attest::{Attest, AttestCommand, AttestInit, AttestKeyless};
pub use self::audit::Audit;
pub use self::review::Review;
pub use self::witness::{Evidence, Witness, WitnessCommand, WitnessInit, Witnessing};
use crate::source::Source;

/// Builds crates.io packages twice in a sandbox, signs what came out alike, and submits it to a Sealift service.
#[derive(Debug, Parser)]
#[command(name = "sealift-builder", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create an operator: a signing key and an empty, signed log
    Init(Init),
    /// Build, sign and submit one source
    Build(Build),
    /// Show which units a source has, in the order in which they are built
    Plan(Plan),
    /// Run a package's build script several times, watched, and propose an entry for the reviewed list
    #[command(after_help = review::EXAMPLES)]
    Review(Review),
    /// Say how units were built: the key that signs it
    #[command(after_help = attest::EXAMPLES)]
    Attest(Attest),
    /// Build, sign and submit a list of sources, one after the other
    Nightly(Nightly),
    /// Submit what was signed but not submitted yet, and a fresh checkpoint
    Submit(Submit),
    /// Check everything that operators have logged, from static files only; for people who trust nobody
    #[command(after_help = audit::EXIT_CODES)]
    Audit(Audit),
    /// Cosign the heads of operators' logs as a C2SP witness (tlog-witness)
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Witness(Witness),
    /// Judge an evidence file with the public key of the log alone
    #[command(after_help = witness::EVIDENCE_HELP)]
    Evidence(Evidence),
    /// Keep the root of trust: keys, TUF metadata, policy and revocations
    #[command(subcommand, after_help = trust::EXAMPLES)]
    Trust(trust::Trust),
    /// Sign what is staged (started by `build`; talks over standard input and output)
    #[command(hide = true)]
    Sign(Sign),
    /// Run one call of a compiler or build script in a sandbox (started by the wrapper)
    #[command(hide = true)]
    Sandbox(Sandbox),
}

/// Options of `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Name of the operator: lower-case letters, digits and inner `-`
    #[arg(long, value_name = "NAME")]
    pub operator: OperatorName,
    /// The operator's data folder, which will hold its signing key
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Which of the operator's logs; a new key means a new log
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub epoch: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `build`.
#[derive(Debug, Args)]
pub struct Build {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The service to submit to
    #[arg(long, value_name = "URL", env = "SEALIFT_URL")]
    pub service: String,
    #[expect(missing_docs, reason = "documented where it is defined; a comment would become help")]
    #[command(flatten)]
    pub source: SourceArgs,
    #[expect(missing_docs, reason = "as above")]
    #[command(flatten)]
    pub how: How,
    #[expect(missing_docs, reason = "as above")]
    #[command(flatten)]
    pub witnessing: Witnessing,
}

/// How everything is built.
#[derive(Debug, Clone, Args)]
pub struct How {
    /// Compile and run build scripts without a sandbox. What is built can then read the signing key. Recorded.
    #[arg(long)]
    pub no_sandbox: bool,
    /// Parallel jobs of the first pass; the second has one more
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Keep the folders in which it was built
    #[arg(long)]
    pub keep: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
}

/// What to build.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// A cargo project with Cargo.toml and Cargo.lock: its crates.io dependencies, never its own crates
    #[arg(long, value_name = "DIR", group = "source", required_unless_present_any = ["krate", "request"])]
    project: Option<PathBuf>,
    /// A crates.io package: a program as its published lock file says, a library at newest compatible versions
    #[arg(long = "crate", id = "krate", value_name = "NAME[@VERSION]", group = "source")]
    krate: Option<String>,
    /// Features of the package, besides the default ones
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    features: Vec<FeatureName>,
    /// A file that `cargo sealift request --print` wrote
    #[arg(long, value_name = "FILE", group = "source")]
    request: Option<PathBuf>,
    /// Profiles: check, dev, release [default: dev, or the request's]
    #[arg(long = "profile", value_name = "PROFILE")]
    pub profiles: Vec<ProfileKind>,
}

impl SourceArgs {
    /// The source that was named.
    ///
    /// # Errors
    /// When the package is not `NAME` or `NAME@VERSION`, or there are features without a package.
    pub fn source(&self) -> anyhow::Result<Source> {
        if self.krate.is_none() && !self.features.is_empty() {
            anyhow::bail!("`--features` needs `--crate`: projects and requests say which features they use");
        }
        if let Some(folder) = &self.project {
            return Ok(Source::Project(folder.clone()));
        }
        if let Some(file) = &self.request {
            return Ok(Source::Request(file.clone()));
        }
        let text = self.krate.as_deref().unwrap_or_default();
        published(text, &self.features)
    }
}

/// Reads `NAME[@VERSION]`.
///
/// # Errors
/// When the text is neither.
pub fn published(text: &str, features: &[FeatureName]) -> anyhow::Result<Source> {
    let (name, version) = match text.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    let name: CrateName = name.parse()?;
    let version: Option<CrateVersion> = version.map(str::parse).transpose()?;
    Ok(Source::Crate {
        name,
        version,
        features: features.to_vec(),
    })
}

/// Options of `plan`.
#[derive(Debug, Args)]
pub struct Plan {
    #[expect(missing_docs, reason = "documented where it is defined; a comment would become help")]
    #[command(flatten)]
    pub source: SourceArgs,
    /// Cargo's home for downloads [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub cargo_home: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `nightly`.
#[derive(Debug, Args)]
pub struct Nightly {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The service to submit to
    #[arg(long, value_name = "URL", env = "SEALIFT_URL")]
    pub service: String,
    /// A build list (TOML) [default: the list of popular programs that comes with Sealift]
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    #[expect(missing_docs, reason = "documented where it is defined; a comment would become help")]
    #[command(flatten)]
    pub how: How,
    #[expect(missing_docs, reason = "as above")]
    #[command(flatten)]
    pub witnessing: Witnessing,
}

/// Options of `submit`.
#[derive(Debug, Args)]
pub struct Submit {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The service to submit to
    #[arg(long, value_name = "URL", env = "SEALIFT_URL")]
    pub service: String,
    #[expect(missing_docs, reason = "documented where it is defined; a comment would become help")]
    #[command(flatten)]
    pub witnessing: Witnessing,
}

/// Options of `sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// The operator's data folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

/// Options of `sandbox`.
#[derive(Debug, Args)]
pub struct Sandbox {
    /// What is run: rustc, or a build script
    pub kind: SandboxKind,
    /// A folder that may be written
    #[arg(long = "write", value_name = "DIR")]
    pub write: Vec<PathBuf>,
    /// The folder that a build script sees as its `OUT_DIR`, at the place where it lies for everybody
    #[arg(long, value_name = "DIR")]
    pub out_dir: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    pub call: Vec<std::ffi::OsString>,
}

/// What runs in a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SandboxKind {
    /// The compiler, with proc macros inside.
    Rustc,
    /// A build script.
    Script,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn exactly_one_source_is_asked_for() {
        let build = |args: &[&str]| {
            let base = [
                "sealift-builder",
                "build",
                "--data",
                "d",
                "--service",
                "http://localhost",
            ];
            Cli::try_parse_from(base.iter().chain(args))
        };
        assert!(build(&[]).is_err());
        assert!(build(&["--project", "p", "--crate", "x"]).is_err());
        let Command::Build(odd) = build(&["--project", "p", "--features", "x"]).unwrap().command else {
            unreachable!()
        };
        assert!(odd.source.source().is_err());
        assert!(
            build(&[
                "--crate",
                "x@1.0.0",
                "--features",
                "a,b",
                "--profile",
                "check",
                "--profile",
                "dev"
            ])
            .is_ok()
        );
        assert!(build(&["--crate", "x", "--profile", "fast"]).is_err());
    }

    #[test]
    fn packages_are_named_with_or_without_version() {
        assert!(published("ripgrep@15.2.0", &[]).is_ok());
        assert!(published("ripgrep", &[]).is_ok());
        for text in ["", "@1.0.0", "x@", "x@1", "../x", "x@^1"] {
            assert!(published(text, &[]).is_err(), "{text}");
        }
    }
}
