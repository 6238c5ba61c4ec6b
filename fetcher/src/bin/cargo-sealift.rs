//! `cargo sealift`: everything on the user's machine but the wrapper itself.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealift_fetcher::commands::run(std::env::args_os())
}
