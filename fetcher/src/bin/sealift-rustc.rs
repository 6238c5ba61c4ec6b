//! `sealift-rustc`: the program that cargo runs in front of rustc. Small, synchronous, never on the network.

use std::process::ExitCode;

use sealift_fetcher::messages;
use sealift_fetcher::wrapper::{self, script};

fn main() -> ExitCode {
    if let Some(real) = script::started_as() {
        return script::run(&real).unwrap_or_else(|error| {
            messages::print(&format!("error: sealift: failed to run `{}`: {error}", real.display()));
            ExitCode::from(127)
        });
    }
    if std::env::args_os().skip(1).eq(["--version"]) {
        return wrapper::version();
    }
    wrapper::run(std::env::args_os().skip(1))
}
