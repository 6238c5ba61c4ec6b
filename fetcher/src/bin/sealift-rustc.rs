//! `sealift-rustc`: the program that cargo runs in front of rustc. Small, synchronous, never on the network.

use std::process::ExitCode;

use sealift_fetcher::{messages, runner, wrapper};

fn main() -> ExitCode {
    if let Some(real) = wrapper::started_as_script() {
        let error = runner::become_script(&real);
        messages::print(&format!("error: sealift: failed to run `{}`: {error}", real.display()));
        return ExitCode::from(127);
    }
    wrapper::run(std::env::args_os().skip(1))
}
