//! The commands. Owns exit codes and how errors are shown; each command has a file of its own.

mod attest;
mod audit;
mod build;
mod clock;
mod evidence;
mod init;
mod nightly;
mod plan;
mod review;
mod sandbox;
mod sign;
mod submit;
mod trust;
mod witness;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::progress::say;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All was done.
    Done,
    /// Something was done, and something failed that was told about.
    Incomplete,
    /// The exit code of the program that was run.
    Exit(u8),
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Incomplete => Self::from(2),
            Outcome::Exit(code) => Self::from(code),
        }
    }
}

/// Runs a command; an error is printed once, with everything that led to it.
pub fn run(cli: Cli) -> ExitCode {
    let outcome = match cli.command {
        Command::Init(options) => init::run(&options),
        Command::Attest(options) => attest::run(&options),
        Command::Build(options) => build::run(&options),
        Command::Plan(options) => plan::run(&options),
        Command::Review(options) => review::run(&options),
        Command::Nightly(options) => nightly::run(&options),
        Command::Submit(options) => submit::run(&options),
        Command::Audit(options) => audit::run(&options),
        Command::Witness(options) => witness::run(&options),
        Command::Evidence(options) => evidence::run(&options),
        Command::Trust(step) => trust::run(&step),
        Command::Sign(options) => sign::run(&options),
        Command::Sandbox(options) => sandbox::run(options),
    };
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints data, which is what a command's caller asked for.
///
/// # Errors
/// When standard output is gone.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// What network calls run on.
///
/// # Errors
/// When the system gives no threads or descriptors.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
