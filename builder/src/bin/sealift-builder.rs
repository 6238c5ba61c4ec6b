//! `sealift-builder`: the operator's program. Parses its arguments, runs, and turns the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use sealift_builder::cli::Cli;
use sealift_builder::commands;

fn main() -> ExitCode {
    commands::run(Cli::parse())
}
