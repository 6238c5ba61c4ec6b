//! `cargo sealift`: the command line, and which module does what.
//!
//! Owns the arguments and the exit codes. Must not know how any command works.

mod audit;
mod beside;
mod completions;
mod context;
mod debug_map;
mod doctor;
mod explain;
mod fetch;
mod gc;
mod man;
mod pass_through;
mod request;
mod setup;
mod stats;
mod status;
mod trust;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::events::BuildId;
use crate::report::shell::{Shell, Verbosity};
use crate::size::Size;
use context::Context;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "cargo sealift", bin_name = "cargo sealift", version, about, long_about = LONG, after_help = EXAMPLES)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const LONG: &str = "Fetches prebuilt, verified crates.io dependencies and compiles the rest as if it were not there.

`cargo sealift build`, `check`, `test`, `run`, `clippy`, `doc` and every other cargo command with its arguments: \
run cargo with Sealift's wrapper, and fetch what the command needs beside it.";

const EXAMPLES: &str = "Examples:
  cargo sealift build --release      Build once with Sealift
  cargo sealift setup                Build always with Sealift: plain `cargo build` uses it, too
  cargo sealift stats                What the last build reused
  cargo sealift explain syn          Why `syn` was compiled
  cargo sealift doctor               Check the set-up";

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch what a cargo command will need, without running it
    Fetch(FetchArgs),
    /// Make every cargo build use Sealift, or undo that
    Setup(SetupArgs),
    /// Say on one screen whether Sealift is on here, and what it did last
    #[command(after_help = "Examples:\n  cargo sealift status\n  cargo sealift status --json")]
    Status(Format),
    /// Count what the last build reused, fetched and compiled, and all builds together
    Stats(StatsArgs),
    /// Say why units of the last build were reused or compiled
    Explain(ExplainArgs),
    /// Check what in a target folder and in the local store came from elsewhere, and whether it is still trusted
    Verify(VerifyArgs),
    /// Compile a random sample of what this project takes from others once more, and compare bit for bit
    Audit(AuditArgs),
    /// Check the set-up and say how to repair it
    #[command(after_help = "Examples:\n  cargo sealift doctor\n  cargo sealift doctor --json")]
    Doctor(Format),
    /// Ask for this project's crates.io units to be built
    Request(RequestArgs),
    /// Show who is trusted
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Remove from the local store what is old, too much, or of toolchains that are gone
    Gc(GcArgs),
    /// Print the settings by which a debugger finds the sources of dependencies
    DebugMap(DebugMapArgs),
    /// Print the manual page, or write all pages into a folder
    Man(ManArgs),
    /// Print a completion script for a shell
    #[command(
        after_help = "Examples:\n  cargo sealift completions bash > ~/.local/share/bash-completion/completions/cargo-sealift\n  cargo sealift completions fish > ~/.config/fish/completions/cargo-sealift.fish"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// The wrapper's own: the prefetch that runs beside a cargo and ends with it
    #[command(hide = true, name = "prefetch-beside")]
    Beside(BesideArgs),
    /// Any cargo command, with what it needs fetched beside it
    #[command(external_subcommand)]
    Cargo(Vec<OsString>),
}

/// How data is printed.
#[derive(Debug, Clone, Copy, Args)]
struct Format {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo sealift fetch\n  cargo sealift fetch -- test --release")]
struct FetchArgs {
    /// Fetch only units of which a quorum of operators shows how they were built, as `SEALIFT_REQUIRE_SIGSTORE=1` does
    /// for every command
    #[arg(long)]
    require_sigstore: bool,
    /// Only warnings and errors
    #[arg(short, long)]
    quiet: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The cargo command, `build` by default
    #[arg(last = true)]
    command: Vec<OsString>,
}

#[derive(Debug, Args)]
struct BesideArgs {
    /// The cargo process
    cargo: BuildId,
    /// The build to whose events it belongs
    build: BuildId,
    /// The compiler that cargo uses
    rustc: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo sealift setup --url https://sealift.example --trust-root root.json
  cargo sealift setup --undo")]
struct SetupArgs {
    /// Base URL of the public store
    #[arg(long)]
    url: Option<String>,
    /// The TUF root (`root.json`) or trust policy to pin: a copy is kept
    #[arg(long, value_name = "FILE")]
    trust_root: Option<PathBuf>,
    /// Put everything back as it was
    #[arg(long, conflicts_with_all = ["url", "trust_root"])]
    undo: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Keep a wrapper that is configured already: it gets what Sealift does not handle
    #[arg(long)]
    keep_wrapper: bool,
}

#[derive(Debug, Clone, Copy, Args)]
#[command(after_help = "Examples:
  cargo sealift stats
  cargo sealift stats --all
  cargo sealift stats --json")]
struct StatsArgs {
    /// All builds whose records are kept, instead of the last one (JSON has both)
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo sealift explain
  cargo sealift explain serde_json
  cargo sealift explain --json")]
struct ExplainArgs {
    /// Only this crate or package
    #[arg(value_name = "CRATE")]
    name: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo sealift verify
  cargo sealift verify --target-dir /elsewhere/target --json")]
struct VerifyArgs {
    /// Also ask the public store how what was fetched was built, by the word of each operator that vouches for it
    #[arg(long)]
    provenance: bool,
    /// The target folder; without it that of the project in the current folder
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    /// A copy of RustSec's advisory database [default: the one that `cargo audit` keeps in cargo's home, if it is there]
    #[arg(long, value_name = "DIR")]
    advisories: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo sealift audit
  cargo sealift audit --sample 20 -- build --release")]
struct AuditArgs {
    /// How many units
    #[arg(long, value_name = "N", default_value_t = 5)]
    sample: usize,
    /// Only warnings, errors and the result
    #[arg(short, long)]
    quiet: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The cargo command, `build` by default
    #[arg(last = true)]
    command: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo sealift request
  cargo sealift request -- build --release
  cargo sealift request --print > request.json")]
struct RequestArgs {
    /// Print exactly what would be sent, and send nothing
    #[arg(long, conflicts_with_all = ["yes", "json"])]
    print: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    /// The cargo command, `build` by default
    #[arg(last = true)]
    command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, Args)]
#[command(after_help = "Examples:
  cargo sealift debug-map gdb >> ~/.gdbinit
  gdb -x <(cargo sealift debug-map gdb) target/debug/program
  cargo sealift debug-map lldb > .lldbinit")]
struct DebugMapArgs {
    /// The debugger
    debugger: Debugger,
}

/// A debugger whose settings are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Debugger {
    /// GNU's
    Gdb,
    /// LLVM's
    Lldb,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo sealift man | man -l -
  cargo sealift man ~/.local/share/man/man1")]
struct ManArgs {
    /// The folder; without it the page of the program itself is printed
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum TrustCommand {
    /// Show the trust policy and the newest heads seen
    #[command(after_help = "Examples:\n  cargo sealift trust show\n  cargo sealift trust show --json")]
    Show(Format),
    /// Print the trust policy that counts now, with all that was revoked, for programs that read one
    #[command(after_help = "With a TUF root pinned, this is what an auditor or a witness goes by.

Examples:
  cargo sealift trust update && cargo sealift trust policy > trust-policy.json
  sealift-builder audit --service https://sealift.example --trust-policy trust-policy.json --data auditor/")]
    Policy,
    /// Fetch the trust policy to which the pinned TUF root leads, and what was revoked
    #[command(
        after_help = "Builds do this by themselves once an hour. Exit code 101 when it was not fetched.

Examples:
  cargo sealift trust update
  cargo sealift trust update --json"
    )]
    Update(Format),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo sealift gc --dry-run
  cargo sealift gc --max-size 5GiB --max-age 30
  cargo sealift gc --toolchains")]
struct GcArgs {
    /// Keep at most this much, such as `20GiB` or `500MB`; without it what `max-store-size` says
    #[arg(long, value_name = "SIZE")]
    max_size: Option<Size>,
    /// Remove what was not used for this many days
    #[arg(long, value_name = "DAYS")]
    max_age: Option<u32>,
    /// Remove what was compiled by toolchains that are not installed any more
    #[arg(long)]
    toolchains: bool,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

/// What the program says with its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// All is well.
    Success,
    /// Something was found: `verify` and `doctor`.
    Found,
    /// The command could not be carried out.
    Failed,
    /// What cargo or a signal said.
    Cargo(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::SUCCESS,
            Exit::Found => Self::from(1),
            Exit::Failed => Self::from(101),
            Exit::Cargo(code) => Self::from(code),
        }
    }
}

/// Runs the program with these arguments.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args: Vec<OsString> = args.into_iter().collect();
    // cargo calls `cargo-sealift sealift ...`.
    if args.get(1).is_some_and(|arg| arg == "sealift") {
        args.remove(1);
    }
    let parsed = Cli::command()
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and errors alike go where they belong; nothing can be done when they cannot be printed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let context = Context::load();
    match dispatch(&context, cli.command) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let shell = Shell::stderr(&context.env, Verbosity::Normal);
            shell.error(format_args!("{error:#}"));
            Exit::Failed.into()
        }
    }
}

fn dispatch(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Cargo(words) => pass_through::run(context, words),
        Command::Fetch(args) => fetch::run(context, args),
        Command::Setup(args) => setup::run(context, &args),
        Command::Status(format) => status::run(context, format),
        Command::Stats(args) => stats::run(context, args),
        Command::Explain(args) => explain::run(context, &args),
        Command::Verify(args) => verify::run(context, &args),
        Command::Audit(args) => audit::run(context, args),
        Command::Doctor(format) => doctor::run(context, format),
        Command::Request(args) => request::run(context, args),
        Command::Trust(TrustCommand::Show(format)) => trust::show(context, format),
        Command::Trust(TrustCommand::Policy) => trust::policy(context),
        Command::Trust(TrustCommand::Update(format)) => trust::update(context, format),
        Command::Gc(args) => gc::run(context, &args),
        Command::Beside(args) => beside::run(context, &args),
        Command::DebugMap(args) => debug_map::run(context, args),
        Command::Man(args) => man::run(context, &args),
        Command::Completions { shell } => completions::run(shell),
    }
}
